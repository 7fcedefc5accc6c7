/** Deferred saves: in the log at once, in the files later, and in each other's place until then. */

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreOptions } from '#src/store/options.js';
import type { Store } from '#src/store/store.js';
import { MemoryLog } from '#src/log/memory-log.js';
import { assert, SimulatedClock, suite } from '@forewrit/testkit';
import { type EngineWorld, engineWorld } from './engine-world.js';
import { openTestStore } from './store-world.js';

const test = suite('deferred saves');

/** Nothing follows by itself. */
const held = { materialize: 'deferred', materializeWithinMs: 1e9 } as const;

function heldWorld(options: Parameters<typeof engineWorld>[0] = {}): Promise<EngineWorld> {
  return engineWorld({ ...held, ...options });
}

/** One more store over the same log and files. */
async function another({ root, state }: EngineWorld, options: StoreOptions = {}): Promise<Store> {
  return await openTestStore(root, {
    ...held,
    checkpointIntervalMs: 1e9,
    log: new MemoryLog(state),
    ...options,
  });
}

async function read(store: Store, ...paths: string[]): Promise<string[]> {
  return [...(await store.readFiles(paths, 'utf8')).values()];
}

test('is read through the store at once, and comes into the files later, at the same revision', async () => {
  await using world = await heldWorld();
  const { store } = world;
  await store.writeFiles({ a: 'old', b: 'old' }, { materialize: 'immediate' });
  const { revision, paths, bytes } = await store.writeFiles({ a: 'new', b: 'newer' });
  assert.equal({ paths: [...paths].sort(), bytes }, { paths: ['a', 'b'], bytes: 8 });
  assert.equal(world.tree(), { a: 'old', b: 'old' });
  assert.equal(await read(store, 'a', 'b'), ['new', 'newer']);
  const { size, revision: seen } = await store.stat('b');
  assert.equal({ size, seen }, { size: 5, seen: revision });
  assert.equal(store.stats().deferredTransactions, 1);
  assert.equal(store.stats().deferredBytes, 8);
  await store.materialize();
  assert.equal(world.tree(), { a: 'new', b: 'newer' });
  assert.equal(await read(store, 'a', 'b'), ['new', 'newer']);
  assert.is((await store.stat('a')).revision, revision);
  assert.equal(store.stats().deferredTransactions, 0);
  await store.checkpoint();
  assert.equal([world.rows('log'), world.rows('locks'), world.leftovers().length], [0, 0, 0]);
});

test('nothing is made, linked or renamed before its files follow', async () => {
  await using world = await heldWorld();
  const { store } = world;
  await store.writeFile('a', 'old', { materialize: 'immediate' });
  await store.checkpoint();
  const changes: string[] = [];
  world.onCall = ({ method, path }) => {
    if (!['lstat', 'stat', 'openRead', 'read', 'readlink', 'close', 'space', 'list'].includes(method))
      changes.push(`${method} ${path}`);
  };
  await store.writeFiles({ a: '1', n: '1' });
  await store.writeFiles({ a: '2' });
  world.onCall = undefined;
  assert.equal(changes, []);
});

test('a newer one takes older ones in, and what they alone have written stays theirs', async () => {
  await using world = await heldWorld();
  const { store } = world;
  const first = await store.writeFiles({ a: '1', b: '1' });
  const second = await store.writeFiles({ c: '2' });
  const third = await store.writeFiles({ b: '3', c: '3', d: '3' });
  assert.equal(store.stats().deferredTransactions, 1);
  assert.is(world.rows('log'), 1);
  assert.is(world.rows('locks'), 4);
  const revisions = async (): Promise<unknown[]> =>
    await Promise.all(['a', 'b', 'c', 'd'].map(async (path) => (await store.stat(path)).revision));
  const expected = [first.revision, third.revision, third.revision, third.revision];
  assert.ok(first.revision < second.revision && second.revision < third.revision);
  assert.equal(await revisions(), expected);
  assert.equal(await read(store, 'a', 'b', 'c', 'd'), ['1', '3', '3', '3']);
  await store.materialize();
  assert.equal(await revisions(), expected);
  assert.equal(world.tree(), { a: '1', b: '3', c: '3', d: '3' });
});

