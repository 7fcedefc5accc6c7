/** Each row of the table, carried out on a disk: what is there afterwards, what is kept aside, what is reported. */

import {
  type FileRow,
  fingerprintOf,
  type Image,
  lockRow,
  pathKey,
  rowOf,
  sameFingerprint,
} from '@forewrit/core';
import { assert, SimulatedDisk, suite } from '@forewrit/testkit';
import {
  conflictContents,
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

const test = suite('redo');

const small: ProcessOptions = { inlineLimitBytes: 1024 };
const large: ProcessOptions = { inlineLimitBytes: 0 };
const committedOnly: ProcessOptions = { failpoint: { name: 'log.after', action: 'throw' } };

/** `a` and `b` are durable and old; then a process commits new ones and dies before it applies them. */
async function committed(size: ProcessOptions): Promise<World> {
  const world = new World();
  const before = await world.open(size);
  before.commit(write('a', 'old a'), write('b', 'old b'));
  before.checkpoint();
  before.kill();
  const process = await world.open({ ...size, ...committedOnly });
  assert.instance(process.attempt(write('a', 'new a'), write('b', 'new b')), Error);
  process.kill();
  return world;
}

function fileRowOf(process: SimulatedProcess, path: string): FileRow | undefined {
  const { log, folding } = process.context;
  return log.view((view) => rowOf(view, path, folding));
}

/** A reader compares with it: what does not match passes for somebody's edit. */
function assertRowMatches(world: World, process: SimulatedProcess, path: string): void {
  const stat = world.outside.lstat(`${root}/${path}`);
  const image: Image | undefined = fileRowOf(process, path)?.image;
  assert.ok(stat !== undefined && image?.type === 'file', `'${path}' has a row`);
  assert.ok(sameFingerprint(fingerprintOf(stat), image.fingerprint), `the row of '${path}' names its inode`);
}

function assertSettled(world: World, process: SimulatedProcess): void {
  assert.equal(stagingNames(world.outside), []);
  const { log } = process.context;
  const left = log.view((view) => ({
    log: view.range('log', { start: new Uint8Array(0) }).length,
    locks: view.range('locks', { start: new Uint8Array(0) }).length,
    owners: view.range('owners', { start: new Uint8Array(0) }).length,
  }));
  assert.equal(left, { log: 0, locks: 0, owners: 1 });
}

for (const [size, options] of [
  ['small', small],
  ['large', large],
] as const) {
  test(`${size} content of a commit that was not applied is put in place, on the same boot`, async () => {
    const world = await committed(options);
    const process = await world.start();
    assert.equal(process.rows(), { a: 8, b: 8 });
    const report = await process.recover();
    assert.equal(report.redone, ['2-1']);
    assert.equal([...report.kept, ...report.blocked, ...report.conflicts], []);
    assert.equal(tree(world.outside), { a: 'new a', b: 'new b' });
    for (const path of ['a', 'b']) assertRowMatches(world, process, path);
    assertSettled(world, process);
  });

  test(`${size} content of a commit that was not applied is put in place, on another boot`, async () => {
    const world = (await committed(options)).powerCut();
    const process = await world.start();
    assert.equal(process.rows(), { a: 8, b: 8 });
    assert.equal((await process.recover()).redone, ['2-1']);
    assert.equal(tree(world.outside), { a: 'new a', b: 'new b' });
    for (const path of ['a', 'b']) assertRowMatches(world, process, path);
    assertSettled(world, process);
  });

  test(`${size} content that was applied in this boot is left alone, and made durable`, async () => {
    const world = new World();
    const process = await world.open(options);
    process.commit(write('a', 'new a'));
    process.flushMarks();
    process.kill();
    const next = await world.start();
    assert.equal(next.rows(), { a: 5 });
    const report = await next.recover();
    assert.equal([...report.redone, ...report.kept], []);
    assertSettled(world, next);
    next.kill();
    assert.equal(tree(world.powerCut(() => false).outside), { a: 'new a' });
  });

  test(`${size} content that was put in place, and not recorded, is kept`, async () => {
    const world = new World();
    const process = await world.open(options);
    process.commit(write('a', 'new a'));
    process.kill();
    const next = await world.start();
    assert.equal(next.rows(), { a: 6 });
    assert.equal((await next.recover()).redone, []);
    assertSettled(world, next);
    next.kill();
    assert.equal(tree(world.powerCut(() => false).outside), { a: 'new a' });
  });

  test(`${size} content goes into conflicts/ where somebody was faster`, async () => {
    for (const boot of ['same', 'other'] as const) {
      const before = await committed(options);
      const world = boot === 'same' ? before : before.powerCut();
      edit(world.outside, 'a', 'somebody else');
      const process = await world.start();
      assert.equal(process.rows(), { a: 11, b: 8 });
      const report = await process.recover();
      assert.equal(tree(world.outside), { a: 'somebody else', b: 'new b' });
      assert.equal(conflictContents(world.outside), ['new a']);
      assert.equal(report.kept, ['2-1']);
      assert.equal(report.conflicts, [{ path: 'a', savedAs: `${root}/.forewrit/conflicts/2-1-0-0` }]);
      assertSettled(world, process);
      assert.equal(conflictContents(world.powerCut(() => false).outside), ['new a']);
    }
  });
}

test('a file that was removed before a commit reached it stays removed, and ours goes into conflicts/', async () => {
  const world = await committed(small);
  world.outside.unlink(`${root}/a`);
  const process = await world.start();
  assert.equal(process.rows(), { a: 12, b: 8 });
  await process.recover();
  assert.equal(tree(world.outside), { b: 'new b' });
  assert.equal(conflictContents(world.outside), ['new a']);
});

test('a file that is missing after a power cut is put in place', async () => {
  const world = (await committed(small)).powerCut();
  world.outside.unlink(`${root}/a`);
  const process = await world.start();
  assert.equal(process.rows(), { a: 13, b: 8 });
  const report = await process.recover();
  assert.equal(tree(world.outside), { a: 'new a', b: 'new b' });
  assert.equal(report.conflicts, []);
});

test('a torn file is kept aside and put in place anew', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'new a'));
  process.kill();
  // Its name has reached the disk, its content has not.
  const cut = world.powerCut(({ kind }) => kind === 'entry');
  assert.is(contentOf(cut.outside, 'a'), '');
  const next = await cut.start();
  assert.equal(next.rows(), { a: 13 });
  const report = await next.recover();
  assert.equal(tree(cut.outside), { a: 'new a' });
  assert.equal(report.redone, ['1-1']);
  assert.equal(conflictContents(cut.outside), ['']);
  assertRowMatches(cut, next, 'a');
});

