/**
 * A flush that has failed, and a death at each later moment: the kernel has marked the pages clean, so that the next
 * flush of the same file succeeds and means nothing. Whoever comes next on the same boot must not believe it.
 */

import { isStoreError } from '@forewrit/core';
import { assert, CrashSignal, type Fault, type FileSystemCall, suite } from '@forewrit/testkit';
import { edit, root, type SimulatedProcess, tree, World, write } from './world.js';

const test = suite('failed flushes', { timeoutMs: 120_000 });

const small = { inlineLimitBytes: 1000 };

/** The first flush of content that stands open, as a checkpoint makes it. */
function checkpointFlushFails(): Fault {
  return { at: ({ method, path }) => method === 'sync' && path.endsWith('.apply'), error: 'EIO' };
}

/** Dies at each call of a checkpoint in turn, from the flush that fails to the end. */
async function dyingAtEach(
  faults: () => readonly Fault[],
  judge: (world: World, at: number, describe: string) => Promise<void>,
): Promise<number> {
  for (let at = 0; ; at += 1) {
    const world = new World();
    let left = Number.POSITIVE_INFINITY;
    let where = '';
    const process: SimulatedProcess = await world.open({
      ...small,
      faults: faults(),
      beforeCall: ({ method, path }: FileSystemCall) => {
        if (left-- !== 0) return;
        where = `${method} ${path}`;
        process.kill();
        throw new CrashSignal('dead');
      },
    });
    process.commit(write('a', 'saved'), write('b', 'saved'));
    // The failing flush itself is the first call: nobody can have noted anything before it.
    left = 2 + at;
    try {
      process.checkpoint();
    } catch {
      // Dead, or poisoned.
    }
    const reached = left < 0;
    process.kill();
    await judge(world, at, where);
    if (!reached) return at;
  }
}

async function recoverAndCut(world: World): Promise<Record<string, string>> {
  (await world.open(small)).kill();
  return tree(world.powerCut(() => false).outside);
}

test('a process that dies while it writes the content anew has said before that its flush had failed', async () => {
  const points = await dyingAtEach(
    () => [checkpointFlushFails()],
    async (world, at, where) => {
      assert.equal(await recoverAndCut(world), { a: 'saved', b: 'saved' }, `${at}: ${where}`);
    },
  );
  assert.ok(points > 15, `${points} moments`);
});

test('where the content cannot be put in place anew, its roll-back does not believe another flush', async () => {
  const points = await dyingAtEach(
    () => [checkpointFlushFails(), { at: renamesSecondTime(), error: 'EIO' }],
    async (world, at, where) => {
      assert.equal(await recoverAndCut(world), { a: 'saved', b: 'saved' }, `${at}: ${where}`);
    },
  );
  assert.ok(points > 15, `${points} moments`);
});

/** The first rename to `a` is that of the transaction itself. */
function renamesSecondTime(): (call: FileSystemCall) => boolean {
  let count = 0;
  return ({ method, dest }) => method === 'rename' && dest === `${root}/a` && ++count === 2;
}

test('a recovery that dies while it writes the content anew has said before that its flush had failed', async () => {
  let points = 0;
  for (let at = 0; ; at += 1) {
    const world = new World();
    const process = await world.open(small);
    process.commit(write('a', 'saved'));
    process.kill();
    let left = Number.POSITIVE_INFINITY;
    const recovering: SimulatedProcess = await world.start({
      ...small,
      faults: [{ at: ({ method, path }) => method === 'sync' && path === `${root}/a`, error: 'EIO' }],
      beforeCall: ({ method, path }) => {
        if (method === 'sync' && path === `${root}/a` && left === Number.POSITIVE_INFINITY) left = 2 + at;
        if (left-- === 0) {
          recovering.kill();
          throw new CrashSignal('dead');
        }
      },
    });
    await recovering.recover().catch(() => undefined);
    const reached = left < 0;
    recovering.kill();
    assert.equal(await recoverAndCut(world), { a: 'saved' }, `${at}`);
    points = at;
    if (!reached) break;
  }
  assert.ok(points > 5, `${points} moments`);
});

type FaultPlace = (call: FileSystemCall) => boolean;

const codes = [
  ['EIO', 'ERR_IO'],
  ['EACCES', 'ERR_PERMISSION'],
  ['ENOSPC', 'ERR_NO_SPACE'],
] as const;

test('an error of the file system in recovery has a code of the store', async () => {
  const places: readonly FaultPlace[] = [
    ({ method, path }) => method === 'list' && path.endsWith('/staged'),
    ({ method, path }) => method === 'lstat' && path === `${root}/a`,
    ({ method, path }) => method === 'syncDirectory' && path === root,
  ];
  for (const [error, code] of codes) {
    for (const at of places) {
      const world = new World();
      const process = await world.open(small);
      process.commit(write('a', 'saved'));
      process.kill();
      const next = await world.start({ ...small, faults: [{ at, error }] });
      const thrown: unknown = await next.recover().catch((each: unknown) => each);
      assert.ok(isStoreError(thrown, code), `${at.toString()}, ${error}: ${String(thrown)}`);
    }
  }
});

/** Of a write that appends, the third outcome: the size has reached the disk, and the content has not. */
const sizeOnly = 2;

/** Reading `a`, by whoever recovers. */
function unreadable(sticky: boolean): readonly Fault[] {
  return [
    { at: ({ method, path }) => method === 'openRead' && path === `${root}/a`, error: 'EACCES', sticky },
  ];
}

test('a file that may not be read is known by its fingerprint before it is replaced, too', async () => {
  const world = new World();
  const process = await world.open({ ...small, failpoint: { name: 'log.after', action: 'throw' } });
  edit(world.outside, 'a', 'old');
  world.disk.clock.advance(5);
  const other = await world.open(small);
  other.commit(write('a', 'first'));
  other.checkpoint();
  other.kill();
  assert.instance(process.attempt(write('a', 'second'), write('b', 'second')), Error);
  process.kill();
  const next = await world.open({ ...small, faults: unreadable(true) });
  assert.equal(next.recovery!.kept, []);
  assert.equal(tree(world.outside), { a: 'second', b: 'second' });
});

test('after a power cut the fingerprint of a file that may not be read says nothing of its content', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'saved'));
  process.kill();
  // The name, the size and the time have survived, and the content has not.
  const cut = world.powerCut((effect) => (effect.kind === 'write' ? sizeOnly : true));
  // Flushing it, a moment later, is possible once more.
  const next = await cut.open({ ...small, faults: unreadable(false) });
  assert.equal(next.recovery!.blocked, []);
  assert.equal(tree(cut.outside), { a: 'saved' });
});

test.run();
