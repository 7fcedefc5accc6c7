import { chmodSync, chownSync, linkSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import type { Data } from '#src/store/content-staging.js';
import { assert, suite } from '@forewrit/testkit';
import { withStores } from './store-world.js';

const test = suite('writing files');
const isRoot = process.getuid?.() === 0;
const notRoot = isRoot ? undefined : 'needs root';

/** Bytes that a compressor or a file system with holes cannot make small. */
function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = 1;
  for (let at = 0; at < size; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, Math.min(at, size - 4));
  }
  return bytes;
}

async function* pieces(...parts: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  for (const part of parts) {
    await Promise.resolve();
    yield part;
  }
}

test('content of every kind and size arrives as it was given', async () => {
  const large = noise(5 * 1024 * 1024 + 3);
  const medium = noise(100_000);
  const cases: readonly (readonly [name: string, data: () => Data, expected: Uint8Array])[] = [
    ['string', () => 'grüße, 日本, 🎉', Buffer.from('grüße, 日本, 🎉')],
    ['empty string', () => '', Buffer.alloc(0)],
    ['empty bytes', () => new Uint8Array(0), Buffer.alloc(0)],
    ['bytes', () => Uint8Array.of(0, 255, 10), Buffer.of(0, 255, 10)],
    [
      'a view into a larger buffer',
      () => new Uint8Array(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2),
      Buffer.of(2, 3),
    ],
    ['more than travels in the log', () => medium, medium],
    ['large bytes', () => large, large],
    ['a large string', () => 'ä'.repeat(1_200_000), Buffer.from('ä'.repeat(1_200_000))],
    ['a stream', () => Readable.from([Buffer.from('a'), Buffer.from('bc')]), Buffer.from('abc')],
    ['a large stream', () => Readable.from([large.subarray(0, 1000), large.subarray(1000)]), large],
    ['an empty stream', () => Readable.from([]), Buffer.alloc(0)],
    ['a stream of strings', () => pieces('grü', '', 'ße'), Buffer.from('grüße')],
    ['an asynchronous iterable', () => pieces(medium, 'end'), Buffer.concat([medium, Buffer.from('end')])],
    ['an array of pieces', () => ['one', Buffer.from('two')], Buffer.from('onetwo')],
    [
      'a web stream',
      () => new Blob(['web ', medium as Uint8Array<ArrayBuffer>]).stream() as Data,
      Buffer.concat([Buffer.from('web '), medium]),
    ],
  ];
  await withStores({}, async ({ store, root }) => {
    for (const [name, data, expected] of cases) {
      for (const file of ['new', 'replaced', 'replaced']) {
        const commit = await store.writeFile(file, data());
        assert.ok(readFileSync(`${root}/${file}`).equals(expected), name);
        assert.ok((await store.readFile(file)).equals(expected), name);
        assert.is(commit.bytes, expected.length, name);
        assert.equal(commit.paths, [file]);
      }
    }
  });
});

test('strings are encoded as asked, whatever their length was taken for', async () => {
  const cases: readonly (readonly [text: string, encoding: BufferEncoding])[] = [
    ['YWJj\nZGVm\n', 'base64'],
    ['YWJj', 'base64url'],
    ['00ff1', 'hex'],
    ['zz', 'hex'],
    ['grüße', 'latin1'],
    ['grüße', 'utf16le'],
    ['grüße', 'utf-8'],
    ['plain', 'ascii'],
  ];
  await withStores({}, async ({ store }) => {
    for (const [text, encoding] of cases) {
      const expected = Buffer.from(text, encoding);
      await store.writeFile('a', text, encoding);
      assert.equal(await store.readFile('a'), expected, encoding);
      await store.writeFile('b', text, { encoding });
      assert.equal(await store.readFile('b'), expected, encoding);
      await store.appendFile('b', text, encoding);
      assert.equal(await store.readFile('b'), Buffer.concat([expected, expected]), encoding);
      assert.is(await store.readFile('a', encoding), expected.toString(encoding));
    }
    assert.is(await store.readFile('b', { encoding: 'utf8' }), 'plainplain');
  });
});

