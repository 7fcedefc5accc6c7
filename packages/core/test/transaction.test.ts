import { mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Store } from '#src/store/store.js';
import type { Transaction } from '#src/store/transaction.js';
import { assert, suite } from '@forewrit/testkit';
import { withStores } from './store-world.js';

const test = suite('transactions');

test('a transaction sees its own writes before anybody else does', async () => {
  await withStores({}, async ({ store, tree }) => {
    await store.writeFiles({ a: '1', 'd/b': '2', 'd/c': '3' });
    const tx = await store.begin();
    void tx.writeFile('a', 'new');
    void tx.appendFile('d/b', '+');
    tx.rm('d/c');
    tx.mkdir('e');
    await tx.writeFile('large', 'x'.repeat(2_000_000));
    await tx.writeFile('stream', Readable.from(['s', 't']));
    tx.rename('d', 'f');
    assert.is(await tx.readFile('a', 'utf8'), 'new');
    assert.is(await tx.readFile('f/b', 'utf8'), '2+');
    assert.is((await tx.readFile('large')).length, 2_000_000);
    assert.is(await tx.readFile('stream', 'utf8'), 'st');
    assert.equal(await tx.readdir('.'), ['a', 'e', 'f', 'large', 'stream']);
    assert.equal(await tx.readdir('f'), ['b']);
    assert.equal(
      [...(await tx.readFiles(['a', 'f/b'], 'utf8'))],
      [
        ['a', 'new'],
        ['f/b', '2+'],
      ],
    );
    assert.equal(await Promise.all(['a', 'd', 'd/b', 'f/c', 'e', 'f'].map((path) => tx.exists(path))), [
      true,
      false,
      false,
      false,
      true,
      true,
    ]);
    assert.is((await tx.stat('f/b')).size, 2);
    await assert.rejectsWithCode(tx.readFile('d/b'), 'ERR_NOT_FOUND');
    await assert.rejectsWithCode(tx.readFile('e'), 'ERR_IS_DIRECTORY');
    await assert.rejectsWithCode(tx.readdir('a'), 'ERR_NOT_DIRECTORY');
    await assert.rejectsWithCode(tx.readdir('d'), 'ERR_NOT_FOUND');
    assert.equal(tree(), { a: '1', 'd/b': '2', 'd/c': '3' });
    assert.is(await store.readFile('a', 'utf8'), '1');
    const commit = await tx.commit();
    assert.is(commit.transaction, tx.id);
    assert.equal(Object.keys(tree()), ['a', 'e/', 'f/b', 'large', 'stream']);
  });
});

test('going back to a savepoint forgets the writes since, whatever they were', async () => {
  await withStores({}, async ({ store, tree, leftovers }) => {
    await store.writeFiles({ a: '1', b: '2' });
    await store.checkpoint();
    await store.transact(async (tx) => {
      void tx.writeFile('a', 'kept');
      const first = tx.savepoint();
      tx.rm('b');
      tx.put('notes', 'n', 1);
      const second = tx.savepoint();
      await tx.writeFile('large', 'x'.repeat(2_000_000));
      void tx.writeFile('c', '3');
      second.rollback();
      assert.equal(await tx.readdir('.'), ['a']);
      await tx.writeFile('other', 'y'.repeat(2_000_000));
      first.rollback();
      second.rollback();
      assert.equal(await tx.readdir('.'), ['a', 'b']);
      assert.is(await tx.get('notes', 'n'), undefined);
      void tx.writeFile('d', '4');
    });
    assert.equal(tree(), { a: 'kept', b: '2', d: '4' });
    await store.checkpoint();
    assert.equal(leftovers(), [], 'what was staged for nothing is gone');
  });
});