test('many at once are one flush, each with its revision; the last one is in the file', async () => {
  await using world = await heldWorld();
  const { store } = world;
  const { groups } = store.stats();
  const saves = await Promise.all(
    Array.from({ length: 64 }, (_, index) =>
      store.writeFiles({ a: `${index}`, [`b${index % 4}`]: `${index}` }),
    ),
  );
  assert.is(new Set(saves.map(({ revision }) => revision)).size, 64);
  assert.is(store.stats().groups - groups, 1);
  assert.is(store.stats().deferredTransactions, 1);
  assert.is(await store.readFile('a', 'utf8'), '63');
  await store.materialize();
  assert.equal(world.tree(), { a: '63', b0: '60', b1: '61', b2: '62', b3: '63' });
});

test('more than one transaction takes goes into the files first', async () => {
  await using world = await heldWorld({ inlineLimitBytes: 100 });
  const { store } = world;
  await store.writeFiles({ a: 'a'.repeat(60), b: 'b'.repeat(30) });
  await store.writeFiles({ b: 'B'.repeat(50) });
  assert.is(world.tree()['a'], 'a'.repeat(60));
  assert.is(world.tree()['b'], 'b'.repeat(30));
  assert.is(await store.readFile('b', 'utf8'), 'B'.repeat(50));
});

for (const [what, save] of Object.entries({
  'content that is too large': (store: Store) => store.writeFile('a', 'L'.repeat(100_000)),
  'a file below new directories': (store: Store) => store.writeFile('new/directory/a', '1'),
  'a file that must not be there': (store: Store) => store.writeFile('a', '1', { ifAbsent: true }),
  'a save that keeps a backup': (store: Store) => store.writeFile('there', '1', { backup: true }),
  'an addition': (store: Store) => store.appendFile('a', '1'),
  'a save that says so': (store: Store) => store.writeFile('a', '1', { materialize: 'immediate' }),
  'a transaction that removes something as well': (store: Store) =>
    store.transact((tx) => {
      tx.rm('there');
      return tx.writeFile('a', '1');
    }),
  'a transaction with entries': (store: Store) =>
    store.transact((tx) => {
      tx.put('c', 'k', 1);
      return tx.writeFile('a', '1');
    }),
})) {
  test(`is in the files at once: ${what}`, async () => {
    await using world = await heldWorld();
    await world.store.writeFile('there', '0', { materialize: 'immediate' });
    await save(world.store);
    assert.is(world.store.stats().deferredTransactions, 0);
    assert.ok(Object.values(world.tree()).some((content) => content.startsWith('1') || content.length > 9));
  });
}

for (const [what, { act, makes }] of Object.entries({
  'added to': { act: (store: Store) => store.appendFile('d/a', '+'), makes: { 'd/a': '1+', 'd/b': '0' } },
  copied: { act: (store: Store) => store.copyFile('d/a', 'c'), makes: { c: '1', 'd/a': '1', 'd/b': '0' } },
  moved: { act: (store: Store) => store.rename('d/a', 'c'), makes: { c: '1', 'd/b': '0' } },
  removed: { act: (store: Store) => store.rm('d/a'), makes: { 'd/b': '0' } },
  'kept as a backup': {
    act: (store: Store) => store.writeFile('d/a', '2', { backup: true }),
    makes: { 'd/a': '2', 'd/a.bak': '1', 'd/b': '0' },
  },
  'moved with its directory': {
    act: (store: Store) => store.rename('d', 'e'),
    makes: { 'e/a': '1', 'e/b': '0' },
  },
  'removed with its directory': { act: (store: Store) => store.rm('d', { recursive: true }), makes: {} },
})) {
  for (const isThere of [true, false]) {
    test(`${isThere ? 'a file' : 'a new file'} that is deferred is ${what}: first it comes into its place`, async () => {
      await using world = await heldWorld();
      const { store } = world;
      await store.writeFile('d/b', '0', { materialize: 'immediate' });
      if (isThere) await store.writeFile('d/a', '0', { materialize: 'immediate' });
      await store.writeFile('d/a', '1');
      await act(store);
      await store.materialize();
      assert.equal(world.tree(), makes);
    });
  }
}

