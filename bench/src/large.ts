/**
 * One large file, streamed, against `fs.createWriteStream` followed by fsync, in pairs that take turns; and how much more
 * memory that takes than the process has at rest. And what a file costs in a batch of a thousand against one of ten.
 */

import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { openStore } from '@forewrit/recovery';
import type { Store } from '@forewrit/core';
import { StreamingFileWriter, writeFilesBatch } from '@forewrit/staging';

export interface LargeResult {
  readonly bytes: number;
  readonly pairs: number;
  readonly writerMs: readonly number[];
  readonly writeStreamMs: readonly number[];
  /** Throughput of the writer in that of the stream: the median over the pairs. */
  readonly ratio: number;
  readonly moreMemoryBytes: number;
  readonly batch: { readonly fewMs: number; readonly manyMs: number; readonly ratio: number };
}

const pieceBytes = 1 << 20;

export async function measureLarge(
  directory: string,
  { bytes, pairs }: { readonly bytes: number; readonly pairs: number },
): Promise<LargeResult> {
  const store = await openStore(path.join(directory, 'store'));
  const piece = Buffer.alloc(pieceBytes, 'the content of a large file ');
  const source = (): Readable =>
    Readable.from(
      (function* () {
        for (let left = bytes; left > 0; left -= pieceBytes)
          yield left < pieceBytes ? piece.subarray(0, left) : piece;
      })(),
      { objectMode: true, highWaterMark: 4 },
    );
  const writerMs: number[] = [];
  const writeStreamMs: number[] = [];
  let moreMemoryBytes = 0;
  try {
    const small = 8 * pieceBytes;
    await streamed(store, small, piece);
    globalThis.gc?.();
    const restBytes = process.memoryUsage.rss();
    const watch = setInterval(() => {
      moreMemoryBytes = Math.max(moreMemoryBytes, process.memoryUsage.rss() - restBytes);
    }, 20);
    for (let pair = 0; pair < pairs; pair += 1) {
      const writer = async (): Promise<void> => {
        writerMs.push(await timed(() => withWriter(store, source())));
        await store.rm('large');
        await store.checkpoint();
      };
      const plain = async (): Promise<void> => {
        const file = path.join(directory, 'plain');
        writeStreamMs.push(await timed(() => withStream(file, source())));
        fs.rmSync(file);
      };
      // Whoever comes second finds another disk: they take turns at that, too.
      for (const run of pair % 2 === 0 ? [writer, plain] : [plain, writer]) {
        await run();
        settle(directory);
      }
    }
    clearInterval(watch);
    return {
      bytes,
      pairs,
      writerMs,
      writeStreamMs,
      ratio: median(writerMs.map((ms, pair) => writeStreamMs[pair]! / ms)),
      moreMemoryBytes,
      batch: await measureBatch(store),
    };
  } finally {
    await store.close();
  }
}

async function withWriter(store: Store, source: Readable): Promise<void> {
  const writer = await StreamingFileWriter.open(store, 'large', { chunkSizeBytes: pieceBytes });
  await pipeline(source, writer.writable());
}

async function withStream(file: string, source: Readable): Promise<void> {
  await pipeline(source, fs.createWriteStream(file));
  const handle = await fs.promises.open(file, 'r+');
  await handle.sync();
  await handle.close();
}

async function streamed(store: Store, bytes: number, piece: Buffer): Promise<void> {
  const writer = await StreamingFileWriter.open(store, 'warm', { chunkSizeBytes: pieceBytes });
  for (let done = 0; done < bytes; done += piece.length) await writer.write(piece);
  await writer.commit();
  await store.rm('warm');
}

/** Nothing of one run is left for the next to wait for. */
function settle(directory: string): void {
  const descriptor = fs.openSync(directory, 'r');
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
}

function batchOf(count: number, round: number): [string, string][] {
  return Array.from({ length: count }, (_, index) => [`batch/${index}`, `${round} ${'x'.repeat(2000)}`]);
}

async function measureBatch(store: Store): Promise<LargeResult['batch']> {
  const few: number[] = [];
  const many: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    few.push((await timed(() => writeFilesBatch(store, batchOf(10, round)))) / 10);
    many.push((await timed(() => writeFilesBatch(store, batchOf(1000, round)))) / 1000);
    await store.checkpoint();
  }
  const fewMs = median(few);
  const manyMs = median(many);
  return { fewMs, manyMs, ratio: manyMs / fewMs };
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await action();
  return performance.now() - startedMs;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)]!;
}