test('what a transaction reads between its writes is always as they have left it', async () => {
  await withStores({}, async ({ store, tree, root }) => {
    await store.writeFiles({ 'd/a': '1', 'd/b': '1', 'o/a': '1' });
    await store.transact(async (tx) => {
      const streaming = tx.writeFile('d/stream', Readable.from(['s', 't']));
      void tx.writeFile('d/c', '1');
      const savepoint = tx.savepoint();
      assert.equal(await tx.readdir('d'), ['a', 'b', 'c', 'stream']);
      await streaming;
      tx.rename('d', 'e');
      tx.rm('e/a');
      assert.equal(await tx.readdir('.'), ['e', 'o']);
      void tx.appendFile('e/c', '2');
      assert.is(await tx.readFile('e/c', 'utf8'), '12');
      assert.is(await tx.exists('e/a'), false);
      savepoint.rollback();
      assert.is(await tx.readFile('d/c', 'utf8'), '1');
      void tx.writeFile('d/f', '1');
      assert.equal(await tx.readdir('d'), ['a', 'b', 'c', 'f', 'stream']);
      writeFileSync(`${root}/o/found`, '1');
      assert.is(await tx.exists('o/found'), true, 'the disk is looked at each time');
      tx.rm('o/found');
      await assert.rejectsWithCode(tx.readFile('o/found'), 'ERR_NOT_FOUND');
    });
    assert.equal(tree(), {
      'd/a': '1',
      'd/b': '1',
      'd/c': '1',
      'd/f': '1',
      'd/stream': 'st',
      'o/a': '1',
    });
  });
});

test('a stream that ends after its write was rolled back, well or badly, changes nothing', async () => {
  await withStores({}, async ({ store, tree, leftovers }) => {
    for (const ending of ['well', 'badly']) {
      async function* slow(): AsyncGenerator<string> {
        yield 'x'.repeat(300_000);
        await delay(20);
        if (ending === 'badly') throw new Error('the source broke');
        yield 'end';
      }
      const tx = await store.begin();
      const savepoint = tx.savepoint();
      const writing = Promise.resolve(tx.writeFile('gone', slow())).catch(() => undefined);
      savepoint.rollback();
      void tx.writeFile('a', ending);
      await writing;
      await tx.commit();
      assert.equal(tree(), { a: ending });
    }
    await store.checkpoint();
    assert.equal(leftovers(), []);
  });
});

test('disposing of a transaction without a commit aborts it', async () => {
  await withStores({}, async ({ store, tree, leftovers }) => {
    {
      await using tx = await store.begin();
      await tx.writeFile('a', 'x'.repeat(2_000_000));
      assert.is(tx.state, 'active');
      assert.is(store.stats().activeTransactions, 1);
    }
    const tx = await store.begin();
    void tx.writeFile('a', '1');
    await tx.abort();
    await tx.abort();
    assert.is(tx.state, 'aborted');
    assert.throwsWithCode(() => tx.writeFile('a', '1'), 'ERR_INVALID_ARGUMENT');
    await assert.rejectsWithCode(tx.commit(), 'ERR_INVALID_ARGUMENT');
    const done = await store.begin();
    void done.writeFile('b', '1');
    await done.commit();
    assert.is(done.state, 'applied');
    await done.abort();
    assert.is(done.state, 'applied');
    await assert.rejectsWithCode(done.commit(), 'ERR_INVALID_ARGUMENT');
    assert.equal(tree(), { b: '1' });
    await store.checkpoint();
    assert.equal(leftovers(), []);
    assert.is(store.stats().activeTransactions, 0);
  });
});

test('transact returns what its function does, and aborts when that throws', async () => {
  await withStores({}, async ({ store, tree }) => {
    assert.is(
      await store.transact((tx) => {
        void tx.writeFile('a', '1');
        return 42;
      }),
      42,
    );
    const failure = new Error('no');
    const caught = await store
      .transact((tx) => {
        void tx.writeFile('a', '2');
        throw failure;
      })
      .catch((error: unknown) => error);
    assert.is(caught, failure);
    assert.is(
      await store.transact(async (tx) => {
        void tx.writeFile('a', '3');
        await tx.abort();
        return 'given up';
      }),
      'given up',
    );
    assert.equal(tree(), { a: '1' });
  });
});