test('what is kept aside is durable before anything is written over it', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'new a'));
  process.kill();
  const cut = world.powerCut(({ kind }) => kind === 'entry');
  let written = false;
  const dying: SimulatedProcess = await cut.start({
    ...small,
    beforeCall: ({ method, path, dest }) => {
      if (written && method === 'syncDirectory' && path === root) dying.kill();
      if (method === 'rename' && dest === `${root}/a`) written = true;
    },
  });
  assert.instance(await dying.recover().catch((error: unknown) => error), Error);
  dying.kill();
  const again = cut.powerCut(({ path }) => !path.includes('/conflicts'));
  assert.equal(conflictContents(again.outside), ['']);
});

test('large content that somebody has written into keeps what they wrote, on any boot', async () => {
  for (const boot of ['same', 'other'] as const) {
    const world = new World();
    const editor = world.outside;
    const descriptor = editor.create(`${root}/draft`, 0o644);
    editor.write(descriptor, Buffer.from('draft'), 0);
    const process = await world.open(large);
    // A move: the editor's file itself is what stands under the staged name.
    process.commit(move('draft', 'final'));
    world.disk.clock.advance(1000);
    editor.write(descriptor, Buffer.from('typed'), 0);
    editor.sync(descriptor);
    process.kill();
    const after = boot === 'same' ? world : world.powerCut();
    await after.open();
    assert.equal(tree(after.outside), { final: 'typed' });
    assert.equal(conflictContents(after.outside), []);
  }
});

test('large content under its staged name tells an edit of our file from a torn one', async () => {
  const world = new World();
  const process = await world.open(large);
  process.commit(write('a', 'large content'));
  process.kill();
  const cut = world.powerCut();
  // What it shows now is neither image, but it is the inode of the staged name.
  const { outside } = cut;
  edit(outside, '.forewrit/edit', 'edited in place', 'new');
  outside.unlink(`${root}/a`);
  outside.unlink(`${root}/.forewrit/staged/1-1-0`);
  outside.link(`${root}/.forewrit/edit`, `${root}/a`);
  outside.rename(`${root}/.forewrit/edit`, `${root}/.forewrit/staged/1-1-0`);
  const next = await cut.start();
  assert.equal(next.rows(), { a: 9 });
  assert.equal((await next.recover()).kept, ['1-1']);
  assert.equal(tree(cut.outside), { a: 'edited in place' });
});

