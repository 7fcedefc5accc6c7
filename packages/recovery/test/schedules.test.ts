/**
 * Schedules that went wrong in designs before this one, each from a few lines: they must never come back. Where a power
 * cut is a part of it, what survives is chosen by hand, or every possibility is tried.
 */

import { isStoreError, type Operation } from '@forewrit/core';
import { assert, type PendingEffect, suite } from '@forewrit/testkit';
import { afterEveryPowerCut } from './power-cuts.js';
import {
  conflictContents,
  contentOf,
  edit,
  mkdir,
  move,
  remove,
  root,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('schedules');

const small = { inlineLimitBytes: 1024 };
/** Everything is large: fsynced under its staged name, and not in the log. */
const large = { inlineLimitBytes: 0 };

function only(...kept: readonly RegExp[]): (effect: PendingEffect) => boolean {
  return (effect) => kept.some((pattern) => pattern.test(effect.describe(1)));
}

test('an older transaction is not redone over a newer one', async () => {
  for (const size of [small, large]) {
    const world = new World();
    const process = await world.open(size);
    process.commit(write('a', 'first'), write('b', 'first'));
    process.flushMarks();
    process.commit(write('a', 'second'));
    process.kill();
    await afterEveryPowerCut(world, (after) =>
      assert.equal(tree(after.outside), { a: 'second', b: 'first' }),
    );
    await world.open();
    assert.equal(tree(world.outside), { a: 'second', b: 'first' });
  }
});

test('large content is there although the rename has consumed its apply name, and was lost itself', async () => {
  const world = new World();
  const process = await world.open(large);
  process.commit(write('a', 'large content'));
  process.kill();
  const cut = world.powerCut(only(/\.apply removed/));
  assert.equal(tree(cut.outside), {});
  assert.equal(stagingNames(cut.outside), ['staged/1-1-0']);
  await cut.open();
  assert.equal(tree(cut.outside), { a: 'large content' });
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), { a: 'large content' }));
});

test('a file that is moved before it was durable is whole at its new place', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'not durable yet'));
  process.flushMarks();
  process.commit(move('a', 'b'));
  process.kill();
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), { b: 'not durable yet' }));
});

test('a moved file does not reappear at its source', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'content'));
  process.checkpoint();
  process.commit(move('a', 'b'));
  process.kill();
  // The source's removal is lost, the new name is not.
  const cut = world.powerCut(only(/entry \/store\/b = /));
  assert.equal(tree(cut.outside), { a: 'content', b: 'content' });
  await cut.open();
  assert.equal(tree(cut.outside), { b: 'content' });
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), { b: 'content' }));
});

/** Applies to `a`, then fails at `b`, and rolls back. */
async function rollingBack(failpoint?: 'roll-back.before-abort'): Promise<World> {
  const world = new World();
  const before = await world.open(small);
  before.commit(write('a', 'old a'), write('b', 'old b'));
  before.checkpoint();
  before.kill();
  const process = await world.open({
    ...small,
    faults: [{ at: ({ method, dest }) => method === 'rename' && dest === `${root}/b`, error: 'EIO' }],
    ...(failpoint === undefined ? {} : { failpoint: { name: failpoint, action: 'throw' } }),
  });
  const outcome = process.attempt(write('a', 'new a'), write('b', 'new b'));
  assert.instance(outcome, Error);
  if (failpoint === undefined) assert.ok(isStoreError(outcome, 'ERR_APPLY_ROLLED_BACK'), String(outcome));
  process.kill();
  return world;
}

test('a roll-back that is not recorded goes forward, for its commit is flushed', async () => {
  const world = await rollingBack('roll-back.before-abort');
  assert.equal(tree(world.outside), { a: 'old a', b: 'old b' });
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), { a: 'new a', b: 'new b' }));
  await world.open();
  assert.equal(tree(world.outside), { a: 'new a', b: 'new b' });
});

test('a roll-back that is recorded stays rolled back', async () => {
  const world = await rollingBack();
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), { a: 'old a', b: 'old b' }));
  const next = await world.open();
  assert.equal(next.recovery?.redone, []);
  assert.equal(tree(world.outside), { a: 'old a', b: 'old b' });
});

