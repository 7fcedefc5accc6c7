/**
 * Large and streamed content, written to a staged file by the caller's thread before the commit, so that the committer
 * only has to link it. Content that turns out to be small is handed on as bytes and travels in the log.
 */

import type { AsyncFileSystem } from '../files/async-file-system.js';
import { RunningChecksum } from '../record/checksum.js';
import { fromSystemError, InvalidArgumentError, StoreError } from '../errors.js';
import type { Descriptor } from '../files/file-system.js';
import type { Content } from '../plan/operation.js';
import type { StagedContent } from './staged-content.js';
import type { StagingPlace } from './staging-places.js';
import { writeFullyInTime } from './write-fully.js';

/** What can be written; `StagedContent` becomes the file's as it is, without a copy where that is possible. */
export type Data = StreamedData | StagedContent;

export type StreamedData =
  | string
  | Uint8Array
  | AsyncIterable<string | Uint8Array>
  | Iterable<string | Uint8Array>;

export interface ContentTarget {
  readonly fileSystem: AsyncFileSystem;
  /** Asked for when the first byte is to be written to a file. */
  readonly place: () => Promise<StagingPlace>;
  readonly name: string;
  /** Up to this size content is returned as bytes. */
  readonly inlineBytesMax: number;
  readonly sizeBytesMax: number | undefined;
  /** Throws if so many further bytes would eat into what is kept free. */
  readonly requireSpace: (bytes: number, place: StagingPlace) => void;
  readonly signal: AbortSignal | undefined;
  readonly op: string;
  readonly path: string;
}

const writePieceBytes = 1 << 20;
/** A flush is begun after so many bytes, so that the disk has work while more is written. */
const flushEarlyBytes = 64 << 20;
/** How often, in bytes, the free space is looked at. */
const spaceCheckBytes = 16 << 20;

export function isStream(data: unknown): data is AsyncIterable<string | Uint8Array> {
  return typeof data === 'object' && data !== null && !(data instanceof Uint8Array) && isIterable(data);
}

function isIterable(data: object): boolean {
  return Symbol.asyncIterator in data || Symbol.iterator in data;
}

/** On return the content is complete; a staged file is fsynced. A failure leaves no file. */
export async function stageContent(
  data: Exclude<StreamedData, string>,
  target: ContentTarget,
): Promise<Content> {
  const writer = new ContentWriter(target);
  try {
    if (data instanceof Uint8Array) {
      for (let start = 0; start < data.byteLength; start += writePieceBytes) {
        target.signal?.throwIfAborted();
        // A copy: the caller may change its buffer between the write and the checksum.
        await writer.write(Uint8Array.prototype.slice.call(data, start, start + writePieceBytes));
      }
    } else {
      for await (const piece of data) {
        target.signal?.throwIfAborted();
        await writer.write(bytesOf(piece, target));
      }
    }
    return await writer.finish();
  } catch (error) {
    await writer.discard();
    if (target.signal?.aborted === true) throw aborted(target, target.signal.reason);
    throw error;
  }
}

export function aborted(at: { readonly op: string; readonly path?: string }, reason: unknown): StoreError {
  return new StoreError('ERR_ABORTED', `${at.op} was aborted`, { op: at.op, path: at.path, cause: reason });
}

/** Of the store's own directories "not found" says nothing about what the caller has asked for. */
export function stagingFailure(
  error: unknown,
  { op, path }: { readonly op: string; readonly path: string },
): StoreError {
  const failure = fromSystemError(error, { op, path });
  if (failure.code !== 'ERR_NOT_FOUND' && failure.code !== 'ERR_EXISTS') return failure;
  return new StoreError('ERR_IO', failure.message, {
    op,
    path,
    hint: "Something has interfered with the store's own directory. Nothing was changed.",
    cause: error,
  });
}

function bytesOf(piece: unknown, { op }: ContentTarget): Uint8Array {
  if (typeof piece === 'string') return Buffer.from(piece);
  if (piece instanceof Uint8Array) return piece;
  throw new InvalidArgumentError(op, 'a stream must give strings or Uint8Arrays');
}