test('what was applied and changed since stays, and is reported', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'ours'));
  process.kill();
  edit(world.outside, 'a', 'theirs');
  const next = await world.start();
  assert.equal(next.rows(), { a: 7 });
  const report = await next.recover();
  assert.equal(report.kept, ['1-1']);
  assert.equal(tree(world.outside), { a: 'theirs' });
  assert.equal(conflictContents(world.outside), []);
});

test('an older state that came back is replaced on another boot', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'one'));
  process.checkpoint();
  process.commit(write('a', 'two'));
  process.commit(write('a', 'three'));
  process.kill();
  const cut = world.powerCut(() => false);
  assert.equal(tree(cut.outside), { a: 'one' });
  const next = await cut.start();
  assert.equal(next.rows(), { a: 10 });
  const report = await next.recover();
  assert.equal(tree(cut.outside), { a: 'three' });
  assert.equal(report.conflicts, []);
});

test('an older state that somebody has put back stays on the same boot', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'one'));
  world.outside.link(`${root}/a`, `${root}/backup`);
  process.commit(write('a', 'two'));
  process.flushMarks();
  const dying = await world.open({ ...small, ...committedOnly });
  assert.instance(dying.attempt(write('a', 'three')), Error);
  dying.kill();
  world.outside.rename(`${root}/backup`, `${root}/a`);
  const next = await world.open(small);
  assert.equal(next.recovery?.kept, ['2-1']);
  assert.equal(tree(world.outside), { a: 'one' });
  assert.equal(conflictContents(world.outside), ['three']);
});

test('the mode is restored on another boot, and left alone on the same one', async () => {
  for (const boot of ['same', 'other'] as const) {
    const world = new World();
    const process = await world.open(small);
    process.commit(write('a', 'content', 0o640));
    process.kill();
    world.disk.settle();
    world.outside.chmodPath(`${root}/a`, 0o600);
    const after = boot === 'same' ? world : world.powerCut();
    await after.open();
    assert.is(after.outside.lstat(`${root}/a`)?.mode, boot === 'same' ? 0o600 : 0o640);
  }
});

test('content that is there already gets the mode that the transaction wanted', async () => {
  const world = new World();
  const first = await world.open(small);
  first.commit(write('a', 'the same', 0o644));
  first.checkpoint();
  first.kill();
  const process = await world.open({ ...small, ...committedOnly });
  assert.instance(process.attempt(write('a', 'the same', 0o600)), Error);
  process.kill();
  const next = await world.start();
  assert.equal(next.rows(), { a: 6 });
  await next.recover();
  assert.is(world.outside.lstat(`${root}/a`)?.mode, 0o600);
  assertRowMatches(world, next, 'a');
});

test('missing parents are made again on another boot', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('d/e/a', 'deep'));
  process.kill();
  const cut = world.powerCut(() => false);
  assert.equal(tree(cut.outside), {});
  await cut.open();
  assert.equal(tree(cut.outside), { 'd/': '', 'd/e/': '', 'd/e/a': 'deep' });
});

test('a parent that another program had made, and that the power cut took, is made again', async () => {
  const world = new World();
  const process = await world.open(small);
  world.outside.makeDirectory(`${root}/d`, 0o755);
  process.commit(write('d/a', 'ours'));
  process.kill();
  const cut = world.powerCut(() => false);
  assert.equal(tree(cut.outside), {});
  await cut.open(small);
  assert.equal(tree(cut.outside), { 'd/': '', 'd/a': 'ours' });
});

test('a parent that somebody has removed stays removed on the same boot', async () => {
  const world = new World();
  const first = await world.open(small);
  first.commit(mkdir('d'));
  first.checkpoint();
  first.kill();
  const process = await world.open({ ...small, ...committedOnly });
  assert.instance(process.attempt(write('d/a', 'ours')), Error);
  process.kill();
  world.outside.removeDirectory(`${root}/d`);
  const next = await world.start();
  assert.equal(next.rows(), { 'd/a': 12 });
  await next.recover();
  assert.equal(tree(world.outside), {});
  assert.equal(conflictContents(world.outside), ['ours']);
});

