/**
 * What others do between the plan of a transaction and its commit, or while they are stopped in the middle of one: the
 * guards of the commit batch meet it, and nothing has happened.
 */

import { formatRow, isStoreError, type Job, metaKeys, type Operation, type StorePath } from '@forewrit/core';
import { assert, suite } from '@forewrit/testkit';
import {
  contentOf,
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

const test = suite('guards');

const small: ProcessOptions = { inlineLimitBytes: 1024 };
/** Commits, and gets no further. It lives. */
const stopped: ProcessOptions = { ...small, failpoint: { name: 'log.after', action: 'throw' } };

/** A process in which this happens once, when a transaction is planned and its first file is being staged. */
async function openInterrupted(
  world: World,
): Promise<{ process: SimulatedProcess; meanwhile: (action: () => void) => void }> {
  const next: (() => void)[] = [];
  const process = await world.open({
    ...small,
    beforeCall: ({ method, path }) => {
      if (method === 'create' && path.endsWith('.apply')) next.shift()?.();
    },
  });
  return { process, meanwhile: (action) => void next.push(action) };
}

function put(key: string, value: number): Operation {
  return { type: 'put', collection: 'notes', key, value: Uint8Array.of(value) };
}

function assertLocked(outcome: unknown, what: string): void {
  assert.instance(outcome, Error);
  assert.is((outcome as Error).message, `locked: ${what}`);
}

test('an entry that somebody has locked since the plan is waited for', async () => {
  const world = new World();
  const other = await world.open(stopped);
  const { process, meanwhile } = await openInterrupted(world);
  meanwhile(() => void other.attempt(write('x', 'theirs'), put('k', 1)));
  assertLocked(process.attempt(write('a', 'ours'), put('k', 2)), 'notes/k');
  assert.is(process.engine.poison, undefined);
  assert.equal(tree(world.outside), {});
});

test('nothing is put into a directory that somebody is about to remove', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(mkdir('d'), write('d/a', 'there'));
  process.checkpoint();
  const other = await world.open(stopped);
  assert.instance(other.attempt(remove('d')), Error);
  assertLocked(process.attempt(write('d/b', 'ours')), 'd');
  assert.equal(tree(world.outside), { 'd/': '', 'd/a': 'there' });
});

test('a directory with a blocked file in it stays, and who wants it gone is told', async () => {
  const world = new World();
  const first = await world.open(small);
  first.commit(mkdir('d'), write('d/a', 'old'));
  first.checkpoint();
  first.kill();
  const dying = await world.open({ ...stopped, inlineLimitBytes: 0 });
  assert.instance(dying.attempt(write('d/a', 'new')), Error);
  dying.kill();
  const cut = world.powerCut();
  cut.outside.unlink(`${root}/.forewrit/staged/2-1-0`);
  const process = await cut.open(small);
  assert.equal(process.recovery?.blocked, ['2-1']);
  for (const operation of [remove('d'), move('d', 'e')]) {
    const outcome = process.attempt(operation);
    assert.ok(isStoreError(outcome, 'ERR_APPLY_BLOCKED'), String(outcome));
  }
  assert.equal(tree(cut.outside), { 'd/': '', 'd/a': 'old' });
});

test('a transaction whose files somebody has saved since the plan is planned again', async () => {
  const world = new World();
  const other = await world.open(small);
  const { process, meanwhile } = await openInterrupted(world);
  process.commit(write('a', 'old'), write('b', 'old'));
  process.flushMarks();
  meanwhile(() => {
    other.commit(write('a', 'theirs'));
    other.flushMarks();
  });
  process.commit(write('b', 'ours'), write('a', 'ours'));
  assert.equal(tree(world.outside), { a: 'ours', b: 'ours' });
});

