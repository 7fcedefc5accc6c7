/** Schedules that the model test has found to go wrong, each kept as a few lines. See `model/`. */

import { isStoreError, type Operation, syncFile } from '@forewrit/core';
import { assert, suite } from '@forewrit/testkit';
import { afterEveryPowerCut } from './power-cuts.js';
import {
  contentOf,
  edit,
  mkdir,
  move,
  remove,
  root,
  type SimulatedProcess,
  tree,
  World,
  write,
} from './world.js';

const test = suite('schedules of the model');

function copy(from: string, path: string): Operation {
  return { type: 'copy', from, path, options: {} };
}

const beforeCommit = 'before a commit of the log';

/** Two processes; once the first gets to that moment, the second does something in between. */
async function between(
  moment: (what: string) => boolean,
  meanwhile: (other: SimulatedProcess) => void,
): Promise<{ readonly world: World; readonly first: SimulatedProcess; readonly other: SimulatedProcess }> {
  const world = new World();
  const other = await world.open();
  let due = true;
  const onStep = (what: string): void => {
    if (!due || !moment(what)) return;
    due = false;
    meanwhile(other);
  };
  const first = await world.open({ onStep, beforeCommit: () => onStep(beforeCommit) });
  return { world, first, other };
}

test('a copy of a file that is committed and not in its place yet waits for it', async () => {
  let outcome: unknown;
  const { world, first, other } = await between(
    (what) => what.startsWith('before rename') && what.endsWith('.apply') && outcome === 'armed',
    (second) => {
      outcome = second.attempt(copy('a', 'b'));
    },
  );
  first.commit(write('a', 'old'));
  first.flushMarks();
  outcome = 'armed';
  first.commit(write('a', 'new'));
  assert.match(String(outcome), /locked/);
  first.flushMarks();
  other.commit(copy('a', 'b'));
  assert.equal(tree(world.outside), { a: 'new', b: 'new' });
});

test('what a transaction has found nothing to do for is still so when it commits', async () => {
  let armed = false;
  const { world, first } = await between(
    (what) => armed && what === beforeCommit,
    (other) => {
      other.commit(write('d/b', 'theirs'));
      other.flushMarks();
    },
  );
  first.commit(mkdir('d'));
  first.flushMarks();
  armed = true;
  // Nothing comes of the two together, unless there is a file by then.
  first.commit(write('a', 'ours'), write('d/b', 'for a moment'), remove('d/b'));
  assert.equal(tree(world.outside), { 'd/': '', a: 'ours' });
});

test('a directory that was not there to be removed is not there when that commits', async () => {
  let armed = false;
  const { world, first } = await between(
    (what) => armed && what === 'before a commit of the log',
    (other) => {
      other.commit(write('d/b', 'theirs'));
      // What is below a directory that goes must not need recovery any more.
      other.checkpoint();
    },
  );
  first.commit(write('a', 'first'));
  armed = true;
  const outcome = first.attempt(write('a', 'second'), write('d/c', 'for a moment'), remove('d'));
  assert.not.instance(outcome, Error);
  assert.equal(tree(world.outside), { a: 'second' });
});

test('a directory that another transaction has made as a parent cannot be made, and nothing is rolled back', async () => {
  let armed = false;
  const { world, first } = await between(
    (what) => armed && what === beforeCommit,
    (other) => {
      other.commit(write('d/b', 'theirs'));
      other.flushMarks();
    },
  );
  first.commit(write('a', 'first'));
  armed = true;
  const outcome = first.attempt(write('a', 'second'), mkdir('d'));
  assert.ok(isStoreError(outcome, 'ERR_EXISTS'), String(outcome));
  assert.equal(tree(world.outside), { a: 'first', 'd/': '', 'd/b': 'theirs' });
});

test('a directory is not made while a file below it is on its way to its place', async () => {
  let outcome: unknown;
  const { first } = await between(
    (what) => what.startsWith('before rename') && what.includes('.apply'),
    (other) => {
      outcome = other.attempt(mkdir('d'));
    },
  );
  first.commit(write('d/b', 'ours'));
  assert.match(String(outcome), /locked/);
});

test('what somebody has added to a file that was applied and not recorded does not cost what is ours in it', async () => {
  const world = new World();
  const process = await world.open({ inlineLimitBytes: 1024 });
  process.commit(write('a', 'saved'));
  const { outside } = world;
  world.disk.clock.advance(1000);
  const descriptor = outside.openWrite(`${root}/a`);
  outside.write(descriptor, Buffer.from(', and more'), 'saved'.length);
  outside.close(descriptor);
  process.kill();
  (await world.open()).kill();
  const cut = world.powerCut(() => false);
  (await cut.open()).kill();
  assert.is(contentOf(cut.outside, 'a'), 'saved, and more');
});

/** As it stands when a file is written and removed in one transaction, where a directory was removed before. */
async function emptyParentWhereADirectoryWas(): Promise<{
  readonly world: World;
  readonly second: SimulatedProcess;
}> {
  const world = new World();
  const first = await world.open();
  const second = await world.open();
  first.commit(write('e/a', 'old'));
  first.flushMarks();
  first.checkpoint();
  first.commit(remove('e'));
  first.flushMarks();
  second.commit(write('e/a', 'for a moment'), write('a', 'saved'), remove('e/a'));
  second.flushMarks();
  return { world, second };
}

test('a parent that is left with nothing in it is nobody else’s after a power cut', async () => {
  const { world } = await emptyParentWhereADirectoryWas();
  const cut = world.powerCut();
  const { recovery } = await cut.open();
  assert.equal(recovery?.kept, []);
  assert.equal(tree(cut.outside), { a: 'saved', 'e/': '' });
});

