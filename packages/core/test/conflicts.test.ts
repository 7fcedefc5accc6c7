/** What a transaction has read, and what others commit before it does: whether it still stands. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Store } from '#src/store/store.js';
import type { Transaction } from '#src/store/transaction.js';
import { assert, suite } from '@forewrit/testkit';
import { engineWorld, type EngineWorld } from './engine-world.js';

const test = suite('conflicts');

interface Meeting {
  readonly name: string;
  /** Before the transaction begins. */
  readonly before?: (store: Store, world: EngineWorld) => Promise<unknown>;
  readonly reads: (tx: Transaction) => Promise<unknown>;
  /** By others, between its reads and its commit. */
  readonly others: (store: Store, world: EngineWorld) => Promise<unknown>;
  readonly stands: boolean;
}

const meetings: readonly Meeting[] = [
  {
    name: 'a file that it has read is written',
    reads: (tx) => tx.readFile('d/x'),
    others: (store) => store.writeFile('d/x', 'theirs'),
    stands: false,
  },
  {
    name: 'the directory of a file that it has read goes',
    reads: (tx) => tx.readFile('o/by hand'),
    others: (store) => store.rm('o', { recursive: true }),
    stands: false,
  },
  {
    name: 'the directory of a file that it has missed comes',
    reads: (tx) => tx.exists('n/missed'),
    others: (store) => store.mkdir('n'),
    stands: false,
  },
  {
    name: 'something else is written in the directory of a file that it has read',
    reads: (tx) => tx.readFile('d/x'),
    others: (store) => store.writeFile('d/n', 'theirs'),
    stands: true,
  },
  {
    name: 'the row of a file goes that had been deleted before it was missed',
    before: (store) => store.rm('d/x'),
    reads: (tx) => tx.exists('d/x'),
    others: (store) => store.checkpoint(),
    stands: true,
  },
  {
    name: 'a file that it has read is deleted, and its row goes as well',
    reads: (tx) => tx.readFile('d/x'),
    async others(store) {
      await store.rm('d/x');
      await store.checkpoint();
    },
    stands: false,
  },
  {
    name: 'a name comes in a directory that it has listed',
    reads: (tx) => tx.readdir('d'),
    others: (store) => store.writeFile('d/n', 'theirs'),
    stands: false,
  },
  {
    name: 'a name goes from a directory that it has listed',
    reads: (tx) => tx.readdir('d'),
    others: (store) => store.rm('d/y'),
    stands: false,
  },
  {
    name: 'a file is written in a directory that it has listed',
    reads: (tx) => tx.readdir('d'),
    others: (store) => store.writeFile('d/x', 'theirs'),
    stands: true,
  },
  {
    name: 'a name goes from a directory below the one that it has listed',
    reads: (tx) => tx.readdir('d'),
    others: (store) => store.rm('d/deep/q'),
    stands: true,
  },
  {
    name: 'a name comes and goes in a directory that it has listed',
    reads: (tx) => tx.readdir('d'),
    async others(store) {
      await store.writeFile('d/n', 'theirs');
      await store.rm('d/n');
    },
    stands: true,
  },
  {
    name: 'something is written far from the directory that it has listed',
    reads: (tx) => tx.readdir('d'),
    others: (store) => store.writeFile('e', 'theirs'),
    stands: true,
  },
  {
    name: 'the directory that it has listed goes',
    reads: (tx) => tx.readdir('o'),
    others: (store) => store.rm('o', { recursive: true }),
    stands: false,
  },
  {
    name: 'by hand a name comes in a directory that it has listed',
    reads: (tx) => tx.readdir('d'),
    others: (_store, { root }) => Promise.resolve(writeFileSync(`${root}/d/n`, 'by hand')),
    stands: false,
  },
  {
    name: 'by hand the directory that it has listed goes',
    reads: (tx) => tx.readdir('o'),
    others: (_store, { root }) => Promise.resolve(rmSync(`${root}/o`, { recursive: true })),
    stands: false,
  },
  {
    name: 'an entry of a range that it has read comes',
    reads: (tx) => tx.range('c', { start: 'b', end: 'y' }),
    others: (store) => store.collection('c').put('m', 1),
    stands: false,
  },
  {
    name: 'an entry comes outside of the range that it has read',
    reads: (tx) => tx.range('c', { start: 'b', end: 'y' }),
    async others(store) {
      await store.collection('c').put('a', 1);
      await store.collection('c').put('z', 1);
    },
    stands: true,
  },
];

for (const { name, before, reads, others, stands } of meetings) {
  test(`what was read ${stands ? 'still stands' : 'does not stand any more'} where ${name}`, async () => {
    await using world = await engineWorld();
    const { store, root } = world;
    mkdirSync(`${root}/o`);
    writeFileSync(`${root}/o/by hand`, 'x');
    await store.writeFiles({ 'd/x': 'x', 'd/y': 'y', 'd/deep/q': 'q', 'd/deep/r': 'r' });
    await store.checkpoint();
    await before?.(store, world);
    const tx = await store.begin();
    await reads(tx);
    await others(store, world);
    void tx.writeFile('mine', 'mine');
    if (stands) await tx.commit();
    else await assert.rejectsWithCode(tx.commit(), 'ERR_CONFLICT');
    assert.is('mine' in world.tree(), stands);
    await store.checkpoint();
    assert.equal([world.lockRows(), world.leftovers()], [[], []]);
  });
}

test('a range that a transaction reads shows its own entries in their places, and none outside', async () => {
  await using world = await engineWorld();
  const { store } = world;
  const theirs = store.collection('c');
  for (const key of ['b', 'd', 'f', 'h']) await theirs.put(key, 'theirs');
  const tx = await store.begin();
  for (const key of ['a', 'c', 'g', 'z']) tx.put('c', key, 'mine');
  tx.delete('c', 'd');
  const keys = async (range: object): Promise<string> =>
    (await tx.range('c', range)).map(([key]) => key).join('');
  assert.is(await keys({}), 'abcfghz');
  assert.is(await keys({ start: 'b' }), 'bcfghz');
  assert.is(await keys({ end: 'g' }), 'abcf');
  assert.is(await keys({ start: 'c', end: 'h' }), 'cfg');
  assert.is(await keys({ start: 'c', limit: 2 }), 'cf');
  assert.is(await keys({ reverse: true, limit: 3 }), 'zhg');
  await tx.abort();
});

test('what is no plain value cannot be an entry', async () => {
  await using world = await engineWorld();
  const entries = world.store.collection('c');
  class Point {
    readonly x = 1;
  }
  for (const value of [new Map(), new Date(), new Point(), () => 1, Symbol('s'), [new Set()], 2n ** 64n]) {
    await assert.rejectsWithCode(entries.put('k', value), 'ERR_INVALID_ARGUMENT');
  }
  const bare: object = Object.assign(Object.create(null) as object, { a: [1, 'x', null, 5n] });
  await entries.put('k', bare);
  assert.equal(await entries.get('k'), { a: [1, 'x', null, 5n] });
});

test.run();