test('a new file is listed, and is there, as long as the log alone has it', async () => {
  await using world = await heldWorld();
  const { store } = world;
  await store.writeFile('d/a', '0', { materialize: 'immediate' });
  await store.writeFiles({ 'd/n': '1', m: '1' });
  assert.equal(readdirSync(`${world.root}/d`), ['a']);
  assert.equal(await store.readdir('d'), ['a', 'n']);
  assert.equal(await store.readdir('.', { recursive: true }), ['d', 'd/a', 'd/n', 'm']);
  assert.is(await store.exists('d/n'), true);
  await store.transact(async (tx) => {
    assert.equal(await tx.readdir('d'), ['a', 'n']);
    assert.is(await tx.exists('m'), true);
    await tx.appendFile('m', '2');
    assert.is(await tx.readFile('m', 'utf8'), '12');
    await store.materialize();
  });
  assert.equal(world.tree(), { 'd/a': '0', 'd/n': '1', m: '12' });
  await assert.rejectsWithCode(store.writeFile('d/n', '3', { ifAbsent: true }), 'ERR_EXISTS');
});

test('what was read in the log is still what was read, in the log and in the files', async () => {
  await using world = await heldWorld();
  const { store } = world;
  await store.writeFiles({ a: '0', b: '0' }, { materialize: 'immediate' });
  await store.writeFile('a', '1');
  for (const settle of [() => Promise.resolve(), () => store.materialize()]) {
    let runs = 0;
    await store.transact(async (tx) => {
      runs += 1;
      const before = await tx.readFile('a', 'utf8');
      await settle();
      await tx.writeFile('b', `after ${before}`);
    });
    assert.is(runs, 1);
  }
  assert.is(await store.readFile('b', 'utf8'), 'after 1');
});

test('whoever has read what a deferred save changes runs again', async () => {
  await using world = await heldWorld();
  const { store } = world;
  await store.writeFile('count', '0');
  await Promise.all(
    Array.from({ length: 10 }, () =>
      store.transact(
        async (tx) => {
          await tx.writeFile('count', `${Number(await tx.readFile('count', 'utf8')) + 1}`);
        },
        { retries: 1000 },
      ),
    ),
  );
  assert.is(await store.readFile('count', 'utf8'), '10');
});

test('a save that asks for a revision gets on with the one in the log alone', async () => {
  await using world = await heldWorld();
  const { store } = world;
  const { revision: first } = await store.writeFile('a', '1');
  const { revision } = await store.writeFile('a', '2', { ifRevision: first });
  await assert.rejectsWithCode(store.writeFile('a', '3', { ifRevision: first }), 'ERR_CONFLICT');
  writeFileSync(`${world.root}/a`, 'theirs');
  await assert.rejectsWithCode(store.writeFile('a', '3', { ifRevision: revision }), 'ERR_CONFLICT');
});

test('a snapshot is of one moment across the change from log to files', async () => {
  await using world = await heldWorld();
  const { store } = world;
  await store.writeFiles({ a: '1', b: '1' });
  let runs = 0;
  await store.snapshot(async (view) => {
    runs += 1;
    assert.is(await view.readFile('a', 'utf8'), '1');
    await store.materialize();
    assert.is(await view.readFile('b', 'utf8'), '1');
  });
  assert.is(runs, 1);
});

