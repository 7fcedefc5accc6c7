/** Places that a directory has left: after a power cut it may be back there, and what came there since must not meet it. */

import type { Operation } from '@forewrit/core';
import { assert, Random, sampleChoice, suite } from '@forewrit/testkit';
import { edit, mkdir, move, remove, root, tree, World, write } from './world.js';

const test = suite('vacated-places');

const cutsMany = 30;

interface Schedule {
  readonly transactions: readonly (readonly Operation[])[];
  readonly expected: Readonly<Record<string, string>>;
}

const schedules: Readonly<Record<string, Schedule>> = {
  'a directory moves on, and another one is where it was first': {
    transactions: [[move('d', 'p')], [write('d/b', 'ours')], [move('p', 'e')]],
    expected: { 'd/': '', 'd/b': 'ours', 'e/': '', 'e/x': 'x', 'f/': '', 'f/y': 'y' },
  },
  'a directory moves on, and a file is where it was first': {
    transactions: [[move('d', 'p')], [write('d', 'ours')], [move('p', 'e')]],
    expected: { d: 'ours', 'e/': '', 'e/x': 'x', 'f/': '', 'f/y': 'y' },
  },
  'two directories trade places, by way of a third name': {
    transactions: [[move('d', 'p')], [move('f', 'd')], [move('p', 'f')]],
    expected: { 'd/': '', 'd/y': 'y', 'f/': '', 'f/x': 'x' },
  },
  'a directory moves and is removed, and another one is where it was first': {
    transactions: [[move('d', 'p')], [write('d/b', 'ours')], [remove('p')]],
    expected: { 'd/': '', 'd/b': 'ours', 'f/': '', 'f/y': 'y' },
  },
  'a directory moves twice more, and files are where it was': {
    transactions: [
      [move('d', 'p')],
      [write('d/b', 'ours')],
      [move('p', 'e')],
      [write('p', 'ours')],
      [move('e', 'g')],
    ],
    expected: { 'd/': '', 'd/b': 'ours', 'f/': '', 'f/y': 'y', 'g/': '', 'g/x': 'x', p: 'ours' },
  },
};

for (const [name, schedule] of Object.entries(schedules)) {
  test(`${name}: both are whole after any power cut`, async () => {
    let back = 0;
    for (let seed = 0; seed < cutsMany; seed += 1) back += (await recoversFrom(schedule, seed)) ? 1 : 0;
    assert.ok(back > 0, 'the directory is never back');
  });
}

/** Whether the directory was back in its first place. */
async function recoversFrom({ transactions, expected }: Schedule, seed: number): Promise<boolean> {
  const world = new World();
  const process = await world.open({ inlineLimitBytes: 1024 });
  process.commit(mkdir('d'), mkdir('f'));
  process.flushMarks();
  process.checkpoint();
  // What the store has written there itself would be made durable before the directory moves on.
  putFlushed(world, 'd/x', 'x');
  putFlushed(world, 'f/y', 'y');
  for (const operations of transactions) {
    process.commit(...operations);
    process.flushMarks();
  }
  assert.equal(tree(world.outside), expected);
  const cut = world.powerCut(sampleChoice(world.disk.pendingEffects('weakest'), new Random(seed)));
  const back = cut.outside.lstat(`${root}/d/x`) !== undefined;
  const { recovery } = await cut.open();
  assert.equal(tree(cut.outside), expected, `after cut ${seed}: ${JSON.stringify(recovery)}`);
  return back;
}

function putFlushed({ outside }: World, path: string, content: string): void {
  edit(outside, path, content, 'new');
  const descriptor = outside.openRead(`${root}/${path}`);
  outside.sync(descriptor);
  outside.close(descriptor);
  outside.syncDirectory(`${root}/${path.slice(0, path.lastIndexOf('/'))}`);
}

test.run();