test('a stream that fails leaves nothing and its own error comes back', async () => {
  const failure = new Error('the source broke');
  async function* failing(size: number): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(size);
    await Promise.resolve();
    throw failure;
  }
  await withStores({}, async ({ store, tree, leftovers }) => {
    for (const size of [10, 3_000_000]) {
      for (const path of ['new', 'old']) {
        await store.writeFile('old', 'kept');
        await store.checkpoint();
        const caught = await store.writeFile(path, failing(size)).catch((error: unknown) => error);
        assert.is(caught, failure);
        assert.equal(leftovers(), []);
      }
      const tx = await store.begin();
      void tx.writeFile('beside', 'x');
      assert.is(
        await Promise.resolve(tx.writeFile('new', failing(size))).catch((error: unknown) => error),
        failure,
      );
      assert.is(await tx.commit().catch((error: unknown) => error), failure);
      assert.is(tx.state, 'aborted');
    }
    await store.checkpoint();
    assert.equal(tree(), { old: 'kept' });
    assert.equal(leftovers(), []);
    assert.is(store.stats().activeTransactions, 0);
  });
});

test('a set of files is given as an object, as pairs, or as a map', async () => {
  await withStores({}, async ({ store, tree }) => {
    const commit = await store.writeFiles({ a: '1', 'd/b': Buffer.from('2'), 'd/e/c': Readable.from(['3']) });
    assert.equal([...commit.paths].sort(), ['a', 'd/b', 'd/e/c']);
    assert.equal(tree(), { a: '1', 'd/b': '2', 'd/e/c': '3' });
    await store.writeFiles([
      ['a', '4'],
      ['d/b', '5'],
    ]);
    await store.writeFiles(new Map([['d/e/c', '6']]));
    assert.equal(tree(), { a: '4', 'd/b': '5', 'd/e/c': '6' });
    assert.equal((await store.writeFiles({})).paths, []);
  });
});

test('naming a file twice in a set is refused', async () => {
  await withStores({}, async ({ store, root, tree }) => {
    await store.writeFile('a', 'old');
    symlinkSync('a', `${root}/link`);
    await assert.rejectsWithCode(
      store.writeFiles([
        ['b', '1'],
        ['b', '2'],
      ]),
      'ERR_PATH_ALIAS',
    );
    await assert.rejectsWithCode(store.writeFiles({ b: '1', './b': '2' }), 'ERR_PATH_ALIAS');
    await assert.rejectsWithCode(store.writeFiles({ b: '1', [`${root}/b`]: '2' }), 'ERR_PATH_ALIAS');
    await assert.rejectsWithCode(store.writeFiles({ a: '1', link: '2' }), 'ERR_PATH_ALIAS');
    assert.equal(tree(), { a: 'old', link: '(not a file)' });
  });
});

test('paths may be relative, absolute or file URLs, with any characters that names can have', async () => {
  const names = [
    'with space',
    'grüße.json',
    '日本/語',
    'a:b',
    'c:',
    'x:y/z',
    '-',
    '~',
    'back\\slash',
    '%41',
    'new\nline',
    '...',
    '🎉',
  ];
  await withStores({}, async ({ store, root, text }) => {
    for (const name of names) {
      await store.writeFile(`./${name}`, `in ${name}`);
      assert.is(text(name), `in ${name}`);
      assert.is(await store.readFile(`./${name}`, 'utf8'), `in ${name}`);
      await store.writeFile(pathToFileURL(`${root}/${name}`), 'by URL');
      assert.is(await store.readFile(`${root}/${name}`, 'utf8'), 'by URL');
    }
    const listed = (await store.readdir('.')).filter((name) => !name.startsWith('日'));
    assert.equal(
      new Set(listed),
      new Set(names.map((name) => name.replace(/\/.*/, '')).filter((name) => name !== '日本')),
    );
  });
});

test('parents are made in the same transaction, unless that is forbidden', async () => {
  await withStores({}, async ({ store, tree }) => {
    await store.writeFile('a/b/c/d', 'deep');
    await assert.rejectsWithCode(store.writeFile('x/y', '1', { parents: false }), 'ERR_NOT_FOUND');
    await assert.rejectsWithCode(store.writeFile('a/b/c/d/e', '1'), 'ERR_NOT_DIRECTORY');
    await assert.rejectsWithCode(store.writeFile('a/b', '1'), 'ERR_IS_DIRECTORY');
    await assert.rejectsWithCode(store.copyFile('a/b/c/d', 'x/y', { parents: false }), 'ERR_NOT_FOUND');
    await assert.rejectsWithCode(store.rename('a/b/c/d', 'x/y', { parents: false }), 'ERR_NOT_FOUND');
    await assert.rejectsWithCode(store.appendFile('x/y', '1', { parents: false }), 'ERR_NOT_FOUND');
    await store.writeFile('a/e', '1', { parents: false });
    assert.equal(tree(), { 'a/b/c/d': 'deep', 'a/e': '1' });
  });
});