class ContentWriter {
  readonly #target: ContentTarget;
  readonly #checksum = new RunningChecksum();
  #held: Uint8Array[] = [];
  #place: StagingPlace | undefined;
  #descriptor: Descriptor | undefined;
  #size = 0;
  /** Of what was there when it began. A failure is final: nothing that was written since can be trusted. */
  #flushing: Promise<void> | undefined;
  #flushFailure: { readonly error: unknown } | undefined;
  #flushedUpTo = 0;
  /** Up to this size there was room at the last look. */
  #spaceUpTo = spaceCheckBytes;

  constructor(target: ContentTarget) {
    this.#target = target;
  }

  async write(piece: Uint8Array): Promise<void> {
    const { inlineBytesMax, sizeBytesMax } = this.#target;
    if (piece.byteLength === 0) return;
    const end = this.#size + piece.byteLength;
    if (sizeBytesMax !== undefined && end > sizeBytesMax) throw this.#tooLarge(sizeBytesMax);
    if (this.#descriptor === undefined && end <= inlineBytesMax) {
      this.#held.push(Uint8Array.prototype.slice.call(piece));
      this.#size = end;
      return;
    }
    if (this.#descriptor === undefined) {
      const { fileSystem, place, name } = this.#target;
      try {
        this.#place = await place();
        this.#descriptor = await fileSystem.create(`${this.#place.directory}/${name}`, 0o600);
      } catch (error) {
        throw this.#failed(error);
      }
      const held = this.#held;
      this.#held = [];
      this.#size = 0;
      for (const each of held) await this.#append(each);
    }
    await this.#append(piece);
  }

  async #append(piece: Uint8Array): Promise<void> {
    try {
      if (this.#size + piece.byteLength > this.#spaceUpTo) {
        this.#target.requireSpace(Math.max(spaceCheckBytes, piece.byteLength), this.#place!);
        this.#spaceUpTo = this.#size + Math.max(spaceCheckBytes, piece.byteLength);
      }
      const writing = writeFullyInTime(this.#target.fileSystem, this.#descriptor!, piece, this.#size);
      // While it is being written. A failure of either gives up the whole file.
      this.#checksum.update(piece);
      await writing;
    } catch (error) {
      throw this.#failed(error);
    }
    this.#size += piece.byteLength;
    if (this.#size - this.#flushedUpTo >= flushEarlyBytes && this.#flushing === undefined)
      this.#flushing = this.#flushEarly(this.#descriptor!);
  }

  async #flushEarly(descriptor: Descriptor): Promise<void> {
    this.#flushedUpTo = this.#size;
    try {
      await this.#target.fileSystem.sync(descriptor);
      this.#flushing = undefined;
    } catch (error) {
      this.#flushFailure = { error };
    }
  }

  #failed(error: unknown): StoreError {
    return stagingFailure(error, this.#target);
  }

  async finish(): Promise<Content> {
    const { fileSystem, name } = this.#target;
    if (this.#descriptor === undefined) {
      return { kind: 'bytes', bytes: this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held) };
    }
    try {
      await this.#flushing;
      if (this.#flushFailure !== undefined) throw this.#flushFailure.error;
      await fileSystem.sync(this.#descriptor);
    } catch (error) {
      throw this.#failed(error);
    }
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    try {
      await fileSystem.close(descriptor);
    } catch (error) {
      throw this.#failed(error);
    }
    const { volume } = this.#place!;
    return { kind: 'staged', volume, name, size: this.#size, checksum: this.#checksum.digest() };
  }

  async discard(): Promise<void> {
    const { fileSystem, name } = this.#target;
    await this.#flushing;
    if (this.#descriptor !== undefined) await fileSystem.close(this.#descriptor).catch(() => undefined);
    // What cannot be removed now is swept when the store is next opened.
    if (this.#place !== undefined)
      await fileSystem.unlink(`${this.#place.directory}/${name}`).catch(() => undefined);
  }

  #tooLarge(limit: number): StoreError {
    return new StoreError('ERR_TOO_LARGE', `'${this.#target.path}' is larger than ${limit} bytes`, {
      op: this.#target.op,
      path: this.#target.path,
      hint: 'Raise maxFileBytes when opening the store. Nothing was changed.',
    });
  }
}