/** What a transaction has read, and what happens before it commits. */
const reads: readonly {
  readonly name: string;
  readonly read: (tx: Transaction) => Promise<unknown>;
  readonly change: (store: Store, root: string) => unknown;
  readonly conflict: boolean;
}[] = [
  {
    name: 'a file that another transaction writes',
    read: (tx) => tx.readFile('a'),
    change: (store) => store.writeFile('a', 'other'),
    conflict: true,
  },
  {
    name: 'a file that another transaction writes as it was',
    read: (tx) => tx.readFile('a'),
    change: (store) => store.writeFile('a', '1'),
    conflict: true,
  },
  {
    name: 'a file that another transaction removes',
    read: (tx) => tx.readFile('a'),
    change: (store) => store.rm('a'),
    conflict: true,
  },
  {
    name: 'a file that somebody edits',
    read: (tx) => tx.readFile('a'),
    change: (_, root) => writeFileSync(`${root}/a`, 'edit'),
    conflict: true,
  },
  {
    name: 'a file that somebody edits to the same length',
    read: (tx) => tx.readFile('a'),
    change: (_, root) => writeFileSync(`${root}/a`, '2'),
    conflict: true,
  },
  {
    name: 'a file that somebody replaces',
    read: (tx) => tx.readFile('a'),
    change: (_, root) => {
      writeFileSync(`${root}/n`, '2');
      renameSync(`${root}/n`, `${root}/a`);
    },
    conflict: true,
  },
  {
    name: 'a file that somebody removes',
    read: (tx) => tx.readFile('a'),
    change: (_, root) => rmSync(`${root}/a`),
    conflict: true,
  },
  {
    name: 'a file that somebody touches',
    read: (tx) => tx.readFile('a'),
    change: (_, root) => utimesSync(`${root}/a`, 1, 1),
    conflict: false,
  },
  {
    name: 'a file that the store did not write and somebody edits',
    read: (tx) => tx.readFile('foreign'),
    change: (_, root) => writeFileSync(`${root}/foreign`, 'edit'),
    conflict: true,
  },
  {
    name: 'a file in a directory that is moved',
    read: (tx) => tx.readFile('d/b'),
    change: (store) => store.rename('d', 'e'),
    conflict: true,
  },
  {
    name: 'a file of a set',
    read: (tx) => tx.readFiles(['a', 'd/b']),
    change: (store) => store.writeFile('d/b', 'other'),
    conflict: true,
  },
  {
    name: 'that a file exists, and it is removed',
    read: (tx) => tx.exists('a'),
    change: (store) => store.rm('a'),
    conflict: true,
  },
  {
    name: 'that a file does not exist, and it is made',
    read: (tx) => tx.exists('new'),
    change: (store) => store.writeFile('new', '1'),
    conflict: true,
  },
  {
    name: 'that a file does not exist, and somebody makes it',
    read: (tx) => tx.exists('new'),
    change: (_, root) => writeFileSync(`${root}/new`, '1'),
    conflict: true,
  },
  {
    name: 'that a directory exists, and it is removed',
    read: (tx) => tx.exists('d'),
    change: (store) => store.rm('d', { recursive: true }),
    conflict: true,
  },
  {
    name: 'that a directory exists, and its files change',
    read: (tx) => tx.exists('d'),
    change: (store) => store.writeFile('d/new', '1'),
    conflict: false,
  },
  {
    name: 'the status of a file that is written',
    read: (tx) => tx.stat('a'),
    change: (store) => store.writeFile('a', '1'),
    conflict: true,
  },
  {
    name: 'a listing, and a file is added',
    read: (tx) => tx.readdir('d'),
    change: (store) => store.writeFile('d/new', '1'),
    conflict: true,
  },
  {
    name: 'a listing, and a file goes',
    read: (tx) => tx.readdir('d'),
    change: (store) => store.rm('d/b'),
    conflict: true,
  },
  {
    name: 'a listing, and somebody adds a file',
    read: (tx) => tx.readdir('d'),
    change: (_, root) => mkdirSync(`${root}/d/new`),
    conflict: true,
  },
  {
    name: 'a listing, and a file in it changes',
    read: (tx) => tx.readdir('d'),
    change: (store) => store.writeFile('d/b', 'other'),
    conflict: false,
  },
  {
    name: 'that there is nothing below a parent which its own write makes, and there is',
    read: async (tx) => {
      await tx.writeFile('parent/a', '1');
      assert.is(await tx.exists('parent/b'), false);
    },
    change: (store) => store.writeFile('parent/b', '2'),
    conflict: true,
  },
  {
    name: 'a listing of a parent which its own write makes, and a file is added',
    read: async (tx) => {
      await tx.writeFile('parent/a', '1');
      assert.equal(await tx.readdir('parent'), ['a']);
    },
    change: (store) => store.writeFile('parent/b', '2'),
    conflict: true,
  },
  {
    name: 'an entry that changes',
    read: (tx) => tx.get('notes', 'a'),
    change: (store) => store.collection('notes').put('a', 2),
    conflict: true,
  },
  {
    name: 'an entry that is made',
    read: (tx) => tx.get('notes', 'new'),
    change: (store) => store.collection('notes').put('new', 2),
    conflict: true,
  },
  {
    name: 'an entry beside one that changes',
    read: (tx) => tx.get('notes', 'a'),
    change: (store) => store.collection('notes').put('b', 2),
    conflict: false,
  },
  {
    name: 'a range that gets an entry',
    read: (tx) => tx.range('notes'),
    change: (store) => store.collection('notes').put('b', 2),
    conflict: true,
  },
  {
    name: 'a range beside which an entry changes',
    read: (tx) => tx.range('notes', { end: 'b' }),
    change: (store) => store.collection('notes').put('b', 2),
    conflict: false,
  },
  {
    name: 'a file beside one that changes',
    read: (tx) => tx.readFile('a'),
    change: (store) => store.writeFile('d/b', 'other'),
    conflict: false,
  },
  {
    name: 'nothing, and writes blindly over an edit',
    read: () => Promise.resolve(),
    change: (_, root) => writeFileSync(`${root}/out`, 'edit'),
    conflict: false,
  },
];

