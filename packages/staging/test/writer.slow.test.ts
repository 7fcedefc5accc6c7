import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { type Progress, StreamingFileWriter, type WriteOptions, writeFileAtomically } from '#src/index.js';
import { assert, suite } from '@forewrit/testkit';
import { numberedLines, testStore } from './staging-store.js';

const test = suite('StreamingFileWriter');
const content = numberedLines(300_000);
const bytes = Buffer.from(content);

function pieces(size: number): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) found.push(bytes.subarray(at, at + size));
  return found;
}

const kinds: Readonly<Record<string, WriteOptions>> = { 'without an id': {}, 'with an id': { id: 'x' } };

for (const [kind, options] of Object.entries(kinds)) {
  test(`what is written is the file, and nothing is left, ${kind}`, async () => {
    await using world = await testStore();
    for (const chunkingStrategy of ['fixed', 'line', 'paragraph', 'adaptive'] as const) {
      for (const size of [1000, 70_000, bytes.length]) {
        const writer = await StreamingFileWriter.open(world.store, 'd/x', { ...options, chunkingStrategy });
        for (const piece of pieces(size)) await writer.write(piece);
        assert.is(writer.offset, bytes.length);
        const result = await writer.commit();
        assert.is(result.bytes, bytes.length);
        assert.is(result.algorithm, 'xxh64');
        assert.is(result.checksum, (await world.store.stat('d/x')).checksum);
        assert.is(world.text('d/x'), content);
        assert.is(writer.isOpen, false);
      }
    }
    assert.equal(await world.leftovers(), []);
  });

  test(`a source that fails rejects, ${kind}`, async () => {
    await using world = await testStore();
    await world.store.writeFile('x', 'old');
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 200_000);
      throw Object.assign(new Error('the source failed'), { code: 'ESOURCE' });
    };
    await assert.rejectsWithCode(writeFileAtomically(world.store, 'x', source(), options), 'ESOURCE');
    assert.is(world.text('x'), 'old');
    const staged = await world.store.staged();
    assert.is(staged.length, options.id === undefined ? 0 : 1);
    if (options.id === undefined) assert.equal(await world.leftovers(), []);
    else {
      // It goes on where it was, and is given all of it again.
      const { checksum } = await writeFileAtomically(world.store, 'x', bytes, options);
      assert.is(checksum.length, 16);
      assert.is(world.text('x'), content);
    }
  });

  test(`as a stream of Node and of the web, ${kind}`, async () => {
    await using world = await testStore();
    const first = await StreamingFileWriter.open(world.store, 'a', options);
    await pipeline(Readable.from(pieces(10_000)), first.writable());
    assert.is(world.text('a'), content);
    const second = await StreamingFileWriter.open(world.store, 'b', options);
    await ReadableStream.from(pieces(10_000)).pipeTo(second.webWritable());
    assert.is(world.text('b'), content);
    const third = await StreamingFileWriter.open(world.store, 'c', { ...options, autoCommit: false });
    await pipeline(Readable.from(pieces(10_000)), third.writable());
    assert.is(existsSync(`${world.root}/c`), false);
    await third.commit();
    assert.is(world.text('c'), content);
    assert.equal(await world.leftovers(), []);
  });

  test(`a stream that fails cancels, ${kind}`, async () => {
    await using world = await testStore();
    const failing = (): Readable =>
      Readable.from(
        (function* () {
          yield bytes;
          throw Object.assign(new Error('failed'), { code: 'ESOURCE' });
        })(),
      );
    const first = await StreamingFileWriter.open(world.store, 'a', options);
    const stream = first.writable();
    const closed = new Promise((resolve) => stream.once('close', resolve));
    await assert.rejectsWithCode(pipeline(failing(), stream), 'ESOURCE');
    await closed;
    await world.store.discardStaged('x');
    const second = await StreamingFileWriter.open(world.store, 'a', options);
    await assert.rejectsWithCode(Readable.toWeb(failing()).pipeTo(second.webWritable()), 'ESOURCE');
    assert.is(existsSync(`${world.root}/a`), false);
    await world.store.discardStaged('x');
    assert.equal(await world.leftovers(), []);
  });
}

test('a stream takes no more than the disk does', async () => {
  await using world = await testStore();
  const piece = Buffer.alloc(3 << 20, 'content ');
  const first = await StreamingFileWriter.open(world.store, 'a');
  const stream = first.writable();
  assert.is(stream.write(piece), false);
  await once(stream, 'drain');
  assert.is(first.offset, piece.length);
  stream.end();
  await finished(stream);
  const second = await StreamingFileWriter.open(world.store, 'b');
  const writer = second.webWritable().getWriter();
  const written = writer.write(piece);
  assert.ok((writer.desiredSize ?? 1) <= 0);
  await Promise.all([written, writer.ready]);
  assert.ok((writer.desiredSize ?? 0) > 0);
  await writer.close();
  for (const path of ['a', 'b']) assert.is(world.text(path), piece.toString());
});

