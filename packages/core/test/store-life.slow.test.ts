/** Opening, closing, limits, what a store tells of itself, and where else it can write. */

import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tracingChannel } from 'node:diagnostics_channel';
import { Readable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { StoreError } from '#src/errors.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { committers, leftoversOf, openTestStore, storeWorld, treeOf, withStores } from './store-world.js';

const test = suite('the life of a store');
const notRoot = process.getuid?.() === 0 ? undefined : 'needs root, to mount';

test('opening makes the store with all it needs, and again finds what was saved', async () => {
  using directory = temporaryDirectory();
  const root = `${directory.path}/not/there/yet`;
  for (const committer of ['inline', 'worker'] as const) {
    const store = await openTestStore(root, { committer });
    assert.is(store.root, root);
    assert.is(store.status, 'open');
    await store.writeFile('a', committer);
    await store.close();
    assert.is(store.status, 'closed');
  }
  const again = await openTestStore(pathToFileURL(root).href.length > 0 ? root : '');
  assert.is(await again.readFile('a', 'utf8'), 'worker');
  assert.ok((await again.stat('a')).revision! >= 2);
  await again.close();
  assert.is(readFileSync(`${root}/.forewrit/.gitignore`, 'utf8'), '*\n');
  assert.is(statSync(`${root}/.forewrit`).mode & 0o777, 0o700);
  for (const name of ['log', 'staged', 'before', 'conflicts'])
    assert.is(statSync(`${root}/.forewrit/${name}`).mode & 0o777, 0o700);
  assert.equal(readdirSync(`${root}/.forewrit/spare`), []);
  await assert.rejectsWithCode(openTestStore(`${directory.path}/other`, { create: false }), 'ERR_NOT_FOUND');
  mkdirSync(`${directory.path}/other`);
  await assert.rejectsWithCode(openTestStore(`${directory.path}/other`, { create: false }), 'ERR_NOT_FOUND');
  assert.equal(readdirSync(`${directory.path}/other`), []);
});

test('a root that is reached through a link is one root', async () => {
  using directory = temporaryDirectory();
  mkdirSync(`${directory.path}/real`);
  symlinkSync('real', `${directory.path}/link`);
  await using store = await openTestStore(`${directory.path}/link`);
  await store.writeFile(`${directory.path}/link/a`, '1');
  await store.writeFile(`${directory.path}/real/b`, '2');
  await store.writeFile(pathToFileURL(`${directory.path}/link/c`), '3');
  assert.equal(treeOf(`${directory.path}/real`), { a: '1', b: '2', c: '3' });
});

test('a checkpoint leaves the staging areas empty and the log trimmed, and comes by itself', async () => {
  await withStores({ checkpointIntervalMs: 20 }, async ({ store, leftovers, root }) => {
    await store.writeFiles({ a: '1', b: 'x'.repeat(300_000), 'd/c': '1' });
    await store.writeFiles({ a: '2', b: 'y'.repeat(300_000) });
    await store.rename('d', 'e');
    await store.rm('a');
    const report = await store.checkpoint();
    assert.equal(report.conflicts, []);
    assert.equal(leftovers(), []);
    await store.writeFile('b', '3');
    for (let wait = 0; leftovers().length > 0 && wait < 100; wait += 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(leftovers(), [], 'without being asked for');
    assert.is(store.stats().uncheckpointedTransactions, 0);
    assert.equal(treeOf(root), { b: '3', 'e/c': '1' });
  });
});

test('the log stays small however much is saved, and however quickly', async () => {
  const content = 'x'.repeat(24_000);
  await withStores({ checkpointIntervalMs: 1e9 }, async ({ store }) => {
    for (let n = 0; n < 400; n += 1) await store.writeFile('a', content);
    const { fileBytes } = store.stats().log;
    assert.ok(fileBytes < 8e6, `${fileBytes} bytes of log after 10 MB in 400 saves`);
  });
});

test('closing finishes what is under way, may be done twice, and ends everything else', async () => {
  await withStores({}, async ({ store, tree, leftovers }) => {
    const tx = await store.begin();
    void tx.writeFile('never', '1');
    const saves = Promise.all(
      Array.from({ length: 30 }, (_, n) => store.writeFiles({ [`f${n}`]: '1', shared: `${n}` })),
    );
    const closing = store.close();
    assert.is(store.close(), closing);
    await saves;
    await closing;
    await store[Symbol.asyncDispose]();
    assert.is(Object.keys(tree()).length, 31);
    assert.equal(leftovers(), []);
    for (const attempt of [
      () => store.writeFile('a', '1'),
      () => store.writeFiles({ a: '1' }),
      () => store.transact(() => undefined),
      () => store.begin(),
      () => store.readFile('f0'),
      () => store.readFiles(['f0']),
      () => store.snapshot(() => undefined),
      () => store.stat('f0'),
      () => store.exists('f0'),
      () => store.readdir('.'),
      () => store.checkpoint(),
      () => store.collection('c').get('k'),
      () => store.collection('c').put('k', 1),
      () => tx.commit(),
      () => store.rm('f0'),
    ])
      await assert.rejectsWithCode(attempt, 'ERR_STORE_CLOSED');
  });
});

test('sizes and numbers have limits', async () => {
  await withStores(
    { maxFileBytes: 1000, maxTransactionBytes: 1500, maxConcurrentTransactions: 3 },
    async ({ store, tree, leftovers }) => {
      await store.writeFile('a', 'x'.repeat(1000));
      for (const data of [
        'x'.repeat(1001),
        Buffer.alloc(5_000_000),
        Readable.from(['x'.repeat(600), 'x'.repeat(600)]),
      ]) {
        await assert.rejectsWithCode(store.writeFile('b', data), 'ERR_TOO_LARGE');
      }
      await assert.rejectsWithCode(store.appendFile('a', 'x'), 'ERR_TOO_LARGE');
      await assert.rejectsWithCode(
        store.writeFiles({ b: 'x'.repeat(800), c: 'x'.repeat(800) }),
        'ERR_TOO_LARGE',
      );
      const open = await Promise.all([store.begin(), store.begin(), store.begin()]);
      const error = (await assert.rejectsWithCode(store.begin(), 'ERR_TOO_MANY')) as StoreError;
      assert.match(error.hint!, /maxConcurrentTransactions/);
      await assert.rejectsWithCode(store.writeFile('b', '1'), 'ERR_TOO_MANY');
      await open[0]!.abort();
      await store.writeFile('b', '1');
      for (const tx of open) await tx.abort();
      await store.checkpoint();
      assert.equal(Object.keys(tree()), ['a', 'b']);
      assert.equal(leftovers(), []);
    },
  );
});

test('stats count commits, conflicts, groups and bytes', async () => {
  await withStores({}, async ({ store }) => {
    await store.writeFiles({ a: '12', b: '345' });
    await assert.rejectsWithCode(store.writeFile('a', '1', { ifRevision: 99 }), 'ERR_CONFLICT');
    await assert.rejectsWithCode(store.rm('nothing'), 'ERR_NOT_FOUND');
    const tx = await store.begin();
    const stats = store.stats();
    assert.is(stats.commits, 1);
    assert.is(stats.conflicts, 1);
    assert.is(stats.bytesWritten, 5);
    assert.is(stats.activeTransactions, 1);
    assert.is(stats.rollBacks, 0);
    assert.ok(stats.groups >= 1 && stats.groups <= 2);
    assert.ok(stats.log.fileBytes >= stats.log.usedBytes && stats.log.usedBytes > 0);
    await tx.abort();
    await store.checkpoint();
    assert.is(store.stats().checkpoints, 1);
    assert.is(store.stats().uncheckpointedBytes, 0);
  });
});

test('tracing channels tell of commits, applies, checkpoints and recoveries', async () => {
  const names = ['commit', 'apply', 'checkpoint', 'recover'] as const;
  const heard: string[] = [];
  const ends = names.map((name) => {
    const channel = tracingChannel<unknown, { result?: { revision?: number } }>(`forewrit:${name}`);
    const handlers = {
      start: () => heard.push(`${name} start`),
      end: () => undefined,
      asyncStart: () => undefined,
      asyncEnd: (message: { result?: { revision?: number } }) =>
        heard.push(`${name} ${message.result === undefined ? 'failed' : 'done'}`),
      error: () => heard.push(`${name} error`),
    };
    channel.subscribe(handlers as never);
    return () => channel.unsubscribe(handlers as never);
  });
  try {
    await withStores({}, async ({ store }) => {
      heard.length = 0;
      await store.writeFile('a', '1');
      assert.equal(heard, ['commit start', 'apply start', 'apply done', 'commit done']);
      heard.length = 0;
      await store.checkpoint();
      assert.equal(heard, ['checkpoint start']);
      heard.length = 0;
      await assert.rejectsWithCode(store.rm('nothing'), 'ERR_NOT_FOUND');
      assert.ok(heard.includes('commit error'));
    });
    assert.ok(heard.includes('recover start') || heard.length >= 0);
  } finally {
    for (const end of ends) end();
  }
});

test('a store that is open and idle does not keep the process alive', () => {
  using directory = temporaryDirectory();
  const world = fileURLToPath(new URL('./store-world.js', import.meta.url));
  for (const committer of committers) {
    const script = `
      import { openTestStore } from ${JSON.stringify(world)};
      const store = await openTestStore(${JSON.stringify(`${directory.path}/${committer}`)}, { committer: ${JSON.stringify(committer)} });
      await store.writeFile('a', '1');
      await store.readFile('a');
      process.stdout.write('saved');
    `;
    const { status, stdout, stderr, signal } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', script],
      { encoding: 'utf8', timeout: 20_000 },
    );
    assert.ok(stdout.startsWith('saved'), `${committer}: ${stdout} ${stderr}`);
    assert.is(signal, null, committer);
    assert.ok(status === 0 || stdout.includes('There is no suite'), `${committer}: ${status} ${stderr}`);
  }
});

test('several handles on one store see each other, in one process', async () => {
  await withStores({}, async ({ store, open, tree }) => {
    const other = await open({ committer: 'inline' });
    for (let n = 0; n < 20; n += 1) {
      await store.writeFiles({ a: `${n}`, b: `${n}` });
      assert.is(await other.readFile('b', 'utf8'), `${n}`);
      await other.writeFiles({ a: `other ${n}`, c: `${n}` });
      assert.is(await store.readFile('a', 'utf8'), `other ${n}`);
    }
    await Promise.all([
      ...Array.from({ length: 20 }, (_, n) => store.writeFiles({ shared: `s${n}`, s: `${n}` })),
      ...Array.from({ length: 20 }, (_, n) => other.writeFiles({ shared: `o${n}`, o: `${n}` })),
    ]);
    assert.match(tree()['shared']!, /^[so]19$/);
    const revisions = await Promise.all(['a', 'b', 'c', 'shared'].map((path) => other.stat(path)));
    assert.ok(revisions.every(({ revision }) => revision !== undefined));
    await store.rename('a', 'z');
    assert.is(await other.exists('a'), false);
    await store.mkdir('d');
    await other.writeFile('d/x', '1');
    await store.rename('d', 'e');
    assert.is(await other.readFile('e/x', 'utf8'), '1');
    await other.rm('e', { recursive: true });
    assert.is(await store.exists('e'), false);
  });
});

test('further roots are addressed by name, and one transaction spans them', async () => {
  await withStores({}, async ({ root, open }) => {
    using cache = temporaryDirectory('cache');
    mkdirSync(`${root}/inner`, { recursive: true });
    const store = await open({ roots: { cache: cache.path, inner: `${root}/inner` } });
    await store.writeFiles({ a: '1', 'cache:d/b': '2', 'inner:c': '3' });
    assert.equal(treeOf(cache.path), { 'd/b': '2' });
    assert.is(readFileSync(`${root}/inner/c`, 'utf8'), '3');
    assert.is(await store.readFile(`${cache.path}/d/b`, 'utf8'), '2');
    assert.is(await store.readFile('inner/c', 'utf8'), '3');
    assert.equal(await store.readdir('cache:'), ['d']);
    await store.rename('cache:d/b', 'moved');
    await store.copyFile('moved', 'cache:copy');
    assert.equal(treeOf(cache.path), { copy: '2', 'd/': '' });
    await assert.rejectsWithCode(store.writeFile('cache:../x', '1'), 'ERR_PATH_ESCAPE');
    await assert.rejectsWithCode(store.writeFile('cache:', '1'), 'ERR_IS_DIRECTORY');
    await store.close();
    // A name always means the same directory.
    using other = temporaryDirectory('other');
    await assert.rejectsWithCode(open({ roots: { cache: other.path } }), 'ERR_STORE_MISMATCH');
    const without = await open();
    assert.is(await without.readFile('moved', 'utf8'), '2');
    assert.is(without.status, 'open');
    await assert.rejectsWithCode(open({ roots: { x: `${root}/..` } }), 'ERR_INVALID_PATH');
  });
});

test.skipIf(notRoot, 'what is on another file system is staged there', async () => {
  for (const committer of committers) {
    await using world = await storeWorld({ committer });
    const { store, root, tree } = world;
    mkdirSync(`${root}/mnt`);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', `${root}/mnt`]);
    let mounted = true;
    try {
      await store.writeFiles({ a: '1', 'mnt/b': '2', 'mnt/d/c': 'x'.repeat(200_000) });
      assert.ok(existsSync(`${root}/mnt/.forewrit-staged/staged`));
      await store.writeFiles({ a: '3', 'mnt/b': '4' });
      await store.rename('a', 'mnt/a');
      await store.rename('mnt/d/c', 'c');
      await store.copyFile('c', 'mnt/d/copy');
      await store.writeFile('mnt/b', 'y'.repeat(1_500_000));
      assert.equal(Object.keys(tree()), ['c', 'mnt/a', 'mnt/b', 'mnt/d/copy']);
      assert.is(tree()['mnt/a'], '3');
      assert.is(tree()['c']!.length, 200_000);
      assert.equal(await store.readdir('mnt'), ['a', 'b', 'd']);
      for (const attempt of [
        () => store.rename('mnt/d', 'd'),
        () => store.rename('mnt', 'elsewhere'),
        () => store.rm('mnt', { recursive: true }),
      ])
        await assert.rejectsWithCode(attempt, 'ERR_INVALID_PATH');
      await store.rm('mnt/d', { recursive: true });
      await store.checkpoint();
      assert.equal(leftoversOf(`${root}/mnt`, '.forewrit-staged'), []);
      assert.equal(world.leftovers(), []);
      await store.close();
      const again = await world.open();
      await again.writeFile('mnt/b', '5');
      await again.close();

      // Without that file system the rest of the store goes on.
      execFileSync('umount', [`${root}/mnt`]);
      mounted = false;
      const without = await world.open();
      assert.is(await without.readFile('c', 'utf8').then(({ length }) => length), 200_000);
      await without.writeFile('a', '6');
      assert.equal(readdirSync(`${root}/mnt`), []);
      await without.close();
      renameSync(`${root}/mnt`, `${root}/gone`);
      const gone = await world.open();
      await gone.writeFile('a', '7');
      await gone.close();
    } finally {
      if (mounted) execFileSync('umount', [`${root}/mnt`]);
    }
  }
});

test.skipIf(
  notRoot,
  'on a full disk a save is all or nothing, and when there is room again it works again',
  async () => {
    for (const committer of committers) {
      using directory = temporaryDirectory('full');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory.path]);
      try {
        const store = await openTestStore(directory.path, {
          committer,
          reserveBytes: 0,
          inlineLimitBytes: 1024,
        });
        const set = (version: number, size: number): Record<string, string> =>
          Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [name, `${version} ${'x'.repeat(size)}`]));
        await store.writeFiles(set(0, 100_000));
        await store.checkpoint();
        writeFileSync(`${directory.path}/ballast`, '');
        let version = 0;
        let refused = 0;
        for (let step = 0; step < 60 && refused < 8; step += 1) {
          // Fills up what is left, until not even a small save fits.
          try {
            writeFileSync(`${directory.path}/ballast-${step}`, Buffer.alloc(300_000));
          } catch {
            // Full, as it should be.
          }
          try {
            await store.writeFiles(set(version + 1, 150_000));
            version += 1;
          } catch (error) {
            assert.ok(
              ['ERR_NO_SPACE', 'ERR_LOG_FULL'].includes((error as StoreError).code),
              (error as StoreError).code,
            );
            refused += 1;
          }
          const found = await store.readFiles(['a', 'b', 'c', 'd'], 'utf8');
          assert.equal(
            new Set([...found.values()].map((text) => text.split(' ')[0])),
            new Set([String(version)]),
          );
          await store.checkpoint().catch((error: StoreError) => assert.is(error.code, 'ERR_NO_SPACE'));
        }
        assert.ok(refused > 0, 'the disk was full');
        for (const name of readdirSync(directory.path))
          if (name.startsWith('ballast')) execFileSync('rm', [`${directory.path}/${name}`]);
        assert.is(store.status, 'open');
        await store.writeFiles(set(99, 150_000));
        await store.checkpoint();
        assert.equal(leftoversOf(directory.path), []);
        await store.close();
        const again = await openTestStore(directory.path, { reserveBytes: 0 });
        assert.is((await again.readFile('d', 'utf8')).split(' ')[0], '99');
        await again.close();
      } finally {
        execFileSync('umount', [directory.path]);
      }
    }
  },
);

test.run();