for (const { name, read, change, conflict } of reads) {
  test(`having read ${name}, a commit ${conflict ? 'is a conflict' : 'goes through'}`, async () => {
    await withStores({}, async ({ store, root, text, leftovers }) => {
      await store.writeFiles({ a: '1', 'd/b': '2', out: 'old' });
      await store.collection('notes').put('a', 1);
      writeFileSync(`${root}/foreign`, 'foreign');
      const tx = await store.begin();
      await read(tx);
      void tx.writeFile('out', 'new');
      await change(store, root);
      if (conflict) {
        await assert.rejectsWithCode(tx.commit(), 'ERR_CONFLICT');
        assert.is(tx.state, 'aborted');
        assert.is(store.stats().conflicts, 1);
      } else await tx.commit();
      assert.is(text('out'), conflict ? 'old' : 'new');
      await store.checkpoint();
      assert.equal(leftovers(), []);

      // transact() tries again by itself.
      let runs = 0;
      for (const path of ['new', 'e', 'd']) rmSync(`${root}/${path}`, { recursive: true, force: true });
      await store.writeFiles({ a: '1', 'd/b': '2', out: 'old' });
      await store.transact(async (again) => {
        runs += 1;
        await read(again).catch(() => undefined);
        void again.writeFile('out', `run ${runs}`);
        if (runs === 1) await change(store, root);
      });
      assert.is(text('out'), `run ${runs}`);
    });
  });
}

