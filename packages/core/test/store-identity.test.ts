import { mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { storeLayout } from '#src/files/volume.js';
import { bindTree, refuseLostLog } from '#src/store/store-identity.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';

const test = suite('the id of a store');

/** Somebody sweeps what is being written, after another process has written `id`, or nobody has. */
class SweptFileSystem extends NodeFileSystem {
  readonly #id: string | undefined;

  constructor(id: string | undefined) {
    super();
    this.#id = id;
  }

  override rename(from: string, to: string): void {
    unlinkSync(from);
    if (this.#id !== undefined) writeFileSync(to, this.#id);
    super.rename(from, to);
  }
}

test('a first open whose copy was swept goes on with the one that another has written', () => {
  using directory = temporaryDirectory('identity');
  const layout = {
    ...storeLayout(directory.path),
    directory: directory.path,
    identity: `${directory.path}/id`,
  };
  bindTree(new SweptFileSystem('abc\n'), layout, 'abc', { readOnly: false, nonce: '01234567' });
  assert.equal(readdirSync(directory.path), ['id']);
  assert.is(readFileSync(layout.identity, 'utf8'), 'abc\n');
});

test('one whose copy is gone, and no other is there, fails', () => {
  using directory = temporaryDirectory('identity');
  const layout = {
    ...storeLayout(directory.path),
    directory: directory.path,
    identity: `${directory.path}/id`,
  };
  assert.throwsWithCode(
    () => bindTree(new SweptFileSystem(undefined), layout, 'abc', { readOnly: false, nonce: '01234567' }),
    'ENOENT',
  );
});

for (const place of ['staged', 'before'] as const) {
  test(`without its log and its id, what is in ${place} is that of a store that has lost them`, () => {
    using directory = temporaryDirectory('identity');
    const layout = storeLayout(directory.path);
    const look = (): void => refuseLostLog(new NodeFileSystem(), layout);
    mkdirSync(`${layout.directory}/${place}`, { recursive: true });
    look();
    writeFileSync(`${layout.directory}/${place}/1-1-0`, 'the only copy');
    assert.throwsWithCode(look, 'ERR_STORE_MISMATCH');
    mkdirSync(layout.log);
    assert.throwsWithCode(look, 'ERR_STORE_MISMATCH');
    writeFileSync(`${layout.log}/data.mdb`, '');
    look();
  });
}

test.run();
