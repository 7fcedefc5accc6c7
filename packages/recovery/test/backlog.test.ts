/** Where much is to be flushed, recovery answers first. */

import { readOwners } from '@forewrit/core';
import { assert, type Fault, type FileSystemCall, suite } from '@forewrit/testkit';
import { heldBy } from '#src/recovery-lock.js';
import { leavesBehind } from './crash/backlog-scenarios.js';
import { inlineLimitBytes } from './crash/preparation.js';
import { contentOf, root, type SimulatedProcess, stagingNames, tree, World, write } from './world.js';

const test = suite('recovery that answers before all is durable');

const later = { inlineLimitBytes, flushesMax: 0, keepsBacklog: true };
const files = { a: 'a1.', b: 'b2.' };

const twoBehind = (): Promise<World> => leavesBehind(new World(), [write('a', 'a1.')], [write('b', 'b2.')]);

function flushes(calls: readonly FileSystemCall[]): string[] {
  return calls.filter(({ method }) => method === 'sync').map(({ path }) => path);
}

async function recorded(world: World): Promise<{ process: SimulatedProcess; calls: FileSystemCall[] }> {
  const calls: FileSystemCall[] = [];
  const process = await world.open({ ...later, beforeCall: (call) => void calls.push(call) });
  return { process, calls };
}

test('everything is in its place and unlocked, and nothing is flushed', async () => {
  const world = await twoBehind();
  const { process, calls } = await recorded(world);
  assert.equal(tree(world.outside), files);
  assert.equal(process.recovery?.redone, ['1-2']);
  assert.equal(flushes(calls), []);
  const { log } = process.context;
  const everything = { start: new Uint8Array(0) };
  assert.is(
    log.view((view) => view.range('locks', everything).length),
    0,
  );
  assert.is(
    log.view((view) => view.range('log', everything).length),
    4,
  );
  assert.is(log.view(heldBy), undefined);
  assert.is(log.view(readOwners).length, 2);
});

test('a small file costs one read of what was staged, and no look is taken twice for one reason', async () => {
  const world = await twoBehind();
  const { calls } = await recorded(world);
  const first = calls.findIndex(({ path }) => path === `${root}/b`);
  const apply = '/.forewrit/staged/1-2-0.apply';
  assert.equal(
    calls.slice(first).map(({ method, path }) => `${method} ${path.slice(root.length)}`),
    [
      // What is there, and whether it was applied; its parent; and, once for all, which directory is the store's own.
      'lstat /b',
      `lstat ${apply}`,
      'lstat ',
      'lstat /.forewrit',
      // Right before it is written.
      'lstat /b',
      'lstat ',
      `lstat ${apply}`,
      `openRead ${apply}`,
      `read ${apply}`,
      `close ${apply}`,
      'lstat /b',
      `rename ${apply}`,
      // What the row is to say.
      'lstat /b',
      'syncDirectory ',
    ],
  );
});

test('all of it is durable in the end, and nothing is left', async () => {
  const world = await twoBehind();
  const { process, calls } = await recorded(world);
  await process.finishBacklog();
  assert.equal(flushes(calls).toSorted(), [`${root}/a`, `${root}/b`]);
  const { log } = process.context;
  assert.is(
    log.view((view) => view.range('log', { start: new Uint8Array(0) }).length),
    0,
  );
  assert.equal(log.view(readOwners), [process.owner]);
  assert.equal(stagingNames(world.outside), []);
  process.kill();
  assert.equal(tree(world.powerCut(() => false).outside), files);
});

test('little is durable before the answer, in the very file that was staged', async () => {
  const world = await twoBehind();
  const [staged] = stagingNames(world.outside).filter((name) => name.endsWith('.apply'));
  const { ino } = world.outside.lstat(`${root}/.forewrit/${staged}`)!;
  (await world.open({ inlineLimitBytes })).kill();
  const { outside } = world.powerCut(() => false);
  assert.equal(tree(outside), files);
  assert.is(outside.lstat(`${root}/b`)!.ino, ino);
});

test('what ran on another boot is durable before the answer', async () => {
  const world = (await twoBehind()).powerCut(() => false);
  const { process } = await recorded(world);
  assert.is(
    process.context.log.view((view) => view.range('log', { start: new Uint8Array(0) }).length),
    0,
  );
  process.kill();
  assert.equal(tree(world.powerCut(() => false).outside), files);
});

test('what somebody writes meanwhile stays, and is made durable', async () => {
  const world = await twoBehind();
  const { process } = await recorded(world);
  const { outside } = world;
  const descriptor = outside.openWrite(`${root}/a`);
  outside.write(descriptor, Buffer.from('so'), 0);
  outside.close(descriptor);
  await process.finishBacklog();
  process.kill();
  assert.is(contentOf(world.powerCut(() => false).outside, 'a'), 'so.');
});

test('what is saved meanwhile stays', async () => {
  const world = await twoBehind();
  const { process } = await recorded(world);
  process.commit(write('b', 'b3.'));
  await process.finishBacklog();
  process.checkpoint();
  process.kill();
  assert.equal(tree(world.powerCut(() => false).outside), { a: 'a1.', b: 'b3.' });
});

test('two that recover share the work', async () => {
  const world = await twoBehind();
  const { process: one } = await recorded(world);
  const { process: other } = await recorded(world);
  await other.finishBacklog();
  await one.finishBacklog();
  assert.equal(tree(world.outside), files);
  assert.equal(stagingNames(world.outside), []);
  assert.is(one.context.log.view(heldBy), undefined);
});

test('a content that cannot be flushed is written anew', async () => {
  const world = await twoBehind();
  const faults: Fault[] = [
    { at: ({ method, path }) => method === 'sync' && path === `${root}/a`, error: 'EIO' },
  ];
  const process = await world.open({ ...later, faults });
  const before = world.outside.lstat(`${root}/a`)!.ino;
  await process.finishBacklog();
  assert.ok(world.outside.lstat(`${root}/a`)!.ino !== before);
  process.kill();
  assert.equal(tree(world.powerCut(() => false).outside), files);
});

test.run();