test('a parent that the transaction was yet to make is made', async () => {
  const world = new World();
  const process = await world.open({ ...small, ...committedOnly });
  assert.instance(process.attempt(write('d/e/a', 'deep')), Error);
  process.kill();
  await world.open();
  assert.equal(tree(world.outside), { 'd/': '', 'd/e/': '', 'd/e/a': 'deep' });
});

test('a pipe in the place of a target is never opened', async () => {
  for (const boot of ['same', 'other'] as const) {
    const before = await committed(small);
    const world = boot === 'same' ? before : before.powerCut();
    world.outside.unlink(`${root}/a`);
    world.outside.makeOther(`${root}/a`, 0o644);
    const process = await world.start({
      faults: [
        {
          at: ({ method, path }) => method === 'openRead' && path === `${root}/a`,
          error: 'EIO',
          sticky: true,
        },
      ],
    });
    assert.equal(process.rows(), { a: 11, b: 8 });
    await process.recover();
    assert.equal(tree(world.outside), { a: '<other>', b: 'new b' });
    assert.equal(conflictContents(world.outside), ['new a']);
  }
});

test('two files that trade places do so wholly', async () => {
  for (const boot of ['same', 'other'] as const) {
    const world = new World();
    const first = await world.open(small);
    first.commit(write('a', 'a'), write('b', 'b'));
    first.checkpoint();
    first.kill();
    const process = await world.open({ ...small, ...committedOnly });
    assert.instance(process.attempt(move('a', 'tmp'), move('b', 'a'), move('tmp', 'b')), Error);
    process.kill();
    const after = boot === 'same' ? world : world.powerCut();
    await after.open();
    assert.equal(tree(after.outside), { a: 'b', b: 'a' });
  }
});

/** A commit of large content whose staged copy of `a` is gone; after a power cut, so that `a` must be redone. */
async function blocked(damage: (world: World) => void): Promise<{ world: World; process: SimulatedProcess }> {
  const world = (await committed(large)).powerCut();
  damage(world);
  return { world, process: await world.open(large) };
}

const damages: Readonly<Record<string, (world: World) => void>> = {
  missing: (world) => world.outside.unlink(`${root}/.forewrit/staged/2-1-0`),
  damaged: (world) => {
    world.outside.unlink(`${root}/.forewrit/staged/2-1-0`);
    edit(world.outside, '.forewrit/staged/2-1-0', 'new x', 'new');
  },
};

for (const [name, damage] of Object.entries(damages)) {
  test(`a transaction whose staged content is ${name} is blocked, and none of its paths is touched`, async () => {
    const { world, process } = await blocked(damage);
    assert.equal(process.recovery?.blocked, ['2-1']);
    assert.equal(process.recovery?.redone, []);
    assert.equal(tree(world.outside), { a: 'old a', b: 'old b' });
    const { log, folding } = process.context;
    const locks = log.view((view) =>
      ['a', 'b'].map((path) => {
        const key = pathKey(path, folding);
        const value = view.get('locks', key);
        return value === undefined ? undefined : lockRow.decode(key, value).blocked;
      }),
    );
    assert.equal(locks, [true, true]);
    // Whoever comes next finds the same.
    process.kill();
    const next = await world.open(large);
    assert.equal(next.recovery?.blocked, ['2-1']);
    assert.equal(tree(world.outside), { a: 'old a', b: 'old b' });
  });
}

test('the others proceed while one transaction is blocked', async () => {
  const world = (await committed(large)).powerCut();
  damages['missing']?.(world);
  const live = await world.open(small);
  live.commit(write('c', 'of the living'));
  live.kill();
  const next = await world.open(small);
  assert.equal(next.recovery?.blocked, ['2-1']);
  assert.is(contentOf(world.outside, 'c'), 'of the living');
});

test('a blocked transaction is carried out once its content is back', async () => {
  const before = await committed(large);
  const kept = contentOf(before.outside, `${root}/.forewrit/staged/2-1-0`);
  const world = before.powerCut();
  world.outside.rename(`${root}/.forewrit/staged/2-1-0`, `${root}/.forewrit/elsewhere`);
  (await world.open(large)).kill();
  world.outside.rename(`${root}/.forewrit/elsewhere`, `${root}/.forewrit/staged/2-1-0`);
  const next = await world.open(large);
  assert.is(kept, 'new a');
  assert.equal(next.recovery?.blocked, []);
  assert.equal(tree(world.outside), { a: 'new a', b: 'new b' });
  assertSettled(world, next);
});