test('a roll-back does not put the before-image over the edit that it has met', async () => {
  const world = new World();
  const first = await world.open(small);
  first.commit(write('a', 'old a'), write('b', 'old b'));
  first.checkpoint();
  first.kill();
  const process = await world.open({
    ...small,
    // Between the look at `b` that planned it and the one before its rename.
    beforeCall: ({ method, dest }) => {
      if (method === 'rename' && dest === `${root}/a`) edit(world.outside, 'b', 'edited b');
    },
  });
  const outcome = process.attempt(write('a', 'new a'), write('b', 'new b'));
  assert.ok(isStoreError(outcome, 'ERR_EXTERNAL_EDIT'), String(outcome));
  assert.equal(tree(world.outside), { a: 'old a', b: 'edited b' });
  process.kill();
  await world.open();
  assert.equal(tree(world.outside), { a: 'old a', b: 'edited b' });
});

test('a checkpoint makes durable what was written, whatever stands at its path by now', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'saved'));
  const { outside } = world;
  outside.rename(`${root}/a`, `${root}/kept`);
  edit(outside, 'a', 'somebody else');
  outside.syncDirectory(root);
  process.checkpoint();
  process.kill();
  const cut = world.powerCut(() => false);
  assert.is(contentOf(cut.outside, 'kept'), 'saved');
});

for (const recorded of [false, true]) {
  const when = recorded ? 'after it was recorded as applied' : 'before it was recorded as applied';

  test(`a deletion by the user is not undone, ${when}: right after the crash, and a week later`, async () => {
    const world = new World();
    const process = await world.open(small);
    process.commit(write('a', 'one'), write('b', 'one'));
    process.checkpoint();
    process.commit(write('a', 'two'), write('b', 'two'), write('new', 'two'));
    if (recorded) process.flushMarks();
    process.kill();
    world.outside.unlink(`${root}/a`);
    world.outside.unlink(`${root}/new`);
    for (let week = 0; week < 3; week += 1) {
      (await world.open()).kill();
      assert.equal(tree(world.outside), { b: 'two' });
      world.disk.clock.advance(7 * 24 * 3600_000);
    }
    assert.equal(conflictContents(world.outside), []);
  });

  test(`a revert by the user is not redone over, ${when}: right after the crash, and a week later`, async () => {
    const world = new World();
    const process = await world.open(small);
    process.commit(write('a', 'one'));
    process.checkpoint();
    // The very inode that was there before, with its old mtime: exactly the before-image.
    world.outside.link(`${root}/a`, `${root}/backup`);
    process.commit(write('a', 'two'));
    if (recorded) process.flushMarks();
    process.kill();
    world.outside.rename(`${root}/backup`, `${root}/a`);
    for (let week = 0; week < 3; week += 1) {
      (await world.open()).kill();
      assert.equal(tree(world.outside), { a: 'one' });
      world.disk.clock.advance(7 * 24 * 3600_000);
    }
  });

  test(`an edit by the user is not written over, ${when}`, async () => {
    const world = new World();
    const process = await world.open(small);
    process.commit(write('a', 'one'), write('b', 'one'));
    if (recorded) process.flushMarks();
    process.kill();
    edit(world.outside, 'a', 'edited');
    await world.open();
    assert.equal(tree(world.outside), { a: 'edited', b: 'one' });
  });
}

test('what the user has changed while a blocked transaction kept an older one in the log stays changed', async () => {
  const world = new World();
  const first = await world.open(large);
  first.commit(write('a', 'one'), write('q', 'one'));
  first.flushMarks();
  first.attempt(write('a', 'two'));
  first.kill();
  // The newer one can neither be redone nor left alone.
  const cut = world.powerCut(only(/entry \/store\/q = /, /\.apply removed/));
  cut.outside.unlink(`${root}/.forewrit/staged/1-2-0`);
  const second = await cut.open(large);
  assert.equal(second.recovery?.blocked, ['1-2']);
  second.kill();
  cut.outside.unlink(`${root}/q`);
  for (let week = 0; week < 3; week += 1) {
    const later = await cut.open(large);
    assert.equal(later.recovery?.redone, []);
    later.kill();
    assert.is(contentOf(cut.outside, 'q'), undefined);
  }
});

