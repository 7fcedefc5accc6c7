/** A writer as a stream, with the back-pressure of the disk. */

import { Writable } from 'node:stream';
import { callbackify } from 'node:util';
import type { WriteOptions } from './options.js';
import { pieceBytesMax } from './pieces.js';
import type { StreamingFileWriter } from './writer.js';

type StreamOptions = Pick<WriteOptions, 'autoCommit'>;

export function nodeWritable(writer: StreamingFileWriter, options: StreamOptions): Writable {
  return new Writable({
    highWaterMark: pieceBytesMax,
    write: (chunk: Buffer, _encoding, callback) => {
      callbackify(async () => {
        await writer.write(chunk);
      })(callback);
    },
    final: (callback) => {
      callbackify(() => end(writer, options))(callback);
    },
    destroy: (error, callback) => {
      callbackify(async () => {
        // Without a failure it has ended, and been committed, or is to be committed by hand.
        if (error !== null) await giveUp(writer, error);
        else if (options.autoCommit !== false) await writer.close();
      })((failure: Error | null) => callback(error ?? failure));
    },
  });
}

export function webWritable(
  writer: StreamingFileWriter,
  options: StreamOptions,
): WritableStream<string | Uint8Array> {
  return new WritableStream<string | Uint8Array>(
    {
      write: async (chunk) => {
        await writer.write(chunk);
      },
      close: () => end(writer, options),
      abort: (reason) => giveUp(writer, reason),
    },
    { highWaterMark: pieceBytesMax, size: (chunk) => Math.max(1, chunk.length) },
  );
}

async function end(writer: StreamingFileWriter, { autoCommit }: StreamOptions): Promise<void> {
  if (autoCommit === false) await writer.flush();
  else await writer.commit();
}

/** What has an id is kept as far as it came. */
async function giveUp(writer: StreamingFileWriter, reason: unknown): Promise<void> {
  if (writer.id === undefined) await writer.cancel(reason);
  else await writer.close();
}