test('the mode is that of the file, or the one that was asked for last', async () => {
  await using world = await heldWorld();
  const { store } = world;
  await store.writeFiles({ a: '0', b: '0' }, { materialize: 'immediate' });
  chmodSync(`${world.root}/a`, 0o666);
  await store.writeFiles({ a: '1', n: '1' });
  await store.writeFile('b', '1', { mode: 0o600 });
  await store.writeFiles({ a: '2', b: '2', n: '2' });
  const expected = { a: 0o666, b: 0o600, n: 0o666 & ~process.umask() };
  const modes = (): unknown =>
    Object.fromEntries(['a', 'b', 'n'].map((path) => [path, statSync(`${world.root}/${path}`).mode & 0o777]));
  assert.is((await store.stat('b')).mode & 0o777, 0o600);
  await store.materialize();
  assert.equal(modes(), expected);
});

for (const [what, { edit, is }] of Object.entries({
  'written in place': { edit: (path: string) => writeFileSync(path, 'theirs'), is: 'theirs' },
  replaced: {
    edit: (path: string) => {
      writeFileSync(`${path}~`, 'theirs');
      renameSync(`${path}~`, path);
    },
    is: 'theirs',
  },
  removed: { edit: (path: string) => rmSync(path), is: undefined },
})) {
  test(`a file that another program has ${what} meanwhile stays so, and ours goes into conflicts/`, async () => {
    await using world = await heldWorld();
    const { store, root } = world;
    await store.writeFiles({ a: 'old', b: 'old' }, { materialize: 'immediate' });
    await store.checkpoint();
    await store.writeFiles({ a: 'new', b: 'new' });
    edit(`${root}/a`);
    // Theirs is the newest now.
    const seen = (await store.exists('a')) ? await store.readFile('a', 'utf8') : undefined;
    assert.is(seen, is);
    await store.materialize();
    assert.equal(world.tree(), { ...(is === undefined ? {} : { a: is }), b: 'new' });
    assert.equal(world.conflicts(), ['new']);
    assert.ok(world.logged.some(({ level }) => level === 'warn'));
    assert.equal(store.stats().deferredTransactions, 0);
    await store.writeFile('a', 'newest');
    await store.checkpoint();
    assert.equal(world.tree(), { a: 'newest', b: 'new' });
    assert.equal([world.rows('log'), world.rows('locks')], [0, 0]);
  });
}

test('of a path that a newer save only takes in, an edit since is not written over', async () => {
  await using world = await heldWorld();
  const { store, root } = world;
  await store.writeFiles({ a: 'old', b: 'old' }, { materialize: 'immediate' });
  await store.writeFiles({ a: '1', b: '1' });
  writeFileSync(`${root}/a`, 'theirs');
  await store.writeFile('b', '2');
  await store.materialize();
  assert.equal(world.tree(), { a: 'theirs', b: '2' });
  assert.equal(world.conflicts(), ['1']);
});

test('a save over an edit is ordinary: whoever saves blindly has looked', async () => {
  await using world = await heldWorld();
  const { store, root } = world;
  await store.writeFile('a', 'old', { materialize: 'immediate' });
  await store.writeFile('a', '1');
  writeFileSync(`${root}/a`, 'theirs');
  await store.writeFile('a', '2');
  await store.materialize();
  assert.equal(world.tree(), { a: '2' });
  assert.equal(world.conflicts(), []);
});

test('a directory that somebody has removed is not made again: ours goes into conflicts/', async () => {
  await using world = await heldWorld();
  const { store, root } = world;
  mkdirSync(`${root}/d`);
  await store.writeFiles({ 'd/a': '1', b: '1' });
  rmSync(`${root}/d`, { recursive: true });
  await store.materialize();
  assert.equal(world.tree(), { b: '1' });
  assert.equal(world.conflicts(), ['1']);
  assert.is(world.rows('locks') > 0, true);
  await store.checkpoint();
  assert.is(world.rows('locks'), 0);
});

test('an edit between staging and the rename is met: all goes back, and the next look keeps both', async () => {
  await using world = await heldWorld();
  const { store, root } = world;
  await store.writeFiles({ a: 'old', b: 'old' }, { materialize: 'immediate' });
  await store.writeFiles({ a: 'new', b: 'new' });
  const isRename = ({ method, dest }: { method: string; dest?: string }): boolean =>
    method === 'rename' && dest === `${root}/a`;
  world.before(isRename, () => writeFileSync(`${root}/b`, 'theirs'));
  await store.materialize();
  assert.equal(world.tree(), { a: 'new', b: 'theirs' });
  assert.equal(world.conflicts(), ['new']);
  await store.checkpoint();
  assert.equal([world.rows('log'), world.rows('locks'), world.leftovers().length], [0, 0, 0]);
});

