/** What the engine does when somebody or something interferes between two of its calls. */

import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { StoreError } from '#src/errors.js';
import { u32Key } from '#src/record/key.js';
import type { FileSystemSpace } from '#src/files/file-system.js';
import { MemoryLog } from '#src/log/memory-log.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import type { Transaction } from '#src/store/transaction.js';
import { assert, type FileSystemCall, suite } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';

const test = suite('engine');

const old = { a: 'old a', b: 'old b', c: 'old c', 'd/x': 'old x', 'd/y': 'old y', 'e/z': 'old z' };

interface Edited {
  readonly name: string;
  readonly run: (tx: Transaction) => void;
  /** Made when the first target is in place, and the others are not. */
  readonly edit: (root: string) => void;
  /** The tree afterwards, as it differs from the old one. */
  readonly left: Record<string, string | undefined>;
}

const edits: readonly Edited[] = [
  {
    name: 'a file that is to be replaced is edited',
    run: (tx) => {
      void tx.writeFile('a', 'new');
      void tx.writeFile('b', 'new');
    },
    edit: (root) => writeFileSync(`${root}/b`, 'edited'),
    left: { b: 'edited' },
  },
  {
    name: 'a file that is to be replaced is replaced',
    run: (tx) => {
      void tx.writeFile('a', 'new');
      void tx.writeFile('b', 'x'.repeat(100_000));
    },
    edit: (root) => {
      writeFileSync(`${root}/n`, 'edited');
      renameSync(`${root}/n`, `${root}/b`);
    },
    left: { b: 'edited' },
  },
  {
    name: 'a file that is to be replaced is removed',
    run: (tx) => {
      void tx.writeFile('a', 'new');
      void tx.writeFile('b', 'new');
    },
    edit: (root) => rmSync(`${root}/b`),
    left: { b: undefined },
  },
  {
    name: 'a file that is to be made is there',
    run: (tx) => {
      void tx.writeFile('a', 'new');
      void tx.writeFile('n', 'new');
    },
    edit: (root) => writeFileSync(`${root}/n`, 'edited'),
    left: { n: 'edited' },
  },
  {
    name: 'a file that is to be removed is edited',
    run: (tx) => {
      void tx.writeFile('a', 'new');
      tx.rm('b');
    },
    edit: (root) => appendFileSync(`${root}/b`, '+'),
    left: { b: 'old b+' },
  },
  {
    name: 'a file that is to be moved is edited',
    run: (tx) => {
      void tx.writeFile('a', 'new');
      tx.rename('b', 'n');
    },
    edit: (root) => appendFileSync(`${root}/b`, '+'),
    left: { b: 'old b+' },
  },
  {
    name: 'a file appears where one is to be moved',
    run: (tx) => {
      void tx.writeFile('a', 'new');
      tx.rename('b', 'n');
    },
    edit: (root) => writeFileSync(`${root}/n`, 'edited'),
    left: { n: 'edited' },
  },
  {
    name: 'a file is added to a directory that is to be removed',
    run: (tx) => {
      void tx.writeFile('a', 'new');
      tx.rm('d', { recursive: true });
    },
    edit: (root) => writeFileSync(`${root}/d/n`, 'edited'),
    left: { 'd/n': 'edited' },
  },
  {
    name: 'a file is edited in a directory that is to be removed',
    run: (tx) => {
      void tx.writeFile('a', 'new');
      tx.rm('d', { recursive: true });
      tx.rm('e/z');
    },
    edit: (root) => writeFileSync(`${root}/d/x`, 'edited'),
    left: { 'd/x': 'edited' },
  },
  {
    name: 'a directory that is to be made is there',
    run: (tx) => {
      tx.mkdir('m');
      tx.mkdir('n');
      void tx.writeFile('m/f', 'new');
    },
    edit: (root) => {
      mkdirSync(`${root}/n`);
      writeFileSync(`${root}/n/n`, 'edited');
    },
    left: { 'n/n': 'edited' },
  },
  {
    name: 'a file is edited whose place a directory is to take',
    run: (tx) => {
      tx.rename('e', 'a2');
      tx.rm('b');
      tx.rename('d', 'b');
    },
    edit: (root) => appendFileSync(`${root}/b`, '+'),
    left: { b: 'old b+' },
  },
  {
    name: 'a file is added to a directory whose place another one is to take',
    run: (tx) => {
      tx.mkdir('aa');
      tx.rename('d/x', 'n');
      tx.rm('d', { recursive: true });
      tx.rename('e', 'd');
    },
    edit: (root) => writeFileSync(`${root}/d/n`, 'edited'),
    left: { 'd/n': 'edited' },
  },
  {
    name: 'a file is edited in a directory whose place another one is to take',
    run: (tx) => {
      tx.mkdir('aa');
      tx.rm('d', { recursive: true });
      tx.rename('e', 'd');
    },
    edit: (root) => appendFileSync(`${root}/d/x`, '+'),
    left: { 'd/x': 'old x+' },
  },
  {
    name: 'a file is edited that moves away from where a directory is to be',
    run: (tx) => {
      tx.rename('e', 'a2');
      tx.rename('b', 'n');
      tx.rename('d', 'b');
    },
    edit: (root) => appendFileSync(`${root}/b`, '+'),
    left: { b: 'old b+' },
  },
  {
    name: 'something appears where a directory is to be moved',
    run: (tx) => {
      tx.rename('d', 'm');
      tx.rename('e', 'n');
      void tx.writeFile('m/x', 'new');
    },
    edit: (root) => writeFileSync(`${root}/n`, 'edited'),
    left: { n: 'edited' },
  },
  {
    name: 'a file is edited in a directory that has just been moved',
    run: (tx) => {
      tx.rename('d', 'm');
      void tx.writeFile('m/x', 'new');
      tx.rm('m/y');
    },
    edit: (root) => writeFileSync(`${root}/m/x`, 'edited'),
    left: { 'd/x': 'edited' },
  },
];

