/** History of transactions that change entries only: they have a row from their commit on, and no file in it. */

import type { HistoryEntry } from '#src/history/history-entry.js';
import { historyTotals } from '#src/history/history-table.js';
import type { CommitOptions, LogBatch } from '#src/log/log.js';
import { MemoryLog } from '#src/log/memory-log.js';
import type { StoreOptions } from '#src/store/options.js';
import type { Store } from '#src/store/store.js';
import { StoreError } from '#src/errors.js';
import { assert, suite } from '@forewrit/testkit';
import { type EngineWorld, engineWorld } from './engine-world.js';
import { committers, storeWorld } from './store-world.js';

const test = suite('history of entries');

async function all(store: Store, path?: string): Promise<HistoryEntry[]> {
  const found: HistoryEntry[] = [];
  for await (const entry of store.history(path)) found.push(entry);
  return found;
}

/** Waits for what comes about by itself. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn += 1) {
    if (isSo()) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  throw new Error(`it did not come about: ${what}`);
}

for (const committer of committers) {
  test(`a transaction over entries alone is undone as a whole, and that, too (${committer})`, async () => {
    await using w = await storeWorld({ history: {}, committer });
    const numbers = w.store.collection<number>('numbers');
    const values = async (): Promise<unknown> => Object.fromEntries(await numbers.range());
    await numbers.put('one', 1);
    await numbers.put('two', 2);
    const tx = await w.store.begin();
    tx.put('numbers', 'one', 10);
    tx.put('numbers', 'one', 11);
    tx.delete('numbers', 'two');
    tx.put('numbers', 'three', 3);
    const { transaction } = await tx.commit();
    const [entry] = await all(w.store);
    assert.equal(
      [entry?.transaction, entry?.paths, entry?.entries, entry?.keptBytes, entry?.undoable],
      [
        transaction,
        [],
        [
          { collection: 'numbers', key: 'one', did: 'put' },
          { collection: 'numbers', key: 'two', did: 'deleted' },
          { collection: 'numbers', key: 'three', did: 'put' },
        ],
        0,
        true,
      ],
    );
    const undone = await w.store.undo(transaction);
    assert.equal(await values(), { one: 1, two: 2 });
    await w.store.undo(undone.transaction);
    assert.equal(await values(), { one: 11, three: 3 });
  });
}

test('one by one they are undone, back to the beginning', async () => {
  await using w = await storeWorld({ history: {} });
  const notes = w.store.collection<{ text: string; at: number } | null>('notes');
  const done = [
    await notes.put('a', { text: 'one', at: 0.5 }),
    await notes.put('a', null),
    await notes.delete('a'),
    await notes.delete('a'),
    await notes.put('b', { text: 'two', at: -1 }),
  ];
  const values = [undefined, { text: 'one', at: 0.5 }, null, undefined, undefined];
  for (const { transaction } of done.toReversed()) {
    await w.store.undo(transaction);
    assert.equal(await notes.get('a'), values.pop());
  }
  assert.equal(await notes.range(), []);
});

test('an entry that has changed since is not taken back, and nothing else is', async () => {
  await using w = await storeWorld({ history: {} });
  const numbers = w.store.collection<number>('numbers');
  await numbers.put('one', 1);
  const made = await w.store.transact(async (tx) => {
    tx.put('numbers', 'one', 11);
    tx.put('numbers', 'two', 2);
    await Promise.resolve();
    return tx.id;
  });
  const changes = [() => numbers.put('two', 22), () => numbers.delete('two'), () => numbers.put('one', 1)];
  for (const change of changes) {
    const { transaction } = await change();
    const before = await numbers.range();
    const error = await assert.rejectsWithCode(w.store.undo(made), 'ERR_CONFLICT');
    assert.match((error as StoreError).path ?? '', /^numbers\//);
    assert.equal(await numbers.range(), before, 'nothing was changed');
    assert.is((await all(w.store)).find((each) => each.transaction === made)?.undoable, false);
    await w.store.undo(transaction);
    assert.is(
      (await all(w.store)).find((each) => each.transaction === made)?.undoable,
      true,
      'as it was left',
    );
  }
  await w.store.undo(made);
  assert.equal(await numbers.range(), [['one', 1]]);
});

test('what changes while an undo is under way is a conflict', async () => {
  await using w = await engineWorld({ history: {} });
  const numbers = w.store.collection<number>('numbers');
  const { transaction } = await numbers.put('one', 1);
  const undo = w.store.undo(transaction);
  const theirs = numbers.put('one', 2);
  const [undone] = await Promise.allSettled([undo, theirs]);
  const now = await numbers.get('one');
  // Whichever came first: never is the newer value lost to an undo of the older.
  assert.equal(now, 2);
  if (undone.status === 'rejected') assert.ok((undone.reason as StoreError).code === 'ERR_CONFLICT');
});

test('history of a path has nothing of entries', async () => {
  await using w = await storeWorld({ history: {} });
  await w.store.collection('numbers').put('one', 1);
  const { transaction } = await w.store.writeFile('a', 'a');
  for (const path of ['a', '.']) {
    assert.equal(
      (await all(w.store, path)).map((entry) => entry.transaction),
      [transaction],
    );
  }
});

test('what is left out of history leaves no trace there, and cannot be undone', async () => {
  await using w = await storeWorld({ history: {}, checkpointIntervalMs: 1e9 });
  const { store } = w;
  const left = store.collection<number>('notes', { history: false });
  const ids = [
    await left.put('one', 1),
    await left.delete('one'),
    await store.writeFile('a', 'one', { history: false }),
    await store.rm('a', { history: false }),
  ].map(({ transaction }) => transaction);
  ids.push(
    await store.transact(
      (tx) => {
        tx.put('notes', 'two', 2);
        tx.mkdir('d');
        return tx.id;
      },
      { history: false },
    ),
  );
  assert.equal(await all(store), []);
  await store.checkpoint();
  assert.equal(w.leftovers(), []);
  for (const id of ids) await assert.rejectsWithCode(store.undo(id), 'ERR_NOT_FOUND');
  await store.collection<number>('notes').put('two', 3);
  await store.writeFile('a', 'two', { history: true });
  assert.is((await all(store)).length, 2);
});

test('a file that was replaced out of history stands in the way of an older undo', async () => {
  await using w = await storeWorld({ history: {} });
  await w.store.writeFile('a', 'one');
  const { transaction } = await w.store.writeFile('a', 'two');
  await w.store.writeFile('a', 'three', { history: false });
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_CONFLICT');
  assert.is(w.text('a'), 'three');
});

test('without history entries leave no row', async () => {
  await using w = await engineWorld();
  const { transaction } = await w.store.collection('numbers').put('one', 1);
  await w.store.collection('numbers', { history: true }).put('one', 2);
  assert.is(w.rows('history'), 0);
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_NOT_FOUND');
});

test('history must be true or false', async () => {
  await using w = await storeWorld({ history: {} });
  const options = { history: {} } as unknown as { history: boolean };
  await assert.rejectsWithCode(w.store.begin(options), 'ERR_INVALID_ARGUMENT');
  await assert.rejectsWithCode(w.store.collection('numbers', options).put('one', 1), 'ERR_INVALID_ARGUMENT');
});

test('a note beside files that is gone again does not keep these from coming back', async () => {
  await using w = await storeWorld({ history: {} });
  const notes = w.store.collection<string>('notes', { history: false });
  await w.store.writeFile('a', 'one');
  const save = async (text: string): Promise<string> =>
    await w.store.transact(async (tx) => {
      await tx.writeFile('a', text);
      tx.put('notes', 'done', text);
      return tx.id;
    });
  const first = await save('two');
  await notes.delete('done');
  await w.store.undo(first);
  assert.equal([w.text('a'), await notes.get('done')], ['one', undefined]);
  const second = await save('three');
  await notes.put('done', 'other');
  await assert.rejectsWithCode(w.store.undo(second), 'ERR_CONFLICT');
});

// Retention.

const retained = async (options: StoreOptions): Promise<EngineWorld> =>
  await engineWorld({ history: { maxBytes: 0 }, ...options });

test('a store that writes nothing but entries shortens its history by itself, and then rests', async () => {
  await using w = await retained({ checkpointIntervalMs: 1 });
  for (let index = 0; index < 5; index += 1) await w.store.collection('numbers').put('one', index);
  await until('history is empty', () => w.rows('history') === 0);
  // Of what was put while a checkpoint was under way there may be one more.
  let before: number;
  do {
    before = w.store.stats().checkpoints;
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    assert.ok(w.store.stats().checkpoints <= 10, 'it goes on although there is nothing left to do');
  } while (w.store.stats().checkpoints > before);
  assert.ok(before > 0);
});

test('many bytes of rows do not wait for the time', async () => {
  await using w = await retained({});
  const large = 'x'.repeat(700_000);
  for (let index = 0; index < 3; index += 1) await w.store.collection('texts').put('one', `${large}${index}`);
  assert.ok(w.rows('history') > 0, 'what was replaced is 1.4 MB so far');
  await w.store.collection('texts').put('one', '');
  await until('history is empty', () => w.rows('history') === 0);
});

test('close shortens history', async () => {
  await using w = await retained({});
  await w.store.collection('numbers').put('one', 1);
  assert.is(w.rows('history'), 1);
  await w.store.close();
  assert.is(w.rows('history'), 0);
});

test('rows alone count against maxBytes, and the oldest go first', async () => {
  await using w = await engineWorld({ history: { maxBytes: 10_000 } });
  const texts = w.store.collection<string>('texts');
  for (let index = 0; index < 30; index += 1) {
    await texts.put('one', String(index).padEnd(1000));
    await w.store.checkpoint();
    const { keptBytes, rowBytes } = new MemoryLog(w.state).view(historyTotals);
    assert.is(keptBytes, 0);
    assert.ok(rowBytes <= 10_000, `${rowBytes} bytes`);
  }
  const revisions = (await all(w.store)).map(({ revision }) => revision);
  assert.ok(revisions.length > 5);
  assert.equal(
    revisions,
    revisions.map((_, index) => 30 - index),
  );
});

test('after a checkpoint nothing is older than maxAgeMs', async () => {
  let now = 1e12;
  const clock = { nowMs: () => now, monotonicMs: () => performance.now() };
  await using w = await engineWorld({ history: { maxAgeMs: 1000 }, clock });
  await w.store.collection('numbers').put('one', 1);
  now += 900;
  await w.store.collection('numbers').put('one', 2);
  now += 200;
  assert.equal(
    (await all(w.store)).map(({ revision }) => revision),
    [2],
  );
});

// Room.

/** As a log whose last free bytes a row of history would take. */
class TightLog extends MemoryLog {
  full: StoreError['code'] | undefined;

