/** History of symbolic links: they come back as what they were, wherever they lead. */

import { lstatSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import type { HistoryEntry } from '#src/history/history-entry.js';
import type { Store } from '#src/store/store.js';
import { assert, suite } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';
import { type StoreWorld, storeWorld } from './store-world.js';

const test = suite('history of symbolic links');

async function world(): Promise<StoreWorld> {
  return await storeWorld({ history: {}, checkpointIntervalMs: 1e9 });
}

async function all(store: Store): Promise<HistoryEntry[]> {
  const found: HistoryEntry[] = [];
  for await (const entry of store.history()) found.push(entry);
  return found;
}

const kept = (root: string): string[] => readdirSync(`${root}/.forewrit/before`).sort();

/** What each leads to. */
const leads = (root: string, ...paths: string[]): (string | undefined)[] =>
  paths.map((path) => {
    try {
      return readlinkSync(`${root}/${path}`);
    } catch {
      return undefined;
    }
  });

test('symbolic links that were removed come back, wherever they lead, and go again', async () => {
  await using w = await world();
  await w.store.writeFiles({ a: 'a', 'd/b': 'b' });
  symlinkSync('a', `${w.root}/one`);
  symlinkSync('nowhere', `${w.root}/two`);
  symlinkSync('/etc', `${w.root}/d/three`);
  symlinkSync('..', `${w.root}/d/four`);
  const links = ['one', 'two', 'd/three', 'd/four'];
  const before = leads(w.root, ...links);
  const { transaction } = await w.store.transact((tx) => {
    tx.rm('one');
    tx.rm('two');
    tx.rm('d', { recursive: true });
    return { transaction: tx.id };
  });
  assert.equal(w.tree(), { a: 'a' });
  let last = await w.store.undo(transaction);
  assert.equal(leads(w.root, ...links), before);
  assert.is(w.text('one'), 'a');
  last = await w.store.undo(last.transaction);
  assert.equal(leads(w.root, ...links), [undefined, undefined, undefined, undefined]);
  await w.store.undo(last.transaction);
  assert.equal(leads(w.root, ...links), before);
  assert.is(w.text('d/b'), 'b');
});

test('a symbolic link that was replaced by a move comes back, and that in history, too', async () => {
  await using w = await world();
  await w.store.writeFiles({ a: 'a', b: 'b' });
  symlinkSync('b', `${w.root}/l`);
  const { transaction } = await w.store.rename('a', 'l');
  assert.equal(w.tree(), { b: 'b', l: 'a' });
  const undone = await w.store.undo(transaction);
  assert.equal([leads(w.root, 'l'), w.text('a'), w.text('b')], [['b'], 'a', 'b']);
  const [entry] = await all(w.store);
  assert.equal(
    entry?.paths.map(({ path, did }) => [path, did]),
    [
      ['a', 'moved'],
      ['l', 'written'],
    ],
  );
  await w.store.undo(undone.transaction);
  assert.equal(w.tree(), { b: 'b', l: 'a' });
});

test('transactions over a symbolic link are undone one after the other, back to the beginning', async () => {
  await using w = await world();
  await w.store.writeFiles({ a: 'a', 'e/x': 'x' });
  symlinkSync('a', `${w.root}/l`);
  const states: (string | undefined)[][] = [];
  const paths = ['l', 'm', 'e/m', 'f/m'];
  const done: string[] = [];
  const steps: ((store: Store) => Promise<{ transaction: string }>)[] = [
    (store) => store.rename('l', 'm'),
    (store) => store.rename('m', 'e/m'),
    (store) => store.rename('e', 'f'),
    (store) => store.rm('f/m'),
    (store) => store.writeFile('f/m', 'in its place'),
    (store) => store.rm('f', { recursive: true }),
  ];
  for (const step of steps) {
    states.push(leads(w.root, ...paths));
    done.push((await step(w.store)).transaction);
  }
  for (const transaction of done.toReversed()) {
    await w.store.undo(transaction);
    assert.equal(leads(w.root, ...paths), states.pop());
  }
  assert.equal(w.tree(), { a: 'a', 'e/x': 'x', l: '(not a file)' });
});

test('another symbolic link in its place is a change, also while an undo is under way', async () => {
  await using w = await engineWorld({ history: {} });
  await w.store.writeFiles({ a: 'a', b: 'one' });
  symlinkSync('a', `${w.root}/l`);
  const { transaction } = await w.store.transact(async (tx) => {
    tx.rename('l', 'm');
    await tx.writeFile('b', 'two');
    return { transaction: tx.id };
  });
  await w.store.checkpoint();
  const replace = (): void => {
    rmSync(`${w.root}/m`);
    symlinkSync('b', `${w.root}/m`);
  };
  w.before(({ method, path }) => method === 'openRead' && path.includes('/before/'), replace);
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_CONFLICT');
  assert.equal([leads(w.root, 'l', 'm'), w.tree()['b']], [[undefined, 'b'], 'two']);
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_CONFLICT');
});

test('a file comes back where a symbolic link is that leads out of the store', async () => {
  await using w = await world();
  await w.store.writeFile('a', 'a');
  symlinkSync('../../nowhere', `${w.root}/l`);
  const { transaction } = await w.store.rename('l', 'a');
  await w.store.undo(transaction);
  assert.equal([w.text('a'), leads(w.root, 'l')], ['a', ['../../nowhere']]);
  // Where the link has come back from history nothing has to move first.
  const tx = await w.store.begin();
  tx.rm('l');
  await tx.writeFile('l', 'in its place');
  const replaced = await tx.commit();
  const undone = await w.store.undo(replaced.transaction);
  assert.equal(leads(w.root, 'l'), ['../../nowhere']);
  await w.store.undo(undone.transaction);
  assert.is(w.text('l'), 'in its place');
});

test('where no link of a symbolic link can be had, it is made again', async () => {
  let isArmed = false;
  await using w = await engineWorld({
    history: {},
    faults: [{ at: ({ method }) => isArmed && method === 'link', error: 'EPERM', sticky: true }],
  });
  await w.store.writeFile('d/a', 'a');
  symlinkSync('a', `${w.root}/d/l`);
  const { transaction } = await w.store.rm('d', { recursive: true });
  await w.store.checkpoint();
  isArmed = true;
  await w.store.undo(transaction);
  assert.equal([leads(w.root, 'd/l'), w.tree()['d/a']], [['a'], 'a']);
});

test('a kept symbolic link that is gone is said to be, and nothing is changed', async () => {
  await using w = await world();
  await w.store.writeFile('d/a', 'a');
  symlinkSync('a', `${w.root}/l`);
  symlinkSync('a', `${w.root}/d/l`);
  const one = await w.store.rm('l');
  const two = await w.store.rm('d', { recursive: true });
  await w.store.checkpoint();
  for (const name of kept(w.root)) {
    const path = `${w.root}/.forewrit/before/${name}`;
    if (lstatSync(path).isSymbolicLink()) rmSync(path);
    else rmSync(`${path}/l`);
  }
  for (const { transaction } of [one, two])
    await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_INTEGRITY');
  assert.equal(w.tree(), {});
});

test.run();