test('files that cannot be written follow later; until then the log has them, and whoever asks is told', async () => {
  const full = { now: false };
  await using world = await heldWorld({
    faults: [
      { error: 'ENOSPC', at: ({ method }) => full.now && method === 'create', sticky: true },
      { error: 'ENOSPC', at: ({ method }) => full.now && method === 'rename', sticky: true },
    ],
  });
  const { store } = world;
  await store.writeFiles({ a: 'old' }, { materialize: 'immediate' });
  full.now = true;
  const { revision } = await store.writeFiles({ a: 'new', n: 'new' });
  await assert.rejectsWithCode(store.materialize(), 'ERR_NO_SPACE');
  assert.equal(world.tree(), { a: 'old' });
  assert.equal(await read(store, 'a', 'n'), ['new', 'new']);
  assert.ok(world.logged.some(({ level }) => level === 'error'));
  // Whatever needs the file in its place is told, too; a newer deferred save needs no file.
  await assert.rejectsWithCode(store.appendFile('a', '+'), 'ERR_NO_SPACE');
  await store.writeFile('n', 'newer');
  full.now = false;
  await store.materialize();
  assert.equal(world.tree(), { a: 'new', n: 'newer' });
  assert.is((await store.stat('a')).revision, revision);
});

test('an apply that fails puts the files back, and the log alone has the content again', async () => {
  const broken = { now: true };
  await using world = await heldWorld({
    faults: [
      {
        error: 'EIO',
        at: ({ method, dest }) => broken.now && method === 'rename' && dest?.endsWith('/b') === true,
        sticky: true,
      },
    ],
  });
  const { store } = world;
  broken.now = false;
  await store.writeFiles({ a: 'old', b: 'old' }, { materialize: 'immediate' });
  broken.now = true;
  const { revision } = await store.writeFiles({ a: 'new', b: 'new' });
  for (let round = 0; round < 3; round += 1) {
    await assert.rejectsWithCode(store.materialize(), 'ERR_IO');
    assert.equal(world.tree(), { a: 'old', b: 'old' });
    assert.equal(await read(store, 'a', 'b'), ['new', 'new']);
    assert.is((await store.stat('b')).revision, revision);
  }
  broken.now = false;
  await store.materialize();
  assert.equal(world.tree(), { a: 'new', b: 'new' });
  assert.is((await store.stat('b')).revision, revision);
  await store.checkpoint();
  assert.equal([world.rows('log'), world.rows('locks'), world.leftovers().length], [0, 0, 0]);
});

test('deferred and immediate saves of one file, asked for at once, come one after the other', async () => {
  await using world = await heldWorld();
  const { store } = world;
  const saves = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      store.writeFiles(
        { a: `${index}`, [`n${index % 3}`]: `${index}` },
        { materialize: index % 4 < 2 ? 'deferred' : 'immediate' },
      ),
    ),
  );
  const revisions = saves.map(({ revision }) => revision);
  assert.equal(
    revisions,
    revisions.toSorted((a, b) => a - b),
  );
  assert.equal(await read(store, 'a', 'n0', 'n1', 'n2'), ['11', '9', '10', '11']);
  await store.materialize();
  assert.equal(world.tree(), { a: '11', n0: '9', n1: '10', n2: '11' });
  assert.equal(world.conflicts(), []);
});

test('a save that was planned on one which comes into its files meanwhile is planned again', async () => {
  await using world = await heldWorld();
  const { store } = world;
  await store.writeFiles({ a: '0', b: '0' }, { materialize: 'immediate' });
  await store.writeFiles({ a: '1', b: '1' });
  // In one group: the second needs the files, when the first has been planned already.
  await Promise.all([store.writeFile('a', '2'), store.appendFile('b', '+')]);
  await store.materialize();
  assert.equal(world.tree(), { a: '2', b: '1+' });
  assert.equal(world.conflicts(), []);
});

