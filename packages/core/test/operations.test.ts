/** Operations of one transaction on top of each other, and of several at once on one file by different names. */

import { mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { MemoryLog } from '#src/log/memory-log.js';
import { Spellings } from '#src/plan/spelling.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';
import { leftoversOf, openTestStore, treeOf } from './store-world.js';

const test = suite('operations');

test('a file keeps the mode that it was given first, whatever is added to it', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.transact((tx) => {
    void tx.appendFile('new', '1', { mode: 0o600 });
    void tx.appendFile('new', '2', { mode: 0o640 });
    void tx.writeFile('written', '1', { mode: 0o600 });
    void tx.appendFile('written', '2');
    tx.copyFile('written', 'copy');
  });
  assert.equal(world.tree(), { copy: '12', new: '12', written: '12' });
  for (const path of ['new', 'written']) assert.is(statSync(`${root}/${path}`).mode & 0o777, 0o600, path);
  await store.transact((tx) => {
    tx.rename('new', 'moved');
    void tx.appendFile('moved', '3');
    tx.copyFile('moved', 'again');
  });
  assert.is(readFileSync(`${root}/moved`, 'utf8'), '123');
  assert.is(readFileSync(`${root}/again`, 'utf8'), '123');
  assert.is(statSync(`${root}/moved`).mode & 0o777, 0o600);
});

test('what a transaction sees of its own has type and size, or is missing', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFiles({ a: '12345', 'd/x': 'x' });
  symlinkSync('a', `${root}/link`);
  const tx = await store.begin();
  tx.rename('a', 'moved');
  void tx.appendFile('moved', '6');
  tx.copyFile('d/x', 'copy');
  tx.mkdir('made', { mode: 0o700 });
  tx.rm('d', { recursive: true });
  tx.rename('link', 'link-2');
  assert.is((await tx.stat('moved')).size, 6);
  assert.is((await tx.stat('copy')).size, 1);
  const made = await tx.stat('made');
  assert.equal([made.type, made.mode], ['directory', 0o700]);
  for (const missing of ['a', 'd', 'd/x', 'nothing']) {
    await assert.rejectsWithCode(tx.stat(missing), 'ERR_NOT_FOUND');
  }
  await tx.abort();
  await store.snapshot(async (view) => {
    assert.is((await view.stat('a')).size, 5);
    await assert.rejectsWithCode(view.stat('nothing'), 'ERR_NOT_FOUND');
  });
});

test('a file cannot take the place of a directory in one transaction, nor the other way round', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFiles({ a: '1', 'd/x': 'x' });
  symlinkSync('a', `${root}/link`);
  const refused = [
    store.transact((tx) => (tx.rm('d', { recursive: true }), void tx.writeFile('d', 'file'))),
    store.transact((tx) => (tx.rm('d', { recursive: true }), tx.rename('link', 'd'))),
  ];
  for (const each of refused) await assert.rejectsWithCode(each, 'ERR_IS_DIRECTORY');
  assert.equal(Object.keys(world.tree()), ['a', 'd/x', 'link']);
  await store.transact((tx) => {
    for (const path of ['link', 'd/x', 'a']) tx.rm(path);
  });
  assert.equal(world.tree(), { 'd/': '' });
});

test('saves of one file by two names do not meet in one group', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFiles({ 'd/x': 'old', 'd/y': 'old', 'e/x': 'old' });
  symlinkSync('d', `${root}/link`);
  symlinkSync('e', `${root}/other`);
  await Promise.all([store.writeFile('d/x', 'first'), store.writeFile('link/x', 'second')]);
  assert.is(world.tree()['d/x'], 'second');
  const [written, moved] = await Promise.allSettled([
    store.writeFile('link/y', 'new'),
    store.rename('d', 'm'),
  ]);
  assert.equal([written.status, moved.status], ['fulfilled', 'fulfilled']);
  assert.is(world.tree()['m/y'], 'new');
  const gone = await Promise.allSettled([
    store.rm('e', { recursive: true }),
    store.writeFile('other/n', 'x'),
  ]);
  assert.is(gone[0].status, 'fulfilled');
  await store.checkpoint();
  assert.equal(world.leftovers(), []);
});

