/** Output as it comes: of one launch after the other, each to its end. */

import type { StoredTask } from '../task/stored-task.js';
import { isSettledPhase } from '../task/stored-task.js';
import type { EngineContext } from './engine-context.js';
import { readBytes } from './output.js';
import type { Waiting } from './waiting.js';

export interface FollowOptions {
  /** Default: the oldest kept byte. */
  readonly offset?: number;
  /** In place of `offset`: so many lines before the end. */
  readonly tailLines?: number;
  readonly stream?: 'stdout' | 'stderr';
  /** With it `data` is text, and no character is cut in two. */
  readonly encoding?: BufferEncoding;
  readonly signal?: AbortSignal;
}

export interface OutputChunk {
  readonly data: string | Uint8Array;
  readonly offset: number;
  readonly nextOffset: number;
  /** Lost before `offset`, counted from the beginning. */
  readonly droppedBytes: number;
  /** Of the task; the offsets are those of this attempt. */
  readonly attempt: number;
}

const chunkBytesMax = 64 * 1024;

export async function* followOutput(
  context: EngineContext,
  waiting: Waiting,
  { look, options }: { readonly look: () => Promise<StoredTask>; readonly options: FollowOptions },
): AsyncGenerator<OutputChunk> {
  const { stream, signal, encoding } = options;
  const filter = stream === undefined ? {} : { stream };
  let task = await look();
  using news = waiting.listen(task.id, { op: 'follow', signal });
  let followed = task;
  let decode = decoderOf(encoding);
  let from: { offset?: number; tailLines?: number } = firstOf(options);
  for (;;) {
    // Whether more can come is asked before reading: then what is read is all there is.
    const ended = isSettledPhase(task.phase) || task.launches !== followed.launches;
    const read = await readBytes(context, followed, { ...from, ...filter, maxBytes: chunkBytesMax });
    const { offset, nextOffset, droppedBytes, outputBytes } = read;
    const isLast = ended && nextOffset >= outputBytes;
    const data = decode(read.data, isLast);
    if (data.length > 0) yield { data, offset, nextOffset, droppedBytes, attempt: followed.attempt };
    from = { offset: nextOffset };
    if (nextOffset < outputBytes) {
      signal?.throwIfAborted();
    } else if (!ended) {
      await news.next();
    } else if (task.launches === followed.launches) {
      return;
    } else {
      followed = { ...task, launches: followed.launches + 1 };
      from = {};
      decode = decoderOf(encoding);
    }
    task = await look();
  }
}

function firstOf({ offset, tailLines }: FollowOptions): { offset?: number; tailLines?: number } {
  if (tailLines !== undefined) return { tailLines };
  return offset === undefined ? {} : { offset };
}

type Decode = (data: Uint8Array, isLast: boolean) => string | Uint8Array;

function decoderOf(encoding: BufferEncoding | undefined): Decode {
  if (encoding === undefined) return (data) => data;
  if (!/^utf-?8$/i.test(encoding)) return (data) => Buffer.from(data).toString(encoding);
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return (data, isLast) => decoder.decode(data, { stream: !isLast });
}
