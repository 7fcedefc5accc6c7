/** `store.stage`: content that arrives over time, is taken up again, and becomes a file by a commit. */

import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import type { StoreOptions } from '#src/store/options.js';
import type { Store } from '#src/store/store.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { openTestStore, type StoreWorld, storeWorld, withStores } from './store-world.js';

const test = suite('store.stage');
const day = 24 * 60 * 60 * 1000;

function stagedFile(world: StoreWorld): string {
  const names = world.leftovers().filter((name) => name.startsWith('staged/'));
  assert.is(names.length, 1, names.join());
  return `${world.root}/.forewrit/${names[0]}`;
}

async function reopened(world: StoreWorld, store: Store, options: StoreOptions = {}): Promise<Store> {
  await store.close();
  return await world.open(options);
}

test('a directory in the place of staged content is refused; it is kept until it is discarded', async () => {
  await using world = await storeWorld();
  const staged = await world.store.stage('x');
  await staged.append('durable');
  await staged.close();
  const path = stagedFile(world);
  rmSync(path);
  mkdirSync(path);
  await assert.rejectsWithCode(world.store.stage('x'), 'ERR_INTEGRITY');
  assert.is((await world.store.staged()).length, 1);
});

test('where the staging area is gone, staging is ERR_IO, and writing in another encoding is as ever', async () => {
  await using world = await storeWorld();
  const area = `${world.root}/.forewrit/staged`;
  const staged = await world.store.stage('x');
  await staged.append('abcd', 'hex');
  assert.is(staged.offset, 2);
  await staged.close();
  renameSync(area, `${area}-`);
  await assert.rejectsWithCode(world.store.stage('y'), 'ERR_IO');
  renameSync(`${area}-`, area);
  await world.store.writeFile('x', await world.store.stage('x'));
  assert.equal([...readFileSync(`${world.root}/x`)], [0xab, 0xcd]);
  await world.store.writeFile('z', 'abcd', { encoding: 'hex' });
  assert.equal([...readFileSync(`${world.root}/z`)], [0xab, 0xcd]);
});

test('content that was staged becomes a file, and nothing of it is left', async () => {
  await withStores({}, async ({ store, text, leftovers }) => {
    const staged = await store.stage('report', { metadata: { by: 'me' } });
    assert.is(staged.offset, 0);
    assert.is(staged.resumed, false);
    await staged.append('one ');
    await staged.append(new TextEncoder().encode('two'));
    assert.is(staged.offset, 7);
    assert.is(staged.durableOffset, 0);
    await staged.sync();
    assert.is(staged.durableOffset, 7);
    const { bytes, paths } = await store.writeFile('a/report.txt', staged);
    assert.is(bytes, 7);
    assert.equal(paths, ['a/report.txt']);
    assert.is(text('a/report.txt'), 'one two');
    assert.equal(await store.staged(), []);
    await store.checkpoint();
    assert.equal(leftovers(), []);
    assert.is((await store.stat('a/report.txt')).checksum?.length, 16);
  });
});

test('content that was closed is continued where it was, in the same store and in the next', async () => {
  await withStores({}, async (world) => {
    let { store } = world;
    const first = await store.stage('x', { metadata: ['kept'] });
    await first.append('one ');
    await first.close();
    const second = await store.stage('x', { metadata: ['not used'] });
    assert.is(second.offset, 4);
    assert.is(second.resumed, true);
    assert.equal(second.metadata, ['kept']);
    await second.append('two ');
    await second.sync();
    await second.append('never synced');
    store = await reopened(world, store);
    assert.equal(store.recovery.undone, []);
    const third = await store.stage('x');
    assert.is(third.offset, 8);
    assert.equal(third.metadata, ['kept']);
    await third.append('three');
    await store.writeFile('x', third);
    assert.is(world.text('x'), 'one two three');
    await store.close();
  });
});

test('what was written after the last sync is cut off when it is taken up', async () => {
  await using world = await storeWorld();
  const staged = await world.store.stage('x');
  await staged.append('durable');
  await staged.sync();
  await world.store.close();
  appendFileSync(stagedFile(world), ' and more');
  const store = await world.open();
  const again = await store.stage('x');
  assert.is(again.offset, 7);
  await again.append('!');
  await store.writeFile('x', again);
  assert.is(world.text('x'), 'durable!');
});

