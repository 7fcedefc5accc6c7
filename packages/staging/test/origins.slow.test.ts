/** Every row of the staging system that this package replaces, each with a test named after it. */

import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  BatchFileWriter,
  ChunkingStrategy,
  chunksOf,
  estimate,
  type Progress,
  StagingManager,
  StreamingFileWriter,
  verifyFile,
  writeFileAtomically,
  writeFilesBatch,
} from '#src/index.js';
import { managerDefaults } from '#src/manager-options.js';
import { writeDefaults } from '#src/options.js';
import { joined } from '#src/pieces.js';
import { retryDefaults } from '#src/retry.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { numberedLines, testStore } from './staging-store.js';

const test = suite('the staging system that is replaced');
const content = numberedLines(200_000);
const bytes = Buffer.from(content);

test('StagingManager: operations by id, per-operation locks, background clean-up, configuration', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store, { cleanupIntervalMs: 5 });
  await using other = new StagingManager(world.store);
  const writer = await manager.open('a', { id: 'a' });
  await assert.rejectsWithCode(manager.resume('a'), 'ERR_CONFLICT');
  await assert.rejectsWithCode(other.resume('a'), 'ERR_CONFLICT');
  await Promise.all([writer.write('one '), writer.write('two '), writer.write('three')]);
  await new Promise<void>((resolve) => manager.once('cleaned', () => resolve()));
  await writer.commit();
  assert.is(world.text('a'), 'one two three');
  assert.is((await other.get('a'))?.state, 'completed');
});

test('operation states: pending, in_progress, completed, failed, cancelled, cleaning_up', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store, { maxConcurrentOperations: 1 });
  const seen: string[] = [];
  manager.on('state', ({ state }) => seen.push(state));
  const first = await manager.open('a', { id: 'a' });
  const second = manager.open('b', { id: 'b' });
  while ((await manager.get('b')) === undefined) await new Promise((resolve) => setImmediate(resolve));
  seen.push((await manager.get('b'))!.state);
  await manager.cancel('a');
  assert.is(first.isOpen, false);
  await (await second).commit();
  await assert.rejectsWithCode(manager.write('c', 'x', { expectedChecksum: '0' }), 'ERR_INTEGRITY');
  assert.equal([...new Set(seen)].sort(), [
    'cancelled',
    'cleaning_up',
    'completed',
    'failed',
    'in_progress',
    'pending',
  ]);
});

test('StreamingFileWriter: commits on normal exit, cancels on error, is a stream of Node and the web', async () => {
  await using world = await testStore();
  await StreamingFileWriter.use(world.store, 'a', (writer) => writer.write(content));
  const failed = StreamingFileWriter.use(world.store, 'a', async (writer) => {
    await writer.write('other');
    throw Object.assign(new Error('no'), { code: 'ENO' });
  });
  await assert.rejectsWithCode(failed, 'ENO');
  assert.is(world.text('a'), content);
  const node = await StreamingFileWriter.open(world.store, 'b');
  await pipeline(Readable.from([bytes]), node.writable());
  const web = await StreamingFileWriter.open(world.store, 'c');
  await new Blob([bytes]).stream().pipeTo(web.webWritable());
  assert.equal([world.text('b'), world.text('c')], [content, content]);
  assert.equal(await world.leftovers(), []);
});

test('BatchFileWriter: all or nothing over many files, roll-back, progress', async () => {
  await using world = await testStore();
  const files: number[] = [];
  await BatchFileWriter.use(
    world.store,
    async (batch) => {
      for (let index = 0; index < 30; index += 1) await batch.add(`d/${index}`, `content ${index}`);
    },
    { onProgress: (progress) => files.push(progress.files) },
  );
  assert.is(files.length, 30);
  const failed = BatchFileWriter.use(world.store, async (batch) => {
    await batch.add('d/1', 'other');
    throw Object.assign(new Error('no'), { code: 'ENO' });
  });
  await assert.rejectsWithCode(failed, 'ENO');
  assert.is(world.text('d/1'), 'content 1');
  assert.equal(await world.leftovers(), []);
});

test('write_file_atomically and write_files_batch: writeFileAtomically, writeFilesBatch', async () => {
  await using world = await testStore();
  const { bytes: written } = await writeFileAtomically(world.store, 'a', content);
  assert.is(written, bytes.length);
  await writeFilesBatch(world.store, { b: content, c: bytes, d: Readable.from([bytes]) });
  for (const path of ['a', 'b', 'c', 'd']) assert.is(world.text(path), content);
});