test('transactions that commit together see each other', async () => {
  await withStores({}, async ({ store, text }) => {
    await store.writeFile('counter', '0');
    await store.mkdir('d');
    const add = (): Promise<void> =>
      store.transact(
        async (tx) => {
          void tx.writeFile('counter', String(Number(await tx.readFile('counter', 'utf8')) + 1));
        },
        { retries: 1000 },
      );
    await Promise.all(Array.from({ length: 40 }, add));
    assert.is(text('counter'), '40');
    // A listing is no less binding than a file: no two find the same names.
    const take = (): Promise<void> =>
      store.transact(
        async (tx) => {
          void tx.writeFile(`d/${(await tx.readdir('d')).length}`, 'x');
        },
        { retries: 1000 },
      );
    await Promise.all(Array.from({ length: 20 }, take));
    assert.is((await store.readdir('d')).length, 20);
    const note = (): Promise<void> =>
      store.transact(
        async (tx) => {
          tx.put('n', String((await tx.range('n')).length), 1);
        },
        { retries: 1000 },
      );
    await Promise.all(Array.from({ length: 20 }, note));
    assert.is((await store.collection('n').range()).length, 20);
  });
});

test('writes to one file take effect in the order in which they were asked for', async () => {
  await withStores({}, async ({ store, text }) => {
    const writes: Promise<unknown>[] = [];
    for (let n = 0; n < 300; n += 1) {
      writes.push(store.writeFile('a', `${n}`));
      if (n % 3 === 0) writes.push(store.writeFiles({ a: `${n}!`, b: `${n}` }));
      if (n % 5 === 0) writes.push(store.writeFile('b', `${n}`));
    }
    await Promise.all(writes);
    assert.is(text('a'), '299');
    assert.is(text('b'), '297');
  });
});

test('a conflict that does not go away comes back after so many retries', async () => {
  await withStores({}, async ({ store }) => {
    let runs = 0;
    const hopeless = store.transact(
      async (tx) => {
        runs += 1;
        await tx.exists('a');
        await store.writeFile('a', String(runs));
        void tx.writeFile('b', '1');
      },
      { retries: 3 },
    );
    await assert.rejectsWithCode(hopeless, 'ERR_CONFLICT');
    assert.is(runs, 4);
  });
});

test('a signal ends a transaction before, during and after its writes, but not once it is committed', async () => {
  await withStores({}, async ({ store, tree, leftovers }) => {
    const reason = new Error('enough');
    const before = AbortSignal.abort(reason);
    for (const attempt of [
      () => store.begin({ signal: before }),
      () => store.transact(() => undefined, { signal: before }),
      () => store.writeFile('a', '1', { signal: before }),
      () => store.writeFiles({ a: '1' }, { signal: before }),
      () => store.rm('a', { signal: before }),
    ]) {
      const error = await assert.rejectsWithCode(attempt, 'ERR_ABORTED');
      assert.is(error.name, 'AbortError');
      assert.is(error.cause, reason);
    }

    const during = new AbortController();
    async function* endless(): AsyncGenerator<string> {
      for (let n = 0; ; n += 1) {
        if (n === 5) during.abort(reason);
        await Promise.resolve();
        yield 'x'.repeat(100_000);
      }
    }
    const stopped = await assert.rejectsWithCode(
      store.writeFile('a', endless(), { signal: during.signal }),
      'ERR_ABORTED',
    );
    assert.is(stopped.cause, reason);

    const late = new AbortController();
    const tx = await store.begin({ signal: late.signal });
    void tx.writeFile('a', '1');
    late.abort(reason);
    assert.is((await assert.rejectsWithCode(tx.commit(), 'ERR_ABORTED')).cause, reason);
    assert.is(tx.state, 'aborted');

    const after = new AbortController();
    await store.writeFile('b', '1', { signal: after.signal });
    after.abort(reason);
    assert.equal(tree(), { b: '1' });
    await store.checkpoint();
    assert.equal(leftovers(), []);
    assert.is(store.stats().activeTransactions, 0);
  });
});