  override commit<T>(build: (batch: LogBatch) => T, options?: CommitOptions): T {
    return super.commit((batch) => {
      let keeps = false;
      const watched: LogBatch = {
        get: (...at) => batch.get(...at),
        range: (...at) => batch.range(...at),
        delete: (...at) => batch.delete(...at),
        put: (table, ...row) => {
          keeps ||= table === 'history';
          batch.put(table, ...row);
        },
      };
      const result = build(watched);
      if (keeps && this.full !== undefined) throw new StoreError(this.full, 'full', { op: 'commit' });
      return result;
    }, options);
  }
}

for (const code of ['ERR_LOG_FULL', 'ERR_NO_SPACE', 'ERR_TOO_LARGE', 'ERR_TOO_MANY'] as const) {
  test(`where the log has no room for history, entries are committed without (${code})`, async () => {
    const log = new TightLog();
    await using w = await engineWorld({ history: {}, log });
    const numbers = w.store.collection<number>('numbers');
    await numbers.put('one', 1);
    log.full = code;
    const [{ transaction }, other] = await Promise.all([numbers.put('one', 2), numbers.put('two', 2)]);
    log.full = undefined;
    assert.equal([await numbers.get('one'), await numbers.get('two')], [2, 2]);
    for (const id of [transaction, other.transaction])
      await assert.rejectsWithCode(w.store.undo(id), 'ERR_NOT_FOUND');
    const warnings = w.logged.filter(({ level }) => level === 'warn').map(({ message }) => message);
    assert.ok(warnings.includes('there is no room to keep what entries were before'));
    const next = await numbers.put('one', 3);
    await w.store.undo(next.transaction);
    assert.is(await numbers.get('one'), 2);
  });
}

test('of a group that is too much for one batch each keeps its history', async () => {
  await using w = await engineWorld({ history: {} });
  const texts = w.store.collection<Uint8Array>('texts');
  const keys = Array.from({ length: 12 }, (_, index) => `${index}`);
  for (const key of keys) await texts.put(key, new Uint8Array(4 << 20));
  // 132 MiB with what they replace.
  const commits = await Promise.all(keys.map((key) => texts.put(key, new Uint8Array(7 << 20))));
  const found = new Set((await all(w.store)).map(({ transaction }) => transaction));
  for (const { transaction } of commits) assert.ok(found.has(transaction), 'it is in history');
});

test('a row that is too large for the log is left out, and the entries are committed', async () => {
  await using w = await engineWorld({ history: {} });
  const texts = w.store.collection<Uint8Array>('texts');
  await texts.put('one', new Uint8Array(12 << 20));
  await texts.put('two', new Uint8Array(12 << 20));
  const id = await w.store.transact((tx) => {
    tx.delete('texts', 'one');
    tx.delete('texts', 'two');
    return tx.id;
  });
  assert.equal(await texts.range(), []);
  await assert.rejectsWithCode(w.store.undo(id), 'ERR_NOT_FOUND');
});

test.run();
