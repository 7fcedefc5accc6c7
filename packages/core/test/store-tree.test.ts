import { execFileSync } from 'node:child_process';
import { readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Store } from '#src/store/store.js';
import type { Transaction } from '#src/store/transaction.js';
import { assert, suite } from '@forewrit/testkit';
import { withStores } from './store-world.js';

const test = suite('moving, copying and removing');

async function fill(store: Store, files: Record<string, string>): Promise<void> {
  await store.writeFiles(files);
}

test('copying a file makes another one', async () => {
  await withStores({}, async ({ store, tree, root }) => {
    await fill(store, { a: '1', 'd/b': '2' });
    await store.copyFile('a', 'copy');
    await store.copyFile('a', 'd/b');
    await store.copyFile('a', 'a');
    await store.copyFile('d/b', 'x/y/z');
    assert.equal(tree(), { a: '1', copy: '1', 'd/b': '1', 'x/y/z': '1' });
    assert.is.not(statSync(`${root}/a`).ino, statSync(`${root}/copy`).ino);
    const large = 'x'.repeat(300_000);
    await store.writeFile('a', large);
    await store.copyFile('a', 'copy');
    assert.is(tree()['copy'], large);
    await assert.rejectsWithCode(store.copyFile('nothing', 'b'), 'ERR_NOT_FOUND');
    await assert.rejectsWithCode(store.copyFile('d', 'b'), 'ERR_IS_DIRECTORY');
    await assert.rejectsWithCode(store.copyFile('a', 'd'), 'ERR_IS_DIRECTORY');
  });
});

test('moving a file keeps its inode and replaces what is there', async () => {
  await withStores({}, async ({ store, tree, root }) => {
    await fill(store, { a: '1', b: '2' });
    const { ino } = statSync(`${root}/a`);
    await store.rename('a', 'x/c');
    assert.equal(tree(), { b: '2', 'x/c': '1' });
    assert.is(statSync(`${root}/x/c`).ino, ino);
    await store.rename('x/c', 'b');
    assert.equal(tree(), { b: '1', 'x/': '' });
    assert.is(statSync(`${root}/b`).ino, ino);
    await store.rename('b', 'b');
    await store.checkpoint();
    assert.equal(tree(), { b: '1', 'x/': '' });
    await assert.rejectsWithCode(store.rename('nothing', 'c'), 'ERR_NOT_FOUND');
    await assert.rejectsWithCode(store.rename('b', 'x'), 'ERR_IS_DIRECTORY');
    await assert.rejectsWithCode(store.rename('b', 'b/c'), 'ERR_NOT_DIRECTORY');
  });
});

test('moving a directory brings everything below it along', async () => {
  await withStores({}, async ({ store, tree, root }) => {
    await fill(store, { 'd/a': '1', 'd/e/b': '2', other: '3' });
    writeFileSync(`${root}/d/unknown`, 'not ours');
    const before = await store.stat('d/a');
    await store.rename('d', 'x/y');
    assert.equal(tree(), { other: '3', 'x/y/a': '1', 'x/y/e/b': '2', 'x/y/unknown': 'not ours' });
    const after = await store.stat('x/y/a');
    assert.is(after.checksum, before.checksum);
    assert.ok(after.revision! > before.revision!);
    await assert.rejectsWithCode(store.stat('d/a'), 'ERR_NOT_FOUND');
    // Files written a moment ago are moved as well: what they need is made durable first.
    await store.writeFile('x/y/a', '4');
    await store.rename('x/y', 'd');
    assert.is(await store.readFile('d/a', 'utf8'), '4');
    await assert.rejectsWithCode(store.rename('d', 'd/e/x'), 'ERR_INVALID_PATH');
    await assert.rejectsWithCode(store.rename('d', 'x'), 'ERR_EXISTS');
    await assert.rejectsWithCode(store.rename('d', 'other'), 'ERR_EXISTS');
    await store.rename('d', 'd');
  });
});

test('removing takes files, empty directories, and with recursive whole trees', async () => {
  await withStores({}, async ({ store, tree, root }) => {
    await fill(store, { a: '1', 'd/b': '2', 'd/e/c': '3' });
    writeFileSync(`${root}/d/unknown`, 'not ours');
    symlinkSync('nowhere', `${root}/d/link`);
    await assert.rejectsWithCode(store.rm('d'), 'ERR_NOT_EMPTY');
    await assert.rejectsWithCode(store.rm('nothing'), 'ERR_NOT_FOUND');
    await store.rm('nothing', { force: true });
    await store.rm('a');
    await store.mkdir('empty');
    await store.rm('empty');
    assert.equal(Object.keys(tree()), ['d/b', 'd/e/c', 'd/link', 'd/unknown']);
    await store.rm('d', { recursive: true });
    assert.equal(tree(), {});
    await store.checkpoint();
    await fill(store, { 'd/b': 'again' });
    assert.equal(tree(), { 'd/b': 'again' });
    await assert.rejectsWithCode(store.rm('.', { recursive: true }), 'ERR_IS_DIRECTORY');
  });
});