for (const [what, change, waitedFor] of [
  ['a file that comes', write('d/new', 'theirs'), 'd/new'],
  ['one that comes with its directory', write('d/e/new', 'theirs'), 'd/e/new'],
  ['one that goes', remove('d/old'), 'd/old'],
  ['one that is replaced', write('d/old', 'theirs'), undefined],
] as const) {
  test(`who has listed a directory waits for what is committed there and not carried out: ${what}`, async () => {
    const world = new World();
    const other = await world.open(stopped);
    const process = await world.open(small);
    const { revision } = process.commit(write('d/old', 'old'));
    process.flushMarks();
    process.checkpoint();
    assert.instance(other.attempt(change), Error);
    const read = { kind: 'directory', path: 'd' as StorePath, names: 'old', since: revision + 1 } as const;
    const outcome = process.attemptRequest({
      counter: process.nextCounter(),
      operations: [write('x', 'ours')],
      reads: [read],
      relaxed: false,
    });
    if (waitedFor === undefined) assert.not.instance(outcome, Error);
    else assertLocked(outcome, waitedFor);
  });
}

test('a revision that is asked for is looked at in the commit itself', async () => {
  const world = new World();
  const process = await world.open(small);
  const { revision } = process.commit(write('a', 'old'));
  process.commit(write('a', 'newer'));
  const asked = write('a', 'ours');
  assert.ok(asked.type === 'write');
  const outcome = process.attempt({ ...asked, options: { ifRevision: revision } });
  assert.ok(isStoreError(outcome, 'ERR_CONFLICT'), String(outcome));
  assert.is(contentOf(world.outside, 'a'), 'newer');
});

test('a store that another version has taken over is not written to', async () => {
  const world = new World();
  const { process, meanwhile } = await openInterrupted(world);
  meanwhile(() => {
    const { log, format } = process.context;
    const row = formatRow.encode(metaKeys.format, { ...format, version: format.version + 1 });
    log.commit((batch) => batch.put('meta', metaKeys.format, row));
  });
  const outcome = process.attempt(write('a', 'ours'));
  assert.ok(isStoreError(outcome, 'ERR_UNSUPPORTED_FORMAT'), String(outcome));
  assert.equal(tree(world.outside), {});
  assert.equal(stagingNames(world.outside), []);
});

test('a request that its caller has given up on does not commit later', async () => {
  const world = new World();
  const { process, meanwhile } = await openInterrupted(world);
  const cancel = new Int32Array(1);
  meanwhile(() => void cancel.fill(1));
  const outcome: unknown[] = [];
  const job: Job = {
    request: { counter: 1, operations: [write('a', 'ours')], reads: [], relaxed: false, cancel },
    deadlineMs: Number.POSITIVE_INFINITY,
    attempts: 0,
    forcedAttempts: 0,
    nextProbeMs: 0,
    accepted: () => undefined,
    resolve: (commit) => void outcome.push(commit),
    reject: (error) => void outcome.push(error),
  };
  process.engine.runGroup([job]);
  assert.is(outcome.length, 1);
  assert.ok(isStoreError(outcome[0], 'ERR_ABORTED'), String(outcome[0]));
  assert.equal(tree(world.outside), {});
  assert.equal(stagingNames(world.outside), []);
});

test('recovering an older transaction leaves a newer one its lock', async () => {
  const world = new World();
  const dead = await world.open(small);
  const other = await world.open(stopped);
  dead.commit(write('a', 'of the dead'));
  dead.flushMarks();
  assert.instance(other.attempt(write('a', 'of the stopped')), Error);
  dead.kill();
  const process = await world.open(small);
  assertLocked(process.attempt(write('a', 'ours')), 'a');
  assert.is(contentOf(world.outside, 'a'), 'of the dead');
});

test('a directory that is made and moved in one transaction wants its place to itself', async () => {
  const world = new World();
  const other = await world.open(small);
  const { process, meanwhile } = await openInterrupted(world);
  meanwhile(() => {
    other.commit(write('d/b', 'theirs'));
    other.flushMarks();
  });
  const outcome = process.attempt(write('e/a', 'ours'), move('e', 'd'));
  assert.ok(isStoreError(outcome, 'ERR_EXISTS'), String(outcome));
  assert.equal(tree(world.outside), { 'd/': '', 'd/b': 'theirs' });
});

test.run();