test('chunking: fixed, line-based, paragraph-based, adaptive', async () => {
  for (const strategy of Object.values(ChunkingStrategy)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of chunksOf([bytes], { strategy })) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(bytes));
    assert.ok(chunks.length > 20);
    if (strategy !== 'fixed') assert.ok(chunks.every((chunk) => chunk.at(-1) === 10));
  }
  assert.equal(Object.keys(ChunkingStrategy).sort(), ['adaptive', 'fixed', 'line', 'paragraph']);
});

test('WriteConfig: chunk size 8 KiB, strategy, integrity, auto-commit, backup, retries with back-off', async () => {
  assert.equal(
    [writeDefaults.chunkSizeBytes, writeDefaults.chunkingStrategy, retryDefaults.maxRetries],
    [8192, 'fixed', 3],
  );
  await using world = await testStore();
  await world.store.writeFile('a', 'old');
  const writer = await StreamingFileWriter.open(world.store, 'a', {
    autoCommit: false,
    backupOriginal: true,
    validateIntegrity: true,
    maxRetries: 1,
    retryDelayMs: 1,
  });
  await pipeline(Readable.from([bytes]), writer.writable());
  assert.is(world.text('a'), 'old');
  const { backupPath } = await writer.commit();
  assert.equal([world.text('a'), backupPath, world.text('a.bak')], [content, 'a.bak', 'old']);
});

test('manager configuration: clean-up every hour, 24 hours, 10 operations, 100 MB', () => {
  const hour = 3_600_000;
  assert.equal(managerDefaults, {
    cleanupIntervalMs: hour,
    maxStagingAgeMs: 24 * hour,
    maxConcurrentOperations: 10,
    maxFileSizeBytes: 100_000_000,
  });
});

test('integrity: several hash algorithms', async () => {
  await using world = await testStore();
  for (const checksum of ['sha256', 'sha512', 'blake2b512'] as const) {
    const expectedChecksum = createHash(checksum).update(bytes).digest('hex');
    const result = await writeFileAtomically(world.store, 'a', bytes, { checksum, expectedChecksum });
    assert.is(result.checksum, expectedChecksum);
    const other = writeFileAtomically(world.store, 'a', 'other', { checksum, expectedChecksum });
    await assert.rejectsWithCode(other, 'ERR_INTEGRITY');
  }
  const { checksum } = await writeFileAtomically(world.store, 'a', bytes);
  assert.is(checksum, (await world.store.stat('a')).checksum);
  assert.equal((await world.store.verify()).findings, []);
  // Compared later, too, with what was computed then; by the next manager.
  await using manager = new StagingManager(world.store);
  await manager.write('b', content, { id: 'b', checksum: 'sha256' });
  await manager.write('c', content, { id: 'c' });
  await using next = new StagingManager(world.store);
  for (const id of ['b', 'c']) await next.verify(id);
  writeFileSync(`${world.root}/b`, 'somebody else');
  writeFileSync(`${world.root}/c`, 'somebody else');
  for (const id of ['b', 'c']) await assert.rejectsWithCode(next.verify(id), 'ERR_INTEGRITY');
  await assert.rejectsWithCode(next.verify('d'), 'ERR_NOT_FOUND');
  const expectedChecksum = createHash('blake2b512').update(bytes).digest('hex');
  await verifyFile(world.store, 'a', { checksum: 'blake2b512', expectedChecksum });
});

test('cross-file-system atomic move, direct rename on the same one, file-system detection', async () => {
  // On a file system that really is another one: file-systems.serial.slow.test.ts.
  using elsewhere = temporaryDirectory('other');
  await using world = await testStore({ roots: { other: elsewhere.path } });
  await using manager = new StagingManager(world.store);
  await manager.write('other:a', content, { id: 'a' });
  await world.store.rename('other:a', 'a');
  assert.is(world.text('a'), content);
  const { disks, space } = await manager.health();
  assert.ok(Array.isArray(disks));
  assert.is(world.store.space('other:').totalBytes > 0, true);
  assert.ok(space.availableBytes > 0);
});

test('disk-space monitoring before operations, size limits, concurrency limits', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store, {
    maxConcurrentOperations: 1,
    maxFileSizeBytes: 6 * 2 ** 30,
  });
  // Five GiB are asked for, and not written.
  await assert.rejectsWithCode(manager.open('a', { totalBytes: 7 * 2 ** 30 }), 'ERR_TOO_LARGE');
  const { availableBytes } = world.store.space();
  const wanted = { totalBytes: 5 * 2 ** 30 };
  if (availableBytes > 6 * 2 ** 30) await (await manager.open('a', wanted)).cancel();
  else await assert.rejectsWithCode(manager.open('a', wanted), 'ERR_NO_SPACE');
  await using greedy = new StagingManager(world.store, { maxFileSizeBytes: 2 ** 53 });
  await assert.rejectsWithCode(greedy.open('a', { totalBytes: availableBytes }), 'ERR_NO_SPACE');
  const first = await manager.open('a');
  const second = manager.open('b');
  await new Promise((resolve) => setImmediate(resolve));
  assert.is((await manager.stats()).waiting, 1);
  await first.cancel();
  await (await second).cancel();
  assert.equal(readdirSync(`${world.root}/.forewrit/staged`), []);
});

