/** History and undo through the public surface, on a real disk. */

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { HistoryEntry } from '#src/history/history-entry.js';
import type { StoreOptions } from '#src/store/options.js';
import type { Store } from '#src/store/store.js';
import type { Transaction } from '#src/store/transaction.js';
import { assert, suite } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';
import { type StoreWorld, storeWorld } from './store-world.js';

const test = suite('history');

async function world(options: StoreOptions = {}): Promise<StoreWorld> {
  return await storeWorld({ history: {}, checkpointIntervalMs: 1e9, ...options });
}

async function all(store: Store, path?: string): Promise<HistoryEntry[]> {
  const found: HistoryEntry[] = [];
  for await (const entry of store.history(path)) found.push(entry);
  return found;
}

const kept = (root: string): string[] => readdirSync(`${root}/.forewrit/before`).sort();

test('a save that is undone gives back what was there', async () => {
  await using w = await world();
  await w.store.writeFiles({ a: 'one', 'd/b': 'uno' });
  const { transaction } = await w.store.writeFiles({ a: 'two', 'd/b': 'dos', c: 'new' });
  await w.store.undo(transaction);
  assert.equal(w.tree(), { a: 'one', 'd/b': 'uno' });
});

test('history shows the newest first, with what was done to each path', async () => {
  await using w = await world();
  await w.store.writeFile('a', 'one');
  await w.store.writeFile('a', 'three');
  await w.store.rename('a', 'd/b');
  await w.store.rm('d', { recursive: true });
  const found = await all(w.store);
  assert.equal(
    found.map(({ paths }) => paths),
    [
      [{ path: 'd', did: 'directory-removed', sizeBytesBefore: 5 }],
      [
        { path: 'd', did: 'directory-made' },
        { path: 'd/b', did: 'moved', from: 'a', sizeBytes: 5 },
      ],
      [{ path: 'a', did: 'written', sizeBytes: 5, sizeBytesBefore: 3 }],
      [{ path: 'a', did: 'created', sizeBytes: 3 }],
    ],
  );
  assert.equal(
    found.map(({ undoable }) => undoable),
    [true, false, false, false],
    'only the newest is as it was left',
  );
  assert.is(found[1]?.obstacle?.code, 'ERR_CONFLICT');
  assert.equal(
    (await all(w.store, 'd/b')).map(({ revision }) => revision),
    [found[0]!.revision, found[1]!.revision],
  );
});

test('transactions are undone one after the other, back to the beginning', async () => {
  await using w = await world();
  const states = [w.tree()];
  const done: string[] = [];
  const steps: ((store: Store) => Promise<{ transaction: string }>)[] = [
    (store) => store.writeFiles({ a: 'one', 'd/x': 'x', 'd/e/y': 'y' }),
    (store) => store.writeFile('a', 'two'),
    (store) => store.rename('d', 'f'),
    (store) => store.rename('a', 'f/x'),
    (store) => store.rm('f/e/y'),
    (store) => store.copyFile('f/x', 'copy'),
    (store) => store.rm('f', { recursive: true }),
    (store) => store.writeFile('copy', 'three', { backup: true }),
    (store) => store.mkdir('g'),
  ];
  for (const step of steps) {
    done.push((await step(w.store)).transaction);
    states.push(w.tree());
  }
  for (const transaction of done.toReversed()) {
    states.pop();
    await w.store.undo(transaction);
    assert.equal(w.tree(), states.at(-1), transaction);
  }
});

test('an undo is undone, and that again', async () => {
  await using w = await world();
  await w.store.writeFile('a', 'one');
  let last = await w.store.writeFile('a', 'two');
  for (const expected of ['one', 'two', 'one', 'two']) {
    last = await w.store.undo(last.transaction);
    assert.is(w.text('a'), expected);
  }
});

