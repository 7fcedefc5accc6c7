import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from '#src/assert.js';
import { suite } from '#src/suite.js';
import { temporaryDirectory } from '#src/temp-directory.js';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));
const test = suite('temporaryDirectory');

test('two of one name are two empty directories', () => {
  using one = temporaryDirectory('name');
  using two = temporaryDirectory('name');
  assert.is.not(one.path, two.path);
  assert.equal(readdirSync(one.path), []);
  assert.equal(readdirSync(two.path), []);
});

test('it goes with its content at the end of its scope', async () => {
  let path: string;
  {
    using directory = temporaryDirectory();
    path = directory.path;
    mkdirSync(join(path, 'a/b'), { recursive: true });
    writeFileSync(join(path, 'a/b/file'), 'x');
  }
  assert.not.ok(existsSync(path));
  {
    await using directory = temporaryDirectory();
    path = directory.path;
  }
  assert.not.ok(existsSync(path));
});

test('removing it twice is fine', () => {
  const directory = temporaryDirectory();
  directory.remove();
  directory.remove();
  assert.not.ok(existsSync(directory.path));
});

test('it is made below FOREWRIT_TEST_DIR and goes when the process exits, also by an error', () => {
  using base = temporaryDirectory('base');
  for (const end of ['', 'process.exit(3);', `throw new Error('broken');`]) {
    const child = spawnSync(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { temporaryDirectory } from '@forewrit/testkit/temp-directory';
         import { writeFileSync } from 'node:fs';
         const { path } = temporaryDirectory();
         writeFileSync(path + '/file', 'x');
         console.log(path);
         ${end}`,
      ],
      {
        cwd: packageRoot,
        encoding: 'utf8',
        env: { ...process.env, FOREWRIT_TEST_DIR: join(base.path, 'new'), FOREWRIT_TEST_KEEP: '' },
      },
    );
    const path = child.stdout.trim();
    assert.is(dirname(path), join(base.path, 'new'));
    assert.not.ok(existsSync(path));
  }
});

test.run();