test('the removal of a directory does not take with it what was added since it was planned', async () => {
  for (const failpoint of ['log.after', 'apply.after'] as const) {
    const world = new World();
    const process = await world.open(small);
    process.commit(mkdir('d'), write('d/a', 'planned'));
    process.checkpoint();
    process.kill();
    const remover = await world.open({ ...small, failpoint: { name: failpoint, action: 'throw' } });
    assert.instance(remover.attempt(remove('d')), Error);
    remover.kill();
    const { outside } = world;
    // Through a name that it had open, where the directory is on its way out already.
    const place = failpoint === 'log.after' ? `${root}/d` : `${root}/.forewrit/before/2-1-0`;
    edit(outside, `${place}/added`, 'added since', 'new');
    await world.open();
    assert.equal(tree(outside), {});
    assert.equal(conflictContents(outside), ['added since']);
  }
});

test('recovering a dead owner does not write the file of a live one', async () => {
  const world = new World();
  const dead = await world.open(small);
  const live = await world.open(small);
  dead.commit(write('a', 'of the dead'), write('b', 'of the dead'));
  dead.flushMarks();
  live.commit(write('a', 'of the living'));
  dead.kill();
  const third = await world.open(small);
  assert.equal(tree(world.outside), { a: 'of the living', b: 'of the dead' });
  third.kill();
  await afterEveryPowerCut(world, (after) =>
    assert.equal(tree(after.outside), { a: 'of the living', b: 'of the dead' }),
  );
});

test('an older winner is trimmed only when a live owner can be recovered without it', async () => {
  const world = new World();
  const dead = await world.open(small);
  // Committed, and stopped before it applies.
  const live = await world.start({ ...small, failpoint: { name: 'log.after', action: 'throw' } });
  dead.commit(write('a', 'of the dead'));
  dead.flushMarks();
  assert.instance(live.attempt(write('a', 'of the living')), Error);
  dead.kill();
  const third = await world.open(small);
  assert.equal(tree(world.outside), { a: 'of the dead' });
  third.kill();
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), { a: 'of the living' }));
});

test('what a live owner has under way is left alone', async () => {
  const world = new World();
  const live = await world.start({ ...small, failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(live.attempt(write('a', 'under way')), Error);
  const other = await world.open(small);
  assert.equal(other.recovery?.redone, []);
  assert.equal(tree(world.outside), {});
  assert.equal(stagingNames(world.outside), ['staged/1-1-0.apply']);
  live.kill();
  await other.recover();
  assert.equal(tree(world.outside), { a: 'under way' });
});

test('a torn inline file is not taken for an edit, though its inode is ours', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'x'.repeat(700)));
  process.commit(write('a', 'y'.repeat(700)));
  process.kill();
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), { a: 'y'.repeat(700) }));
});

for (const [how, end] of [
  ['recovery', async (world: World) => void (await world.open())],
  ['a checkpoint', undefined],
] as const) {
  test(`what an editor writes into a before-image through its open descriptor survives ${how}`, async () => {
    const world = new World();
    const editor = world.outside;
    const descriptor = editor.create(`${root}/a`, 0o644);
    editor.write(descriptor, Buffer.from('first'), 0);
    const process = await world.open(small);
    process.commit(write('a', 'saved'));
    world.disk.clock.advance(1000);
    editor.write(descriptor, Buffer.from('typed since'), 0);
    if (end === undefined) process.checkpoint();
    process.kill();
    await end?.(world);
    assert.is(contentOf(world.outside, 'a'), 'saved');
    assert.equal(conflictContents(world.outside), ['typed since']);
    (await world.open()).kill();
    assert.equal(stagingNames(world.outside), []);
    assert.equal(conflictContents(world.outside), ['typed since']);
  });
}

test('a flush that has failed is not believed the second time, by whoever tries it', async () => {
  for (const recorded of [false, true]) {
    const world = new World();
    let full = false;
    const process = await world.open({
      ...small,
      faults: [
        {
          at: ({ method, path }) => method === 'sync' && path.endsWith('.apply'),
          error: 'EIO',
          sticky: true,
        },
        // Nor can it be written anew.
        { at: ({ method }) => full && method === 'create', error: 'ENOSPC', sticky: true },
      ],
    });
    process.commit(write('a', 'saved'));
    if (recorded) process.flushMarks();
    full = true;
    assert.throws(() => process.checkpoint());
    assert.ok(process.engine.poison !== undefined);
    process.kill();
    (await world.open(small)).kill();
    assert.equal(tree(world.outside), { a: 'saved' });
    // The pages were marked clean when the first flush failed: they never reach the disk.
    assert.equal(tree(world.powerCut(() => false).outside), { a: 'saved' });
  }
});