test('files that have changed places go back', async () => {
  await using w = await world();
  await w.store.writeFiles({ a: 'A', b: 'B', c: 'C' });
  const { transaction } = await swap(w.store);
  assert.equal(w.tree(), { a: 'B', b: 'C', c: 'A' });
  await w.store.undo(transaction);
  assert.equal(w.tree(), { a: 'A', b: 'B', c: 'C' });
});

async function swap(store: Store): Promise<{ transaction: string }> {
  const tx = await store.begin();
  tx.rename('a', 'aside');
  tx.rename('b', 'a');
  tx.rename('c', 'b');
  tx.rename('aside', 'c');
  return await tx.commit();
}

test('a transaction with directories that move, files that leave them and others that go is undone as a whole', async () => {
  await using w = await world();
  await w.store.writeFiles({ 'd/x': 'x', 'd/y': 'y', 'd/z': 'z', 'k/v': 'v', o: 'o' });
  const before = w.tree();
  const tx = await w.store.begin();
  tx.rename('d', 'p/q');
  tx.rename('p/q/x', 'o');
  tx.rm('p/q/y');
  await tx.writeFile('p/q/z', 'Z');
  tx.rename('k/v', 'v');
  tx.rm('k', { recursive: true });
  const { transaction } = await tx.commit();
  assert.equal(w.tree(), { o: 'x', 'p/q/z': 'Z', v: 'v' });
  await w.store.undo(transaction);
  assert.equal(w.tree(), before);
});

test('modes come back with the content', async () => {
  await using w = await world();
  await w.store.writeFiles({ 'd/a': 'one', b: 'b' });
  chmodSync(`${w.root}/d/a`, 0o640);
  chmodSync(`${w.root}/d`, 0o775);
  await w.store.writeFile('d/a', 'two', { mode: 0o600 });
  const { transaction } = await w.store.rm('d', { recursive: true });
  await w.store.undo(transaction);
  assert.is(statSync(`${w.root}/d`).mode & 0o777, 0o775);
  assert.is(statSync(`${w.root}/d/a`).mode & 0o777, 0o600);
  const [, , written] = await all(w.store, 'd/a');
  await w.store.undo(written!.transaction);
  assert.is(statSync(`${w.root}/d/a`).mode & 0o777, 0o640);
});

test('large content comes back', async () => {
  await using w = await world();
  const large = 'large '.repeat(500_000);
  await w.store.writeFile('a', large);
  const { transaction } = await w.store.writeFile('a', 'small');
  await w.store.undo(transaction);
  assert.ok(w.text('a') === large);
});

test('entries that were changed with files come back with them', async () => {
  await using w = await world();
  const entries = w.store.collection<number>('numbers');
  await entries.put('one', 1);
  const tx = await w.store.begin();
  await tx.writeFile('a', 'a');
  tx.put('numbers', 'one', 10);
  tx.put('numbers', 'one', 11);
  tx.put('numbers', 'two', 2);
  const { transaction } = await tx.commit();
  const [entry] = await all(w.store);
  assert.equal(entry?.entries, [
    { collection: 'numbers', key: 'one', did: 'put' },
    { collection: 'numbers', key: 'two', did: 'put' },
  ]);
  const undone = await w.store.undo(transaction);
  assert.equal([await entries.get('one'), await entries.get('two')], [1, undefined]);
  assert.equal(w.tree(), {});
  await w.store.undo(undone.transaction);
  assert.equal([await entries.get('one'), await entries.get('two')], [11, 2]);
  await entries.put('two', 22);
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_CONFLICT');
  assert.equal(w.tree(), { a: 'a' });
});

test('what has changed since is not undone: by the store, by another program, or by its removal', async () => {
  await using w = await world();
  const change: ((path: string) => Promise<unknown> | void)[] = [
    (path) => w.store.writeFile(path, 'newer'),
    (path) => writeFileSync(`${w.root}/${path}`, 'edit!'),
    (path) => w.store.rm(path),
    (path) => rmSync(`${w.root}/${path}`),
    async (path) => {
      await w.store.rm(path);
      await w.store.mkdir(path);
    },
  ];
  for (const [index, each] of change.entries()) {
    const path = `f${index}`;
    await w.store.writeFile(path, 'one');
    const { transaction } = await w.store.writeFiles({ [path]: 'twice', [`beside${index}`]: 'x' });
    await each(path);
    const state = w.tree();
    const error = await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_CONFLICT');
    assert.is((error as { path?: string }).path, path);
    assert.equal(w.tree(), state, 'nothing was changed');
  }
});