test('making directories', async () => {
  await withStores({}, async ({ store, tree }) => {
    await store.mkdir('a');
    await store.mkdir('b/c/d', { recursive: true });
    await store.mkdir('b/c/d', { recursive: true });
    await store.mkdir('.', { recursive: true });
    assert.equal(tree(), { 'a/': '', 'b/c/d/': '' });
    await assert.rejectsWithCode(store.mkdir('a'), 'ERR_EXISTS');
    await assert.rejectsWithCode(store.mkdir('x/y'), 'ERR_NOT_FOUND');
    await store.writeFile('file', '1');
    await assert.rejectsWithCode(store.mkdir('file'), 'ERR_EXISTS');
    await assert.rejectsWithCode(store.mkdir('file', { recursive: true }), 'ERR_EXISTS');
    await assert.rejectsWithCode(store.mkdir('file/x', { recursive: true }), 'ERR_NOT_DIRECTORY');
  });
});

/** What a transaction does, and the tree that it leaves. */
const nets: readonly {
  readonly name: string;
  readonly from: Record<string, string>;
  readonly run: (tx: Transaction) => void;
  readonly to: Record<string, string>;
}[] = [
  {
    name: 'files change places',
    from: { a: '1', b: '2', c: '3' },
    run: (tx) => {
      tx.rename('a', 't');
      tx.rename('b', 'a');
      tx.rename('c', 'b');
      tx.rename('t', 'c');
    },
    to: { a: '2', b: '3', c: '1' },
  },
  {
    name: 'a chain of moves ends where it began',
    from: { a: '1' },
    run: (tx) => {
      tx.rename('a', 'b');
      tx.rename('b', 'c');
      tx.rename('c', 'a');
    },
    to: { a: '1' },
  },
  {
    name: 'written, moved and written again',
    from: { b: 'old' },
    run: (tx) => {
      void tx.writeFile('a', '1');
      tx.rename('a', 'b');
      void tx.writeFile('a', '2');
      void tx.appendFile('b', '+');
    },
    to: { a: '2', b: '1+' },
  },
  {
    name: 'moved and added to',
    from: { a: '1' },
    run: (tx) => {
      tx.rename('a', 'b');
      void tx.appendFile('b', '+');
      tx.copyFile('b', 'c');
    },
    to: { b: '1+', c: '1+' },
  },
  {
    name: 'made and removed again',
    from: { a: '1' },
    run: (tx) => {
      void tx.writeFile('d/x', '1');
      tx.rm('d', { recursive: true });
      tx.rm('a');
      void tx.writeFile('a', '2');
    },
    to: { a: '2' },
  },
  {
    name: 'a directory is removed and made again with other files',
    from: { 'd/a': '1', 'd/b': '2', 'd/e/c': '3', 'd/f/g': '4' },
    run: (tx) => {
      tx.rm('d', { recursive: true });
      void tx.writeFile('d/b', 'new');
      void tx.writeFile('d/f/h', 'new');
    },
    to: { 'd/b': 'new', 'd/f/h': 'new' },
  },
  {
    name: 'a directory is moved and its files changed on the way',
    from: { 'd/a': '1', 'd/b': '2', 'd/c': '3' },
    run: (tx) => {
      void tx.writeFile('d/a', 'new');
      tx.rename('d', 'e');
      tx.rm('e/b');
      void tx.appendFile('e/c', '+');
      void tx.writeFile('e/n', 'new');
    },
    to: { 'e/a': 'new', 'e/c': '3+', 'e/n': 'new' },
  },
  {
    name: 'a directory leaves and a new one takes its place',
    from: { 'd/a': '1', 'd/b': '2' },
    run: (tx) => {
      tx.rename('d', 'e');
      void tx.writeFile('d/a', 'new');
    },
    to: { 'd/a': 'new', 'e/a': '1', 'e/b': '2' },
  },
  {
    name: 'a directory leaves, and where it had files and a link the new one has directories',
    from: { 'd/a': '1', 'd/b': '2' },
    run: (tx) => {
      tx.rename('d', 'e');
      void tx.writeFile('d/a/c', 'new');
      tx.rename('e/b', 'd/b/a');
    },
    to: { 'd/a/c': 'new', 'd/b/a': '2', 'e/a': '1' },
  },
  {
    name: 'a directory is turned inside out',
    from: { 'd/e/a': '1', 'd/b': '2' },
    run: (tx) => {
      tx.rename('d/e', 'x');
      tx.rename('d', 'x/d');
    },
    to: { 'x/a': '1', 'x/d/b': '2' },
  },
  {
    name: 'an inner and an outer directory both move',
    from: { 'd/e/a': '1', 'd/b': '2' },
    run: (tx) => {
      tx.rename('d', 'n');
      tx.rename('n/e', 'n/f');
      void tx.writeFile('n/f/c', '3');
    },
    to: { 'n/b': '2', 'n/f/a': '1', 'n/f/c': '3' },
  },
  {
    name: 'a directory takes the place of another one',
    from: { 'd/a': '1', 'd/b': '2', 'd/s/c': '3', 'e/b': '4', 'e/s': '5', 'e/t/u': '6' },
    run: (tx) => {
      tx.rename('d/a', 'a');
      tx.rename('d/s', 's');
      tx.rm('d', { recursive: true });
      tx.rename('e', 'd');
      tx.rename('d/t', 'd/v');
      void tx.appendFile('d/b', '+');
      tx.rm('d/s');
    },
    to: { a: '1', 'd/b': '4+', 'd/v/u': '6', 's/c': '3' },
  },
  {
    name: 'directories change places',
    from: { 'd/a': '1', 'd/b/c': '2', 'e/a': '3', 'e/d/e': '4' },
    run: (tx) => {
      tx.rename('d', 't');
      tx.rename('e', 'd');
      tx.rename('t', 'e');
      void tx.writeFile('e/a', 'new');
      tx.rename('d/d', 'f');
    },
    to: { 'd/a': '3', 'e/a': 'new', 'e/b/c': '2', 'f/e': '4' },
  },
  {
    name: 'three directories go round',
    from: { 'a/x': '1', 'b/x': '2', 'b/s/y': '3', 'c/x': '4' },
    run: (tx) => {
      tx.rename('a', 't');
      tx.rename('b', 'a');
      tx.rename('c', 'b');
      tx.rename('t', 'c');
    },
    to: { 'a/s/y': '3', 'a/x': '2', 'b/x': '4', 'c/x': '1' },
  },
  {
    name: 'a directory takes the place of the one that it was in',
    from: { 'd/a': '1', 'd/s/a': '2', 'd/s/t/b': '3', 'd/u/c': '4' },
    run: (tx) => {
      tx.rename('d/s', 't');
      tx.rename('d/u', 'u');
      tx.rm('d', { recursive: true });
      tx.rename('t', 'd');
    },
    to: { 'd/a': '2', 'd/t/b': '3', 'u/c': '4' },
  },
  {
    name: 'a directory takes the place of the one that it was in, which goes elsewhere',
    from: { 'd/a': '1', 'd/s/a': '2', 'd/s/t/b': '3' },
    run: (tx) => {
      tx.rename('d', 'e');
      tx.rename('e/s', 'd');
    },
    to: { 'd/a': '2', 'd/t/b': '3', 'e/a': '1' },
  },
  {
    name: 'files are saved from a directory that goes',
    from: { 'd/a': '1', 'd/b': '2', 'd/e/c': '3' },
    run: (tx) => {
      tx.rename('d/a', 'a');
      tx.rename('d/e', 'e');
      tx.rm('d', { recursive: true });
    },
    to: { a: '1', 'e/c': '3' },
  },
  {
    name: 'a file moves out of a directory, which moves, and back into it',
    from: { 'd/a': '1', 'd/b': '2' },
    run: (tx) => {
      tx.rename('d/a', 't');
      tx.rename('d', 'e');
      tx.rename('t', 'e/a');
    },
    to: { 'e/a': '1', 'e/b': '2' },
  },
  {
    name: 'a file goes back to its place while its directory leaves',
    from: { 'd/a': '1', 'd/b': '2' },
    run: (tx) => {
      tx.rename('d', 'e');
      tx.rename('e/a', 'd/a');
    },
    to: { 'd/a': '1', 'e/b': '2' },
  },
  {
    name: 'directories move one after the other',
    from: { 'a/x': '1', 'b/x': '2', 'c/x': '3' },
    run: (tx) => {
      tx.rename('c', 'd');
      tx.rename('b', 'c');
      tx.rename('a', 'b');
    },
    to: { 'b/x': '1', 'c/x': '2', 'd/x': '3' },
  },
  {
    name: 'moved away and back',
    from: { 'd/a': '1' },
    run: (tx) => {
      tx.rename('d', 'e');
      tx.rename('e', 'd');
      void tx.writeFile('d/a', '2');
    },
    to: { 'd/a': '2' },
  },
];

