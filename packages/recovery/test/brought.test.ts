/** A directory that an undo brings back in one piece: wherever its process dies, and whatever somebody does meanwhile. */

import { isStoreError } from '@forewrit/core';
import type { FileSystemCall } from '@forewrit/testkit';
import { repairTransaction, type RepairDirection } from '#src/repair.js';
import { assert, suite } from '@forewrit/testkit';
import { historyProblem, namesBesideHistory, undo } from './history-world.js';
import {
  conflictContents,
  edit,
  flushing,
  move,
  type ProcessOptions,
  remove,
  root,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('directories that come back');
const options: ProcessOptions = { history: {}, inlineLimitBytes: 0 };
const kept = { k: 'k', l: 'l' };
const removed = { ...kept, n: 'old o' };
const whole = {
  ...kept,
  'd/': '',
  'd/s/': '',
  'd/s/o': 'old o',
  'd/s/y': 'old y',
  'd/x': 'old x',
  z: 'old z',
};
/** The transaction that is undone, and its undo. */
const [id, undone] = ['1-2', '2-1'];

const isCopied = ({ method, path }: FileSystemCall): boolean => method === 'sync' && path.endsWith('.tree/x');
const isMoved = ({ method, dest }: FileSystemCall): boolean => method === 'rename' && dest === `${root}/d`;
const isFollowed = ({ method, dest }: FileSystemCall): boolean => method === 'rename' && dest === `${root}/z`;

async function removal(gone = [move('d/s/o', 'n'), remove('d'), remove('z')]): Promise<World> {
  const world = new World();
  const process = await world.open(options);
  process.commit(
    ...Object.entries(whole).flatMap(([path, text]) => (path.endsWith('/') ? [] : [write(path, text)])),
  );
  process.commit(...gone);
  process.checkpoint();
  process.kill();
  return world;
}

/** Dies right before this call of its undo. */
async function died(at: (call: FileSystemCall) => boolean): Promise<World> {
  const world = await removal();
  const process = await world.open({
    ...options,
    beforeCall: (call) => {
      if (at(call)) process.kill();
    },
  });
  assert.instance(await undo(process, id).catch((error: unknown) => error), Error);
  return world;
}

function assertWell(world: World): void {
  assert.equal(namesBesideHistory(world), []);
  assert.is(historyProblem(world), undefined);
}

/** What a directory holds, the store's own included. */
function held({ outside }: World, directory: string): Record<string, string> {
  const all = Object.entries(tree(outside, `${root}/${directory}`));
  return Object.fromEntries(all.map(([path, text]) => [path.slice(directory.length + 1), text]));
}

function directoriesAside(world: World): Record<string, string>[] {
  const conflicts = '.forewrit/conflicts';
  return world.outside
    .list(`${root}/${conflicts}`)
    .filter((name) => world.outside.lstat(`${root}/${conflicts}/${name}`)?.type === 'directory')
    .map((name) => held(world, `${conflicts}/${name}`));
}

const conflicts = ({ outside }: World): string[] => outside.list(`${root}/.forewrit/conflicts`);

for (const boot of ['same', 'other'] as const) {
  const later = (world: World): World => (boot === 'same' ? world : world.powerCut());

  test(`a copy that was not committed is swept, on ${boot === 'same' ? 'the same' : 'another'} boot`, async () => {
    const world = later(await died(isCopied));
    const { recovery } = await world.open(options);
    assert.equal([recovery?.redone, recovery?.conflicts], [[], []]);
    assert.equal([tree(world.outside), conflicts(world)], [removed, []]);
    assertWell(world);
  });

  for (const at of [isMoved, isFollowed]) {
    test(`what was committed is carried out, on ${boot === 'same' ? 'the same' : 'another'} boot: ${at.name}`, async () => {
      const world = later(await died(at));
      const process = await world.open(options);
      assert.equal(process.recovery?.redone, [undone]);
      assert.equal([tree(world.outside), conflicts(world)], [whole, []]);
      assertWell(world);
      await undo(process, undone);
      assert.equal(tree(world.outside), removed);
    });
  }
}

test('wherever a process dies while it comes back, all of it is back or nothing is', async () => {
  for (const world of [await removal(), await removal([remove('d')])]) {
    const gone = tree(world.outside);
    const after: { readonly world: World; readonly isAnswered: boolean }[] = [];
    let isBegun = false;
    let isAnswered = false;
    const process = await world.open({
      ...options,
      onStep(what) {
        if (!isBegun) return;
        const unflushed = what.endsWith(flushing) ? (['lost', 'kept'] as const) : (['lost'] as const);
        const left = unflushed.map((each) => world.fork({ unflushed: each }));
        left.push(
          world.powerCut(() => false),
          world.powerCut(() => true),
        );
        after.push(...left.map((each) => ({ world: each, isAnswered })));
      },
    });
    isBegun = true;
    await undo(process, id);
    isAnswered = true;
    process.commit(write('d/s/y', 'new y'), move('d', 'e'));
    process.checkpoint();
    isBegun = false;
    process.kill();
    assert.ok(after.length > 150);
    const moved = {
      ...kept,
      'e/': '',
      'e/s/': '',
      'e/s/o': 'old o',
      'e/s/y': 'new y',
      'e/x': 'old x',
      z: 'old z',
    };
    for (const each of after) {
      await each.world.open(options);
      assertWell(each.world);
      const now = tree(each.world.outside);
      if (each.isAnswered) assert.ok('d/' in now || 'e/' in now);
      assert.equal(now, 'e/' in now ? moved : 'd/' in now ? whole : gone);
    }
  }
});

test('where somebody has put something it stays, and what was to come is kept aside', async () => {
  const world = await died(isMoved);
  edit(world.outside, 'd', 'theirs');
  const { recovery } = await world.open(options);
  assert.equal(recovery?.kept, [undone]);
  assert.equal(tree(world.outside), { ...kept, d: 'theirs', z: 'old z' });
  assert.equal(directoriesAside(world), [{ 's/': '', 's/y': 'old y', x: 'old x' }]);
  // Of what was to move into it as well.
  assert.ok(conflictContents(world.outside).includes('old o'));
  assertWell(world);
});

test('what somebody has written into it since stays', async () => {
  const world = await died(isFollowed);
  edit(world.outside, 'd/x', 'theirs');
  await world.open(options);
  assert.equal(tree(world.outside), { ...whole, 'd/x': 'theirs' });
});

/** Its `z` cannot be put in its place. `moved`: the directory was. */
async function blocked(when: 'moved' | 'staged') {
  const world = await died(when === 'moved' ? isFollowed : isMoved);
  for (const name of stagingNames(world.outside))
    if (/^staged\/2-1-[0-9a-z]+$/.test(name)) world.outside.unlink(`${root}/.forewrit/${name}`);
  const process = await world.open(options);
  assert.equal(process.recovery?.blocked, [undone]);
  return { world, process };
}

async function repair(
  { process }: Awaited<ReturnType<typeof blocked>>,
  direction: RepairDirection,
): Promise<void> {
  const request = { id: undone, direction, blocked: process.recovery?.blocked ?? [] };
  await repairTransaction(process.context, process.owner, request);
  process.checkpoint();
}

for (const when of ['staged', 'moved'] as const) {
  for (const direction of ['forward', 'back', 'quarantine'] as const) {
    test(`a repair loses nothing: ${direction}, ${when}`, async () => {
      const at = await blocked(when);
      if (when === 'moved') edit(at.world.outside, 'd/theirs', 'theirs');
      await repair(at, direction);
      const { outside } = at.world;
      const isThere = direction === 'forward' || (direction === 'quarantine' && when === 'moved');
      const expected = {
        's/': '',
        's/y': 'old y',
        x: 'old x',
        ...(isThere ? { 's/o': 'old o' } : {}),
        ...(when === 'moved' ? { theirs: 'theirs' } : {}),
      };
      assert.is(outside.lstat(`${root}/d`)?.type, isThere ? 'directory' : undefined);
      const isAside = !isThere && (direction === 'quarantine' || when === 'moved');
      const [aside] = directoriesAside(at.world);
      if (isThere) assert.equal(held(at.world, 'd'), expected);
      else assert.equal(aside, isAside ? expected : undefined);
      assertWell(at.world);
      const undoing = await undo(at.process, id).catch((error: unknown) => error);
      // What is there now stands in its way, and otherwise history has it still.
      if (isThere) assert.ok(isStoreError(undoing, 'ERR_CONFLICT'));
      else assert.equal(tree(outside), whole);
    });
  }
}

test.run();