test('an id is open once, and free again once it is written, discarded or closed', async () => {
  await withStores({}, async ({ store, leftovers }) => {
    const staged = await store.stage('x');
    await assert.rejectsWithCode(store.stage('x'), 'ERR_CONFLICT');
    await assert.rejectsWithCode(store.discardStaged('x'), 'ERR_CONFLICT');
    const opening = store.stage('y');
    await assert.rejectsWithCode(store.stage('y'), 'ERR_CONFLICT');
    await (await opening).discard();
    await store.writeFile('x', staged);
    const again = await store.stage('x');
    assert.is(again.resumed, false);
    await again.append('gone');
    await again.discard();
    await again.discard();
    assert.equal(await store.staged(), []);
    await store.checkpoint();
    assert.equal(leftovers(), []);
    assert.is(await store.discardStaged('x'), false);
  });
});

test('nothing at all can be staged, and is an empty file', async () => {
  await withStores({}, async (world) => {
    const staged = await world.store.stage('empty');
    await staged.append('');
    await staged.sync();
    await staged.close();
    const store = await reopened(world, world.store);
    const again = await store.stage('empty');
    assert.is(again.resumed, true);
    await store.writeFile('empty', again);
    assert.is(world.text('empty'), '');
    await store.close();
  });
});

test('two are staged at once, and written by one transaction', async () => {
  await withStores({}, async ({ store, text }) => {
    const one = await store.stage('one');
    const two = await store.stage('two');
    const calls: Promise<void>[] = [];
    for (let piece = 0; piece < 50; piece += 1) {
      calls.push(one.append(`1.${piece} `), two.append(`2.${piece} `), one.sync(), two.sync());
    }
    await Promise.all(calls);
    assert.equal(
      (await store.staged()).map(({ id, durableBytes, heldBy }) => [id, durableBytes, heldBy]),
      [
        ['one', one.offset, 'here'],
        ['two', two.offset, 'here'],
      ],
    );
    await store.writeFiles({ one, two, three: 'three' });
    for (const number of ['1', '2'] as const) {
      const expected = Array.from({ length: 50 }, (_, piece) => `${number}.${piece} `).join('');
      assert.is(text(number === '1' ? 'one' : 'two'), expected);
    }
  });
});

test('another store in this process may not have what is open here, and may have what was closed', async () => {
  await using world = await storeWorld();
  const other = await world.open();
  const staged = await world.store.stage('x');
  await staged.append('mine');
  await staged.sync();
  await assert.rejectsWithCode(other.stage('x'), 'ERR_CONFLICT');
  await assert.rejectsWithCode(other.discardStaged('x'), 'ERR_CONFLICT');
  assert.equal(
    (await other.staged()).map(({ heldBy }) => heldBy),
    ['elsewhere'],
  );
  await staged.close();
  // Its owner lives, and may take it up again at any time.
  await assert.rejectsWithCode(other.stage('x'), 'ERR_CONFLICT');
  await world.store.close();
  const taken = await other.stage('x');
  assert.is(taken.offset, 4);
  await other.writeFile('x', taken);
  assert.is(world.text('x'), 'mine');
});

const damages: Readonly<Record<string, (path: string) => void>> = {
  'other bytes': (path) => writeFileSync(path, 'damaged'),
  'fewer bytes': (path) => truncateSync(path, 3),
  'no file': (path) => rmSync(path),
};
for (const [what, damage] of Object.entries(damages)) {
  test(`content with ${what} is not continued, and is kept until it is discarded`, async () => {
    await using world = await storeWorld();
    const staged = await world.store.stage('x');
    await staged.append('durable');
    await staged.close();
    const path = stagedFile(world);
    damage(path);
    await assert.rejectsWithCode(world.store.stage('x'), 'ERR_INTEGRITY');
    const store = await reopened(world, world.store);
    await assert.rejectsWithCode(store.stage('x'), 'ERR_INTEGRITY');
    assert.is((await store.staged()).length, 1);
    assert.is(world.leftovers().length, what === 'no file' ? 0 : 1);
    assert.is(await store.discardStaged('x'), true);
    assert.equal(world.leftovers(), []);
    const anew = await store.stage('x');
    assert.is(anew.resumed, false);
    await anew.discard();
  });
}