test('nor is it when the log does not hold the transaction any more that has made it', async () => {
  const { world, second } = await emptyParentWhereADirectoryWas();
  second.checkpoint();
  const cut = world.powerCut(() => false);
  const { recovery } = await cut.open();
  assert.equal(recovery?.kept, []);
  assert.equal(tree(cut.outside), { a: 'saved', 'e/': '' });
});

test('what is written into a file that a power cut has brought back is not lost if nothing of its move is left to be done', async () => {
  const world = new World();
  const process = await world.open();
  process.commit(write('a', 'moved'));
  process.flushMarks();
  process.checkpoint();
  process.commit(move('a', 'b'));
  process.flushMarks();
  process.commit(write('b', 'newer'));
  process.flushMarks();
  const cut = world.powerCut(() => false);
  const { outside } = cut;
  assert.is(contentOf(outside, 'a'), 'moved');
  cut.disk.clock.advance(1000);
  const descriptor = outside.openWrite(`${root}/a`);
  outside.write(descriptor, Buffer.from('edited'), 0);
  outside.close(descriptor);
  const { recovery } = await cut.open();
  assert.equal(tree(outside), { a: 'edited', b: 'newer' });
  assert.equal(recovery?.kept, ['1-2']);
});

test('of two that make the same parent, the one that stood there comes back, with what others have flushed in it', async () => {
  let armed = false;
  let commits = false;
  const { world, first } = await between(
    (what) => {
      commits ||= armed && what === beforeCommit;
      return commits && what === `before lstat ${root}/d`;
    },
    (other) => {
      other.commit(write('d/b', 'b'));
      other.flushMarks();
    },
  );
  first.commit(write('a', 'first'));
  first.flushMarks();
  armed = true;
  first.commit(write('d/a', 'a'));
  first.flushMarks();
  world.disk.clock.advance(1000);
  const { outside } = world;
  edit(outside, 'd/a', 'edited');
  syncFile(outside, `${root}/d/a`);
  outside.syncDirectory(`${root}/d`);
  // The rename of the directory alone is lost.
  const cut = world.powerCut(({ kind }) => kind !== 'move');
  assert.equal(tree(cut.outside), { a: 'first' });
  await cut.open();
  assert.equal(tree(cut.outside), { a: 'first', 'd/': '', 'd/a': 'edited', 'd/b': 'b' });
});

for (const [what, there] of [
  ['once', ['d/g', 'p']],
  ['twice', ['d/g', 'q', 'p']],
] as const) {
  test(`a directory that was moved ${what}, and by another process to where it was, stays there after a power cut`, async () => {
    const world = new World();
    const first = await world.open();
    const second = await world.open();
    first.commit(mkdir('d'), mkdir('d/g'));
    first.flushMarks();
    first.checkpoint();
    there.slice(1).forEach((path, index) => {
      first.commit(move(there[index]!, path));
      first.flushMarks();
    });
    second.commit(move('p', 'd/g'));
    second.flushMarks();
    second.checkpoint();
    const cut = world.powerCut();
    const { recovery } = await cut.open();
    assert.equal(tree(cut.outside), { 'd/': '', 'd/g/': '' });
    assert.equal(recovery?.kept, []);
  });
}

for (const how of ['deferred', 'immediate'] as const) {
  test(`a save into a directory that another process removes while it is planned makes it again: ${how}`, async () => {
    let isDue = false;
    const { world, first } = await between(
      (what) => isDue && what.startsWith(`before lstat ${root}/d/b`),
      (other) => {
        other.commit(remove('d'));
        other.flushMarks();
      },
    );
    first.commit(write('d/a', 'a'));
    first.flushMarks();
    first.checkpoint();
    isDue = true;
    if (how === 'deferred') first.commitDeferred(write('d/b', 'b'));
    else first.commit(write('d/b', 'b'));
    first.materialize();
    assert.equal(tree(world.outside), { 'd/': '', 'd/b': 'b' });
  });
}

test('a new directory that takes the place of another one does so after a power cut, too, though it was lost', async () => {
  const world = new World();
  const process = await world.open();
  process.commit(write('e/a', 'a'));
  process.flushMarks();
  process.checkpoint();
  process.commit(mkdir('d'));
  process.commit(remove('e'), move('d', 'e'));
  await afterEveryPowerCut(world, ({ outside }) => assert.equal(tree(outside), { 'e/': '' }));
});

test('what was written into a moved file before a power cut is not taken for what the record says', async () => {
  const world = new World();
  const process = await world.open();
  process.commit(write('a', 'old'));
  process.flushMarks();
  process.checkpoint();
  process.commit(move('a', 'b'));
  process.flushMarks();
  world.disk.clock.advance(5);
  const { outside } = world;
  const descriptor = outside.openWrite(`${root}/b`);
  outside.write(descriptor, Buffer.from('OLD'), 0);
  outside.close(descriptor);
  const cut = world.powerCut(() => true);
  const dying = await cut.open();
  assert.equal(tree(cut.outside), { b: 'OLD' });
  dying.commitDeferred(write('b', 'new'));
  dying.kill();
  const { recovery } = await cut.open();
  assert.equal([tree(cut.outside), recovery?.kept, recovery?.conflicts], [{ b: 'new' }, [], []]);
});

test('a directory that was staged twice is not the one that a newer transaction has moved', async () => {
  const world = new World();
  const process = await world.open();
  process.commit(write('e/a', 'a'), write('p', 'p'));
  // What is below `e` must be durable first: then it is planned and staged anew.
  process.commit(remove('e'), mkdir('f'));
  process.commit(remove('p'), move('f', 'p'));
  await afterEveryPowerCut(world, ({ outside }) => assert.equal(tree(outside), { 'p/': '' }));
});

test.run();