for (const { name, from, run, to } of nets) {
  test(`the net effect is right where ${name}`, async () => {
    await withStores({}, async ({ store, tree }) => {
      await fill(store, from);
      await store.transact((tx) => {
        run(tx);
      });
      assert.equal(tree(), to);
      const readBack = await store.readFiles(Object.keys(to), 'utf8');
      assert.equal(Object.fromEntries(readBack), to);
      await store.checkpoint();
      assert.equal(tree(), to);
      assert.equal(
        await Promise.all(Object.keys(to).map(async (path) => await store.readFile(path, 'utf8'))),
        Object.values(to),
      );
    });
  });

  test(`a transaction sees what it has done where ${name}`, async () => {
    await withStores({}, async ({ store, tree }) => {
      await fill(store, from);
      const tx = await store.begin();
      run(tx);
      const seen: Record<string, string> = {};
      for (const path of await tx.readdir('.', { recursive: true })) {
        if ((await tx.stat(path)).type === 'file') seen[path] = await tx.readFile(path, 'utf8');
      }
      assert.equal(Object.fromEntries(Object.entries(seen).sort(([a], [b]) => (a < b ? -1 : 1))), to);
      for (const path of Object.keys(from)) {
        const isThere = Object.keys(to).some((each) => each === path || each.startsWith(`${path}/`));
        assert.is(await tx.exists(path), isThere, path);
      }
      assert.equal(tree(), from, 'nothing has happened yet');
      await tx.abort();
      assert.equal(tree(), from);
    });
  });
}

