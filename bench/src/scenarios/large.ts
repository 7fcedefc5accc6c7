import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { StreamingFileWriter } from '@forewrit/staging';
import { openStore, type Store } from 'forewrit';
import { writeStream } from '../contenders/single.js';
import { reference, type Series } from '../measurement.js';
import { moreMemoryMiB } from '../memory.js';
import { inTurns } from '../rounds.js';
import type { Scenario } from '../scenario.js';

const pieceBytes = 2 ** 20;

export const oneFile = 'one file, streamed';
export const moreMemory = 'more memory';

export const large: Scenario = {
  name: 'large',
  title: 'One large file, streamed',
  about:
    '1 GiB in pieces of 1 MiB: a `StreamingFileWriter` of Forewrit, whose content is hashed, durable and atomic, against ' +
    '`fs.createWriteStream` followed by an fsync. Milliseconds; and the most memory beyond what the process has at rest. ' +
    'Before each turn another file of that size is written and removed, so that both find free memory that the machine has at hand.',
  runs: 5,
  everywhere: true,
  plot: 'bars',
  measure: async (world) => {
    const bytes = (world.quick ? 8 : 1024) * pieceBytes;
    const store = await openStore(path.join(world.directory, 'store'));
    const plainFile = path.join(world.directory, 'plain');
    const piece = Buffer.alloc(pieceBytes, 'the content of a large file ');
    const memory: number[] = [];
    try {
      const ours = async (): Promise<number> => {
        bringMemory(world.directory, piece, bytes);
        let elapsedMs = 0;
        memory.push(
          await moreMemoryMiB(async () => {
            const startedMs = performance.now();
            await withWriter(store, source(piece, bytes));
            elapsedMs = performance.now() - startedMs;
          }),
        );
        // What is left behind is nobody's to wait for.
        await store.rm('large');
        await store.checkpoint();
        settle(world.directory);
        return elapsedMs;
      };
      const theirs = async (): Promise<number> => {
        bringMemory(world.directory, piece, bytes);
        const startedMs = performance.now();
        await withStream(plainFile, source(piece, bytes));
        const elapsedMs = performance.now() - startedMs;
        fs.rmSync(plainFile);
        settle(world.directory);
        return elapsedMs;
      };
      const samples = await inTurns(
        [
          { name: reference, act: ours },
          { name: writeStream.name, act: theirs },
        ],
        {
          rounds: world.quick ? 2 : 3,
          warmUpRounds: 1,
          random: world.random,
          onRound: (done, all) => world.progress(`round ${done} of ${all}`),
        },
      );
      const times = [...samples].map(
        ([contender, values]): Series => ({
          case: oneFile,
          contender,
          measure: 'time',
          unit: 'ms',
          samples: values,
        }),
      );
      // The first round's is the growth of a process that had not streamed yet.
      const inUse = {
        case: oneFile,
        contender: reference,
        measure: moreMemory,
        unit: 'MiB',
        samples: memory,
      } as const;
      return [...times, inUse];
    } finally {
      await store.close();
    }
  },
};

function source(piece: Buffer, bytes: number): Readable {
  const pieces = function* (): Generator<Buffer> {
    for (let left = bytes; left > 0; left -= piece.length) yield piece;
  };
  return Readable.from(pieces(), { objectMode: true, highWaterMark: 4 });
}

async function withWriter(store: Store, content: Readable): Promise<void> {
  const writer = await StreamingFileWriter.open(store, 'large', { chunkSizeBytes: pieceBytes });
  await pipeline(content, writer.writable());
}

async function withStream(file: string, content: Readable): Promise<void> {
  await pipeline(content, fs.createWriteStream(file));
  const handle = await fs.promises.open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * A virtual machine gives free memory back to its host after some seconds. Getting a gibibyte of it again, page by page while it
 * is written to the page cache, takes half a second; whom that met was a matter of chance.
 */
function bringMemory(directory: string, piece: Buffer, bytes: number): void {
  const file = path.join(directory, 'before');
  const descriptor = fs.openSync(file, 'w');
  try {
    for (let left = bytes; left > 0; left -= piece.length) fs.writeSync(descriptor, piece);
  } finally {
    fs.closeSync(descriptor);
    fs.rmSync(file);
  }
  settle(directory);
}

/** Nothing of one turn is left for the next to wait for. */
function settle(directory: string): void {
  const descriptor = fs.openSync(directory, 'r');
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
}