test('closing puts everything into the files', async () => {
  await using world = await heldWorld();
  await world.store.writeFiles({ a: '1', b: '1' });
  await world.store.writeFiles({ b: '2' });
  await world.store.close();
  assert.equal(world.tree(), { a: '1', b: '2' });
  assert.equal([world.rows('log'), world.rows('locks'), world.rows('owners')], [0, 0, 0]);
  assert.equal(world.leftovers(), []);
});

test('a checkpoint that is asked for puts everything into the files first', async () => {
  await using world = await heldWorld();
  await world.store.writeFiles({ a: '1' });
  assert.is((await world.store.checkpoint()).transactions, 1);
  assert.equal(world.tree(), { a: '1' });
  assert.is(world.rows('log'), 0);
});

test('follows by itself', async () => {
  await using world = await engineWorld({ materialize: 'deferred', materializeWithinMs: 5 });
  const { store, root } = world;
  for (const content of ['1', '2']) {
    await store.writeFile('a', content);
    for (;;) {
      const there = world.tree()['a'];
      if (there === content) break;
      await sleep(2);
    }
  }
  assert.is(readFileSync(`${root}/a`, 'utf8'), '2');
  assert.is(store.stats().deferredTransactions, 0);
});

test('what cannot follow keeps nothing else waiting', async () => {
  // Its time for another try never comes.
  const clock = new SimulatedClock({ tickNs: 0 });
  await using world = await engineWorld({
    clock,
    materialize: 'deferred',
    materializeWithinMs: 0,
    faults: [
      {
        error: 'EACCES',
        at: ({ method, dest }) => method === 'rename' && dest?.endsWith('/bad') === true,
        sticky: true,
      },
    ],
  });
  const { store } = world;
  await store.writeFile('bad', '1');
  while (!world.logged.some(({ level }) => level === 'error')) await sleep(2);
  await store.writeFile('good', '1');
  while (world.tree()['good'] !== '1') await sleep(2);
  assert.equal(world.tree(), { good: '1' });
  assert.is(await store.readFile('bad', 'utf8'), '1');
});

test('what others have deferred is read, listed and waited for', async () => {
  await using world = await heldWorld();
  const { store } = world;
  const other = await another(world);
  try {
    await store.writeFiles({ a: '1', b: '1' }, { materialize: 'immediate' });
    await store.writeFiles({ a: '2', n: '2' });
    assert.equal(await read(other, 'a', 'b', 'n'), ['2', '1', '2']);
    assert.equal(await other.readdir('.'), ['a', 'b', 'n']);
    // Another owner that waits is let in, long before the time.
    await other.transact(async (tx) => {
      await tx.writeFile('c', await tx.readFile('a', 'utf8'));
    });
    assert.is(await store.readFile('c', 'utf8'), '2');
    await other.appendFile('a', '+');
    assert.equal(await read(store, 'a', 'c', 'n'), ['2+', '2', '2']);
    await other.rm('n');
    assert.is(await store.exists('n'), false);
  } finally {
    await other.close();
  }
});

test('who was declared dead can neither take in what others have carried out, nor put it into the files', async () => {
  for (const act of [
    (store: Store) => store.writeFile('a', '2'),
    (store: Store) => store.materialize(),
    (store: Store) => store.appendFile('a', '2'),
  ]) {
    await using world = await heldWorld();
    const { store, state } = world;
    await store.writeFile('a', '1');
    const log = new MemoryLog(state);
    const [row] = log.view((view) => view.range('log', { start: new Uint8Array(0) }));
    log.commit((batch) => batch.delete('log', row![0]));
    await assert.rejectsWithCode(act(store), 'ERR_STORE_POISONED');
    assert.is(store.status, 'poisoned');
    assert.equal(world.tree(), {});
  }
});

test.run();