test('entries live beside the files, in and out of transactions', async () => {
  await withStores({}, async ({ store, open, tree }) => {
    const notes = store.collection('notes');
    const values = {
      text: 'grüße',
      list: [1, 2n ** 60n, null, true],
      bytes: Uint8Array.of(1, 2),
      nested: { a: { b: -1.5 } },
    };
    for (const [key, value] of Object.entries(values)) await notes.put(key, value);
    for (const [key, value] of Object.entries(values)) assert.equal(await notes.get(key), value);
    assert.is(await notes.get('nothing'), undefined);
    assert.equal(
      (await notes.range()).map(([key]) => key),
      ['bytes', 'list', 'nested', 'text'],
    );
    assert.equal(
      (await notes.range({ start: 'c', end: 'text' })).map(([key]) => key),
      ['list', 'nested'],
    );
    assert.equal(
      (await notes.range({ reverse: true, limit: 2 })).map(([key]) => key),
      ['text', 'nested'],
    );
    assert.equal(await store.collection('other').range(), []);
    await store.collection('notes2').put('x', 1);
    await notes.delete('list');
    await notes.delete('list');
    assert.is((await notes.range()).length, 3);

    await store.transact(async (tx) => {
      tx.put('notes', 'a', 1);
      tx.delete('notes', 'text');
      void tx.writeFile('file', 'with entries');
      assert.is(await tx.get('notes', 'a'), 1);
      assert.is(await tx.get('notes', 'text'), undefined);
      assert.equal(
        (await tx.range('notes')).map(([key]) => key),
        ['a', 'bytes', 'nested'],
      );
      assert.equal(
        (await tx.range('notes', { limit: 1, reverse: true })).map(([key]) => key),
        ['nested'],
      );
      assert.equal(
        (await notes.range()).map(([key]) => key),
        ['bytes', 'nested', 'text'],
        'nobody else sees it yet',
      );
    });
    const again = await open();
    assert.is(await again.collection('notes').get('a'), 1);
    assert.is(await again.collection('notes').get('text'), undefined);
    await assert.rejectsWithCode(
      store.transact((tx) => {
        tx.put('notes', 'a', 2);
        tx.rm('nothing');
      }),
      'ERR_NOT_FOUND',
    );
    assert.is(await notes.get('a'), 1);
    assert.equal(tree(), { file: 'with entries' });
  });
});

test('relaxed commits come back sooner, and every read through the store waits for them', async () => {
  await withStores({ durability: 'relaxed' }, async ({ store, tree, text, root }) => {
    let last = 0;
    for (let n = 1; n <= 20; n += 1) {
      const commit = await store.writeFile('a', `${n}`);
      assert.ok(commit.revision > last);
      assert.is(commit.bytes, `${n}`.length);
      last = commit.revision;
    }
    assert.is(await store.readFile('a', 'utf8'), '20');
    await store.writeFile('b/c', '1');
    assert.is(await store.exists('b/c'), true);
    await store.writeFile('b/d', '1');
    assert.equal(await store.readdir('b'), ['c', 'd']);
    await store.collection('n').put('k', 1);
    assert.is(await store.collection('n').get('k'), 1);
    await store.writeFile('a', '21');
    await store.transact(async (tx) => {
      assert.is(await tx.readFile('a', 'utf8'), '21');
      void tx.writeFile('a', '22');
    });
    const tx = await store.begin({ durability: 'full' });
    void tx.writeFile('f', '1');
    await tx.commit();
    assert.is(text('f'), '1');
    await store.writeFile('g', 'x'.repeat(2_000_000));
    await assert.rejectsWithCode(store.writeFile('a', '1', { ifRevision: 1 }), 'ERR_CONFLICT');
    await store.close();
    assert.is(tree()['a'], '22');
    assert.is(statSync(`${root}/g`).size, 2_000_000);
  });
});