test('content that came back as it was left counts as unchanged', async () => {
  await using w = await world();
  await w.store.writeFile('a', 'one');
  const { transaction } = await w.store.writeFile('a', 'two');
  rmSync(`${w.root}/a`);
  writeFileSync(`${w.root}/a`, 'two');
  await w.store.undo(transaction);
  assert.is(w.text('a'), 'one');
});

test('what changes while an undo is under way is a conflict', async () => {
  for (const commit of [false, true]) {
    await using w = await engineWorld({ history: {} });
    await w.store.writeFile('a', 'one');
    const { transaction } = await w.store.writeFiles({ a: 'two', b: 'b' });
    await w.store.checkpoint();
    let theirs: Promise<unknown> | undefined;
    w.before(
      ({ method, path }) => method === 'openRead' && path.includes('/before/'),
      () => {
        if (commit) theirs = w.store.writeFile('b', 'theirs');
        else writeFileSync(`${w.root}/b`, 'theirs');
      },
    );
    await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_CONFLICT');
    await theirs;
    assert.equal(w.tree(), { a: 'two', b: 'theirs' });
  }
});

test('a directory that holds something else by now is not taken away, nor is one where something must go', async () => {
  await using w = await world();
  const made = await w.store.mkdir('d');
  const moved = await w.store.writeFile('e/x', 'x').then(() => w.store.rename('e', 'f'));
  writeFileSync(`${w.root}/d/theirs`, 'theirs');
  await assert.rejectsWithCode(w.store.undo(made.transaction), 'ERR_CONFLICT');
  writeFileSync(`${w.root}/e`, 'theirs');
  await assert.rejectsWithCode(w.store.undo(moved.transaction), 'ERR_CONFLICT');
  assert.equal(w.tree(), { 'd/theirs': 'theirs', e: 'theirs', 'f/x': 'x' });
});

test('parents that were made for a file go with it while nobody else needs them', async () => {
  await using w = await world();
  const one = await w.store.writeFile('p/q/one', '1');
  await w.store.undo(one.transaction);
  assert.equal(w.tree(), {});
  const two = await w.store.writeFile('p/q/two', '2');
  await w.store.writeFile('p/other', 'o');
  await w.store.undo(two.transaction);
  assert.equal(w.tree(), { 'p/other': 'o' });
});

test('a transaction that history does not have is not found', async () => {
  await using w = await world({ history: { maxBytes: 0 } });
  const { transaction } = await w.store.writeFile('a', 'one');
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_NOT_FOUND');
  await assert.rejectsWithCode(w.store.undo('nonsense'), 'ERR_NOT_FOUND');
  assert.equal(await all(w.store), []);
  assert.equal(w.leftovers(), []);
});

test('kept content that is not what it was is refused', async () => {
  await using w = await world();
  await w.store.writeFile('a', 'one');
  const { transaction } = await w.store.writeFile('a', 'two');
  await w.store.checkpoint();
  const [name] = kept(w.root);
  writeFileSync(`${w.root}/.forewrit/before/${name}`, 'eno');
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_INTEGRITY');
  rmSync(`${w.root}/.forewrit/before/${name}`);
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_INTEGRITY');
  assert.is((await all(w.store))[0]?.obstacle?.code, 'ERR_INTEGRITY');
  assert.is(w.text('a'), 'two');
});