test('a commit that is refused leaves the content as it was, to be continued', async () => {
  await withStores({}, async ({ store, text }) => {
    await store.writeFile('x', 'old');
    const staged = await store.stage('x');
    await staged.append('new');
    await assert.rejectsWithCode(store.writeFile('x', staged, { ifRevision: 0 }), 'ERR_CONFLICT');
    await assert.rejectsWithCode(store.writeFile('x', staged, { ifAbsent: true }), 'ERR_EXISTS');
    assert.is(text('x'), 'old');
    await staged.append(' content');
    await store.writeFile('x', staged);
    assert.is(text('x'), 'new content');
  });
});

test('a transaction holds content until it has ended', async () => {
  await withStores({}, async ({ store, text }) => {
    const staged = await store.stage('x');
    await staged.append('content');
    const tx = await store.begin();
    await tx.writeFile('a', staged);
    assert.is(await tx.readFile('a', 'utf8'), 'content');
    await assert.rejectsWithCode((async () => staged.append('more'))(), 'ERR_INVALID_ARGUMENT');
    await assert.rejectsWithCode((async () => tx.writeFile('b', staged))(), 'ERR_INVALID_ARGUMENT');
    await assert.rejectsWithCode((async () => staged.discard())(), 'ERR_INVALID_ARGUMENT');
    await tx.abort();
    await staged.append(' and more');

    const second = await store.begin();
    await second.writeFile('a', staged);
    await second.commit();
    assert.is(text('a'), 'content and more');
    await assert.rejectsWithCode((async () => staged.append('late'))(), 'ERR_INVALID_ARGUMENT');
    await staged.close();

    const other = await store.stage('x');
    await other.append('kept');
    const third = await store.begin();
    third.put('c', 'k', 1);
    const before = third.savepoint();
    await third.writeFile('b', other);
    before.rollback();
    await third.commit();
    assert.is(await store.exists('b'), false);
    await other.append(', and written');
    await store.writeFile('b', other);
    assert.is(text('b'), 'kept, and written');
  });
});

test('content that is staged and written over in the same transaction is gone', async () => {
  await withStores({}, async ({ store, text, leftovers }) => {
    const staged = await store.stage('x');
    await staged.append('content');
    await store.transact(async (tx) => {
      await tx.writeFile('a', staged);
      await tx.writeFile('a', 'something else');
    });
    assert.is(text('a'), 'something else');
    const again = await store.stage('x');
    await again.append('content');
    await store.transact(async (tx) => {
      await tx.writeFile('new', again);
      tx.rm('new');
    });
    assert.equal(await store.staged(), []);
    await store.checkpoint();
    assert.equal(leftovers(), []);
  });
});

test('the mode that a failed commit has given to the content does not stand in the way', async () => {
  await using world = await storeWorld();
  const staged = await world.store.stage('x');
  await staged.append('content');
  await staged.close();
  chmodSync(stagedFile(world), 0o400);
  const again = await world.store.stage('x');
  assert.is(statSync(stagedFile(world)).mode & 0o777, 0o600);
  await again.discard();
});

test('content larger than a file may be, or than there is room for, is refused and the rest kept', async () => {
  await withStores({ maxFileBytes: 10 }, async ({ store, text }) => {
    const staged = await store.stage('x');
    await staged.append('12345678');
    await assert.rejectsWithCode(staged.append('90123'), 'ERR_TOO_LARGE');
    await staged.append('90');
    await store.writeFile('x', staged);
    assert.is(text('x'), '1234567890');
  });
  await using world = await storeWorld({ reserveBytes: 0 });
  const staged = await world.store.stage('x');
  await assert.rejectsWithCode(
    staged.append({ byteLength: 2 ** 52, __proto__: Uint8Array.prototype } as unknown as Uint8Array),
    'ERR_NO_SPACE',
  );
  await staged.discard();
});

test('content on the store’s file system and in a named root is adopted alike', async () => {
  using elsewhere = temporaryDirectory('other-root');
  await withStores({ roots: { data: elsewhere.path } }, async ({ store }) => {
    const staged = await store.stage('x');
    await staged.append('content');
    await store.writeFile('data:x', staged);
    assert.is(readFileSync(`${elsewhere.path}/x`, 'utf8'), 'content');
  });
});

