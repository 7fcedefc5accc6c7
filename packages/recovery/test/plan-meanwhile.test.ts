/**
 * What somebody else puts into the tree while a transaction is being planned, at each call of the file system: it is what
 * was there before, or what came after, and never something that the transaction was asked to take away.
 */

import type { Operation, StorePath } from '@forewrit/core';
import { assert, suite } from '@forewrit/testkit';
import {
  blind,
  contentOf,
  edit,
  mkdir,
  move,
  type ProcessOptions,
  remove,
  root,
  type SimulatedProcess,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('plan-meanwhile');

const options: ProcessOptions = { inlineLimitBytes: 1024 };
const theirs = 'theirs';
const fewest = 10;

/** What another one does meanwhile. */
interface Other {
  readonly seesEachCall: boolean;
  /** The revision; `undefined` if it is none, or if it was not possible. */
  readonly put: (world: World, other: SimulatedProcess, path: StorePath) => number | undefined;
}

const others: Readonly<Record<string, Other>> = {
  'another process': {
    seesEachCall: true,
    put: (_, other, path) => revisionOf(other, path),
  },
  'another process that makes it durable at once': {
    seesEachCall: true,
    put(_, other, path) {
      const revision = revisionOf(other, path);
      other.checkpoint();
      return revision;
    },
  },
  'another program': {
    seesEachCall: false,
    put({ outside, disk }, _, path) {
      const directory = `${root}/${path}`.slice(0, `${root}/${path}`.lastIndexOf('/'));
      if (outside.lstat(directory) === undefined) outside.makeDirectory(directory, 0o755);
      disk.clock.advance(5);
      edit(outside, path, theirs);
      disk.clock.advance(5);
      return undefined;
    },
  },
};

function revisionOf(process: SimulatedProcess, path: StorePath): number | undefined {
  const outcome = process.attempt(write(path, theirs));
  process.flushMarks();
  return outcome instanceof Error ? undefined : outcome.revision;
}

interface Plan {
  readonly before: readonly Operation[];
  readonly operations: readonly Operation[];
  /** Where the other one puts something. */
  readonly at: StorePath;
  /** Where that has been put, the transaction is not possible. */
  readonly needsNone?: true;
}

const emptied: Operation = { type: 'remove', path: 'd', options: {} };

const plans: Readonly<Record<string, Plan>> = {
  'two files in a directory that is not there yet': {
    before: [],
    operations: [write('d/a', 'ours'), write('d/c', 'ours')],
    at: 'd/b',
  },
  'a directory that is made, and a file in it': {
    before: [],
    operations: [mkdir('d'), write('d/a', 'ours')],
    at: 'd/b',
    needsNone: true,
  },
  'a directory that is made, and another one that comes into it': {
    before: [mkdir('e'), write('e/y', 'old')],
    operations: [mkdir('d'), move('e', 'd/e'), write('d/e/z', 'ours')],
    at: 'd/b',
    needsNone: true,
  },
  'a directory that is made and removed': {
    before: [],
    operations: [mkdir('d'), remove('d'), write('e/x', 'ours')],
    at: 'd/b',
    needsNone: true,
  },
  'an empty directory that is removed': {
    before: [mkdir('d')],
    operations: [emptied],
    at: 'd/b',
    needsNone: true,
  },
  'an empty directory that is removed, and a file that needs it': {
    before: [mkdir('d')],
    operations: [emptied, write('d/g/a', 'ours')],
    at: 'd/b',
    needsNone: true,
  },
};

for (const [what, plan] of Object.entries(plans)) {
  for (const [who, other] of Object.entries(others)) {
    test(`${what}: what ${who} puts there meanwhile stays`, async () => {
      let at = 1;
      while (await meet(plan, other, at)) at += 1;
      assert.ok(at > fewest, `only ${at} calls`);
    });
  }
}

/** `false` if there is no such call. */
async function meet(
  { before, operations, at, needsNone }: Plan,
  other: Other,
  call: number,
): Promise<boolean> {
  const { world, outcome, met } = await interrupted(before, operations, call, other, at);
  if (met === undefined) return false;
  const where = `at call ${call}, ${met.method}: ${JSON.stringify(tree(world.outside))}`;
  const isThere = contentOf(world.outside, at) === theirs;
  assert.is(isThere, met.revision !== undefined || !other.seesEachCall, where);
  if (needsNone === true && met.revision !== undefined && !(outcome instanceof Error))
    assert.ok(met.revision > outcome.revision, `not possible any more, and done ${where}`);
  assert.equal(stagingNames(world.outside), [], where);
  return true;
}

test('files that trade places: what another program saves meanwhile is one of them, or comes after', async () => {
  const before = [write('a', 'one'), write('b', 'other')];
  const swap = [move('a', 'spare'), move('b', 'a'), move('spare', 'b')];
  for (let call = 1; ; call += 1) {
    const { world, met } = await interrupted(before, swap, call, others['another program']!, 'b');
    if (met === undefined) {
      assert.ok(call > fewest, `only ${call} calls`);
      break;
    }
    const found = [contentOf(world.outside, 'a'), contentOf(world.outside, 'b')];
    assert.ok(found.includes(theirs), `at call ${call}, ${met.method}: ${found.join(', ')}`);
  }
});

/** The other one does it before that call of who carries out the operations; all is in its place at the end. */
async function interrupted(
  before: readonly Operation[],
  operations: readonly Operation[],
  call: number,
  { seesEachCall, put }: Other,
  at: StorePath,
): Promise<{
  readonly world: World;
  readonly outcome: ReturnType<SimulatedProcess['attempt']>;
  readonly met: { readonly method: string; readonly revision: number | undefined } | undefined;
}> {
  const world = new World();
  const first = await world.open(options);
  if (before.length > 0) first.commit(...before);
  first.flushMarks();
  first.checkpoint();
  const other = await world.open(options);
  let calls: number | undefined;
  let hasPut = false;
  let met: { readonly method: string; readonly revision: number | undefined } | undefined;
  const process = await world.open({
    ...options,
    beforeCall({ method }) {
      if (calls === undefined || met !== undefined) return;
      calls += 1;
      if (calls < call || (!seesEachCall && blind.has(method))) return;
      met = { method, revision: undefined };
      met = { method, revision: put(world, other, at) };
      hasPut = true;
    },
  });
  calls = 0;
  const outcome = process.attempt(...operations);
  calls = undefined;
  assert.is(hasPut, met !== undefined, `${met?.method}: ${String(outcome)}`);
  process.flushMarks();
  for (const each of [process, other]) each.checkpoint();
  return { world, outcome, met };
}

test.run();
