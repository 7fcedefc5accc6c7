/** Records and names that no process of today leaves behind, put there by hand: recovery ends each of them. */

import {
  encodeFrame,
  encodeHistory,
  encodeMark,
  entryLockKey,
  frameSeed,
  lockRow,
  metaKeys,
  numberRow,
  pathKey,
  putHistory,
  transactionKey,
  u32Key,
} from '@forewrit/core';
import { PathHistory } from '#src/path-history.js';
import { mountLook, placeOf, recoveryContext } from '#src/recovery-context.js';
import { assert, suite } from '@forewrit/testkit';
import { edit, root, stagingNames, tree, World, write } from './world.js';

const test = suite('log by hand');
const everything = { start: new Uint8Array(0) };

/** A transaction that has begun, as a long one will before it commits. */
async function begun(world: World): Promise<void> {
  const process = await world.open();
  const key = transactionKey(process.owner.number, 9, 1);
  const begin = encodeFrame(1, ['boot', '', 0], frameSeed('log', key));
  process.context.log.commit((batch) => batch.put('log', key, begin));
  const name = `${process.owner.id}-9-0`;
  edit(world.outside, `.forewrit/staged/${name}`, 'staged', 'new');
  edit(world.outside, `.forewrit/staged/${name}.apply`, 'staged', 'new');
  edit(world.outside, '.forewrit/staged/not ours', 'stays', 'new');
  process.kill();
}

test('a transaction that has only begun is taken back, with what it had staged', async () => {
  for (const cut of [false, true]) {
    const first = new World();
    await begun(first);
    const world = cut ? first.powerCut(() => true) : first;
    const process = await world.open();
    assert.equal(process.recovery?.undone, ['1-9']);
    assert.equal(process.recovery?.redone, []);
    assert.equal(stagingNames(world.outside), ['staged/not ours']);
    assert.is(
      process.context.log.view((view) => view.range('log', everything).length),
      0,
    );
  }
});

test('one of a living owner is left alone', async () => {
  const world = new World();
  const living = await world.open();
  const key = transactionKey(living.owner.number, 9, 1);
  const begin = encodeFrame(1, ['boot', '', 0], frameSeed('log', key));
  living.context.log.commit((batch) => batch.put('log', key, begin));
  edit(world.outside, `.forewrit/staged/${living.owner.id}-9-0`, 'staged', 'new');
  const process = await world.open();
  assert.equal(process.recovery?.undone, []);
  assert.equal(stagingNames(world.outside), [`staged/${living.owner.id}-9-0`]);
  assert.is(
    process.context.log.view((view) => view.range('log', everything).length),
    1,
  );
});

