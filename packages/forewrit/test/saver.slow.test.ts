/** The process that the demo kills, when nobody kills it; and what is found in its directory. */

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { contextAt, contextFiles } from '#src/demo/context-set.js';
import { isMethod, methods } from '#src/demo/method.js';
import { observe } from '#src/demo/observation.js';
import { SaverProcess } from '#src/demo/saver-process.js';

const test = suite('saver', { timeoutMs: 60_000 });
const program = fileURLToPath(new URL('../dist/demo/saver.js', import.meta.url));

interface SaverRun {
  readonly exitCode: number | null;
  readonly versions: readonly number[];
  readonly errors: string;
}

/** Runs it until it has saved so often, and then ends its input. */
function runSaver(args: readonly string[], from: number, saves: number): Promise<SaverRun> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  const versions = (): number[] => output.split('\n').slice(0, -1).map(Number);
  child.stdin.on('error', () => undefined);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (versions().length >= saves) child.stdin.end();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.stdin.write(`${from}\n`);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, versions: versions(), errors }));
  });
}

for (const method of methods) {
  test(`it saves one version after the other with ${method}, and ends with its input`, async () => {
    using directory = temporaryDirectory('saver');
    const { exitCode, versions } = await runSaver([method, directory.path], 7, 3);
    assert.is(exitCode, 0);
    assert.equal(versions.slice(0, 3), [7, 8, 9]);
    const last = versions.at(-1)!;
    const observed = observe(directory.path, last);
    if (method === 'forewrit') assert.equal([observed.mixed, observed.lost], [false, false]);
    assert.ok(observed.newest >= last);
  });
}

test('it says what is wrong with how it is started, and where it cannot save', async () => {
  const misused = await runSaver(['by hand'], 1, 1);
  assert.is(misused.exitCode, 1);
  assert.match(misused.errors, 'usage');
  using directory = temporaryDirectory('saver');
  writeFileSync(`${directory.path}/file`, 'x');
  const failed = await runSaver(['forewrit', `${directory.path}/file`], 1, 1);
  assert.is(failed.exitCode, 1);
  assert.match(failed.errors, 'ERR_NOT_DIRECTORY');
});

test('a saver that ends by itself is a failure of the demo, with what it said', async () => {
  using directory = temporaryDirectory('saver');
  writeFileSync(`${directory.path}/file`, 'x');
  const saver = new SaverProcess('forewrit', `${directory.path}/file`);
  const error: unknown = await saver.saveFrom(1).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof Error);
  assert.match(error.message, /ended.*is not a directory/);
  const again: unknown = await saver.kill().catch((thrown: unknown) => thrown);
  assert.ok(again instanceof Error);
  await saver.end();
  assert.is(saver.count, 0);
});

test('only the two ways of saving are methods', () => {
  assert.equal([...methods, 'by hand', undefined].map(isMethod), [true, true, false, false]);
});

test('a file that is cut off, changed or another one is torn, and one that cannot be read is no finding', () => {
  using directory = temporaryDirectory('observe');
  const root = directory.path;
  const write = (version: number, change: (text: string, n: number) => string | undefined): void => {
    for (const [n, path] of contextFiles.entries()) {
      const place = `${root}/${path}`;
      mkdirSync(place.slice(0, place.lastIndexOf('/')), { recursive: true });
      const text = change(contextAt(version)[path], n);
      if (text === undefined) rmSync(place, { force: true });
      else writeFileSync(place, text);
    }
  };
  write(3, (text) => text);
  assert.equal(observe(root, 3), { mixed: false, torn: 0, lost: false, newest: 3 });
  for (const damage of [
    (text: string): string => text.slice(0, 100),
    (): string => '',
    (): string => '{"version":"three"}',
    (text: string): string => text.replace(/[aeiou](?=[^aeiou]*$)/, '_'),
    (): undefined => undefined,
  ]) {
    write(3, (text, n) => (n === 1 ? damage(text) : text));
    assert.equal(observe(root, 3), { mixed: true, torn: 1, lost: true, newest: 3 });
  }
  rmSync(`${root}/${contextFiles[1]}`, { force: true });
  mkdirSync(`${root}/${contextFiles[1]}`);
  assert.throwsWithCode(() => observe(root, 3), 'EISDIR');
  assert.ok(readFileSync(`${root}/${contextFiles[0]}`).length > 0);
});

test.run();