test('a writer that is disposed of without a commit leaves nothing', async () => {
  await using world = await testStore();
  {
    await using writer = await StreamingFileWriter.open(world.store, 'x');
    await writer.write(bytes);
  }
  assert.is(existsSync(`${world.root}/x`), false);
  assert.equal(await world.leftovers(), []);
});

test('use commits when its function returns and cancels when it throws', async () => {
  await using world = await testStore();
  const { value, result } = await StreamingFileWriter.use(world.store, 'x', async (writer) => {
    await writer.write('content');
    return 7;
  });
  assert.is(value, 7);
  assert.is(result?.bytes, 7);
  assert.is(world.text('x'), 'content');
  const failing = StreamingFileWriter.use(world.store, 'x', async (writer) => {
    await writer.write('other');
    throw Object.assign(new Error('no'), { code: 'ENO' });
  });
  await assert.rejectsWithCode(failing, 'ENO');
  assert.is(world.text('x'), 'content');
  const { result: none } = await StreamingFileWriter.use(
    world.store,
    'x',
    (writer) => writer.write('never'),
    { autoCommit: false },
  );
  assert.is(none, undefined);
  assert.is(world.text('x'), 'content');
  assert.equal(await world.leftovers(), []);
});

test('the original is kept where it was asked for', async () => {
  await using world = await testStore();
  await world.store.writeFile('x', 'first');
  const second = await writeFileAtomically(world.store, 'x', 'second', { backupOriginal: true });
  assert.is(second.backupPath, 'x.bak');
  assert.is(world.text('x.bak'), 'first');
  const third = await writeFileAtomically(world.store, 'x', bytes, { backupOriginal: 'old/x', id: 'x' });
  assert.is(third.backupPath, 'old/x');
  assert.is(world.text('old/x'), 'second');
  const fresh = await writeFileAtomically(world.store, 'new', 'content', { backupOriginal: true });
  assert.is(fresh.backupPath, undefined);
});

test('digests are computed as asked for, and what is expected is compared before the commit', async () => {
  await using world = await testStore();
  for (const checksum of ['sha256', 'sha512', 'blake2b512'] as const) {
    const expected = createHash(checksum).update(bytes).digest('hex');
    for (const id of [undefined, 'x']) {
      const options = { checksum, ...(id === undefined ? {} : { id }) };
      const result = await writeFileAtomically(world.store, 'x', Readable.from(pieces(9999)), options);
      assert.is(result.checksum, expected);
      assert.is(result.algorithm, checksum);
      await writeFileAtomically(world.store, 'x', bytes, { ...options, expectedChecksum: expected });
      const wrong = { ...options, expectedChecksum: `${expected.slice(1)}0` };
      await assert.rejectsWithCode(writeFileAtomically(world.store, 'y', bytes, wrong), 'ERR_INTEGRITY');
      assert.is(existsSync(`${world.root}/y`), false);
      await world.store.discardStaged('x');
    }
  }
  const { checksum } = await writeFileAtomically(world.store, 'x', bytes);
  await writeFileAtomically(world.store, 'x', bytes, { expectedChecksum: checksum.toUpperCase() });
  const wrong = { expectedChecksum: 'abc' };
  await assert.rejectsWithCode(writeFileAtomically(world.store, 'y', 'other', wrong), 'ERR_INTEGRITY');
  assert.equal(await world.leftovers(), []);
});

test('the digest of what is continued is that of all of it', async () => {
  await using world = await testStore();
  const options = { id: 'x', checksum: 'sha256', durableEveryBytes: 1000 } as const;
  const first = await StreamingFileWriter.open(world.store, 'x', options);
  await first.write(bytes.subarray(0, 150_000));
  await first.close();
  const second = await StreamingFileWriter.open(world.store, 'x', options);
  assert.is(second.offset, 150_000);
  await second.write(bytes.subarray(150_000));
  const { checksum } = await second.commit();
  assert.is(checksum, createHash('sha256').update(bytes).digest('hex'));
});

test('a size that was announced is held to', async () => {
  await using world = await testStore();
  for (const id of [undefined, 'x']) {
    const options = { totalBytes: 10, ...(id === undefined ? {} : { id }) };
    await assert.rejectsWithCode(
      writeFileAtomically(world.store, 'x', '123456789', options),
      'ERR_INTEGRITY',
    );
    await world.store.discardStaged('x');
    await assert.rejectsWithCode(
      writeFileAtomically(world.store, 'x', '12345678901', options),
      'ERR_INTEGRITY',
    );
    await world.store.discardStaged('x');
    await writeFileAtomically(world.store, 'x', '1234567890', options);
  }
  assert.equal(await world.leftovers(), []);
});