test('appending staged content to a file joins them', async () => {
  await withStores({}, async ({ store, text, leftovers }) => {
    await store.writeFile('a', 'begun, ');
    const staged = await store.stage('x');
    await staged.append('continued');
    await store.transact(async (tx) => {
      await tx.appendFile('a', staged);
    });
    assert.is(text('a'), 'begun, continued');
    await store.checkpoint();
    assert.equal(leftovers(), []);
  });
});

test('what was appended can be read and compared before it is written', async () => {
  await withStores({}, async ({ store, root }) => {
    const staged = await store.stage('x');
    const seen: string[] = [];
    for await (const piece of staged.pieces()) seen.push(Buffer.from(piece).toString());
    assert.equal(seen, []);
    assert.is(staged.checksum, 'ef46db3751d8e999');
    await staged.append('one ');
    await staged.append('two');
    for await (const piece of staged.pieces()) seen.push(Buffer.from(piece).toString());
    assert.is(seen.join(''), 'one two');
    const { checksum } = staged;
    await store.writeFile('x', staged);
    assert.is((await store.stat('x')).checksum, checksum);
    const { availableBytes, totalBytes, reserveBytes } = store.space();
    assert.ok(availableBytes > 0 && availableBytes <= totalBytes && reserveBytes <= 64 * 1024 * 1024);
    assert.is(store.space('not/there/yet').totalBytes, totalBytes);
    assert.ok(root.length > 0);
  });
});

test('ids and options are checked', async () => {
  await using world = await storeWorld();
  const { store } = world;
  for (const id of ['', '.x', 'a/b', '..', 'a\0', 'ä', 'x'.repeat(129), 7 as never, undefined as never])
    await assert.rejectsWithCode(store.stage(id), 'ERR_INVALID_ARGUMENT');
  for (const options of [
    { ttlMs: -1 },
    { ttlMs: 'x' as never },
    { metadata: 'x'.repeat(20_000) },
    { metadata: () => 1 },
    'text' as never,
  ])
    await assert.rejectsWithCode(store.stage('x', options), 'ERR_INVALID_ARGUMENT');
  await (await store.stage('x'.repeat(128))).discard();
  await (await store.stage('a.b_c-D9')).discard();
  const staged = await store.stage('x');
  await assert.rejectsWithCode((async () => staged.append(7 as never))(), 'ERR_INVALID_ARGUMENT');
  await staged.discard();
  await store.close();
  await assert.rejectsWithCode(store.stage('x'), 'ERR_STORE_CLOSED');
  const reader = await world.open({ readOnly: true });
  await assert.rejectsWithCode(reader.stage('x'), 'ERR_PERMISSION');
  assert.equal(await reader.staged(), []);
});

test('what is staged is listed with what its user gave it', async () => {
  await using world = await storeWorld();
  const staged = await world.store.stage('x', { ttlMs: 0, metadata: { title: 'T' } });
  await staged.append('content');
  await staged.close();
  const [found] = await world.store.staged();
  assert.is(found?.id, 'x');
  assert.is(found?.durableBytes, 7);
  assert.equal(found?.metadata, { title: 'T' });
  assert.is(found?.ttlMs, 0);
  assert.is(found?.heldBy, 'nobody');
  await world.store.discardStaged('x');
  const other = await world.store.stage('y');
  assert.is((await world.store.staged())[0]?.ttlMs, day);
  assert.is((await world.store.staged())[0]?.overdue, false);
  await other.discard();
});

test('a store closes with content open, and opens through core alone', async () => {
  using directory = temporaryDirectory('store');
  const root = `${directory.path}/root`;
  for (const expected of [0, 1, 2]) {
    const store = await openTestStore(root, { committer: 'worker' });
    const staged = await store.stage('x');
    assert.is(staged.offset, expected);
    await staged.append('.');
    await staged.sync();
    await staged.append('lost');
    await store.close();
    await assert.rejectsWithCode((async () => staged.append('late'))(), 'ERR_INVALID_ARGUMENT');
  }
});

test.run();
