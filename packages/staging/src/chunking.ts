/**
 * Cutting a stream into chunks. A chunk is what is made durable at once, so that what is continued after a crash begins
 * where a chunk ended: at a line, say. No bytes are lost, added or, but for the rest of a chunk, copied.
 */

import { isCharacterStart, lastCharacterStart, lastLineEnd, lastParagraphEnd } from './text-boundary.js';

/** Where chunks may end. */
export const ChunkingStrategy = {
  /** After so many bytes. */
  fixed: 'fixed',
  /** After the last line that fits; where a line is longer than a chunk, between two characters. */
  line: 'line',
  /** After the last paragraph (an empty line) that fits, else as `line`. */
  paragraph: 'paragraph',
  /** As `line`, in chunks as large as the measured throughput lets pass in a moment. */
  adaptive: 'adaptive',
} as const;

export type ChunkingStrategy = (typeof ChunkingStrategy)[keyof typeof ChunkingStrategy];

export interface ChunkingOptions {
  readonly strategy: ChunkingStrategy;
  /** A chunk is at most that large; of `adaptive`, the first one. */
  readonly sizeBytes: number;
}

export const chunkSizeBytesDefault = 8 * 1024;
const adaptiveBytesMin = 4 * 1024;
const adaptiveBytesMax = 4 * 1024 * 1024;
/** A chunk that took less makes the next ones larger, one that took four times as much smaller. */
const adaptiveTargetMs = 20;

export class Chunker {
  readonly #strategy: ChunkingStrategy;
  #sizeBytes: number;
  /** Of a chunk that is not complete. */
  #rest: Uint8Array[] = [];
  #restBytes = 0;

  constructor({ strategy, sizeBytes }: ChunkingOptions) {
    this.#strategy = strategy;
    this.#sizeBytes = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** So many bytes wait for the rest of their chunk. */
  get restBytes(): number {
    return this.#restBytes;
  }

  /** Returns the chunks that are complete now: views of what came in, where that is possible. */
  push(bytes: Uint8Array): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    let start = 0;
    while (this.#restBytes + bytes.byteLength - start >= this.#sizeBytes) {
      const needed = Math.max(0, this.#sizeBytes - this.#restBytes);
      // A text chunk needs a look at what follows: whether its end is in the middle of a character.
      if (this.#strategy !== 'fixed' && start + needed >= bytes.byteLength) break;
      if (this.#restBytes === 0) {
        const end = start + this.#cut(bytes.subarray(start, start + needed + 1));
        chunks.push(bytes.subarray(start, end));
        start = end;
        continue;
      }
      const whole = Buffer.concat([...this.#rest, bytes.subarray(start, start + needed + 1)]);
      const cut = this.#cut(whole);
      chunks.push(whole.subarray(0, cut));
      if (cut >= this.#restBytes) {
        start += cut - this.#restBytes;
        this.#keep([]);
      } else this.#keep([whole.subarray(cut, this.#restBytes)]);
    }
    if (start < bytes.byteLength) {
      this.#rest.push(Uint8Array.prototype.slice.call(bytes, start));
      this.#restBytes += bytes.byteLength - start;
    }
    return chunks;
  }

  /** What is left when nothing follows. */
  flush(): Uint8Array[] {
    if (this.#restBytes === 0) return [];
    const whole = Buffer.concat(this.#rest);
    this.#keep([]);
    return [whole];
  }

  /** What `adaptive` goes by. */
  measured(bytes: number, durationMs: number): void {
    if (this.#strategy !== 'adaptive' || bytes === 0) return;
    const chunkMs = (durationMs * this.#sizeBytes) / bytes;
    if (chunkMs < adaptiveTargetMs) this.#sizeBytes = Math.min(adaptiveBytesMax, this.#sizeBytes * 2);
    else if (chunkMs > 4 * adaptiveTargetMs)
      this.#sizeBytes = Math.max(adaptiveBytesMin, Math.floor(this.#sizeBytes / 2));
  }

  #keep(rest: Uint8Array[]): void {
    this.#rest = rest;
    this.#restBytes = rest.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** How much of these bytes is a chunk. The last one of them only tells whether a character ends before it. */
  #cut(bytes: Uint8Array): number {
    const full = this.#sizeBytes;
    const chunk = bytes.subarray(0, full);
    const onCharacter = (): number =>
      bytes.byteLength === full || isCharacterStart(bytes[full]!) ? full : lastCharacterStart(chunk);
    switch (this.#strategy) {
      case 'fixed':
        return full;
      case 'line':
      case 'adaptive':
        return lastLineEnd(chunk) ?? onCharacter();
      case 'paragraph':
        return lastParagraphEnd(chunk) ?? lastLineEnd(chunk) ?? onCharacter();
    }
  }
}

/** The chunks of a stream, one after the other. */
export async function* chunksOf(
  source: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  options: Partial<ChunkingOptions> = {},
): AsyncGenerator<Uint8Array> {
  const { strategy = 'fixed', sizeBytes = chunkSizeBytesDefault } = options;
  const chunker = new Chunker({ strategy, sizeBytes });
  for await (const piece of source)
    yield* chunker.push(typeof piece === 'string' ? Buffer.from(piece) : piece);
  yield* chunker.flush();
}