test('what is written into a before-image before its checkpoint goes to conflicts, and is not kept', async () => {
  await using w = await world();
  await w.store.writeFile('a', 'one');
  await w.store.checkpoint();
  const open = openSync(`${w.root}/a`, 'r+');
  const { transaction } = await w.store.writeFile('a', 'two');
  writeSync(open, 'ours now');
  closeSync(open);
  const { conflicts } = await w.store.checkpoint();
  assert.equal(
    conflicts.map(({ savedAs }) => readFileSync(savedAs, 'utf8')),
    ['ours now'],
  );
  assert.equal(w.leftovers(), []);
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_INTEGRITY');
});

test('what is written into it later goes to conflicts when history lets go of it', async () => {
  await using w = await world();
  await w.store.writeFile('a', 'one');
  await w.store.checkpoint();
  const open = openSync(`${w.root}/a`, 'r+');
  await w.store.writeFile('a', 'two');
  await w.store.checkpoint();
  writeSync(open, 'late');
  closeSync(open);
  await w.store.close();
  const again = await w.open({ history: { maxAgeMs: 0, maxBytes: 0 } });
  const { conflicts } = await again.checkpoint();
  assert.equal(
    conflicts.map(({ path, savedAs }) => [path, readFileSync(savedAs, 'utf8')]),
    [['a', 'late']],
  );
  assert.equal(w.leftovers(), []);
});

test('another name of a before-image that is written to needs no rescue', async () => {
  await using w = await world();
  await w.store.writeFile('a', 'one');
  linkSync(`${w.root}/a`, `${w.root}/b`);
  await w.store.writeFile('a', 'two');
  await w.store.checkpoint();
  writeFileSync(`${w.root}/b`, 'edited');
  await w.store.close();
  const again = await w.open({ history: { maxBytes: 0 } });
  assert.equal((await again.checkpoint()).conflicts, []);
  assert.is(w.text('b'), 'edited');
});

test('a pipe comes back as the one that it was, and goes again', async () => {
  await using w = await world();
  await w.store.writeFiles({ 'd/a': 'a', 'e/b': 'b' });
  const pipe = `${w.root}/d/pipe`;
  execFileSync('mkfifo', [pipe]);
  const { ino } = statSync(pipe);
  let last = (await w.store.rm('d', { recursive: true })).transaction;
  for (let round = 0; round < 3; round += 1) {
    last = (await w.store.undo(last)).transaction;
    assert.is(w.text('d/a'), 'a');
    assert.equal([statSync(pipe).isFIFO(), statSync(pipe).ino], [true, ino]);
    last = (await w.store.undo(last)).transaction;
    assert.equal(w.tree(), { 'e/b': 'b' });
  }
  await w.store.undo(last);
  last = (await w.store.rm('d/pipe')).transaction;
  assert.not.ok(existsSync(pipe));
  await w.store.undo(last);
  assert.is(statSync(pipe).ino, ino);
  const tx = await w.store.begin();
  tx.rename('d', 't');
  tx.rename('e', 'd');
  tx.rename('t', 'e');
  const { transaction } = await tx.commit();
  assert.is(statSync(`${w.root}/e/pipe`).ino, ino);
  await w.store.undo(transaction);
  assert.is(statSync(pipe).ino, ino);
});

test('a directory that made room for another one of its name comes back, and goes again', async () => {
  await using w = await world();
  const made = await w.store.writeFiles({
    'logs/a': 'a',
    'logs/b': 'b',
    'logs/old/c': 'c',
    'logs/sub/x': 'x',
  });
  const states = [w.tree()];
  const tx = await w.store.begin();
  tx.rename('logs', 'logs.1');
  tx.mkdir('logs');
  await tx.writeFile('logs/b', 'new b');
  await tx.writeFile('logs/n', 'new n');
  await tx.writeFile('logs/sub/y', 'new y');
  await tx.writeFile('logs.1/a', 'closed');
  tx.rm('logs.1/old/c');
  const { transaction } = await tx.commit();
  states.push(w.tree());
  const old = statSync(`${w.root}/logs.1`).ino;
  assert.is((await all(w.store))[0]?.undoable, true);
  let last = transaction;
  for (let round = 0; round < 5; round += 1) {
    last = (await w.store.undo(last)).transaction;
    assert.equal(w.tree(), states[round % 2]);
  }
  assert.is(statSync(`${w.root}/logs`).ino, old, 'it moves as it is');
  await w.store.undo(made.transaction);
  assert.equal(w.tree(), {}, 'older transactions know the files again');
  assert.equal(
    w.leftovers().filter((name) => !name.startsWith('before/')),
    [],
  );
});