test('two spellings of a file are refused where the file system takes them for one', () => {
  const options = {};
  const content = { kind: 'bytes', bytes: new Uint8Array(0) } as const;
  const write = (path: string) => ({ type: 'write', path, content, options }) as const;
  const folding = new Spellings({ caseInsensitive: true, normalizing: false });
  folding.add(write('Read.me'), write('Read.me'));
  folding.add(write('Read.me'), write('Read.me'));
  assert.throwsWithCode(() => folding.add(write('read.me'), write('read.me')), 'ERR_PATH_ALIAS');
  const exact = new Spellings({ caseInsensitive: false, normalizing: false });
  exact.add(write('Read.me'), write('Read.me'));
  exact.add(write('read.me'), write('read.me'));
  assert.throwsWithCode(() => exact.add(write('link/x'), write('Read.me')), 'ERR_PATH_ALIAS');
});

test('a directory that may not be changed is found out before anything is staged', async () => {
  const locked = new Set<string>();
  class Locked extends NodeFileSystem {
    override mayChange(directory: string): boolean {
      return !locked.has(directory);
    }
  }
  const fileSystem = new Locked();
  using directory = temporaryDirectory('locked');
  const root = directory.path;
  mkdirSync(`${root}/d`);
  const store = await openTestStore(root, { fileSystem, log: new MemoryLog() });
  await store.writeFiles({ a: '1', 'd/x': '1' });
  await store.checkpoint();
  for (const place of ['', '/d']) {
    locked.clear();
    locked.add(`${root}${place}`);
    await assert.rejectsWithCode(store.writeFiles({ a: '2', 'd/x': '2' }), 'ERR_PERMISSION');
    await assert.rejectsWithCode(store.rename('a', 'd/y'), 'ERR_PERMISSION');
    assert.equal(treeOf(root), { a: '1', 'd/x': '1' });
    assert.equal(leftoversOf(root), []);
  }
  locked.clear();
  await store.close();
});

test('large content whose flush or close fails leaves nothing, whatever it is made of', async () => {
  for (const method of ['sync', 'close'] as const) {
    let armed = false;
    await using world = await engineWorld({
      faults: [
        { error: 'EIO', at: (call) => armed && call.method === method && call.path.includes('/staged/') },
      ],
    });
    const { store } = world;
    await store.writeFile('a', 'old');
    await store.checkpoint();
    armed = true;
    await assert.rejectsWithCode(store.writeFile('a', Buffer.alloc(3_000_000)), 'ERR_IO');
    assert.equal(world.tree(), { a: 'old' });
    assert.equal(world.leftovers(), []);
    await store.writeFile('a', Buffer.alloc(3_000_000, 'x'));
    assert.is(world.tree()['a']?.length, 3_000_000);
  }
});

test('adding much to a file is looked at for room as a whole', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFile('a', 'old');
  await store.appendFile('a', 'x'.repeat(2_000_000));
  assert.is(world.tree()['a']?.length, 2_000_003);
});

test('a large content is given up at once when its signal comes', async () => {
  await using world = await engineWorld();
  const { store } = world;
  const controller = new AbortController();
  const saving = store.writeFile('a', Buffer.alloc(20_000_000), { signal: controller.signal });
  controller.abort();
  await assert.rejectsWithCode(saving, 'ERR_ABORTED');
  assert.equal([world.tree(), world.leftovers()], [{}, []]);
  await store.writeFile('b', Buffer.alloc(3_000_000), { signal: new AbortController().signal });
  assert.is(world.tree()['b']?.length, 3_000_000);
});

test('the files of a set cannot come one by one', async () => {
  await using world = await engineWorld();
  async function* files(): AsyncGenerator<[string, string]> {
    yield ['a', '1'];
  }
  await assert.rejectsWithCode(world.store.writeFiles(files() as never), 'ERR_INVALID_ARGUMENT');
  assert.equal(world.tree(), {});
});

test('a snapshot of files that others change between any two reads is given up in the end', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFiles(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`f${n}`, 'x'])));
  let reads = 0;
  const looking = store.snapshot(async (view) => {
    await view.readFile(`f${(reads += 1)}`);
    await store.writeFiles({ [`f${reads}`]: `${reads}`, [`f${reads + 1}`]: `${reads}` });
    await view.readFile(`f${(reads += 1)}`);
  });
  await assert.rejectsWithCode(looking, 'ERR_CONFLICT');
  assert.ok(reads > 100);
});

test.run();