/** The second target is looked at: everything is staged, and the first target is in place. */
function secondTarget(root: string): (call: FileSystemCall) => boolean {
  let applied = false;
  return ({ method, path, dest }) => {
    const inTree = (at: string | undefined): boolean =>
      at?.startsWith(`${root}/`) === true && !at.startsWith(`${root}/.forewrit`);
    if (applied && method === 'lstat' && inTree(path)) return true;
    applied ||=
      method === 'rename' && (inTree(dest) || (inTree(path) && dest?.includes('/before/') === true));
    return false;
  };
}

function changed(by: Record<string, string | undefined>): Record<string, string> {
  const tree: Record<string, string> = { ...old };
  for (const [path, text] of Object.entries(by)) {
    if (text === undefined) delete tree[path];
    else tree[path] = text;
  }
  return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1)));
}

for (const { name, run, edit, left } of edits) {
  test(`everything is as before, and the edit stays, where ${name}`, async () => {
    await using world = await engineWorld();
    const { store, root } = world;
    await store.writeFiles(old);
    await store.collection('n').put('k', 'old');
    await store.checkpoint();
    const before = new Map(
      await Promise.all(Object.keys(old).map(async (path) => [path, await store.stat(path)] as const)),
    );
    world.before(secondTarget(root), () => edit(root));
    const error = await assert.rejectsWithCode(
      store.transact((tx) => {
        run(tx);
        tx.put('n', 'k', 'new');
      }),
      'ERR_EXTERNAL_EDIT',
    );
    assert.ok(error instanceof StoreError && error.path !== undefined);
    assert.equal(world.tree(), changed(left));
    assert.is(await store.collection('n').get('k'), 'old');
    assert.equal(world.leftovers(), []);
    assert.equal(world.conflicts(), []);
    assert.equal(world.lockRows(), []);
    assert.is(store.stats().rollBacks, 1);
    assert.is(store.status, 'open');
    for (const [path, stat] of before) {
      if (path in left) continue;
      const now = await store.stat(path);
      assert.is(now.checksum, stat.checksum, path);
      assert.ok(now.revision! >= stat.revision!, path);
    }
    // Nothing of it hinders the next one.
    for (const path of ['m', 'n']) rmSync(`${root}/${path}`, { recursive: true, force: true });
    for (const [path, text] of Object.entries(left))
      if (text === undefined) writeFileSync(`${root}/${path}`, 'back');
    await store.transact(run);
    await store.checkpoint();
    assert.equal(world.leftovers(), []);
    assert.is(world.rows('log'), 0);
  });
}