test('what has come into a directory since it moved comes back with it', async () => {
  await using w = await world();
  await w.store.writeFile('d/a', 'a');
  const tx = await w.store.begin();
  tx.rename('d', 'e');
  await tx.writeFile('d/a', 'new a');
  const { transaction } = await tx.commit();
  writeFileSync(`${w.root}/e/b`, 'b');
  await w.store.writeFile('e/c/d', 'd');
  await w.store.undo(transaction);
  assert.equal(w.tree(), { 'd/a': 'a', 'd/b': 'b', 'd/c/d': 'd' });
});

test('what has come to where a directory was is not mixed with what it held', async () => {
  await using w = await world();
  await w.store.writeFile('d/a', 'a');
  const tx = await w.store.begin();
  tx.rename('d', 'e');
  await tx.writeFile('d/b', 'b');
  const { transaction } = await tx.commit();
  const theirs = await w.store.writeFile('d/c', 'theirs');
  assert.is((await all(w.store))[1]?.obstacle?.code, 'ERR_CONFLICT');
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_CONFLICT');
  assert.equal(w.tree(), { 'd/b': 'b', 'd/c': 'theirs', 'e/a': 'a' });
  await w.store.undo(theirs.transaction);
  await w.store.undo(transaction);
  assert.equal(w.tree(), { 'd/a': 'a' });
});

test('what comes to where a directory is to come back to, while that is undone, is nothing that goes', async () => {
  await using w = await engineWorld({ history: {} });
  await w.store.writeFile('d/a', 'one');
  const tx = await w.store.begin();
  tx.rename('d', 'e');
  await tx.writeFile('d/a', 'two');
  const { transaction } = await tx.commit();
  w.before(
    ({ method, path }) => method === 'rename' && path === `${w.root}/d`,
    () => writeFileSync(`${w.root}/d/b`, 'theirs'),
  );
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_CONFLICT');
  assert.equal(w.tree(), { 'd/a': 'two', 'd/b': 'theirs', 'e/a': 'one' });
});

test('a directory comes back to where a file or a symbolic link is, and goes again', async () => {
  for (const inPlace of ['written', 'moved', 'link', 'below']) {
    await using w = await world();
    await w.store.writeFiles({ 'd/a': 'a', 'd/s/b': 'b', x: 'x' });
    symlinkSync('x', `${w.root}/l`);
    const before = w.tree();
    const tx = await w.store.begin();
    tx.rename('d', 'e');
    if (inPlace === 'written') await tx.writeFile('d', 'in its place');
    if (inPlace === 'moved') tx.rename('x', 'd');
    if (inPlace === 'link') tx.rename('l', 'd');
    if (inPlace === 'below') await tx.writeFile('d/s', 'in its place');
    const { transaction } = await tx.commit();
    const after = w.tree();
    let last = transaction;
    for (const expected of [before, after, before, after, before]) {
      assert.is((await all(w.store))[0]?.undoable, true);
      last = (await w.store.undo(last)).transaction;
      assert.equal(w.tree(), expected, inPlace);
    }
    assert.is(readlinkSync(`${w.root}/l`), 'x');
    const [, , , , , , made] = await all(w.store);
    await w.store.undo(made!.transaction);
    assert.equal(
      w.leftovers().filter((name) => !name.startsWith('before/')),
      [],
    );
  }
});