test('path-traversal prevention, staging isolation, permission checks, request-id validation', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store);
  symlinkSync('/', `${world.root}/out`);
  await assert.rejectsWithCode(manager.open('../a'), 'ERR_PATH_ESCAPE');
  await assert.rejectsWithCode(manager.open('/etc/a'), 'ERR_PATH_ESCAPE');
  await assert.rejectsWithCode(manager.write('out/tmp/a', 'x'), 'ERR_PATH_ESCAPE');
  await assert.rejectsWithCode(manager.open('.forewrit/staged/a'), 'ERR_PATH_RESERVED');
  await assert.rejectsWithCode(manager.open('a', { id: '../../etc/passwd' }), 'ERR_INVALID_ARGUMENT');
  mkdirSync(`${world.root}/closed`);
  chmodSync(`${world.root}/closed`, 0o500);
  // Root may write everywhere.
  if (process.getuid?.() !== 0)
    await assert.rejectsWithCode(manager.write('closed/a', 'x'), 'ERR_PERMISSION');
  assert.equal(await world.leftovers(), []);
});

test('recovery of operations after a session restart: 200 KB in 20 calls over two sessions; cancel', async () => {
  await using world = await testStore();
  const call = Math.ceil(bytes.length / 20);
  let store = world.store;
  let manager = new StagingManager(store);
  await (await manager.open('doc', { id: 'doc' })).close();
  for (let count = 0; count < 20; count += 1) {
    if (count === 10) {
      await manager.close();
      await store.close();
      store = await world.open();
      manager = new StagingManager(store);
    }
    const writer = await manager.resume('doc');
    assert.is(writer.offset, Math.min(count * call, bytes.length));
    await writer.write(bytes.subarray(writer.offset, writer.offset + call));
    if (count === 19) await writer.commit();
    else await writer.close();
  }
  assert.is(world.text('doc'), content);
  const other = await manager.open('other', { id: 'other' });
  await other.write(content);
  await other.close();
  assert.is(await manager.cancel('other'), true);
  await manager.close();
  assert.equal(await world.leftovers(), []);
});

test('statistics and health monitoring', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store);
  const heard: string[] = [];
  const hear = (message: unknown): void => {
    heard.push((message as { operation: { state: string } }).operation.state);
  };
  subscribe('forewrit:staging', hear);
  await manager.write('a', content);
  unsubscribe('forewrit:staging', hear);
  assert.equal(heard, ['in_progress', 'completed']);
  const { completed, failed, bytesWritten, resumable } = await manager.stats();
  assert.equal([completed, failed, bytesWritten, resumable], [1, 0, bytes.length, 0]);
  assert.is((await manager.health()).status === 'unhealthy', false);
});

test('about 50 MB/s, 8 KiB chunks, near-instant recovery: what is staged is no work for it (speed: bench large)', async () => {
  await using world = await testStore();
  const manager = new StagingManager(world.store);
  const writer = await manager.open('large', { id: 'large' });
  for (let count = 0; count < 40; count += 1) await writer.write(bytes);
  await manager.close();
  await world.store.close();
  const store = await world.open();
  const { durationMs: _, ...recovery } = store.recovery;
  assert.equal(recovery, { redone: [], undone: [], kept: [], blocked: [], conflicts: [], sweptFiles: 0 });
  assert.is((await store.staged())[0]?.durableBytes, 40 * bytes.length);
  // Chunks go to the disk together.
  const mebibyte = Buffer.alloc(1 << 20);
  const chunks = Array.from({ length: 128 }, (_, index) =>
    mebibyte.subarray(index * 8192, (index + 1) * 8192),
  );
  assert.is([...joined(chunks)].length, 1);
  assert.is([...joined([...chunks, Buffer.alloc(5)])].length, 2);
  assert.is([...joined([chunks[0]!, chunks[2]!])].length, 2);
});

test('listed there as future work: progress callbacks, richer metadata, estimates of the end', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store);
  const told: Progress[] = [];
  const options = {
    id: 'a',
    metadata: { title: 'T' },
    progressIntervalMs: 0,
    onProgress: (p: Progress) => void told.push(p),
  };
  await manager.write('a', content, options);
  assert.is(told.at(-1)?.bytes, bytes.length);
  assert.equal((await manager.list())[0]?.metadata, { title: 'T' });
  assert.is(estimate(world.store, { bytes: 1 }).measurements, 1);
});

test.run();
