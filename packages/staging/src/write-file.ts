/** One file in one call. */

import type { Store } from '@forewrit/core';
import type { WriteOptions } from './options.js';
import { withRetries } from './retry.js';
import { type Source, StreamingFileWriter, type WriteResult } from './writer.js';

/**
 * Writes a file, durable, atomic and visible when it resolves; whatever fails leaves it as it was. Content that is not a
 * stream is tried again after what may pass. With an `id` content that was written before a crash is passed over: the
 * source gives all of it each time.
 */
export async function writeFileAtomically(
  store: Store,
  path: string,
  data: Source,
  options: WriteOptions = {},
): Promise<WriteResult> {
  const write = async (): Promise<WriteResult> => {
    const writer = await StreamingFileWriter.open(store, path, options);
    try {
      await writer.writeFrom(writer.offset === 0 ? data : after(data, writer.offset));
      return await writer.commit();
    } catch (error) {
      if (options.id === undefined) await writer.cancel(error);
      throw error;
    } finally {
      await writer.close();
    }
  };
  const isReplayable = typeof data === 'string' || data instanceof Uint8Array;
  return isReplayable ? await withRetries(write, options) : await write();
}

async function* after(source: Source, offset: number): AsyncGenerator<Uint8Array> {
  let skip = offset;
  const pieces = typeof source === 'string' || source instanceof Uint8Array ? [source] : source;
  for await (const piece of pieces) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    if (bytes.byteLength > skip) yield bytes.subarray(skip);
    skip = Math.max(0, skip - bytes.byteLength);
  }
}