const impossible: readonly (readonly [name: string, run: (tx: Transaction) => void, code: string])[] = [
  [
    'a file becomes a directory',
    (tx) => {
      tx.rm('a');
      tx.mkdir('a');
    },
    'ERR_NOT_DIRECTORY',
  ],
  [
    'a directory becomes a file',
    (tx) => {
      tx.rm('d', { recursive: true });
      void tx.writeFile('d', '1');
    },
    'ERR_IS_DIRECTORY',
  ],
];
for (const [name, run, code] of impossible) {
  test(`it is refused, with nothing changed, that ${name} in one transaction`, async () => {
    await withStores({}, async ({ store, tree, leftovers }) => {
      const from = { a: '1', 'd/s/z': '4', 'd/x': '2', 'e/y': '3' };
      await fill(store, from);
      await store.checkpoint();
      await assert.rejectsWithCode(
        store.transact((tx) => {
          run(tx);
        }),
        code,
      );
      assert.equal(tree(), from);
      assert.equal(leftovers(), []);
      await store.writeFile('a', 'goes on');
    });
  });
}

test('pipes, sockets and devices can be moved and removed, and nothing else', async () => {
  await withStores({}, async ({ store, root }) => {
    execFileSync('mkfifo', [`${root}/fifo`]);
    await store.writeFile('a', '1');
    await assert.rejectsWithCode(store.readFile('fifo'), 'ERR_INVALID_PATH');
    await assert.rejectsWithCode(store.writeFile('fifo', '1'), 'ERR_INVALID_PATH');
    await assert.rejectsWithCode(store.appendFile('fifo', '1'), 'ERR_INVALID_PATH');
    await assert.rejectsWithCode(store.copyFile('fifo', 'b'), 'ERR_INVALID_PATH');
    await assert.rejectsWithCode(store.copyFile('a', 'fifo'), 'ERR_INVALID_PATH');
    await assert.rejectsWithCode(store.rename('a', 'fifo'), 'ERR_INVALID_PATH');
    assert.is((await store.stat('fifo')).type, 'other');
    assert.is(await store.exists('fifo'), true);
    const { ino } = statSync(`${root}/fifo`);
    await store.rename('fifo', 'd/b');
    assert.equal([statSync(`${root}/d/b`).isFIFO(), statSync(`${root}/d/b`).ino], [true, ino]);
    await store.rm('d/b');
    assert.equal(readdirSync(root).sort(), ['.forewrit', 'a', 'd']);
    assert.equal(readdirSync(`${root}/d`), []);
  });
});

test.run();