test('reading a set while it is being saved never gives a mixed one', async () => {
  await withStores({}, async ({ store, open }) => {
    const names = ['a', 'b', 'c', 'd'];
    const save = (version: number, size: number): Promise<unknown> =>
      store.writeFiles(Object.fromEntries(names.map((name) => [name, `${version} ${'.'.repeat(size)}`])));
    await save(0, 10);
    const reader = await open({ committer: 'inline' });
    let saving = true;
    const writer = (async () => {
      for (let version = 1; version < 120; version += 1)
        await save(version, version % 10 === 0 ? 40_000 : 10);
      saving = false;
    })();
    let sets = 0;
    let newest = 0;
    while (saving) {
      for (const from of [store, reader]) {
        const set = await from.readFiles(names, 'utf8');
        const versions = new Set([...set.values()].map((text) => text.split(' ')[0]));
        assert.is(versions.size, 1, `mixed: ${[...versions].join(', ')}`);
        newest = Math.max(newest, Number([...versions][0]));
        sets += 1;
        const one = await from.snapshot(async (view) => {
          const first = await view.readFile('a', 'utf8');
          await delay(0);
          return [first.split(' ')[0], (await view.readFile('d', 'utf8')).split(' ')[0]];
        });
        assert.is(one[0], one[1]);
      }
    }
    await writer;
    assert.ok(sets > 10, `${sets} sets were read`);
    assert.ok(newest > 0);
  });
});

test('a snapshot belongs to one moment, or runs again', async () => {
  await withStores({}, async ({ store }) => {
    await store.writeFiles({ a: '1', b: '1', 'd/c': '1' });
    let runs = 0;
    const seen = await store.snapshot(async (view) => {
      runs += 1;
      const a = await view.readFile('a', 'utf8');
      if (runs === 1) await store.writeFiles({ a: '2', b: '2' });
      const b = await view.readFile('b', 'utf8');
      return [a, b, (await view.stat('a')).size, await view.exists('nothing'), await view.readdir('d')];
    });
    assert.equal(seen, ['2', '2', 1, false, ['c']]);
    assert.is(runs, 2);
    // Changes beside what was read do not matter.
    runs = 0;
    await store.snapshot(async (view) => {
      runs += 1;
      await view.exists('d');
      await view.readFile('a');
      await store.writeFiles({ 'd/x': 'x', b: '3' });
      await view.readFile('b', 'utf8');
      assert.equal([...(await view.readFiles(['a', 'b'], 'utf8')).values()], ['2', '3']);
    });
    assert.is(runs, 1);
    await assert.rejectsWithCode(
      store.snapshot((view) => view.readFile('nothing')),
      'ERR_NOT_FOUND',
    );
  });
});

test('what was edited by hand is read as it is, and has no revision', async () => {
  await withStores({}, async ({ store, root }) => {
    const { revision } = await store.writeFile('a', '1');
    assert.is((await store.stat('a')).revision, revision);
    assert.match((await store.stat('a')).checksum!, /^[0-9a-f]{16}$/);
    writeFileSync(`${root}/a`, 'by hand');
    writeFileSync(`${root}/b`, 'by hand');
    for (const path of ['a', 'b']) {
      assert.is(await store.readFile(path, 'utf8'), 'by hand');
      const stat = await store.stat(path);
      assert.equal([stat.revision, stat.checksum, stat.type, stat.size], [undefined, undefined, 'file', 7]);
    }
    rmSync(`${root}/a`);
    assert.is(await store.exists('a'), false);
    await assert.rejectsWithCode(store.stat('a'), 'ERR_NOT_FOUND');
    await store.writeFile('a', '2');
    await store.writeFile('b', '2');
    assert.is(await store.exists('b/x'), false);
    assert.is(await store.transact((tx) => tx.exists('b/x')), false);
    assert.equal(readdirSync(root).sort(), ['.forewrit', 'a', 'b']);
  });
});

test.run();