test('a flush that fails in recovery is not believed by the next one', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'saved'));
  process.kill();
  const failing = await world.start({
    ...small,
    faults: [
      { at: ({ method, path }) => method === 'sync' && path === `${root}/a`, error: 'EIO' },
      { at: ({ method, path }) => method === 'create' && path.endsWith('.redo'), error: 'ENOSPC' },
    ],
  });
  assert.instance(await failing.recover().catch((error: unknown) => error), Error);
  failing.kill();
  (await world.open(small)).kill();
  assert.equal(tree(world.powerCut(() => false).outside), { a: 'saved' });
});

// Found by the campaigns.

test('an older file that comes back empty after a power cut is no edit, though no record names it any more', async () => {
  const world = new World();
  // As btrfs was seen to do it: what had been replaced, checkpointed and forgotten is there again, without content.
  edit(world.outside, 'old', '', 'new');
  world.disk.clock.advance(5);
  const process = await world.open(small);
  process.commit(write('a', 'first'));
  process.checkpoint();
  process.commit(write('a', 'second'), write('b', 'second'));
  process.kill();
  const after = world.powerCut();
  after.outside.rename('/store/old', '/store/a');
  const recoverer = await after.open(small);
  assert.equal(tree(after.outside), { a: 'second', b: 'second' });
  assert.equal(recoverer.recovery!.kept, []);
});

test('a directory that one owner has made keeps what another one has put there', async () => {
  for (const size of [small, large]) {
    const world = new World();
    const maker = await world.open(small);
    const other = await world.open(size);
    maker.commit(write('d/a', 'of the maker'));
    maker.flushMarks();
    other.commit(write('d/b', 'of the other'));
    other.checkpoint();
    await afterEveryPowerCut(world, (after) =>
      assert.equal(tree(after.outside), { 'd/': '', 'd/a': 'of the maker', 'd/b': 'of the other' }),
    );
  }
});

test('what is recovered in a directory that a live owner has made lasts', async () => {
  const world = new World();
  const maker = await world.open(small);
  const victim = await world.open({ ...small, failpoint: { name: 'log.after', action: 'throw', skip: 0 } });
  maker.commit(write('d/a', 'of the maker'));
  maker.flushMarks();
  assert.instance(victim.attempt(write('d/b', 'of the victim')), Error);
  victim.kill();
  await maker.recover();
  await afterEveryPowerCut(world, (after) =>
    assert.equal(tree(after.outside), { 'd/': '', 'd/a': 'of the maker', 'd/b': 'of the victim' }),
  );
});

const directorySchedules: Readonly<Record<string, readonly (readonly Operation[])[]>> = {
  'made, then moved': [[mkdir('d')], [move('d', 'e')]],
  'moved twice': [[mkdir('d'), write('d/a', 'a')], [move('d', 'e')], [move('e', 'f')]],
  'moved, and its place taken by another': [[mkdir('d'), write('d/a', 'a')], [move('d', 'e')], [mkdir('d')]],
  'removed, and made again': [
    [mkdir('d'), write('d/a', 'a')],
    [remove('d')],
    [mkdir('d')],
    [write('d/b', 'b')],
  ],
  'moved, removed, and its place taken by a file': [
    [mkdir('d'), write('d/a', 'a')],
    [move('d', 'e')],
    [remove('e')],
    [write('e', 'a file')],
  ],
  'moved into a new one, with a file written to its old place': [
    [mkdir('d'), write('d/a', 'a')],
    [move('d', 'e/g'), write('d/a', 'new')],
  ],
};

for (const [name, transactions] of Object.entries(directorySchedules)) {
  test(`a directory ${name}, is where the last transaction left it`, async () => {
    const world = new World();
    const process = await world.open(small);
    for (const operations of transactions) {
      process.commit(...operations);
      process.flushMarks();
    }
    process.kill();
    const expected = tree(world.outside);
    await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), expected));
    await world.open();
    assert.equal(tree(world.outside), expected);
  });
}

test.run();