test('ifRevision, ifAbsent and force say on what a write may stand', async () => {
  await withStores({}, async ({ store, root, text }) => {
    const first = await store.writeFile('a', '1');
    const second = await store.writeFile('a', '2', { ifRevision: first.revision });
    assert.ok(second.revision > first.revision);
    await assert.rejectsWithCode(store.writeFile('a', '3', { ifRevision: first.revision }), 'ERR_CONFLICT');
    await assert.rejectsWithCode(store.writeFile('nothing', '3', { ifRevision: 1 }), 'ERR_CONFLICT');
    assert.is((await store.stat('a')).revision, second.revision);
    // Who has read a revision does not write over an edit of it.
    writeFileSync(`${root}/a`, 'edited by hand');
    await assert.rejectsWithCode(store.writeFile('a', '3', { ifRevision: second.revision }), 'ERR_CONFLICT');
    await store.writeFile('a', '3', { ifRevision: second.revision, force: true });
    assert.is(text('a'), '3');

    await assert.rejectsWithCode(store.writeFile('a', '4', { ifAbsent: true }), 'ERR_EXISTS');
    await assert.rejectsWithCode(store.copyFile('a', 'a', { ifAbsent: true }), 'ERR_EXISTS');
    await store.writeFile('b', '4', { ifAbsent: true });
    const attempts = await Promise.allSettled(
      [1, 2, 3].map((n) => store.writeFile('c', String(n), { ifAbsent: true })),
    );
    assert.equal(
      attempts.map(({ status }) => status),
      ['fulfilled', 'rejected', 'rejected'],
    );
  });
});

test('a backup keeps what was replaced, under the same inode', async () => {
  await withStores({}, async ({ store, root, tree }) => {
    await store.writeFile('a', '1', { backup: true });
    assert.equal(tree(), { a: '1' }, 'there was nothing to keep');
    const { ino } = statSync(`${root}/a`);
    await store.writeFile('a', '2', { backup: true });
    assert.equal(tree(), { a: '2', 'a.bak': '1' });
    assert.is(statSync(`${root}/a.bak`).ino, ino);
    await store.writeFile('a', '3', { backup: 'old/a' });
    await store.writeFile('a', '4', { backup: 'old/a' });
    assert.equal(tree(), { a: '4', 'a.bak': '1', 'old/a': '3' });
    await store.checkpoint();
    assert.is(await store.readFile('old/a', 'utf8'), '3');
  });
});

test('appending reads what is there, or begins a new file', async () => {
  const large = noise(200_000);
  await withStores({}, async ({ store, text, root }) => {
    await store.appendFile('log/a', 'one');
    await store.appendFile('log/a', ', two');
    await store.transact((tx) => {
      void tx.appendFile('log/a', ', three');
      void tx.appendFile('log/a', ', four');
    });
    assert.is(text('log/a'), 'one, two, three, four');
    await store.appendFile('log/a', large);
    await store.appendFile('log/a', Readable.from([large, 'end']));
    assert.ok(
      readFileSync(`${root}/log/a`).equals(
        Buffer.concat([Buffer.from('one, two, three, four'), large, large, Buffer.from('end')]),
      ),
    );
  });
});

test('modes are kept, those asked for are umasked, and new files get the usual one', async () => {
  const umask = process.umask();
  const mode = (path: string): number => statSync(path).mode & 0o7777;
  await withStores({}, async ({ store, root }) => {
    await store.writeFile('usual', '1');
    assert.is(mode(`${root}/usual`), 0o666 & ~umask);
    for (const size of [1, 200_000]) {
      await store.writeFile('kept', 'x'.repeat(size));
      chmodSync(`${root}/kept`, 0o640);
      await store.writeFile('kept', 'y'.repeat(size));
      assert.is(mode(`${root}/kept`), 0o640);
      await store.appendFile('kept', 'more');
      assert.is(mode(`${root}/kept`), 0o640);
      await store.writeFile('kept', 'z'.repeat(size), { mode: 0o707 });
      assert.is(mode(`${root}/kept`), 0o707 & ~umask);
      await store.writeFile(`asked-${size}`, 'x'.repeat(size), { mode: 0o777 });
      assert.is(mode(`${root}/asked-${size}`), 0o777 & ~umask);
      await store.writeFile(`stream-${size}`, Readable.from(['x'.repeat(size)]), { mode: 0o600 });
      assert.is(mode(`${root}/stream-${size}`), 0o600);
    }
    chmodSync(`${root}/kept`, 0o750);
    await store.copyFile('kept', 'copy');
    await store.rename('kept', 'moved');
    assert.is(mode(`${root}/copy`), 0o750);
    assert.is(mode(`${root}/moved`), 0o750);
    await store.mkdir('directory');
    await store.mkdir('private', { mode: 0o700 });
    await store.writeFile('made/file', '1');
    assert.is(mode(`${root}/directory`), 0o777 & ~umask);
    assert.is(mode(`${root}/made`), 0o777 & ~umask);
    assert.is(mode(`${root}/private`), 0o700);
  });
});