test('with force a save is planned again on what is there now', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFiles(old);
  world.before(secondTarget(root), () => writeFileSync(`${root}/b`, 'edited'));
  const commit = await store.writeFiles({ a: 'new', b: 'new' }, { force: true });
  assert.equal([...commit.paths], ['a', 'b']);
  assert.equal(world.tree(), changed({ a: 'new', b: 'new' }));
  await store.checkpoint();
  assert.equal(world.leftovers(), []);
  // But not for ever.
  const hit = secondTarget(root);
  let edits = 0;
  world.onCall = (call) => {
    if (hit(call) && call.path === `${root}/b`) appendFileSync(`${root}/b`, String((edits += 1)));
  };
  await assert.rejectsWithCode(
    store.writeFiles({ a: 'newer', b: 'newer' }, { force: true }),
    'ERR_EXTERNAL_EDIT',
  );
  world.onCall = undefined;
  assert.is(world.tree()['a'], 'new');
  assert.match(world.tree()['b']!, /^new\d+$/);
});

test('what was changed after it was applied stays when the others are taken back, and what it replaced is kept', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFiles(old);
  await store.checkpoint();
  world.before(secondTarget(root), () => {
    writeFileSync(`${root}/a`, 'edited a');
    writeFileSync(`${root}/b`, 'edited b');
  });
  const error = await assert.rejectsWithCode(
    store.writeFiles({ a: 'new', b: 'new', c: 'new' }),
    'ERR_APPLY_ROLLED_BACK',
  );
  assert.match(error.message, /stay as they are: a/);
  assert.equal(world.tree(), changed({ a: 'edited a', b: 'edited b' }));
  assert.equal(world.conflicts(), ['old a']);
  assert.equal(world.leftovers(), []);
  assert.is(await store.readFile('a', 'utf8'), 'edited a');

  // A removal that cannot go back, as something else is there by now.
  world.before(secondTarget(root), () => {
    mkdirSync(`${root}/d`);
    writeFileSync(`${root}/d/other`, 'somebody');
    writeFileSync(`${root}/e/n`, 'edited');
  });
  await assert.rejectsWithCode(
    store.transact((tx) => {
      tx.rm('d', { recursive: true });
      tx.rm('e', { recursive: true });
    }),
    'ERR_APPLY_ROLLED_BACK',
  );
  assert.equal(
    Object.keys(world.tree()).filter((path) => path.startsWith('d/') || path.startsWith('e/')),
    ['d/other', 'e/n', 'e/z'],
  );
  const kept = readdirSync(`${root}/.forewrit/conflicts`, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.includes('/'),
  );
  assert.equal(kept.map((name) => name.replace(/.*\//, '')).sort(), ['x', 'y']);
  assert.equal(world.leftovers(), []);
});

test('a failed call that has happened all the same is taken back as well', async () => {
  for (const sign of ['/a', '/before/']) {
    let armed = false;
    await using world = await engineWorld({
      faults: [
        {
          error: 'EIO',
          after: true,
          at: ({ method, dest }) => armed && method === 'rename' && dest?.includes(sign) === true,
        },
      ],
    });
    const { store } = world;
    await store.writeFiles(old);
    await store.checkpoint();
    armed = true;
    await assert.rejectsWithCode(
      store.transact((tx) => {
        tx.rm('d', { recursive: true });
        void tx.writeFile('a', 'new');
      }),
      'ERR_APPLY_ROLLED_BACK',
    );
    assert.equal(world.fileSystem.unused, [], sign);
    assert.equal(world.tree(), changed({}));
    assert.equal(world.leftovers(), []);
  }
});

test('a transaction that goes neither way is blocked, and so is who wants its files', async () => {
  let armed = false;
  await using world = await engineWorld({
    faults: [
      {
        error: 'EIO',
        sticky: true,
        at: ({ method, path, dest }) =>
          armed && method === 'rename' && (dest?.endsWith('/b') === true || path.includes('/before/')),
      },
    ],
  });
  const { store } = world;
  await store.writeFiles(old);
  await store.checkpoint();
  armed = true;
  const tx = await store.begin();
  void tx.writeFile('a', 'new');
  void tx.writeFile('b', 'new');
  tx.put('n', 'k', 1);
  const error = await assert.rejectsWithCode(tx.commit(), 'ERR_APPLY_BLOCKED');
  armed = false;
  assert.is(tx.state, 'blocked');
  assert.ok(error instanceof StoreError && error.transaction === tx.id);
  assert.match(error.hint!, new RegExp(`forewrit repair ${tx.id}`));
  assert.is(store.status, 'open');
  assert.ok(world.lockRows().every(({ blocked }) => blocked));
  assert.equal(
    world
      .lockRows()
      .map(({ what }) => what)
      .sort(),
    ['a', 'b', 'n/k'],
  );
  for (const attempt of [
    () => store.writeFile('a', 'again'),
    () => store.writeFiles({ c: 'x', b: 'again' }),
    () => store.rm('b'),
    () => store.rename('a', 'z'),
    () => store.readFile('a'),
    () => store.readFiles(['c', 'b']),
    () =>
      store.transact((again) => {
        again.put('n', 'k', 2);
        void again.writeFile('z', '1');
      }),
    () => store.collection('n').put('k', 2),
  ])
    await assert.rejectsWithCode(attempt, 'ERR_APPLY_BLOCKED');
  await store.writeFile('c', 'goes on');
  assert.is(await store.readFile('c', 'utf8'), 'goes on');
  await store.checkpoint();
  assert.ok(world.leftovers().length > 0, 'what it needs is still there');
  assert.is(world.rows('log'), 1);
});

test('an owner that was declared dead writes nothing any more', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFiles(old);
  await store.checkpoint();
  const other = new MemoryLog(world.state);
  other.commit((batch) => batch.delete('owners', u32Key(1)));
  await assert.rejectsWithCode(store.writeFile('a', 'new'), 'ERR_STORE_POISONED');
  assert.is(store.status, 'poisoned');
  assert.equal(world.tree(), changed({}));
  assert.equal(world.leftovers(), []);
  assert.is(world.rows('log'), 0);
  await assert.rejectsWithCode(store.writeFile('a', 'new'), 'ERR_STORE_POISONED');
  await assert.rejectsWithCode(store.checkpoint(), 'ERR_STORE_POISONED');
  assert.is(await store.readFile('a', 'utf8'), 'old a', 'reading goes on');
});

test('an owner that is declared dead between its commit and a failure takes nothing back', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFiles(old);
  await store.checkpoint();
  world.before(secondTarget(root), () => {
    writeFileSync(`${root}/b`, 'edited');
    // As recovery would: it takes over what was committed.
    new MemoryLog(world.state).commit((batch) => batch.delete('owners', u32Key(1)));
  });
  await assert.rejectsWithCode(store.writeFiles({ a: 'new', b: 'new' }), 'ERR_STORE_POISONED');
  assert.equal(world.tree(), changed({ a: 'new', b: 'edited' }));
  assert.is(world.rows('log'), 1);
});