test('a transaction that was taken back, and whose records are still there, is swept', async () => {
  const world = new World();
  const process = await world.open({ failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(process.attempt(write('a', 'new')), Error);
  const [key, value] = encodeMark(
    { owner: process.owner.number, counter: 1 },
    { kind: 'abort', revision: 2 },
  );
  process.context.log.commit((batch) => {
    batch.put('log', key, value);
    batch.delete('locks', pathKey('a', process.context.folding));
  });
  process.kill();
  const next = await world.open();
  assert.equal([next.recovery?.redone, next.recovery?.undone, next.recovery?.kept], [[], [], []]);
  assert.equal(tree(world.outside), {});
  assert.equal(stagingNames(world.outside), []);
  const left = next.context.log.view((view) => [
    view.range('log', everything).length,
    view.range('locks', everything).length,
  ]);
  assert.equal(left, [0, 0]);
});

test('the lock that another transaction has on an entry is not let go of', async () => {
  const world = new World();
  const process = await world.open({ failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(process.attempt(write('a', 'new')), Error);
  const living = await world.start();
  const key = entryLockKey('c', 'k');
  const lock = { what: 'c/k', transaction: { owner: living.owner.number, counter: 1 }, blocked: false };
  living.context.log.commit((batch) => batch.put('locks', key, lockRow.encode(key, lock)));
  process.kill();
  const next = await world.open();
  assert.equal(next.recovery?.redone, ['1-1']);
  assert.ok(next.context.log.view((view) => view.get('locks', key)) !== undefined);
});

test('a recovery whose owner dies while others wait for it is taken over', async () => {
  const world = new World();
  const holder = await world.open();
  const dying = await world.open({ failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(dying.attempt(write('a', 'new')), Error);
  dying.kill();
  holder.context.log.commit((batch) =>
    batch.put('meta', metaKeys.recovery, numberRow.encode(metaKeys.recovery, holder.owner.number)),
  );
  const waiting = await world.start({ probeWitness: () => Promise.resolve('unknown') });
  const recovering = waiting.recover();
  const turning = setInterval(() => {
    holder.kill();
    world.disk.clock.advance(1000);
  }, 20);
  assert.equal((await recovering).redone, ['2-1']);
  clearInterval(turning);
  assert.is(
    waiting.context.log.view((view) => view.get('meta', metaKeys.recovery)),
    undefined,
  );
  // Whoever comes next finds that it is dead, and deregisters it.
  assert.ok(
    waiting.context.log.view((view) => view.get('owners', u32Key(holder.owner.number))) !== undefined,
  );
  const next = await world.open();
  assert.is(
    next.context.log.view((view) => view.get('owners', u32Key(holder.owner.number))),
    undefined,
  );
});

test('a path below a root that was not given has no place, and any other mistake is told', async () => {
  const world = new World();
  const { context } = await world.open();
  assert.is(placeOf('a', context.roots), `${root}/a`);
  assert.is(placeOf('cache:a', context.roots), undefined);
  assert.throws(
    () => placeOf('a', undefined as never),
    (error: unknown) => error instanceof TypeError,
  );
  const { mountOf } = recoveryContext(context);
  assert.is(mountOf('mnt'), '', 'an area that is not there');
  assert.is(mountOf('mnt'), '');
});

test('of the before-images of one that is gone those stay that history names, and no others', async () => {
  const world = new World();
  const process = await world.open();
  const before = {
    type: 'file',
    fingerprint: { ino: 1n, size: 4, mtimeNs: 1n, birthtimeNs: 0n },
    mode: 0o644,
  } as const;
  const target = { action: 'write', path: 'a', volume: '', before, after: before, kept: '1-1-0' } as const;
  const row = {
    number: { owner: 1, counter: 1 },
    revision: 1,
    committedAtMs: 0,
    keptBytes: 4,
    targets: [target],
    entries: [],
  };
  for (const name of ['before/1-1-0', 'before/1-1-1', 'before/1-2-0', 'staged/1-1-0'])
    edit(world.outside, `.forewrit/${name}`, 'kept', 'new');
  process.context.log.commit((batch) => putHistory(batch, row, encodeHistory(row)));
  process.kill();
  const next = await world.open();
  assert.equal(stagingNames(world.outside), ['before/1-1-0']);
  assert.is(next.recovery?.sweptFiles, 3);
});

test('the mode of a directory is restored on another boot, where that is allowed', async () => {
  const madeAndCut = async (): Promise<World> => {
    const first = new World();
    const process = await first.open();
    process.commit({ type: 'make-directory', path: 'm', options: { mode: 0o700 } });
    process.kill();
    const world = first.powerCut(() => true);
    world.outside.chmodPath(`${root}/m`, 0o755);
    return world;
  };
  const world = await madeAndCut();
  await world.open();
  assert.is(world.outside.lstat(`${root}/m`)?.mode, 0o700);
  const refused = await madeAndCut();
  const chmod = ({ method, path }: { method: string; path: string }): boolean =>
    method === 'chmodPath' && path === `${root}/m`;
  const process = await refused.open({ faults: [{ error: 'EPERM', at: chmod }] });
  assert.equal(process.recovery?.blocked, []);
  assert.is(refused.outside.lstat(`${root}/m`)?.mode, 0o755, 'somebody else decides on it');
  const failing = await madeAndCut();
  await assert.rejectsWithCode(failing.open({ faults: [{ error: 'EIO', at: chmod }] }), 'ERR_IO');
});

test('what no record names has no history, and a mount that nobody tells is none', async () => {
  const history = new PathHistory({ caseInsensitive: false, normalizing: false }, []);
  assert.equal(history.olderImages('a', 9), []);
  assert.is(history.newestMtimeNs('a'), undefined);
  const { context } = await new World().open();
  const { fileSystem, roots } = context;
  const silent = Object.create(fileSystem, { mountId: { value: () => undefined } }) as typeof fileSystem;
  const mountOf = mountLook({ fileSystem: silent, roots, volume: () => undefined });
  assert.is(mountOf(''), '');
});

test('without a directory of the log there are no witnesses to ask', async () => {
  const world = new World();
  world.outside.removeDirectory(`${root}/.forewrit/log`);
  const process = await world.open();
  assert.equal(process.recovery?.redone, []);
});

test('a file that goes while it is made durable needs no flush', async () => {
  const world = new World();
  const process = await world.open();
  process.commit(write('a', 'new'));
  process.flushMarks();
  process.kill();
  let gone = false;
  const next = await world.open({
    beforeCall: ({ method, path }) => {
      if (gone || method !== 'openRead' || path !== `${root}/a`) return;
      gone = true;
      world.outside.unlink(path);
    },
  });
  assert.ok(gone);
  assert.equal(next.recovery?.blocked, []);
  assert.equal(tree(world.outside), {});
});

test.run();
