/** Five GiB against limits of about that, as a hole: not a byte of it is written to the disk. */

import { existsSync, statSync } from 'node:fs';
import { type FileSystem, NodeFileSystem } from '@forewrit/core';
import { StagingManager, StreamingFileWriter, writeFileAtomically } from '#src/index.js';
import { assert, suite } from '@forewrit/testkit';
import { testStore } from './staging-store.js';

const test = suite('5 GiB', { timeoutMs: 240_000 });
const zeros = Buffer.alloc(1 << 20);
const sizeBytes = 5 * 2 ** 30;
/** Beyond what 32 bits count, and what the disk of the tests need hold. */
const takenBytesMax = 16 << 20;

/** Makes a hole of what is written, where that is zeros; and has room for everything. */
class HoleFileSystem extends NodeFileSystem {
  override write(...[descriptor, bytes, position]: Parameters<FileSystem['write']>): number {
    if (bytes.byteLength > zeros.length || Buffer.compare(bytes, zeros.subarray(0, bytes.byteLength)) !== 0)
      return super.write(descriptor, bytes, position);
    this.truncate(descriptor, position + bytes.byteLength);
    return bytes.byteLength;
  }

  override space(path: string): ReturnType<FileSystem['space']> {
    return { ...super.space(path), availableBytes: 2 ** 42, totalBytes: 2 ** 43 };
  }
}

function* hole(seen = { bytes: 0 }): Generator<Buffer> {
  for (; seen.bytes < sizeBytes; seen.bytes += zeros.length) yield zeros;
}

function takenBytes(path: string): number {
  return statSync(path).blocks * 512;
}

const options = { chunkSizeBytes: zeros.length, durableEveryBytes: 2 ** 30, durableEveryMs: 600_000 };

test('what is one byte too large is refused at that byte, and nothing is left', async () => {
  await using world = await testStore({ fileSystem: new HoleFileSystem() });
  const limited = { ...options, maxBytes: sizeBytes - 1 };
  const announced = StreamingFileWriter.open(world.store, 'a', { ...limited, totalBytes: sizeBytes });
  await assert.rejectsWithCode(announced, 'ERR_TOO_LARGE');
  const seen = { bytes: 0 };
  await assert.rejectsWithCode(writeFileAtomically(world.store, 'a', hole(seen), limited), 'ERR_TOO_LARGE');
  assert.is(seen.bytes, sizeBytes - zeros.length, 'the last piece is refused');
  assert.is(existsSync(`${world.root}/a`), false);
  assert.equal(await world.leftovers(), []);
});

test('limits are met to the byte by the writer, the manager and the store, across a restart; then it is committed', async () => {
  const fileSystem = new HoleFileSystem();
  await using world = await testStore({ fileSystem });
  const manager = new StagingManager(world.store, { maxFileSizeBytes: sizeBytes });
  const writer = await manager.open('a', { ...options, id: 'a' });
  await writer.writeFrom(hole());
  assert.equal([writer.offset, (await manager.get('a'))?.state], [sizeBytes, 'in_progress']);
  await assert.rejectsWithCode(writer.write('x'), 'ERR_TOO_LARGE');
  await writer.close();
  await manager.close();
  await world.store.close();

  const strict = await world.open({ maxFileBytes: sizeBytes - 1 });
  const staged = await strict.stage('a');
  assert.is(staged.offset, sizeBytes);
  await assert.rejectsWithCode(staged.append('x'), 'ERR_TOO_LARGE');
  await assert.rejectsWithCode(strict.writeFile('a', staged), 'ERR_TOO_LARGE');
  await staged.close();
  await strict.close();

  const store = await world.open({ maxFileBytes: sizeBytes });
  const again = await store.stage('a');
  const { bytes } = await store.writeFile('a', again);
  assert.is(bytes, sizeBytes);
  const { size, checksum } = await store.stat('a');
  assert.equal([size, checksum], [sizeBytes, again.checksum]);
  assert.ok(
    takenBytes(`${world.root}/a`) < takenBytesMax,
    `${takenBytes(`${world.root}/a`)} bytes on the disk`,
  );
  assert.equal(await world.leftovers(), []);
});

test.run();