const replacements: readonly (readonly [string, (tx: Transaction) => unknown])[] = [
  [
    'a directory is where the one that moved has a file',
    (tx) => {
      tx.rename('d', 'n');
      tx.mkdir('d/a', { recursive: true });
    },
  ],
  [
    'another directory, of which files and directories have left',
    async (tx) => {
      tx.rename('d/a', 'a');
      tx.rename('d/s', 's');
      tx.rm('d', { recursive: true });
      tx.rename('e', 'd');
      await tx.writeFile('d/s/n', 'new');
      tx.rm('d/z');
    },
  ],
  [
    'another one of which files of the same name are elsewhere now',
    (tx) => {
      tx.rename('e/a', 'x');
      tx.rename('d/b', 'y');
      tx.rm('d', { recursive: true });
      tx.rename('e', 'd');
    },
  ],
  [
    'another one, below a directory that has moved as well',
    async (tx) => {
      tx.rename('p', 'q');
      tx.rename('q/o/f', 'q/f');
      tx.rm('q/o', { recursive: true });
      tx.rename('e', 'q/o');
      await tx.writeFile('q/o/a', 'new');
    },
  ],
  [
    'another one, of which a file is in a directory that has moved',
    (tx) => {
      tx.rename('d/a', 'p/n');
      tx.rename('p', 'q');
      tx.rm('d', { recursive: true });
      tx.rename('e', 'd');
    },
  ],
  [
    'another one in the place of a file, below a directory that has moved as well',
    (tx) => {
      tx.rename('p', 'q');
      tx.rename('q/o/f', 'f');
      tx.rename('e', 'q/o/f');
    },
  ],
  [
    'another one in the place of a file that goes, below a directory that has moved as well',
    (tx) => {
      tx.rename('p', 'q');
      tx.rm('q/o/f');
      tx.rename('e', 'q/o/f');
    },
  ],
  [
    'another one, which another one has replaced',
    (tx) => {
      tx.rename('d', 't');
      tx.rm('p', { recursive: true });
      tx.rename('e', 'd');
      tx.rename('t', 'p');
    },
  ],
  [
    'one that was in it',
    (tx) => {
      tx.rename('d', 'x');
      tx.rename('x/s', 'd');
    },
  ],
  [
    'one that has something of it',
    async (tx) => {
      tx.rename('d', 'x');
      tx.mkdir('d');
      tx.rename('x/s', 'd/t');
      await tx.writeFile('d/s', 'new');
    },
  ],
  [
    'the one that it has replaced',
    (tx) => {
      tx.rename('d', 't');
      tx.rename('e', 'd');
      tx.rename('t', 'e');
    },
  ],
  [
    'others, in a circle of four',
    (tx) => {
      tx.rename('e', 'x');
      tx.mkdir('e');
      tx.rename('d', 'w');
      tx.rename('w/s', 'e/k');
      tx.rename('x/o', 'd');
    },
  ],
];

for (const [name, change] of replacements) {
  test(`what was replaced by a directory comes back, and goes again: ${name}`, async () => {
    await using w = await world();
    const made = await w.store.writeFiles({
      'd/a': 'a',
      'd/b': 'b',
      'd/s/c': 'c',
      'e/a': 'ea',
      'e/o/g': 'og',
      'e/z': 'ez',
      'p/o/f': 'f',
      'p/o/g': 'g',
    });
    const before = w.tree();
    const tx = await w.store.begin();
    await change(tx);
    const { transaction } = await tx.commit();
    const after = w.tree();
    let last = transaction;
    for (const expected of [before, after, before, after, before]) {
      const [newest] = await all(w.store);
      assert.equal([newest?.undoable, newest?.obstacle], [true, undefined]);
      last = (await w.store.undo(last)).transaction;
      assert.equal(w.tree(), expected);
    }
    await w.store.undo(made.transaction);
    assert.equal(w.tree(), {}, 'older transactions know the files again');
    await w.store.checkpoint();
    assert.equal(
      w.leftovers().filter((each) => !each.startsWith('before/')),
      [],
    );
  });
}

