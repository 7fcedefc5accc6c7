/** Deferred transactions of dead owners, by every row of the table; and what the living ones do with edits and clocks. */

import { decodeTransaction, parseTransactionKey, rowOf } from '@forewrit/core';
import { assert, CrashSignal, SimulatedDisk, suite } from '@forewrit/testkit';
import {
  conflictContents,
  contentOf,
  edit,
  type ProcessOptions,
  remove,
  root,
  type SimulatedProcess,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('deferred transactions');

const small: ProcessOptions = { inlineLimitBytes: 1024 };
const old = { a: 'old a', b: 'old b', 'd/': '', 'd/c': 'old c' };
const saved = { a: 'new a', b: 'new b', 'd/': '', 'd/c': 'newer c', n: 'new n' };

/** Two saves, the newer of which took the older one in; and nobody to put them into their files. */
async function pending({ isDurable = true, disk = new SimulatedDisk() } = {}): Promise<World> {
  const world = new World(disk);
  const before = await world.open(small);
  before.commit(write('a', 'old a'), write('b', 'old b'), write('d/c', 'old c'));
  if (isDurable) before.checkpoint();
  else before.flushMarks();
  const process = isDurable ? await world.open(small) : before;
  process.commitDeferred(write('a', 'new a'), write('d/c', 'new c'));
  process.commitDeferred(write('b', 'new b'), write('d/c', 'newer c'), write('n', 'new n'));
  assert.equal(tree(world.outside), old);
  before.kill();
  process.kill();
  return world;
}

function revisions(process: SimulatedProcess): unknown {
  const { log, folding } = process.context;
  return log.view((view) =>
    Object.fromEntries(['a', 'b', 'd/c', 'n'].map((path) => [path, rowOf(view, path, folding)?.revision])),
  );
}

/** A reader compares with it: what does not match passes for somebody's edit. */
function assertRowsMatch(world: World, process: SimulatedProcess, paths: readonly string[]): void {
  const { log, folding } = process.context;
  for (const path of paths) {
    const image = log.view((view) => rowOf(view, path, folding))?.image;
    const ino = image?.type === 'file' ? image.fingerprint.ino : undefined;
    assert.is(ino, world.outside.lstat(`${root}/${path}`)?.ino, `the row of '${path}' names its inode`);
  }
}

function rowsLeft(world: World): number[] {
  return (['log', 'locks'] as const).map(
    (table) => world.log.rows(table).range({ start: new Uint8Array(0) }).length,
  );
}

test('whoever comes next puts them into the files, at the revisions of their saves', async () => {
  for (const boot of ['same', 'other'] as const) {
    const world = boot === 'same' ? await pending() : (await pending()).powerCut(() => false);
    const looking = await world.start(small);
    assert.equal(looking.rows(), { a: 8, b: 8, 'd/c': 8, n: 8 });
    const before = revisions(looking);
    const { redone, conflicts, kept } = await looking.recover();
    assert.equal([redone.length, conflicts.length, kept.length], [1, 0, 0]);
    assert.equal(tree(world.outside), saved);
    assert.equal(revisions(looking), before);
    assertRowsMatch(world, looking, ['a', 'b', 'd/c', 'n']);
    assert.equal([rowsLeft(world), stagingNames(world.outside)], [[0, 0], []]);
    assert.equal(tree(world.powerCut(() => false).outside), saved);
  }
});

test('what another program has put there meanwhile stays, and ours goes into conflicts/', async () => {
  const world = await pending();
  edit(world.outside, 'a', 'theirs');
  world.outside.unlink(`${root}/b`);
  const looking = await world.start(small);
  assert.equal(looking.rows(), { a: 12, b: 12, 'd/c': 8, n: 8 });
  const { kept } = await looking.recover();
  assert.is(kept.length, 1);
  assert.equal(tree(world.outside), { a: 'theirs', 'd/': '', 'd/c': 'newer c', n: 'new n' });
  assert.equal(conflictContents(world.outside), ['new a', 'new b']);
  assert.equal([rowsLeft(world), stagingNames(world.outside)], [[0, 0], []]);
});

test('what somebody has written just as we would is kept as ours', async () => {
  const world = await pending();
  edit(world.outside, 'a', 'new a');
  edit(world.outside, 'n', 'new n');
  const looking = await world.start(small);
  assert.equal(looking.rows(), { a: 6, b: 8, 'd/c': 8, n: 6 });
  await looking.recover();
  assert.equal(tree(world.outside), saved);
  assert.equal(conflictContents(world.outside), []);
  assertRowsMatch(world, looking, ['a', 'n']);
});

test('a directory that somebody has removed is not made again on the same boot, but after a power cut', async () => {
  const world = await pending();
  world.outside.unlink(`${root}/d/c`);
  world.outside.removeDirectory(`${root}/d`);
  const cut = world.fork().powerCut(() => true);
  await world.open(small);
  assert.equal(tree(world.outside), { a: 'new a', b: 'new b', n: 'new n' });
  assert.equal(conflictContents(world.outside), ['newer c']);
  await cut.open(small);
  assert.equal(tree(cut.outside), saved);
});

test('after a power cut an older state of the path is known for what it is', async () => {
  const world = (await pending({ isDurable: false })).powerCut(() => false);
  await world.open(small);
  assert.equal(tree(world.outside), saved);
  assert.equal(conflictContents(world.outside), []);
});

test('after a power cut an older file that nobody knows any more gives way, and is kept aside', async () => {
  const world = new World();
  const before = await world.open(small);
  before.commit(write('a', 'old'));
  before.checkpoint();
  // A removal that is not durable: what was saved since was saved where there was nothing.
  world.outside.unlink(`${root}/a`);
  before.commitDeferred(write('a', 'new'));
  before.kill();
  const cut = world.powerCut(() => false);
  assert.equal(tree(cut.outside), { a: 'old' });
  const looking = await cut.start(small);
  assert.is(looking.rows()['a'], 13);
  await looking.recover();
  assert.equal(tree(cut.outside), { a: 'new' });
  assert.equal(conflictContents(cut.outside), ['old']);
});

test('after a power cut a file that is newer than the save stays', async () => {
  const world = await pending();
  world.disk.clock.advance(1000);
  edit(world.outside, 'a', 'theirs');
  world.disk.settle();
  const cut = world.powerCut(() => true);
  const looking = await cut.start(small);
  assert.is(looking.rows()['a'], 11);
  await looking.recover();
  assert.is(contentOf(cut.outside, 'a'), 'theirs');
  assert.equal(conflictContents(cut.outside), ['new a']);
});

test('a recovery that dies after it has put a file in its place leaves the proof: a user who takes it back is heard', async () => {
  const world = await pending();
  const dying = await world.start({
    ...small,
    beforeCall: ({ method, path }) => {
      // Everything is applied, and nothing of that is in the log.
      if (method === 'syncDirectory' && path === root) throw new CrashSignal('now');
    },
  });
  assert.instance(await dying.recover().catch((error: unknown) => error), Error);
  dying.kill();
  assert.equal(tree(world.outside), saved);
  world.outside.unlink(`${root}/n`);
  edit(world.outside, 'b', 'old b');
  const next = await world.start(small);
  assert.equal(next.rows(), { a: 6, b: 7, 'd/c': 6, n: 7 });
  await next.recover();
  assert.equal(tree(world.outside), { a: 'new a', b: 'old b', 'd/': '', 'd/c': 'newer c' });
});

test('recovery may die at any call, and is repeated', async () => {
  for (let calls = 0; ; calls += 1) {
    const world = await pending();
    let left = Number.POSITIVE_INFINITY;
    const dying = await world.start({
      ...small,
      onStep: () => {
        if (left-- === 0) throw new CrashSignal('now');
      },
    });
    left = calls;
    const died = await dying.recover().then(
      () => false,
      () => true,
    );
    dying.kill();
    const cut = world.powerCut(() => false);
    for (const each of [world, cut]) {
      await each.open(small);
      assert.equal(tree(each.outside), saved);
      assert.equal([rowsLeft(each), stagingNames(each.outside)], [[0, 0], []]);
      assert.equal(conflictContents(each.outside), []);
    }
    if (!died) break;
  }
});

test('names come before the record that has them: an apply name that was never made proves nothing', async () => {
  const world = await pending();
  let names = 0;
  const dying = await world.start({
    ...small,
    beforeCall: ({ method, path }) => {
      if (method === 'create' && path.endsWith('.apply')) names += 1;
    },
    onLog: () => {
      if (names === 0) return undefined;
      assert.is(names, 4);
      throw new CrashSignal('now');
    },
  });
  assert.instance(await dying.recover().catch((error: unknown) => error), Error);
  dying.kill();
  const [record] = world.log.rows('log').range({ start: new Uint8Array(0) });
  const { owner, transaction: counter } = parseTransactionKey(record![0]);
  assert.is(decodeTransaction({ owner, counter }, [record!]).begin?.deferred, true);
  await world.open(small);
  assert.equal(tree(world.outside), saved);
  assert.equal(stagingNames(world.outside), []);
});

test('what a living owner has deferred is left to it', async () => {
  const world = new World();
  const owner = await world.open(small);
  owner.commit(write('a', 'old'));
  owner.flushMarks();
  owner.commitDeferred(write('a', 'new'));
  const other = await world.open(small);
  assert.equal(tree(world.outside), { a: 'old' });
  assert.match(String(other.attempt(write('a', 'other'))), /locked/);
  owner.materialize();
  owner.flushMarks();
  other.commit(write('a', 'other'));
  assert.equal(tree(world.outside), { a: 'other' });
});

test('where its root is not there the transaction waits, blocked, until it is', async () => {
  const world = new World();
  world.outside.makeDirectory('/data', 0o755);
  world.outside.syncDirectory('/');
  const options: ProcessOptions = { ...small, roots: { data: '/data' } };
  const process = await world.open(options);
  process.commitDeferred(write('a', 'new'), write('data:b', 'new'));
  process.kill();
  const without = await world.open(small);
  assert.is(without.recovery?.blocked.length, 1);
  assert.equal(tree(world.outside), {});
  without.kill();
  const again = await world.open(options);
  assert.is(again.recovery?.redone.length, 1);
  assert.is(contentOf(world.outside, '/data/b'), 'new');
  assert.equal(tree(world.outside), { a: 'new' });
  assert.equal(rowsLeft(world), [0, 0]);
});

test('an edit that left the same times, within the grain of the clock, is told by its content', async () => {
  const world = new World(new SimulatedDisk({ mtimeGrainNs: 4_000_000n }));
  const process = await world.open(small);
  process.commit(write('a', 'old'), write('b', 'old'));
  process.flushMarks();
  process.commitDeferred(write('a', 'new'), write('b', 'new'));
  const stat = world.outside.lstat(`${root}/a`);
  const { outside } = world;
  const descriptor = outside.openWrite(`${root}/a`);
  outside.write(descriptor, Buffer.from('Old'), 0);
  outside.close(descriptor);
  assert.is(world.outside.lstat(`${root}/a`)?.mtimeNs, stat?.mtimeNs);
  assert.is(process.materialize().conflicts.length, 1);
  assert.equal(tree(world.outside), { a: 'Old', b: 'new' });
  assert.equal(conflictContents(world.outside), ['new']);
});

test('content whose flush has failed is not written again over what is deferred', async () => {
  const world = new World();
  const process = await world.open({
    ...small,
    faults: [{ error: 'EIO', at: ({ method, path }) => method === 'sync' && path.endsWith('.apply') }],
  });
  process.commit(write('a', 'old'));
  process.flushMarks();
  process.commitDeferred(write('a', 'new'));
  process.checkpoint();
  process.materialize();
  assert.equal(tree(world.outside), { a: 'new' });
  process.checkpoint();
  assert.equal([rowsLeft(world), stagingNames(world.outside)], [[0, 0], []]);
  assert.equal(tree(world.powerCut(() => false).outside), { a: 'new' });
});

test('whoever dies while the files follow leaves nothing but what recovery puts in order', async () => {
  for (let calls = 0; ; calls += 1) {
    const world = new World();
    const before = await world.open(small);
    before.commit(write('a', 'old'), write('b', 'old'));
    before.checkpoint();
    before.kill();
    let left = Number.POSITIVE_INFINITY;
    const process = await world.open({
      ...small,
      onStep: () => {
        if (left-- === 0) throw new CrashSignal('now');
      },
    });
    process.commitDeferred(write('a', 'new'), write('b', 'new'), write('n', 'new'));
    edit(world.outside, 'b', 'theirs');
    left = calls;
    process.materialize();
    process.kill();
    const died = left < 0;
    const next = await world.open(small);
    assert.equal(tree(world.outside), { a: 'new', b: 'theirs', n: 'new' });
    assert.equal(conflictContents(world.outside), ['new']);
    assert.equal([rowsLeft(world), stagingNames(world.outside)], [[0, 0], []]);
    next.kill();
    if (!died) break;
  }
});

test('a save that was taken in is gone from the log, and a newer one that is removed brings nothing back', async () => {
  const world = await pending();
  const process = await world.open(small);
  process.commit(remove('a'), remove('n'));
  process.kill();
  await world.open(small);
  assert.equal(tree(world.outside), { b: 'new b', 'd/': '', 'd/c': 'newer c' });
});

test('what only a half applied transaction refuses waits for it', async () => {
  const world = new World();
  const dying = await world.open({ ...small, failpoint: { name: 'log.after', action: 'throw' } });
  edit(world.outside, 'a', 'a file', 'new');
  const process = await world.start(small);
  assert.instance(dying.attempt(remove('a')), Error);
  dying.kill();
  const refused = process.attemptDeferred(write('a/x', 'ours'));
  assert.is(refused instanceof Error && refused.message, 'locked: a');
  await process.recover();
  process.commitDeferred(write('a/x', 'ours'));
  process.materialize();
  assert.equal(tree(world.outside), { 'a/': '', 'a/x': 'ours' });
});

test.run();
