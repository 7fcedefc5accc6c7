/** Recovery as a whole: when it runs, what it refuses, that it may die anywhere and be repeated, and who may run it. */

import {
  encodeMark,
  FailpointHit,
  isStoreError,
  type MemoryLogState,
  metaKeys,
  numberRow,
  type StoreError,
  tables,
  u32Key,
} from '@forewrit/core';
import { heldBy } from '#src/recovery-lock.js';
import { assert, CrashSignal, suite } from '@forewrit/testkit';
import {
  conflictContents,
  edit,
  mkdir,
  move,
  remove,
  root,
  type SimulatedProcess,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('recovery');

const small = { inlineLimitBytes: 1024 };
const everything = { start: new Uint8Array(0) };

const before = { a: 'old', b: 'old', c: 'old', 'd/': '', 'd/x': 'old' };
const after = { a: 'new', c2: 'old', 'e/': '', 'e/f/': '', 'e/f/y': 'new' };

/** A commit of every kind of change whose process died: before it applied anything, or after it applied `applied`. */
async function dyingWorld(applied: number): Promise<World> {
  const world = new World();
  const first = await world.open(small);
  first.commit(write('a', 'old'), write('b', 'old'), write('c', 'old'), write('d/x', 'old'));
  first.checkpoint();
  first.kill();
  let renames = 0;
  const process = await world.open({
    ...small,
    beforeCall: ({ method, path, dest = '' }) => {
      const applies =
        method === 'rename' && (path.endsWith('.apply') || dest.startsWith(`${root}/.forewrit/before/`));
      if (applies && renames++ === applied) process.kill();
    },
  });
  const outcome = process.attempt(
    write('a', 'new'),
    remove('b'),
    move('c', 'c2'),
    remove('d'),
    mkdir('e'),
    write('e/f/y', 'new'),
  );
  assert.instance(outcome, Error);
  process.kill();
  return world;
}

function assertWhole(world: World, message?: string): void {
  assert.equal(tree(world.outside), after, message);
  assert.equal(stagingNames(world.outside), [], message);
  assert.equal(conflictContents(world.outside), [], message);
}

async function assertNothingLeft(world: World): Promise<void> {
  const listing = world.disk.listing();
  const process = await world.open(small);
  const { redone, undone, kept, blocked, conflicts, sweptFiles } = process.recovery!;
  assert.equal([redone, undone, kept, blocked, conflicts, sweptFiles], [[], [], [], [], [], 0]);
  process.kill();
  assert.equal(world.disk.listing(), listing);
}

test('a clean store is looked at, and nothing is written', async () => {
  const world = new World();
  const first = await world.open(small);
  first.commit(write('a', 'content'));
  const writes = new Set<string>();
  const process = await world.start({ ...small, beforeCall: ({ method }) => void writes.add(method) });
  writes.clear();
  const disk = world.disk.fingerprint();
  const rows = allRows(world.log);
  const { redone, undone, kept, blocked, conflicts, sweptFiles } = await process.recover();
  assert.equal([redone, undone, kept, blocked, conflicts, sweptFiles], [[], [], [], [], [], 0]);
  assert.is(world.disk.fingerprint(), disk);
  assert.is(allRows(world.log), rows);
  assert.equal([...writes].sort(), ['list', 'lstat']);
});

function allRows(log: MemoryLogState): string {
  return tables
    .flatMap((table) => log.rows(table).range(everything))
    .map(([key, value]) => `${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`)
    .join('\n');
}

/** Dies at this call to its file system; `undefined` if it does so before it has opened the store. */
async function startDying(
  world: World,
  call: number,
): Promise<{ process: SimulatedProcess; calls: () => number } | undefined> {
  let calls = 0;
  const life: { process?: SimulatedProcess } = {};
  const beforeCall = (): void => {
    if (calls++ !== call) return;
    if (life.process === undefined) throw new CrashSignal('dies while it opens');
    life.process.kill();
  };
  try {
    life.process = await world.start({ ...small, beforeCall });
  } catch (error) {
    if (error instanceof CrashSignal) return undefined;
    throw error;
  }
  return { process: life.process, calls: () => calls };
}

test('a recovered store recovers to itself', async () => {
  for (let applied = 0; applied < 8; applied += 1) {
    const world = await dyingWorld(applied);
    (await world.open(small)).kill();
    assertWhole(world, `${applied} applied`);
    await assertNothingLeft(world);
  }
});

for (const name of ['recover.before', 'recover.target', 'recover.complete', 'recover.sweep'] as const) {
  test(`recovery that dies at ${name} is taken up by the next one`, async () => {
    for (const boot of ['same', 'other'] as const) {
      for (let skip = 0; skip < 10; skip += 1) {
        const dying = await dyingWorld(2);
        const world = boot === 'same' ? dying : dying.powerCut(() => false);
        const process = await world.start({ ...small, failpoint: { name, action: 'throw', skip } });
        const outcome: unknown = await process.recover().catch((error: unknown) => error);
        process.kill();
        if (!(outcome instanceof FailpointHit)) break;
        (await world.open(small)).kill();
        assertWhole(world, `${boot} boot, ${skip} skipped`);
        await assertNothingLeft(world);
      }
    }
  });
}

for (const boot of ['same', 'other'] as const) {
  test(`recovery that dies at any call to the file system is taken up by the next one, on the ${boot} boot`, async () => {
    for (let call = 0; ; call += 1) {
      const dying = await dyingWorld(3);
      const world = boot === 'same' ? dying : dying.powerCut();
      const recovering = await startDying(world, call);
      if (recovering === undefined) continue;
      await recovering.process.recover().catch(() => undefined);
      recovering.process.kill();
      (await world.open(small)).kill();
      assertWhole(world, `died at call ${call}`);
      await assertNothingLeft(world);
      if (recovering.calls() <= call) break;
    }
  });
}

test('the power may go again and again while recovery runs', async () => {
  for (let call = 5; call < 120; call += 7) {
    let world = (await dyingWorld(4)).powerCut(() => false);
    for (let cut = 0; cut < 3; cut += 1) {
      const recovering = await startDying(world, call);
      await recovering?.process.recover().catch(() => undefined);
      recovering?.process.kill();
      world = world.powerCut((_, index) => index % 2 === cut % 2);
    }
    (await world.open(small)).kill();
    assert.equal(tree(world.outside), after, `call ${call}`);
    assert.equal(stagingNames(world.outside), []);
    await assertNothingLeft(world);
  }
});

test('a dead owner that left nothing is deregistered', async () => {
  const world = new World();
  (await world.open()).kill();
  (await world.open()).kill();
  const process = await world.open();
  const owners = process.context.log.view((view) => view.range('owners', everything).length);
  assert.is(owners, 1);
});

test('records of an owner that is not registered any more are recovered', async () => {
  const world = await dyingWorld(0);
  const process = await world.start(small);
  process.context.log.commit((batch) => batch.delete('owners', u32Key(2)));
  await process.recover();
  assertWhole(world);
});

test('the lock of a dead recovery is taken over', async () => {
  const world = await dyingWorld(0);
  const dead = await world.start({ ...small, failpoint: { name: 'recover.target', action: 'throw' } });
  await assert.rejectsWithCode(
    dead.recover().catch((error: unknown) => {
      throw Object.assign(new Error('died'), { code: error instanceof FailpointHit ? 'DIED' : 'OTHER' });
    }),
    'DIED',
  );
  assert.is(dead.context.log.view(heldBy), dead.owner.number);
  dead.kill();
  const next = await world.open(small);
  assertWhole(world);
  assert.is(next.context.log.view(heldBy), undefined);
});

test('a recovery that a live owner runs is waited for, and not for ever', async () => {
  const world = await dyingWorld(0);
  const live = await world.start(small);
  live.context.log.commit((batch) =>
    batch.put('meta', metaKeys.recovery, numberRow.encode(metaKeys.recovery, live.owner.number)),
  );
  const impatient = await world.start({ ...small, lockTimeoutMs: 0 });
  await assert.rejectsWithCode(impatient.recover(), 'ERR_STORE_LOCKED');
  assert.equal(tree(world.outside), before);
  const patient = await world.start(small);
  const recovering = patient.recover();
  await new Promise((resolve) => setTimeout(resolve, 30));
  live.context.log.commit((batch) => batch.delete('meta', metaKeys.recovery));
  await recovering;
  assertWhole(world);
});

test('the lock is let go of when recovery fails', async () => {
  const world = await dyingWorld(0);
  const failing = await world.start({
    ...small,
    faults: [{ at: ({ method, path }) => method === 'rename' && path.endsWith('.apply'), error: 'ENOSPC' }],
  });
  const error = await failing.recover().catch((thrown: unknown) => thrown);
  assert.instance(error, Error);
  assert.is(failing.context.log.view(heldBy), undefined);
  await failing.recover();
  assertWhole(world);
});

/** Changes what the log holds of the dying transaction. */
function tamper(state: MemoryLogState, change: (value: Uint8Array) => Uint8Array | undefined): void {
  const rows = state.rows('log');
  const [[key, value]] = rows.range(everything) as [[Uint8Array, Uint8Array]];
  rows.set(key, change(value));
}

const tamperings: Readonly<Record<string, readonly [string, (value: Uint8Array) => Uint8Array]>> = {
  'a flipped bit': [
    'ERR_LOG_CORRUPT',
    (value) => value.map((byte, index) => (index === 40 ? byte ^ 1 : byte)),
  ],
  'a record that is cut short': ['ERR_LOG_CORRUPT', (value) => value.slice(0, -20)],
  'an unknown version': [
    'ERR_UNSUPPORTED_FORMAT',
    (value) => value.map((byte, index) => (index === 0 ? 99 : byte)),
  ],
};

for (const [name, [code, change]] of Object.entries(tamperings)) {
  test(`${name} is refused, and nothing is deleted`, async () => {
    const world = await dyingWorld(0);
    tamper(world.log, change);
    const names = stagingNames(world.outside);
    const process = await world.start(small);
    const rows = world.log.rows('log').range(everything).length;
    const error = await assert.rejectsWithCode(process.recover(), code);
    assert.ok(isStoreError(error));
    assert.ok((error as StoreError).hint !== undefined);
    assert.equal(tree(world.outside), before);
    assert.equal(stagingNames(world.outside), names);
    assert.is(world.log.rows('log').range(everything).length, rows);
  });
}

test('a mark without its commit batch is refused', async () => {
  const world = await dyingWorld(0);
  const [key, value] = encodeMark({ owner: 2, counter: 9 }, { kind: 'applied', bootId: 'boot-1' });
  world.log.rows('log').set(key, value);
  const process = await world.start(small);
  await assert.rejectsWithCode(process.recover(), 'ERR_LOG_CORRUPT');
  assert.equal(tree(world.outside), before);
});

test('a path that was applied on another boot is locked again before it is written', async () => {
  const world = new World();
  const first = await world.open(small);
  first.commit(write('a', 'saved'));
  first.flushMarks();
  first.kill();
  const cut = world.powerCut(() => false);
  let locks = 0;
  const process = await cut.start({
    ...small,
    beforeCall: ({ method, dest }) => {
      if (method !== 'rename' || dest !== `${root}/a`) return;
      locks = process.context.log.view((view) => view.range('locks', everything).length);
    },
  });
  await process.recover();
  assert.is(locks, 1);
  assert.equal(tree(cut.outside), { a: 'saved' });
  assert.is(
    process.context.log.view((view) => view.range('locks', everything).length),
    0,
  );
});

test('entries that a dead transaction had locked are let go of', async () => {
  const world = new World();
  const process = await world.open({ ...small, failpoint: { name: 'log.after', action: 'throw' } });
  const put = { type: 'put', collection: 'notes', key: 'k', value: Uint8Array.of(1) } as const;
  assert.instance(process.attempt(write('a', 'with an entry'), put), Error);
  process.kill();
  const next = await world.open(small);
  assert.is(
    next.context.log.view((view) => view.range('locks', everything).length),
    0,
  );
  assert.is(
    next.context.log.view((view) => view.range('entries', everything).length),
    1,
  );
  next.commit(put);
});

test('an owner found dead while others run is recovered by them', async () => {
  const world = new World();
  const live = await world.open(small);
  const dying = await world.open({ ...small, failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(dying.attempt(write('a', 'left behind')), Error);
  dying.kill();
  const waiting = live.attempt(write('a', 'of the living'));
  assert.instance(waiting, Error);
  await live.recover();
  assert.equal(tree(world.outside), { a: 'left behind' });
  live.commit(write('a', 'of the living'));
  assert.equal(tree(world.outside), { a: 'of the living' });
});

test('a save that nobody has recovered yet is not read as an edit afterwards', async () => {
  const world = await dyingWorld(2);
  const next = await world.open(small);
  edit(world.outside, 'outside', 'x', 'new');
  // Planned on rows and fingerprints: it would be refused as an external edit if they did not match.
  next.commit(write('a', 'newer'), write('e/f/y', 'newer'));
  assert.equal(tree(world.outside), { ...after, a: 'newer', 'e/f/y': 'newer', outside: 'x' });
});

test.run();