test('a directory that moved out of one that was removed comes back with it', async () => {
  await using w = await world();
  await w.store.writeFiles({ 'd/s/a': 'a', 'd/b': 'b' });
  const tx = await w.store.begin();
  tx.rename('d/s', 'x');
  tx.rm('d', { recursive: true });
  const { transaction } = await tx.commit();
  assert.equal(w.tree(), { 'x/a': 'a' });
  await w.store.undo(transaction);
  assert.equal(w.tree(), { 'd/b': 'b', 'd/s/a': 'a' });
});

test('of a removed directory history keeps nothing that was moved out of it', async () => {
  await using w = await world();
  await w.store.writeFiles({ 'd/a': 'moved', 'd/b': 'gone' });
  linkSync(`${w.root}/d/a`, `${w.root}/d/link`);
  const tx = await w.store.begin();
  tx.rename('d/a', 'a');
  tx.rm('d', { recursive: true });
  const { transaction } = await tx.commit();
  const [entry] = await all(w.store);
  assert.equal([entry?.keptBytes, entry?.paths.at(-1)?.sizeBytesBefore], [9, 9], 'another link is not moved');
  await w.store.undo(transaction);
  assert.equal(w.tree(), { 'd/a': 'moved', 'd/b': 'gone', 'd/link': 'moved' });
});

test('history is kept over closing, also where it is off; then nothing is added, and nothing goes', async () => {
  await using w = await world();
  await w.store.writeFile('a', 'one');
  const { transaction } = await w.store.writeFile('a', 'two');
  await w.store.close();
  const { history: _off, ...rest } = { history: undefined, checkpointIntervalMs: 1e9 };
  const without = await storeWithout(w, rest);
  await without.writeFile('b', 'b');
  await without.checkpoint();
  assert.is((await all(without)).length, 2);
  await without.undo(transaction);
  assert.is(w.text('a'), 'one');
  await without.close();
  assert.is(kept(w.root).length, 1);
});

async function storeWithout(w: StoreWorld, options: StoreOptions): Promise<Store> {
  const { openTestStore } = await import('./store-world.js');
  return await openTestStore(w.root, options);
}

test('after a checkpoint there is never more than maxBytes, and the oldest go first', async () => {
  await using w = await world({ history: { maxBytes: 50_000 } });
  for (let index = 0; index < 20; index += 1) {
    await w.store.writeFile('a', String(index).padEnd(10_000));
    await w.store.checkpoint();
    const size = kept(w.root).reduce(
      (sum, name) => sum + statSync(`${w.root}/.forewrit/before/${name}`).size,
      0,
    );
    assert.ok(size <= 50_000, `${size} bytes`);
  }
  const found = await all(w.store);
  assert.equal(
    found.map(({ revision }) => revision),
    [20, 19, 18, 17],
  );
  assert.is(kept(w.root).length, 4);
});

test('after a checkpoint nothing is older than maxAgeMs', async () => {
  let now = 1e12;
  const clock = { nowMs: () => now, monotonicMs: () => performance.now() };
  await using w = await world({ history: { maxAgeMs: 1000 }, clock });
  await w.store.writeFile('a', 'one');
  await w.store.writeFile('a', 'two');
  now += 900;
  await w.store.writeFile('a', 'three');
  assert.is((await all(w.store)).length, 3);
  now += 200;
  await w.store.checkpoint();
  assert.equal(
    (await all(w.store)).map(({ revision }) => revision),
    [3],
  );
  assert.is(kept(w.root).length, 1);
});