test('a transaction whose path leads out of the store by now is blocked', async () => {
  const world = new World();
  world.outside.makeDirectory('/elsewhere', 0o755);
  const first = await world.open(small);
  first.commit(mkdir('d'), write('keep', 'old'));
  first.checkpoint();
  first.kill();
  const process = await world.open({ ...small, ...committedOnly });
  assert.instance(process.attempt(write('d/a', 'ours'), write('keep', 'new')), Error);
  process.kill();
  world.outside.removeDirectory(`${root}/d`);
  world.outside.symlink('/elsewhere', `${root}/d`);
  const next = await world.open(small);
  assert.equal(next.recovery?.blocked, ['2-1']);
  assert.equal(world.outside.list('/elsewhere'), []);
  assert.is(contentOf(world.outside, 'keep'), 'old');
  next.kill();
  // Put right, it goes on.
  world.outside.unlink(`${root}/d`);
  world.outside.makeDirectory(`${root}/d`, 0o755);
  assert.equal((await world.open(small)).recovery?.redone, ['2-1']);
  assert.equal(tree(world.outside), { 'd/': '', 'd/a': 'ours', keep: 'new' });
});

test('a file that changes while it is decided is decided anew', async () => {
  const world = await committed(small);
  let edited = false;
  const process = await world.start({
    ...small,
    beforeCall: ({ method, path }) => {
      // Right after `b` was looked at for the first time.
      if (edited || method !== 'rename' || !path.endsWith('2-1-0.apply')) return;
      edited = true;
      edit(world.outside, 'b', 'somebody else');
    },
  });
  const report = await process.recover();
  assert.ok(edited);
  assert.equal(tree(world.outside), { a: 'new a', b: 'somebody else' });
  assert.equal(conflictContents(world.outside), ['new b']);
  assert.equal(report.kept, ['2-1']);
});

test('a removal that was not applied is carried out', async () => {
  for (const boot of ['same', 'other'] as const) {
    const world = new World();
    const first = await world.open(small);
    first.commit(write('a', 'a'), write('d/b', 'b'), write('d/e/c', 'c'));
    first.checkpoint();
    first.kill();
    const process = await world.open({ ...small, ...committedOnly });
    assert.instance(process.attempt(remove('a'), remove('d')), Error);
    process.kill();
    const after = boot === 'same' ? world : world.powerCut();
    const next = await after.open();
    assert.equal(tree(after.outside), {});
    assert.equal(conflictContents(after.outside), []);
    assertSettled(after, next);
  }
});

const dataRoots: ProcessOptions = { ...small, roots: { data: '/data' } };

async function twoFileSystems(): Promise<World> {
  const world = new World(new SimulatedDisk({ volumes: [{ mountPoint: '/data' }] }));
  const first = await world.open(dataRoots);
  first.commit(write('a', 'old'), write('data:b', 'old'));
  first.checkpoint();
  first.kill();
  return world;
}

test('a transaction over two file systems is redone on both', async () => {
  for (const boot of ['same', 'other'] as const) {
    const before = await twoFileSystems();
    const dying = await before.open({ ...dataRoots, ...committedOnly });
    assert.instance(dying.attempt(write('a', 'new'), write('data:b', 'new')), Error);
    dying.kill();
    const world = boot === 'same' ? before : before.powerCut(() => false);
    const process = await world.open(dataRoots);
    assert.equal(process.recovery?.redone, ['2-1']);
    assert.equal([contentOf(world.outside, 'a'), contentOf(world.outside, '/data/b')], ['new', 'new']);
    assert.equal(stagingNames(world.outside, '/data/.forewrit-staged'), []);
    assertSettled(world, process);
  }
});

test('a deletion on another file system is not undone on the same boot, unless that was mounted again', async () => {
  for (const remounted of [false, true]) {
    const world = await twoFileSystems();
    const process = await world.open(dataRoots);
    process.commit(write('a', 'new'), write('data:b', 'new'));
    process.flushMarks();
    process.kill();
    world.outside.unlink('/data/b');
    if (remounted) world.disk.remount('/data');
    await world.open(dataRoots);
    assert.is(contentOf(world.outside, 'a'), 'new');
    assert.is(contentOf(world.outside, '/data/b'), remounted ? 'new' : undefined);
  }
});