test('after a failed fsync the content is written into a new file', async () => {
  let failing = 0;
  await using world = await engineWorld({
    faults: [
      {
        error: 'EIO',
        sticky: true,
        at: ({ method, path }) => method === 'sync' && /staged|spare/.test(path) && failing-- > 0,
      },
    ],
  });
  const { store, root } = world;
  await store.writeFiles(old);
  await store.checkpoint();
  for (const waits of [false, true]) {
    const { revision } = await store.writeFiles({ a: `new ${String(waits)}`, b: 'new' });
    if (waits) await new Promise((resolve) => setTimeout(resolve, 20));
    const { ino } = statSync(`${root}/a`);
    failing = 1;
    await store.checkpoint();
    assert.is(store.status, 'open');
    assert.is(world.tree()['a'], `new ${String(waits)}`);
    assert.is.not(statSync(`${root}/a`).ino, ino);
    assert.ok((await store.stat('a')).revision! > revision);
    await store.checkpoint();
    assert.is(world.rows('log'), 0);
    assert.equal(world.leftovers(), []);
  }
  // Somebody's edit is not written over for that.
  await store.writeFile('a', 'newer');
  writeFileSync(`${root}/a`, 'edited');
  failing = 1;
  await store.checkpoint();
  assert.is(world.tree()['a'], 'edited');
  assert.is(store.status, 'open');

  await store.writeFile('c', 'last');
  failing = 1000;
  await assert.rejectsWithCode(store.checkpoint(), 'ERR_STORE_POISONED');
  failing = 0;
  assert.is(store.status, 'poisoned');
  assert.is(world.tree()['c'], 'last');
  assert.ok(world.rows('log') > 0, 'recovery has the content');
});