test('each of several deferred saves of a file is in history, and undone one after the other', async () => {
  await using w = await world({ materialize: 'deferred', materializeWithinMs: 1e9 });
  await w.store.writeFiles({ a: '0', b: '0' });
  const done = [
    await w.store.writeFile('a', '1'),
    await w.store.writeFiles({ a: '2', b: '2' }),
    await w.store.writeFile('b', '3'),
    ...(await Promise.all(['4', '5', '6'].map((text) => w.store.writeFile('a', text)))),
    await w.store.transact((tx) => tx.writeFile('a', '7')).then(() => undefined),
  ];
  const states = ['00', '10', '22', '23', '43', '53', '63', '73'];
  const found = await all(w.store);
  assert.equal(
    found.map(({ revision }) => revision),
    [8, 7, 6, 5, 4, 3, 2, 1],
  );
  for (const [index, commit] of done.entries())
    if (commit !== undefined) assert.is(found[6 - index]?.transaction, commit.transaction);
  for (const { transaction } of found.slice(0, -1)) {
    assert.is(`${w.text('a')}${w.text('b')}`, states.pop());
    await w.store.undo(transaction);
  }
  assert.equal(w.tree(), { a: '0', b: '0' });
});

test('a deferred save in a store with history is deferred, until the next one over its file', async () => {
  await using w = await world({ materialize: 'deferred', materializeWithinMs: 1e9 });
  await w.store.writeFiles({ a: '1', b: '1' });
  assert.equal([w.tree(), w.store.stats().deferredTransactions], [{}, 1]);
  await w.store.writeFile('c', '2');
  assert.equal([w.tree(), w.store.stats().deferredTransactions], [{}, 2]);
  await w.store.writeFile('b', '3');
  assert.equal([w.tree(), w.store.stats().deferredTransactions], [{ a: '1', b: '1' }, 2]);
  assert.is(await w.store.readFile('b', 'utf8'), '3');
});

test('deferred saves that are left out of history take no save in that is in it, and leave no entry', async () => {
  await using w = await world({ materialize: 'deferred', materializeWithinMs: 1e9 });
  await w.store.writeFile('a', '1');
  const kept = await w.store.writeFile('a', '2');
  const left = await w.store.writeFile('a', '3', { history: false });
  const last = await w.store.writeFile('a', '4');
  const found = (await all(w.store)).map(({ transaction }) => transaction);
  assert.equal([found[0], found[1], found.length], [last.transaction, kept.transaction, 3]);
  await assert.rejectsWithCode(w.store.undo(left.transaction), 'ERR_NOT_FOUND');
  await w.store.undo(last.transaction);
  assert.is(w.text('a'), '3');
  await assert.rejectsWithCode(w.store.undo(kept.transaction), 'ERR_CONFLICT');
});

test('what stands in the way of a deferred save stands in the way of the next one, where history wants both', async () => {
  let isBroken = false;
  await using w = await engineWorld({
    history: {},
    materialize: 'deferred',
    materializeWithinMs: 1e9,
    faults: [
      {
        at: ({ method, path }) => isBroken && method === 'create' && path.includes('/staged/'),
        error: 'EROFS',
      },
    ],
  });
  await w.store.writeFile('a', '1');
  isBroken = true;
  await assert.rejectsWithCode(w.store.writeFile('a', '2'), 'ERR_PERMISSION');
  assert.is(await w.store.readFile('a', 'utf8'), '1');
  await w.store.writeFile('b', '2');
  isBroken = false;
  await w.store.writeFile('a', '3');
  await w.store.materialize();
  assert.equal(w.tree(), { a: '3', b: '2' });
});

test('without history nothing is kept', async () => {
  await using w = await storeWorld();
  const { transaction } = await w.store.writeFile('a', 'one');
  await w.store.writeFile('a', 'two');
  await w.store.checkpoint();
  assert.equal(w.leftovers(), []);
  assert.equal(await all(w.store), []);
  await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_NOT_FOUND');
});

test('options that mean nothing are refused', async () => {
  await using w = await storeWorld();
  for (const history of [
    true,
    [],
    { maxBytes: -1 },
    { maxAgeMs: 'a week' },
    { maxage: 1 },
    { maxBytes: Number.NaN },
  ]) {
    await assert.rejectsWithCode(w.open({ history } as unknown as StoreOptions), 'ERR_INVALID_ARGUMENT');
  }
  await assert.rejectsWithCode(w.store.undo(1 as unknown as string), 'ERR_INVALID_ARGUMENT');
});

test.run();
