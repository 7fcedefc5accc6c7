/** What a death or a power cut leaves of history, whoever recovers; and what its rows say then. */

import { isStoreError, type Operation, StoreError, transactionId, valueBytesMax } from '@forewrit/core';
import { assert, suite } from '@forewrit/testkit';
import { showTree } from './campaign-model.js';
import {
  aloneCollection,
  historyProblem,
  historyRows,
  namesBesideHistory,
  put,
  undo,
} from './history-world.js';
import {
  conflictContents,
  contentOf,
  edit,
  flushing,
  mkdir,
  move,
  remove,
  root,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('history');
const history = {};
const files = [write('a', 'a0.'), write('b', 'b0.'), write('d/c', 'c0.')];

/** Some files, durable, and a process that keeps history. */
async function begun(): Promise<{ world: World; process: Awaited<ReturnType<World['open']>> }> {
  const world = new World();
  const first = await world.open();
  first.commit(...files);
  first.checkpoint();
  first.kill();
  world.disk.settle();
  return { world, process: await world.open({ history }) };
}

/** Of each row, of each path that it is about: what is kept of it, or why nothing is. */
function kept(world: World): Record<string, string | undefined>[] {
  return historyRows(world).map(({ targets }) =>
    Object.fromEntries(
      targets.map(({ path, kept: name, lost }) => [
        path,
        name === undefined ? lost : contentOf(world.outside, `${root}/.forewrit/before/${name}`),
      ]),
    ),
  );
}

function assertWell(world: World): void {
  assert.is(historyProblem(world), undefined);
  assert.equal(namesBesideHistory(world), []);
}

test('what a process that is killed has applied is kept by whoever recovers, with history or without', async () => {
  const { world, process } = await begun();
  process.commit(write('a', 'a1.'), remove('d'), write('n', 'n1.'));
  process.commit(write('a', 'a2.'));
  process.kill();
  for (const options of [{}, { history }]) {
    const after = world.fork();
    const next = await after.open(options);
    assert.equal(kept(after), [{ a: 'a0.', d: '<directory>', n: undefined }, { a: 'a1.' }]);
    assertWell(after);
    const [first, second] = [`${process.owner.id}-1`, `${process.owner.id}-2`];
    await undo(next, second);
    await undo(next, first);
    assert.equal(tree(after.outside), { a: 'a0.', b: 'b0.', 'd/': '', 'd/c': 'c0.' });
  }
});

test('nothing is kept of what a process without history has applied, though whoever recovers has it', async () => {
  const world = new World();
  const process = await world.open();
  process.commit(...files);
  process.commit(write('a', 'a1.'));
  process.kill();
  await world.open({ history });
  assert.equal(historyRows(world), []);
  assertWell(world);
});

test('what was committed and not applied is redone, and what that replaces is kept', async () => {
  const { world } = await begun();
  const process = await world.open({ history, failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(process.attempt(write('a', 'a1.'), move('b', 'd/b'), remove('d/c')), Error);
  process.kill();
  const next = await world.open();
  assert.equal(next.recovery?.redone, [`${process.owner.id}-1`]);
  assert.equal(kept(world), [{ a: 'a0.', 'd/b': undefined, 'd/c': 'c0.', b: undefined }]);
  assertWell(world);
});

test('a row that the log would not take costs the undo, and not the recovery', async () => {
  const { world, process } = await begun();
  const count = 4000;
  const putAll = (bytes: number, size: number): Operation[] =>
    Array.from({ length: count }, (_, index) => ({
      type: 'put',
      collection: `${bytes}`,
      key: `${index}`,
      value: new Uint8Array(size),
    }));
  // Of a record that just fits, with some 35 bytes of each entry beside the value: its row has a few more.
  let bytes = Math.floor(valueBytesMax / count) - 32;
  for (let outcome: unknown = new Error(); outcome instanceof Error; bytes -= 1) {
    process.commit(...putAll(bytes, bytes));
    outcome = process.attempt(write('a', 'a1.'), ...putAll(bytes, 0));
  }
  const written = historyRows(world).length;
  process.kill();
  const next = await world.open({ history });
  assert.equal([next.recovery?.blocked, tree(world.outside)['a']], [[], 'a1.']);
  assert.is(historyRows(world).length, written);
  assertWell(world);
});

test('of what a directory takes the place of, what recovery puts aside is kept', async () => {
  for (const [place, made] of [
    ['b', []],
    ['e', [write('e/s/f', 'f0.')]],
  ] as const) {
    const { world, process: first } = await begun();
    if (made.length > 0) first.commit(...made);
    first.checkpoint();
    const before = tree(world.outside);
    const process = await world.open({ history, failpoint: { name: 'log.after', action: 'throw' } });
    assert.instance(process.attempt(remove(place), move('d', place)), Error);
    process.kill();
    for (const after of [world.fork(), world.powerCut()]) {
      const next = await after.open();
      assert.equal(kept(after).at(-1), { [place]: place === 'b' ? 'b0.' : '<directory>' });
      assertWell(after);
      await undo(next, `${process.owner.id}-1`);
      assert.equal(tree(after.outside), before);
    }
  }
});

test('after a power cut that has kept nothing but the log, what is replaced anew is kept', async () => {
  const { world, process } = await begun();
  process.commit(write('a', 'a1.'), remove('b'));
  process.flushMarks();
  const cut = world.powerCut(() => false);
  const next = await cut.open();
  assert.equal(tree(cut.outside), { a: 'a1.', 'd/': '', 'd/c': 'c0.' });
  assert.equal(kept(cut), [{ a: 'a0.', b: 'b0.' }]);
  assertWell(cut);
  await undo(next, `${process.owner.id}-1`);
  assert.equal(tree(cut.outside), { a: 'a0.', b: 'b0.', 'd/': '', 'd/c': 'c0.' });
});

test('content that a power cut has torn is not kept', async () => {
  const { world, process } = await begun();
  process.commit(write('a', 'a1 that was never flushed'));
  process.commit(write('a', 'a2.'));
  process.flushMarks();
  // Every name is there, and of what was not flushed its size and time.
  const sizeOnly = 2;
  const cut = world.powerCut((effect) => (effect.kind === 'write' ? sizeOnly : true));
  await cut.open();
  assert.equal(kept(cut).at(-1), { a: 'edited' });
  assertWell(cut);
});

test('of a deferred save that only recovery puts into the files, what it replaces is kept', async () => {
  const { world, process } = await begun();
  const first = process.commitDeferred(write('a', 'a1.'));
  const last = process.commitDeferred(write('a', 'a2.'), write('n', 'n2.'));
  process.kill();
  const next = await world.open();
  assert.equal(
    historyRows(world).map(({ revision }) => revision),
    [first.revision, last.revision],
  );
  assert.equal(kept(world), [{ a: 'a0.' }, { a: 'a1.', n: undefined }]);
  assertWell(world);
  await undo(next, last.transaction);
  assert.is(contentOf(world.outside, 'a'), 'a1.');
  await undo(next, first.transaction);
  assert.equal(tree(world.outside), { a: 'a0.', b: 'b0.', 'd/': '', 'd/c': 'c0.' });
});

test('wherever a process dies between deferred saves of one file, each that was answered is in history, and undone', async () => {
  const { world } = await begun();
  const whole = tree(world.outside);
  const answered: number[] = [];
  const moments: { readonly after: World; readonly cut: World; readonly answered: readonly number[] }[] = [];
  let isBegun = false;
  const process = await world.open({
    history,
    onStep(what) {
      if (!isBegun) return;
      const unflushed = what.endsWith(flushing) ? (['lost', 'kept'] as const) : (['lost'] as const);
      const cut = world.powerCut(() => false);
      for (const each of unflushed)
        moments.push({ after: world.fork({ unflushed: each }), cut, answered: [...answered] });
    },
  });
  isBegun = true;
  answered.push(process.commitDeferred(write('a', 'a1.'), write('b', 'b1.')).revision);
  answered.push(process.commitDeferred(write('a', 'a2.')).revision);
  answered.push(process.commitDeferred(write('a', 'a3.'), write('n', 'n3.')).revision);
  process.materialize();
  process.checkpoint();
  process.kill();
  assert.ok(moments.length > 100);
  for (const { after, cut, answered: wanted } of moments) {
    for (const each of [after, cut]) {
      await each.open({ history });
      const revisions = new Set(historyRows(each).map(({ revision }) => revision));
      for (const revision of wanted) assert.ok(revisions.has(revision), `${revision} is in history`);
      assertWell(each);
    }
    const next = await after.open();
    for (const { number } of historyRows(after).toReversed()) await undo(next, transactionId(number));
    assert.equal(tree(after.outside), whole);
  }
});

test('symbolic links that an undo brings back are there after a power cut, once it is answered', async () => {
  const { world } = await begun();
  world.outside.symlink('a', `${root}/l`);
  world.outside.symlink('../nowhere', `${root}/d/k`);
  world.disk.settle();
  const process = await world.open({ history });
  process.commit(remove('l'), remove('d'));
  process.checkpoint();
  await undo(process, `${process.owner.id}-1`);
  const cut = world.powerCut(() => false);
  const next = await cut.open();
  assert.equal(next.recovery?.blocked, []);
  assert.equal(tree(cut.outside), {
    a: 'a0.',
    b: 'b0.',
    'd/': '',
    'd/c': 'c0.',
    'd/k': '<symlink>',
    l: '<symlink>',
  });
  assert.equal([cut.outside.readlink(`${root}/l`), cut.outside.readlink(`${root}/d/k`)], ['a', '../nowhere']);
  assertWell(cut);
  await undo(next, `${process.owner.id}-2`);
  assert.equal(tree(cut.outside), { a: 'a0.', b: 'b0.' });
});

test('wherever a process dies while a directory comes back to where another is, it is all back or nothing is', async () => {
  const { world } = await begun();
  const whole = tree(world.outside);
  const [deaths, cuts]: [World[], World[]] = [[], []];
  let isBegun = false;
  const process = await world.open({
    history,
    onStep(what) {
      if (!isBegun) return;
      const unflushed = what.endsWith(flushing) ? (['lost', 'kept'] as const) : (['lost'] as const);
      for (const each of unflushed) deaths.push(world.fork({ unflushed: each }));
      cuts.push(world.powerCut(() => false));
    },
  });
  const id = `${process.owner.id}-1`;
  process.commit(
    move('d', 'e'),
    mkdir('d'),
    mkdir('d/s'),
    write('d/c', 'c1.'),
    write('d/s/n', 'n1.'),
    write('e/m/x', 'x1.'),
  );
  process.checkpoint();
  const rotated = tree(world.outside);
  isBegun = true;
  const undone = await undo(process, id);
  process.checkpoint();
  isBegun = false;
  process.kill();
  assert.ok(deaths.length > 80);
  assert.equal(tree(world.outside), whole);
  for (const after of [...deaths, ...cuts]) {
    const next = await after.open({ history });
    const isUndone = showTree(tree(after.outside)) === showTree(whole);
    assert.equal(tree(after.outside), isUndone ? whole : rotated);
    assertWell(after);
    // A power cut may have taken what the undo replaced, and then history says so.
    if (!deaths.includes(after)) continue;
    await undo(next, isUndone ? undone.transaction : id);
    assert.equal(tree(after.outside), isUndone ? rotated : whole);
  }
});

test('what a crash leaves between the rows that go and their names is swept', async () => {
  const { world, process } = await begun();
  for (const text of ['a1.', 'a2.', 'a3.']) {
    process.commit(write('a', text));
    process.checkpoint();
  }
  process.kill();
  assert.is(stagingNames(world.outside).length, 3);
  const dies = await world.open({
    history: { maxBytes: 0 },
    faults: [{ at: ({ method, path }) => method === 'unlink' && path.includes('/before/'), crash: true }],
  });
  assert.throws(() => dies.checkpoint());
  dies.kill();
  assert.equal(historyRows(world), []);
  assert.is(stagingNames(world.outside).length, 3, 'the rows went first');
  const next = await world.open();
  assert.is(next.recovery?.sweptFiles, 3);
  assertWell(world);
});

test('two owners: one lets go of what the other has kept, and each sweeps nothing of the other', async () => {
  const { world, process } = await begun();
  process.commit(write('a', 'a1.'));
  process.checkpoint();
  const other = await world.open({ history: { maxBytes: 0 } });
  assert.equal(kept(world), [{ a: 'a0.' }]);
  other.checkpoint();
  assert.equal(stagingNames(world.outside), []);
  process.commit(write('a', 'a2.'));
  process.checkpoint();
  assert.equal(kept(world), [{ a: 'a1.' }]);
  assertWell(world);
});

test('what a checkpoint keeps is durable', async () => {
  const { world, process } = await begun();
  process.commit(write('a', 'a1.'), remove('d'));
  process.commit(write('a', 'a2.'));
  process.checkpoint();
  const cut = world.powerCut(() => false);
  await cut.open();
  assert.equal(kept(cut), [{ a: 'a0.', d: '<directory>' }, { a: 'a1.' }]);
  assertWell(cut);
});

test('files in a directory that is kept are durable', async () => {
  const { world, process } = await begun();
  edit(world.outside, 'd/n', 'by hand', 'new');
  process.commit(remove('d'));
  process.checkpoint();
  const cut = world.powerCut(() => false);
  const next = await cut.open();
  assertWell(cut);
  await undo(next, `${process.owner.id}-1`);
  assert.equal(tree(cut.outside), { a: 'a0.', b: 'b0.', 'd/': '', 'd/c': 'c0.', 'd/n': 'by hand' });
});

test('a before-image whose flush has failed is not believed when the checkpoint is tried again', async () => {
  const { world } = await begun();
  let [isBroken, isBusy] = [false, false];
  const process = await world.open({
    history,
    faults: [
      {
        at: ({ method, path }) => isBroken && method === 'sync' && path.includes('/before/'),
        error: 'EIO',
      },
    ],
    onLog(method) {
      if (!isBusy || method !== 'commit') return undefined;
      isBusy = false;
      return { error: new StoreError('ERR_STORE_LOCKED', 'busy', { op: 'commit' }), when: 'before' };
    },
  });
  process.commit(write('a', 'a1.'));
  process.commit(write('a', 'a2.'));
  isBroken = true;
  isBusy = true;
  assert.throws(() => process.checkpoint());
  process.checkpoint();
  assert.equal(kept(world), [{ a: 'missing' }, { a: 'a1.' }]);
  assertWell(world);
});

test('content whose flush has failed in its place is not believed as a before-image', async () => {
  const { world } = await begun();
  let isBroken = false;
  const process = await world.open({
    history,
    faults: [{ at: ({ method }) => isBroken && method === 'sync', error: 'EIO' }],
  });
  process.commitDeferred(write('a', 'a1.'));
  process.materialize();
  process.commitDeferred(write('a', 'a2.'));
  isBroken = true;
  process.checkpoint();
  process.materialize();
  process.checkpoint();
  assert.equal(kept(world), [{ a: 'a0.' }, { a: 'unreadable' }]);
  assertWell(world);
});

test('a save makes the same calls with history as without', async () => {
  const calls = await Promise.all(
    [{}, { history }].map(async (options) => {
      const { world } = await begun();
      const made: string[] = [];
      const process = await world.open({ ...options, beforeCall: ({ method }) => void made.push(method) });
      made.length = 0;
      process.commit(write('a', 'a1.'), move('b', 'd/b'), remove('d/c'), write('n', 'n1.'));
      process.flushMarks();
      return made;
    }),
  );
  assert.ok(calls[0]!.length > 10);
  assert.equal(calls[0], calls[1]);
});

async function rolledBack(): ReturnType<typeof begun> {
  const { world } = await begun();
  const process = await world.open({
    history,
    faults: [{ at: ({ method, dest }) => method === 'rename' && dest === `${root}/b`, error: 'EIO' }],
  });
  const outcome = process.attempt(write('a', 'a1.'), write('b', 'b1.'));
  assert.ok(isStoreError(outcome, 'ERR_APPLY_ROLLED_BACK'));
  return { world, process };
}

test('a roll-back leaves nothing to history', async () => {
  const { world, process } = await rolledBack();
  process.checkpoint();
  assert.equal(historyRows(world), []);
  assertWell(world);
});

test('nor does recovery find anything in one to keep', async () => {
  const { world, process } = await rolledBack();
  process.kill();
  for (const after of [world.powerCut(), world]) {
    await after.open({ history });
    assert.equal(historyRows(after), []);
    assert.equal(contentOf(after.outside, 'a'), 'a0.');
  }
});

test('a before-image that cannot be flushed is not kept, and the checkpoint goes on', async () => {
  const { world } = await begun();
  let isArmed = false;
  const process = await world.open({
    history,
    faults: [
      { at: ({ method, path }) => isArmed && method === 'sync' && path.includes('/before/'), error: 'EIO' },
    ],
  });
  process.commit(write('a', 'a1.'), write('b', 'b1.'));
  isArmed = true;
  process.checkpoint();
  assert.equal(kept(world), [{ a: 'unreadable', b: 'b0.' }]);
  assertWell(world);
});

test('where the log has no room for history, saves go before it', async () => {
  const { world } = await begun();
  let isFull = false;
  const process = await world.open({
    history,
    onLog(method) {
      if (!isFull || method !== 'commit') return undefined;
      isFull = false;
      return { error: new StoreError('ERR_LOG_FULL', 'full', { op: 'commit' }), when: 'before' };
    },
  });
  process.commit(write('a', 'a1.'));
  isFull = true;
  process.checkpoint();
  assert.equal(historyRows(world), []);
  assert.equal(stagingNames(world.outside), []);
  process.commit(write('a', 'a2.'));
  process.checkpoint();
  assert.equal(kept(world), [{ a: 'a1.' }]);
  assertWell(world);
});

test('entries and their row of history are of one batch: a crash leaves both or neither', async () => {
  const { world } = await begun();
  const moments: World[] = [];
  const process = await world.open({
    history,
    onStep(what) {
      if (!what.endsWith(flushing)) return;
      moments.push(world.fork({ unflushed: 'lost' }), world.fork({ unflushed: 'kept' }));
    },
  });
  moments.length = 0;
  const id = (counter: number): string => `${process.owner.id}-${counter}`;
  process.commit(put(aloneCollection, 'k', 1));
  process.commit(put(aloneCollection, 'k', 2), put(aloneCollection, 'j', 2));
  await undo(process, id(2));
  process.kill();
  assert.is(moments.length, 6);
  assert.equal(
    moments.map((moment) => historyRows(moment).length),
    [0, 1, 1, 2, 2, 3],
  );
  for (const moment of moments) {
    await moment.open();
    assertWell(moment);
  }
  const next = await world.open();
  await undo(next, id(3));
  await undo(next, id(2));
  await undo(next, id(1));
  assert.equal(world.log.rows('entries').range({ start: new Uint8Array(0) }), []);
  assert.is(historyRows(world).length, 3, 'one without history adds nothing');
});

test('what somebody writes into a before-image goes to conflicts in recovery, too, and is not kept', async () => {
  const { world, process } = await begun();
  const { outside } = world;
  const descriptor = outside.openUpdate(`${root}/a`);
  process.commit(write('a', 'a1.'));
  world.disk.clock.advance(100);
  outside.write(descriptor, Buffer.from('theirs'), 0);
  process.kill();
  await world.open();
  assert.equal(kept(world), [{ a: 'edited' }]);
  assert.equal(conflictContents(world.outside), ['theirs']);
  assertWell(world);
});

test.run();