test('a transaction below a root that is not there waits for it, and nothing of it is touched', async () => {
  const world = await twoFileSystems();
  const dying = await world.open({ ...dataRoots, ...committedOnly });
  assert.instance(dying.attempt(write('a', 'new'), write('data:b', 'new')), Error);
  dying.kill();
  const without = await world.open(small);
  assert.equal(without.recovery?.blocked, ['2-1']);
  assert.is(contentOf(world.outside, 'a'), 'old');
  without.kill();
  const process = await world.open(dataRoots);
  assert.equal(process.recovery?.redone, ['2-1']);
  assert.equal([contentOf(world.outside, 'a'), contentOf(world.outside, '/data/b')], ['new', 'new']);
});

test('a staging area that another owner has begun is known to whoever recovers', async () => {
  const world = new World(new SimulatedDisk({ volumes: [{ mountPoint: '/data' }] }));
  const survivor = await world.open(dataRoots);
  const dying = await world.open({ ...dataRoots, ...committedOnly });
  assert.instance(dying.attempt(write('data:b', 'first there')), Error);
  dying.kill();
  await survivor.recover();
  assert.equal(survivor.recovery?.blocked, []);
  assert.is(contentOf(world.outside, '/data/b'), 'first there');
});

test('a failed flush is followed by writing the content anew', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'content'));
  process.flushMarks();
  process.kill();
  const ino = world.outside.lstat(`${root}/a`)?.ino;
  const next = await world.start({
    faults: [{ at: ({ method, path }) => method === 'sync' && path === `${root}/a`, error: 'EIO' }],
  });
  await next.recover();
  assert.not.equal(world.outside.lstat(`${root}/a`)?.ino, ino);
  assertRowMatches(world, next, 'a');
  assertSettled(world, next);
  next.kill();
  assert.equal(tree(world.powerCut(() => false).outside), { a: 'content' });
});

test('a failed flush of large content is followed by a file of its own, not by another link', async () => {
  const world = new World();
  const process = await world.open(large);
  process.commit(write('a', 'content', 0o640));
  process.kill();
  world.disk.settle();
  world.outside.chmodPath(`${root}/a`, 0o600);
  world.disk.settle();
  const cut = world.powerCut();
  const ino = cut.outside.lstat(`${root}/a`)?.ino;
  const next = await cut.start({
    ...large,
    // To make the mode last that was given back.
    faults: [{ at: ({ method, path }) => method === 'sync' && path === `${root}/a`, error: 'EIO' }],
  });
  await next.recover();
  assert.equal(tree(cut.outside), { a: 'content' });
  assert.not.equal(cut.outside.lstat(`${root}/a`)?.ino, ino);
  assertRowMatches(cut, next, 'a');
});

test("a before-image that a power cut has torn is nobody's edit", async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'not durable'));
  process.commit(remove('a'));
  process.kill();
  // The removal has reached the disk, what was removed has not.
  const cut = world.powerCut(({ kind }) => kind === 'entry');
  assert.is(contentOf(cut.outside, `${root}/.forewrit/before/1-2-0`), '');
  await cut.open(small);
  assert.equal(tree(cut.outside), {});
  assert.equal(conflictContents(cut.outside), []);
});

test('what a blocked transaction may have to go back to is kept with it', async () => {
  const world = new World();
  const first = await world.open(large);
  first.commit(write('a', 'one'), write('q', 'one'));
  first.flushMarks();
  first.attempt(write('a', 'two'));
  first.kill();
  const cut = world.powerCut(({ path }) => path.endsWith('.apply'));
  cut.outside.unlink(`${root}/.forewrit/staged/1-2-0`);
  const second = await cut.open(large);
  assert.equal(second.recovery?.blocked, ['1-2']);
  assert.ok(stagingNames(cut.outside).includes('staged/1-1-0'), 'the content before it');
  assert.is(contentOf(cut.outside, 'q'), 'one');
});

test('winners of several owners are redone in the order of their commits', async () => {
  const world = new World();
  const one = await world.open(small);
  const two = await world.open(small);
  one.commit(mkdir('d'), write('d/a', 'a'));
  one.checkpoint();
  two.commit(move('d', 'e'));
  two.flushMarks();
  one.commit(write('e/b', 'b'));
  one.kill();
  two.kill();
  const cut = world.powerCut(() => false);
  assert.equal(tree(cut.outside), { 'd/': '', 'd/a': 'a' });
  await cut.open(small);
  assert.equal(tree(cut.outside), { 'e/': '', 'e/a': 'a', 'e/b': 'b' });
  assert.equal(conflictContents(cut.outside), []);
});

test.run();
