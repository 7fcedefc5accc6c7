import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { assert, suite } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';
import { withStores } from './store-world.js';

const test = suite('transactions of many files');

test(
  'ten thousand files come and go in one transaction each',
  async () => {
    await withStores(
      {},
      async ({ store, root }) => {
        const count = 10_000;
        const files = Array.from({ length: count }, (_, n) => [`d${n % 100}/f${n}`, `${n}`] as const);
        const commit = await store.writeFiles(files);
        assert.is(commit.paths.length, count);
        assert.is(readFileSync(`${root}/d99/f9999`, 'utf8'), '9999');
        assert.is((await store.readdir('.', { recursive: true })).length, count + 100);
        await store.checkpoint();
        await store.transact((tx) => {
          for (const [path] of files) tx.rm(path);
        });
        assert.is((await store.readdir('.', { recursive: true })).length, 100);
        await store.transact((tx) => {
          for (let n = 0; n < 100; n += 1) tx.rm(`d${n}`);
        });
        assert.not.ok(existsSync(`${root}/d0`));
      },
      ['worker'],
    );
  },
  { timeoutMs: 120_000 },
);

test(
  'a removed directory comes back and goes again, however many files it holds',
  async () => {
    await using world = await engineWorld({ history: {} });
    const { store, root } = world;
    const count = 40_000;
    for (let n = 0; n < count; n += 1) {
      if (n % 1000 === 0) mkdirSync(`${root}/d/${n / 1000}`, { recursive: true });
      writeFileSync(`${root}/d/${Math.floor(n / 1000)}/${n}`, `${n}`);
    }
    let { transaction } = await store.rm('d', { recursive: true });
    for (let round = 0; round < 2; round += 1) {
      ({ transaction } = await store.undo(transaction));
      assert.is((await store.readdir('d', { recursive: true })).length, count + count / 1000);
      assert.is(readFileSync(`${root}/d/39/39999`, 'utf8'), '39999');
      const { value: newest } = await store.history()[Symbol.asyncIterator]().next();
      assert.is(newest?.undoable, true);
      ({ transaction } = await store.undo(transaction));
      assert.not.ok(existsSync(`${root}/d`));
    }
  },
  { timeoutMs: 240_000 },
);

test(
  'whatever fits into one transaction of a store with history can be undone, and that again',
  async () => {
    const files = (count: number, path: (n: number) => string): (readonly [string, string])[] =>
      Array.from({ length: count }, (_, n) => [path(n), `${n}`] as const);
    await using world = await engineWorld({ history: {} });
    const { store } = world;
    // A little more is too much for one transaction; without history missing parents would be free.
    for (const [count, path] of [
      [17_170, (n: number) => `f${n}`],
      [8580, (n: number) => `d${n}/f`],
    ] as const) {
      await assert.rejectsWithCode(store.writeFiles(files(count + 20, path)), 'ERR_TOO_MANY');
      let { transaction } = await store.writeFiles(files(count, path));
      for (const there of [false, true, false]) {
        ({ transaction } = await store.undo(transaction));
        assert.is(Object.keys(world.tree()).length, there ? count : 0);
      }
    }
    await using other = await engineWorld();
    await other.store.writeFiles(files(8600, (n) => `d${n}/f`));
  },
  { timeoutMs: 300_000 },
);

test('the content of 4,096 small files travels in the log, and of more does not', async () => {
  for (const [count, flushes] of [
    [4096, 0],
    [4097, 4097],
  ] as const) {
    await using world = await engineWorld({ inlineLimitBytes: 1000 });
    let flushed = 0;
    world.onCall = ({ method }) => {
      if (method === 'sync') flushed += 1;
    };
    await world.store.writeFiles(Array.from({ length: count }, (_, n) => [`${n}`, 'x']));
    assert.is(flushed, flushes);
  }
});

test(
  'more than a transaction can hold is refused as a whole',
  async () => {
    await withStores({}, async ({ store, tree, root, leftovers }) => {
      await store.writeFile('kept', '1');
      await store.checkpoint();
      const many = Array.from({ length: 25_000 }, (_, n) => [`f${n}`, ''] as const);
      await assert.rejectsWithCode(store.writeFiles(many), 'ERR_TOO_MANY');
      assert.equal(tree(), { kept: '1' });
      assert.equal(leftovers(), []);
      mkdirSync(`${root}/d`);
      await store.writeFile('kept', '2');
      assert.equal(tree(), { 'd/': '', kept: '2' });
    });
  },
  { timeoutMs: 120_000 },
);

test(
  'thousands of transactions are forgotten by one checkpoint',
  async () => {
    await withStores(
      { checkpointIntervalMs: 1e9 },
      async ({ store, leftovers }) => {
        const count = 9000;
        for (let start = 0; start < count; start += 900) {
          await Promise.all(Array.from({ length: 900 }, (_, n) => store.mkdir(`d${start + n}`)));
        }
        assert.is(store.stats().uncheckpointedTransactions, count);
        assert.is((await store.checkpoint()).transactions, count);
        assert.is(store.stats().uncheckpointedTransactions, 0);
        assert.equal(leftovers(), []);
      },
      ['inline'],
    );
  },
  { timeoutMs: 120_000 },
);

test.run();