test('what is too large is refused, before anything is written where its size is known', async () => {
  await using world = await testStore();
  const tooLarge = { maxBytes: 1000 };
  const known = StreamingFileWriter.open(world.store, 'x', { ...tooLarge, totalBytes: 5 * 2 ** 30 });
  await assert.rejectsWithCode(known, 'ERR_TOO_LARGE');
  await assert.rejectsWithCode(writeFileAtomically(world.store, 'x', bytes, tooLarge), 'ERR_TOO_LARGE');
  const noSpace = StreamingFileWriter.open(world.store, 'x', { totalBytes: 2 ** 52 });
  await assert.rejectsWithCode(noSpace, 'ERR_NO_SPACE');
  assert.equal(await world.leftovers(), []);
});

test('what it is durable up to follows the bytes and ends with a chunk', async () => {
  await using world = await testStore();
  const options = {
    id: 'x',
    chunkingStrategy: 'line',
    chunkSizeBytes: 500,
    durableEveryBytes: 2000,
  } as const;
  const writer = await StreamingFileWriter.open(world.store, 'x', options);
  let last = 0;
  for (const piece of pieces(777).slice(0, 60)) {
    await writer.write(piece);
    const durable = writer.durableOffset;
    assert.ok(durable >= last && writer.offset - durable < 2000 + 500 + 777);
    if (durable !== last) assert.is(bytes[durable - 1], 10);
    last = durable;
  }
  assert.ok(last > 0);
  await writer.flush();
  assert.is(writer.durableOffset, writer.offset);
  await writer.cancel();
  assert.equal(await world.leftovers(), []);
});

test('progress is told, with the rate and what is left', async () => {
  await using world = await testStore();
  const told: Progress[] = [];
  await writeFileAtomically(world.store, 'x', Readable.from(pieces(1000)), {
    totalBytes: bytes.length,
    progressIntervalMs: 0,
    onProgress: (progress) => told.push(progress),
  });
  assert.ok(told.length > 3);
  assert.ok(told.every((each, index) => index === 0 || each.bytes >= told[index - 1]!.bytes));
  const last = told.at(-1)!;
  assert.equal([last.bytes, last.totalBytes, last.remainingMs], [bytes.length, bytes.length, 0]);
  assert.ok(last.bytesPerSecond > 0);
});

test('an aborted write leaves nothing', async () => {
  await using world = await testStore();
  for (const id of [undefined, 'x']) {
    const controller = new AbortController();
    const options = { signal: controller.signal, ...(id === undefined ? {} : { id }) };
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes;
      controller.abort(new Error('enough'));
      yield bytes;
    };
    await assert.rejectsWithCode(writeFileAtomically(world.store, 'x', source(), options), 'ERR_ABORTED');
    await world.store.discardStaged('x');
  }
  assert.equal(await world.leftovers(), []);
});

test('a conflict is refused, and what has an id can be committed later', async () => {
  await using world = await testStore();
  await world.store.writeFile('x', 'old');
  const { revision } = await world.store.stat('x');
  const writer = await StreamingFileWriter.open(world.store, 'x', { id: 'x', ifRevision: revision! });
  await writer.write('new');
  writeFileSync(`${world.root}/x`, 'edited by somebody');
  await assert.rejectsWithCode(writer.commit(), 'ERR_CONFLICT');
  assert.is(world.text('x'), 'edited by somebody');
  assert.is(writer.isOpen, true);
  await writer.close();
  await writeFileAtomically(world.store, 'x', 'new', { id: 'x' });
  assert.is(world.text('x'), 'new');
  const other = await StreamingFileWriter.open(world.store, 'x', { ifAbsent: true });
  await other.write('other');
  await assert.rejectsWithCode(other.commit(), 'ERR_EXISTS');
  assert.is(other.isOpen, false);
  assert.equal(await world.leftovers(), []);
});

test('options are checked', async () => {
  await using world = await testStore();
  for (const options of [
    { chunkSizeBytes: 1 },
    { chunkingStrategy: 'word' as never },
    { checksum: 'md5' as never },
    { expectedChecksum: 'xyz' },
    { maxRetries: -1 },
    { durableEveryBytes: 0 },
    { id: '../x' },
    null as never,
  ])
    await assert.rejectsWithCode(StreamingFileWriter.open(world.store, 'x', options), 'ERR_INVALID_ARGUMENT');
  await assert.rejectsWithCode(StreamingFileWriter.open(world.store, '../x'), 'ERR_PATH_ESCAPE');
  await assert.rejectsWithCode(StreamingFileWriter.open(world.store, '.forewrit/x'), 'ERR_PATH_RESERVED');
});

test.run();