test('a checkpoint that the log has no room or no time for is done again later', async () => {
  let refuse: StoreError | undefined;
  await using world = await engineWorld({
    logOptions: {
      onReserve: () => {
        if (refuse !== undefined) throw refuse;
      },
    },
  });
  const { store } = world;
  for (const code of ['ERR_NO_SPACE', 'ERR_STORE_LOCKED', 'ERR_LOG_FULL'] as const) {
    await store.writeFiles({ a: code, b: code });
    refuse = new StoreError(code, 'not now', { op: 'commit' });
    await assert.rejectsWithCode(store.checkpoint(), code);
    await assert.rejectsWithCode(store.writeFile('a', 'x'), code);
    assert.is(store.status, 'open');
    refuse = undefined;
    await store.checkpoint();
    assert.is(world.rows('log'), 0);
    assert.is(world.rows('locks'), 0);
    assert.equal(world.leftovers(), []);
    assert.equal(world.tree(), { a: code, b: code });
  }
});

test('what somebody writes into a replaced file through an open descriptor is kept as a conflict', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFiles(old);
  await store.checkpoint();
  const open = openSync(`${root}/a`, 'r+');
  const opened = openSync(`${root}/d/x`, 'r+');
  await store.writeFile('a', 'new');
  await store.rm('b');
  await store.rm('d', { recursive: true });
  writeSync(open, 'edited afterwards', 0);
  writeSync(opened, 'edited as well', 0);
  const report = await store.checkpoint();
  closeSync(open);
  closeSync(opened);
  assert.equal(world.conflicts().sort(), ['edited afterwards', 'edited as well']);
  assert.equal(report.conflicts.map(({ path }) => path).sort(), ['a', 'd/x']);
  assert.is(world.tree()['a'], 'new');
  assert.equal(world.leftovers(), []);
});

test('what is put into a removed directory before it is dropped is kept as a conflict', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFiles(old);
  await store.rm('d', { recursive: true });
  const removed = readdirSync(`${root}/.forewrit/before`).find((name) =>
    statSync(`${root}/.forewrit/before/${name}`).isDirectory(),
  )!;
  writeFileSync(`${root}/.forewrit/before/${removed}/late`, 'by somebody whose working directory this is');
  await store.checkpoint();
  assert.equal(world.conflicts(), ['by somebody whose working directory this is']);
  assert.equal(world.leftovers(), []);
});

test('what was moved or put back is no conflict', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFiles(old);
  await store.checkpoint();
  await store.rename('a', 'moved');
  appendFileSync(`${root}/moved`, '+');
  await store.writeFile('b', 'new', { backup: true });
  appendFileSync(`${root}/b.bak`, '+');
  await store.checkpoint();
  assert.equal(world.conflicts(), []);
  assert.is(world.tree()['moved'], 'old a+');
  assert.is(world.tree()['b.bak'], 'old b+');
});

