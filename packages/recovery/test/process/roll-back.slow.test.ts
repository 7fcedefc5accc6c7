import { readdirSync, readFileSync } from 'node:fs';
import { openStore } from '@forewrit/recovery';
import { assert, suite, temporaryDirectory, TestProcess } from '@forewrit/testkit';
import type { EditedSaveMessage } from './edited-save-child.js';
import { labelOf } from './labelled-content.js';

const test = suite('a process that is killed while it rolls back');

const script = new URL('./edited-save-child.js', import.meta.url);
const paths = ['set/1', 'set/2', 'set/3', 'set/4'];

for (const [name, skip] of [
  ['roll-back.target', 0],
  ['roll-back.target', 1],
  ['roll-back.before-abort', 0],
] as const) {
  test(`at ${name} after ${skip}: the save is completed, and the edit stays`, async () => {
    await Promise.all([0, 65_536].map((inlineLimitBytes) => killAt(name, skip, inlineLimitBytes)));
  });
}

async function killAt(name: string, skip: number, inlineLimitBytes: number): Promise<void> {
  using directory = temporaryDirectory('roll-back');
  const root = directory.path;
  const options = { inlineLimitBytes, failpoint: { name, action: 'kill', skip } };
  await using child = new TestProcess<EditedSaveMessage>(script, { request: { root, options, paths } });
  const { signal } = await child.end(25_000);
  assert.is(signal, 'SIGKILL', `${name} was not reached`);
  const label = child.messages
    .flatMap((message) => (message.type === 'saving' ? [message.label] : []))
    .at(-1)!;
  const read = (path: string): Buffer => readFileSync(`${root}/${path}`);
  const edited = read('set/4');

  const store = await openStore(root, { committer: 'inline' });
  const { recovery } = store;
  await store.close();
  // Nobody was told yet that it was rolled back: it was committed, and goes forward.
  for (const path of paths.slice(0, 3)) assert.is(labelOf(read(path), path), label);
  assert.ok(read('set/4').equals(edited), 'what the other program left stays');
  assert.is(recovery.kept.length, 1);
  assert.equal(recovery.blocked, []);
  assert.equal(
    recovery.conflicts.map(({ path, savedAs }) => [path, labelOf(readFileSync(savedAs), path)]),
    [['set/4', label]],
  );
  for (const place of ['staged', 'before']) assert.equal(readdirSync(`${root}/.forewrit/${place}`), []);
}

test.run();