test.skipIf(notRoot, 'the owner of a replaced file is kept', async () => {
  await withStores({}, async ({ store, root }) => {
    for (const size of [1, 200_000]) {
      await store.writeFile('a', 'x'.repeat(size));
      chownSync(`${root}/a`, 1234, 4321);
      chmodSync(`${root}/a`, 0o4755);
      await store.writeFile('a', 'y'.repeat(size));
      const { uid, gid, mode } = statSync(`${root}/a`);
      assert.equal([uid, gid, mode & 0o7777], [1234, 4321, 0o4755]);
      await store.rename('a', 'b');
      await store.copyFile('b', 'a');
      assert.is(statSync(`${root}/a`).uid, 1234);
    }
  });
});

test('replacing one name of a hard link leaves the other name with the old content', async () => {
  await withStores({}, async ({ store, root, text }) => {
    await store.writeFile('a', 'old');
    linkSync(`${root}/a`, `${root}/other`);
    await store.writeFile('a', 'new');
    await store.checkpoint();
    assert.is(text('other'), 'old');
    assert.is(text('a'), 'new');
    assert.is(statSync(`${root}/other`).nlink, 1);
  });
});

test('symbolic links inside the store are followed, or refused, as it was opened', async () => {
  await withStores({}, async ({ store, root, open, text }) => {
    await store.writeFile('dir/a', '1');
    symlinkSync('dir/a', `${root}/to-file`);
    symlinkSync('dir', `${root}/to-dir`);
    symlinkSync('../..', `${root}/out`);
    await store.writeFile('to-file', '2');
    await store.writeFile('to-dir/b', '3');
    assert.is(text('dir/a'), '2');
    assert.is(text('dir/b'), '3');
    assert.is(await store.readFile('to-dir/a', 'utf8'), '2');
    assert.equal(await store.readdir('to-dir'), ['a', 'b']);
    await assert.rejectsWithCode(store.writeFile('out/x', '1'), 'ERR_PATH_ESCAPE');
    await assert.rejectsWithCode(store.readFile('out/x'), 'ERR_PATH_ESCAPE');

    // The link itself is what is moved and removed.
    await store.rename('to-file', 'moved');
    assert.is(await store.readFile('moved', 'utf8'), '2');
    await store.rm('moved');
    assert.is(text('dir/a'), '2');
    // Once it is removed its name stands for itself.
    await store.transact(async (tx) => {
      tx.rm('to-dir');
      void tx.writeFile('to-dir', 'a file');
      assert.is(await tx.readFile('to-dir', 'utf8'), 'a file');
    });
    assert.is(text('to-dir'), 'a file');

    symlinkSync('dir', `${root}/again`);
    const strict = await open({ symlinks: 'refuse' });
    await assert.rejectsWithCode(strict.writeFile('again/a', '1'), 'ERR_PATH_ESCAPE');
    await assert.rejectsWithCode(strict.readFile('again/a'), 'ERR_PATH_ESCAPE');
    await strict.rm('again');
  });
});

test('what the caller does to its buffer afterwards is not written', async () => {
  await withStores({}, async ({ store }) => {
    for (const size of [10, 3_000_000]) {
      const bytes = Buffer.alloc(size, 1);
      const tx = await store.begin();
      await tx.writeFile('a', bytes);
      bytes.fill(2);
      await tx.commit();
      assert.ok((await store.readFile('a')).equals(Buffer.alloc(size, 1)));
      assert.is(bytes.length, size, 'and it is still the caller’s');
    }
    // Changed while it is being staged: whatever is written is what the checksum is of.
    const bytes = Buffer.alloc(8_000_000, 1);
    const writing = store.writeFile('b', bytes);
    bytes.fill(2);
    await writing;
    const { checksum } = await store.stat('b');
    const { checksum: again } = await store
      .writeFile('c', await store.readFile('b'))
      .then(() => store.stat('c'));
    assert.is(checksum, again);
  });
});

test.run();
