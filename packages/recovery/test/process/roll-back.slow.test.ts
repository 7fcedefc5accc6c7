import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '@forewrit/recovery';
import { announceSeed, assert, Random, suite, temporaryDirectory, TestProcess } from '@forewrit/testkit';
import type { EditedSaveMessage } from './edited-save-child.js';
import { labelOf } from './labelled-content.js';

const test = suite('a process that is killed while it rolls back', { timeoutMs: 120_000 });

const script = new URL('./edited-save-child.js', import.meta.url);
const killsAtRandom = 5;
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

test('at random, while one save after the other is rolled back: sets are whole, nothing is left', async () => {
  const random = new Random(announceSeed('roll-back'));
  let rolledBack = 0;
  const lane = async (inlineLimitBytes: number): Promise<void> => {
    using directory = temporaryDirectory('roll-back');
    const root = directory.path;
    for (let kill = 0; kill < killsAtRandom; kill += 1) {
      const request = { root, options: { inlineLimitBytes }, paths };
      await using child = new TestProcess<EditedSaveMessage>(script, { request });
      await child.next('rolled-back');
      await sleep(random.below(20));
      await child.kill();
      rolledBack += child.messages.filter(({ type }) => type === 'rolled-back').length;
      await assertWhole(root);
    }
  };
  await Promise.all([lane(0), lane(65_536)]);
  console.log(`${2 * killsAtRandom} kills, ${rolledBack} saves rolled back`);
});

async function assertWhole(root: string): Promise<void> {
  const edited = readFileSync(`${root}/set/4`);
  const store = await openStore(root, { committer: 'inline' });
  const { blocked } = store.recovery;
  const { findings } = await store.verify();
  const read = await store.readFiles(paths);
  await store.close();
  assert.equal(blocked, []);
  const others = paths.slice(0, 3);
  const labels = others.map((path) => labelOf(readFileSync(`${root}/${path}`), path));
  assert.is(new Set(labels).size, 1, labels.join(', '));
  for (const path of others) assert.is(labelOf(read.get(path)!, path), labels[0]);
  // It may have been about to be replaced; an edit that a save had met is kept.
  const final = readFileSync(`${root}/set/4`);
  assert.ok(
    final.equals(edited) || labelOf(final, 'set/4') === labels[0],
    'the fourth is theirs, or of the set',
  );
  assert.equal(
    findings.filter(({ path, problem }) => path !== 'set/4' || problem !== 'changed'),
    [],
  );
  for (const place of ['staged', 'before']) assert.equal(readdirSync(`${root}/.forewrit/${place}`), []);
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
