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
  'history says of a removed directory that it holds more files than one transaction can bring back',
  async () => {
    await using world = await engineWorld({ history: {} });
    const { store, root } = world;
    for (const [count, undoable] of [
      [16_000, true],
      [18_000, false],
    ] as const) {
      mkdirSync(`${root}/d`);
      for (let n = 0; n < count; n += 1) writeFileSync(`${root}/d/${n}`, '');
      const { transaction } = await store.rm('d', { recursive: true });
      const { value: newest } = await store.history()[Symbol.asyncIterator]().next();
      assert.is(newest?.undoable, undoable);
      if (undoable) continue;
      assert.is(newest?.obstacle?.code, 'ERR_TOO_MANY');
      await assert.rejectsWithCode(store.undo(transaction), 'ERR_TOO_MANY');
      assert.not.ok(existsSync(`${root}/d`));
    }
  },
  { timeoutMs: 120_000 },
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