test('transactions on different files share a flush, those on the same files do not', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFile('warm', 'up');
  const start = store.stats();
  await Promise.all(
    Array.from({ length: 20 }, (_, n) => store.writeFiles({ [`a${n}`]: '1', [`b${n}`]: '1' })),
  );
  assert.is(store.stats().commits - start.commits, 20);
  assert.ok(store.stats().groups - start.groups <= 2, `${store.stats().groups - start.groups} groups`);
  const middle = store.stats();
  const revisions: number[] = [];
  await Promise.all(
    Array.from({ length: 5 }, async (_, n) => {
      const commit = await store.writeFiles({ shared: `${n}`, [`own${n}`]: '1' });
      revisions.push(commit.revision);
    }),
  );
  assert.is(store.stats().groups - middle.groups, 5);
  assert.equal(
    revisions,
    [...revisions].sort((a, b) => a - b),
  );
  assert.is(world.tree()['shared'], '4');
  // One that wants both waits, and nobody who comes later overtakes it.
  const order: string[] = [];
  const save = (name: string, files: Record<string, string>): Promise<unknown> =>
    store.writeFiles(files).then(() => order.push(name));
  await Promise.all([
    save('1', { x: '1' }),
    save('2', { x: '2', y: '2' }),
    save('3', { y: '3' }),
    save('4', { z: '4' }),
  ]);
  assert.equal(order, ['1', '4', '2', '3']);
  assert.is(world.tree()['y'], '3');
});

test('content travels in the log up to its limit, and that of many small files beyond it', async () => {
  const set = (files: number, bytes: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: files }, (_, index) => [`${index}.txt`, 'x'.repeat(bytes)]));
  const limit = 400;
  const cases: readonly (readonly [files: number, bytes: number, inLog: boolean, limit?: number])[] = [
    [100, 1, false, 0],
    [1, limit, true],
    [1, limit + 1, false],
    [4, limit / 4, true],
    [4, limit / 4 + 1, false],
    [100, limit / 4, true],
    [100, limit / 4 + 1, false],
  ];
  for (const [files, bytes, inLog, inlineLimitBytes = limit] of cases) {
    await using world = await engineWorld({ inlineLimitBytes });
    const flushed: string[] = [];
    world.onCall = ({ method, path }) => {
      if (method === 'sync') flushed.push(path);
    };
    await world.store.writeFiles(set(files, bytes));
    assert.is(flushed.length, inLog ? 0 : files, `${files} files of ${bytes} bytes`);
    assert.equal(world.tree(), set(files, bytes));
  }
});
test('a transaction that has only read writes nothing', async () => {
  await using world = await engineWorld();
  const { store } = world;
  const { revision } = await store.writeFile('a', '1');
  await store.checkpoint();
  const { groups } = store.stats();
  const calls = world.fileSystem.callCount;
  const tx = await store.begin();
  await tx.readFile('a');
  const commit = await tx.commit();
  assert.is(commit.revision, revision);
  assert.equal(commit.paths, []);
  assert.is(store.stats().groups - groups, 1);
  assert.ok(world.fileSystem.callCount - calls < 30);
  assert.is((await store.writeFile('a', '2')).revision, revision + 1);
});

test('a checkpoint flushes each file once, and only what is still there', async () => {
  await using world = await engineWorld();
  const { store } = world;
  for (let n = 0; n < 10; n += 1) await store.writeFiles({ a: `${n}`, [`b${n}`]: '1' });
  await store.rm('b0');
  const report = await store.checkpoint();
  assert.is(report.transactions, 11);
  assert.is(report.syncedFiles, 10, 'the last a and nine others');
  assert.is(world.rows('log'), 0);
  assert.is(world.rows('locks'), 0);
  assert.equal(
    world
      .fileRows()
      .map(({ path }) => path)
      .sort(),
    ['a', ...Array.from({ length: 9 }, (_, n) => `b${n + 1}`)],
  );
  assert.equal(world.leftovers(), []);
  assert.is((await store.checkpoint()).transactions, 0);
  assert.is(store.stats().uncheckpointedTransactions, 0);
  assert.is(store.stats().openDescriptors, 0);
});

test('rows of deleted files do not pile up while the store is never at rest', async () => {
  await using world = await engineWorld();
  const { store } = world;
  for (let n = 0; n < 50; n += 1) {
    await store.writeFile(`f${n}`, '1');
    await store.rm(`f${n}`);
    await store.writeFile('last', `${n}`);
    let busy: Promise<unknown> | undefined;
    // One more is committed while the checkpoint is under way.
    world.before(
      ({ method }) => method === 'syncDirectory',
      () => {
        busy = store.writeFile('busy', `${n}`);
      },
    );
    await store.checkpoint();
    await busy;
    assert.ok(world.rows('log') > 0);
  }
  assert.ok(world.fileRows().length < 10, `${world.fileRows().length} rows`);
});

test('when there are too many open files a checkpoint closes some, and the save goes on', async () => {
  let armed = false;
  await using world = await engineWorld({
    faults: [{ error: 'EMFILE', at: ({ method }) => armed && method === 'create' }],
  });
  const { store } = world;
  await store.writeFiles(old);
  armed = true;
  await store.writeFiles(Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`n${n}`, 'x'])));
  assert.equal(world.fileSystem.unused, []);
  assert.is(store.stats().checkpoints, 1);
});

test('a relaxed save that fails after it was accepted is reported, and leaves nothing', async () => {
  await using world = await engineWorld({ durability: 'relaxed' });
  const { store, root } = world;
  await store.writeFiles(old);
  await store.checkpoint();
  world.before(secondTarget(root), () => writeFileSync(`${root}/b`, 'edited'));
  const commit = await store.writeFiles({ a: Buffer.alloc(2_000_000), b: 'new' });
  assert.ok(commit.revision > 0);
  assert.is(await store.readFile('b', 'utf8'), 'edited');
  assert.is(await store.readFile('a', 'utf8'), 'old a');
  assert.ok(world.logged.some(({ level, message }) => level === 'error' && message.includes('relaxed')));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(world.leftovers(), []);
});

test('a stream that would fill the disk is refused before it does', async () => {
  let availableBytes = 2 ** 40;
  class SmallDisk extends NodeFileSystem {
    override space(path: string): FileSystemSpace {
      return { ...super.space(path), totalBytes: 2 ** 40, availableBytes };
    }
    override write(descriptor: number, bytes: Uint8Array, position: number): number {
      availableBytes -= bytes.byteLength;
      return super.write(descriptor, bytes, position);
    }
  }
  await using world = await engineWorld({ fileSystem: new SmallDisk(), reserveBytes: 10 << 20 });
  availableBytes = 50 << 20;
  let given = 0;
  async function* much(): AsyncGenerator<Uint8Array> {
    for (; given < 80; given += 1) yield new Uint8Array(1 << 20);
  }
  await assert.rejectsWithCode(world.store.writeFile('a', much()), 'ERR_NO_SPACE');
  assert.ok(given <= 40, `${given} MiB were taken`);
  assert.equal(world.leftovers(), []);
  await world.store.writeFile('a', 'small');
});

test('an error nobody has thought of poisons the store, and everybody is answered', async () => {
  await using world = await engineWorld({ failpoint: { name: 'apply.target', action: 'throw', skip: 1 } });
  const { store } = world;
  const results = await Promise.allSettled([
    store.writeFile('a', '1'),
    store.writeFile('b', '1'),
    store.writeFile('c', '1'),
  ]);
  assert.is(results[0]!.status, 'fulfilled');
  assert.ok(results.slice(1).every(({ status }) => status === 'rejected'));
});

test('the failpoint behind the commit is for a group that has committed something', async () => {
  await using world = await engineWorld({ failpoint: { name: 'log.after', action: 'throw' } });
  const { store } = world;
  await assert.rejectsWithCode(store.writeFile('a', '1', { ifRevision: 99 }), 'ERR_CONFLICT');
  // It was not hit by that one, or the store would be poisoned; now it is.
  await assert.rejectsWithCode(store.writeFile('a', '1'), 'ERR_STORE_POISONED');
});

test.run();
