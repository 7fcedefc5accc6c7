/**
 * Writes one file from what arrives, and commits it as a transaction. Before that nothing of it is in the tree; a writer
 * that is disposed of without a commit leaves nothing, or, with an id, what can be continued.
 */

import type { Writable } from 'node:stream';
import {
  type Commit,
  type FileOptions,
  InvalidArgumentError,
  type Store,
  type Transaction,
} from '@forewrit/core';
import { Chunker } from './chunking.js';
import { type ChecksumAlgorithm, Digest, requireDigest } from './integrity.js';
import { checkWriteOptions, writeDefaults, type WriteOptions } from './options.js';
import { type Progress, ProgressMeter } from './progress.js';
import { noteRate } from './rates.js';
import { joined } from './pieces.js';
import { withRetries } from './retry.js';
import { requireFit, requireNotAborted, sizeDiffers, tooLarge } from './write-checks.js';
import { nodeWritable, webWritable } from './writable.js';
import { ResumableSink, type Sink, TransactionSink } from './sink.js';

export type Source = string | Uint8Array | AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

export interface WriteResult extends Commit {
  /** Of the content, by `algorithm`. */
  readonly checksum: string;
  readonly algorithm: ChecksumAlgorithm;
  /** Where the file is that was replaced, if it was to be kept. */
  readonly backupPath?: string;
}

/** What whoever runs many writers adds. */
export interface WriterHooks {
  /** Part of the same transaction. */
  readonly alsoCommit?: (
    tx: Transaction,
    about: { readonly bytes: number } & Pick<WriteResult, 'checksum' | 'algorithm'>,
  ) => void;
  readonly onEnd?: (end: WriterEnd) => void;
}

export type WriterEnd =
  | { readonly how: 'committed'; readonly result: WriteResult }
  | { readonly how: 'cancelled'; readonly reason: unknown }
  | { readonly how: 'closed' };

export class StreamingFileWriter implements AsyncDisposable {
  readonly path: string;
  readonly id: string | undefined;
  /** What was kept with it when it was begun under its id. */
  readonly metadata: unknown;
  readonly #store: Store;
  readonly #sink: Sink;
  readonly #options: WriteOptions;
  readonly #hooks: WriterHooks;
  readonly #chunker: Chunker;
  readonly #digest: Digest | undefined;
  readonly #meter: ProgressMeter;
  readonly #startedMs = performance.now();
  readonly #startBytes: number;
  #bytes: number;
  #unsynced = 0;
  #syncedMs = performance.now();
  #toldMs = 0;
  #end: WriterEnd | undefined;
  #ending = false;
  #failure: { readonly error: unknown } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(parts: {
    readonly store: Store;
    readonly sink: Sink;
    readonly path: string;
    readonly options: WriteOptions;
    readonly hooks: WriterHooks;
    readonly offset: number;
    readonly metadata: unknown;
    readonly digest: Digest | undefined;
  }) {
    const { options, offset } = parts;
    this.path = parts.path;
    this.id = options.id;
    this.metadata = parts.metadata;
    this.#store = parts.store;
    this.#sink = parts.sink;
    this.#options = options;
    this.#hooks = parts.hooks;
    this.#bytes = offset;
    this.#startBytes = offset;
    this.#digest = parts.digest;
    this.#chunker = new Chunker({
      strategy: options.chunkingStrategy ?? writeDefaults.chunkingStrategy,
      sizeBytes: options.chunkSizeBytes ?? writeDefaults.chunkSizeBytes,
    });
    this.#meter = new ProgressMeter({ startBytes: offset, totalBytes: options.totalBytes });
  }

  /**
   * Begins to write a file; with an `id`, or goes on where that was durable last (`offset`).
   *
   * @throws StoreError ERR_NO_SPACE and ERR_TOO_LARGE before anything is written, where the size is known; ERR_CONFLICT if
   * the id is in use; ERR_INTEGRITY if what is there of it is damaged; those of `Transaction.writeFile`
   */
  static async open(
    store: Store,
    path: string,
    options: WriteOptions = {},
    hooks: WriterHooks = {},
  ): Promise<StreamingFileWriter> {
    checkWriteOptions('open', options);
    requireNotAborted(path, options.signal);
    requireFit(store, path, options);
    const digest = digestFor(options);
    return await withRetries(async () => {
      const parts = { store, path, options, hooks, digest };
      if (options.id === undefined) {
        const sink = await TransactionSink.open(store, path, {
          ...fileOptionsOf(options),
          signal: options.signal,
        });
        return new StreamingFileWriter({ ...parts, sink, offset: 0, metadata: options.metadata });
      }
      const staged = await store.stage(options.id, {
        path,
        ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
        ...(options.ttlMs === undefined ? {} : { ttlMs: options.ttlMs }),
      });
      try {
        // What another run has written is part of the digest.
        for await (const piece of digest === undefined ? [] : staged.pieces()) digest?.update(piece);
        const sink = new ResumableSink(store, staged, path, fileOptionsOf(options));
        return new StreamingFileWriter({ ...parts, sink, offset: staged.offset, metadata: staged.metadata });
      } catch (error) {
        await staged.close();
        throw error;
      }
    }, options);
  }

  /** Writes a file with a function: commits when it returns, cancels when it throws. */
  static async use<T>(
    store: Store,
    path: string,
    write: (writer: StreamingFileWriter) => Promise<T> | T,
    options: WriteOptions = {},
  ): Promise<{ readonly value: T; readonly result: WriteResult | undefined }> {
    const writer = await StreamingFileWriter.open(store, path, options);
    try {
      const value = await write(writer);
      if (writer.isOpen && options.autoCommit !== false) await writer.commit();
      return { value, result: writer.result };
    } catch (error) {
      await writer.cancel(error);
      throw error;
    } finally {
      await writer.close();
    }
  }

  /** Where the next byte goes. */
  get offset(): number {
    return this.#bytes;
  }

  /** So many bytes survive a crash. */
  get durableOffset(): number {
    return this.#sink.durableBytes;
  }

  get isOpen(): boolean {
    return this.#end === undefined && !this.#ending;
  }

  /** Once it is committed. */
  get result(): WriteResult | undefined {
    return this.#end?.how === 'committed' ? this.#end.result : undefined;
  }

  get progress(): Progress {
    return this.#meter.look(this.#sink.durableBytes);
  }

  /** The bytes must not be changed until it resolves. What fails here gives up the write, unless it has an id. */
  write(data: string | Uint8Array): Promise<void> {
    this.#assertOpen('write');
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (!(bytes instanceof Uint8Array))
      throw new InvalidArgumentError('write', 'data must be a string or a Uint8Array');
    return this.#inTurn(async () => {
      this.#requireBelow(this.#bytes + bytes.byteLength);
      requireNotAborted(this.path, this.#options.signal);
      this.#bytes += bytes.byteLength;
      await this.#writeChunks(this.#chunker.push(bytes));
    });
  }

  /** Writes all of a source; one that fails cancels the write. */
  async writeFrom(source: Source): Promise<void> {
    this.#assertOpen('writeFrom');
    if (typeof source === 'string' || source instanceof Uint8Array) return await this.write(source);
    try {
      for await (const piece of source) await this.write(piece);
    } catch (error) {
      if (this.id === undefined) await this.cancel(error);
      throw error;
    }
  }

  /** On return everything that was written survives a crash, if it has an id. */
  flush(): Promise<void> {
    this.#assertOpen('flush');
    return this.#inTurn(async () => {
      await this.#writeChunks(this.#chunker.flush());
      await this.#sync();
    });
  }

  /**
   * Commits. On return the file is durable, atomic and visible. One that is refused leaves the file as it was.
   *
   * @throws StoreError ERR_INTEGRITY if size or digest are not as announced; those of `Transaction.commit`
   */
  async commit(): Promise<WriteResult> {
    this.#assertOpen('commit');
    await this.#turn;
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#assertOpen('commit');
    this.#ending = true;
    try {
      const result = await this.#commit();
      this.#finish({ how: 'committed', result });
      return result;
    } catch (error) {
      this.#ending = false;
      if (this.id === undefined) await this.cancel(error);
      throw error;
    }
  }

  async #commit(): Promise<WriteResult> {
    const { totalBytes, validateIntegrity = true, checksum = 'xxh64', expectedChecksum } = this.#options;
    await this.#writeChunks(this.#chunker.flush());
    if (totalBytes !== undefined && validateIntegrity && totalBytes !== this.#bytes)
      throw sizeDiffers(this.path, totalBytes, this.#bytes);
    const found = this.#digest?.digest();
    if (expectedChecksum !== undefined && found !== undefined)
      requireDigest(this.path, { algorithm: checksum, expected: expectedChecksum, found });
    await this.#sink.finish();
    const algorithm = found === undefined ? 'xxh64' : checksum;
    const committing = async (): Promise<Commit> =>
      await this.#sink.commit((tx) => {
        const about = { bytes: this.#bytes, checksum: found ?? this.#sink.checksum ?? '', algorithm };
        this.#hooks.alsoCommit?.(tx, about);
      });
    // Of a transaction that has failed nothing is left to try again with.
    const commit = this.id === undefined ? await committing() : await withRetries(committing, this.#options);
    if (validateIntegrity && commit.bytes !== this.#bytes)
      throw sizeDiffers(this.path, this.#bytes, commit.bytes);
    noteRate(this.#store, this.#bytes - this.#startBytes, performance.now() - this.#startedMs);
    this.#tell(true);
    const backupPath = backupPathOf(this.path, this.#options);
    return {
      ...commit,
      checksum: found ?? (await this.#store.stat(this.path)).checksum ?? '',
      algorithm,
      ...(backupPath === undefined || !(await this.#store.exists(backupPath)) ? {} : { backupPath }),
    };
  }

  /** Gives up, and leaves nothing; also of what an id stands for. */
  async cancel(reason: unknown = new Error('the write was cancelled')): Promise<void> {
    if (!this.isOpen) return;
    this.#ending = true;
    await Promise.allSettled([this.#sink.cancel(reason)]);
    this.#finish({ how: 'cancelled', reason });
  }

  /** Lets go of it: what has an id can be continued, anything else is cancelled. */
  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.#ending = true;
    await this.#turn.catch(() => undefined);
    try {
      if (this.id !== undefined && this.#failure === undefined)
        await this.#writeChunks(this.#chunker.flush());
    } finally {
      await this.#sink.close();
      this.#finish(
        this.id === undefined ? { how: 'cancelled', reason: new Error('it was closed') } : { how: 'closed' },
      );
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** As a stream of Node: its end commits, unless `autoCommit` is false; destroying it with an error cancels. */
  writable(): Writable {
    return nodeWritable(this, this.#options);
  }

  /** As a web stream: closing it commits, unless `autoCommit` is false; aborting it cancels. */
  webWritable(): WritableStream<string | Uint8Array> {
    return webWritable(this, this.#options);
  }

  async #writeChunks(chunks: readonly Uint8Array[]): Promise<void> {
    for (const piece of joined(chunks)) {
      const startedMs = performance.now();
      await this.#writePiece(piece);
      this.#meter.add(piece.byteLength);
      this.#chunker.measured(piece.byteLength, performance.now() - startedMs);
      this.#unsynced += piece.byteLength;
      if (this.#isDue()) await this.#sync();
      this.#tell(false);
    }
  }

  async #writePiece(piece: Uint8Array): Promise<void> {
    // A stream that has failed cannot be tried again; what is staged under an id can.
    if (this.id !== undefined) {
      await withRetries(() => this.#sink.write(piece), this.#options);
      this.#digest?.update(piece);
      return;
    }
    const writing = this.#sink.write(piece);
    this.#digest?.update(piece);
    await writing;
  }

  #isDue(): boolean {
    const { durableEveryBytes, durableEveryMs } = { ...writeDefaults, ...this.#options };
    if (this.id === undefined) return false;
    return this.#unsynced >= durableEveryBytes || performance.now() - this.#syncedMs >= durableEveryMs;
  }

  async #sync(): Promise<void> {
    await this.#sink.sync();
    this.#unsynced = 0;
    this.#syncedMs = performance.now();
  }

  #tell(isLast: boolean): void {
    const { onProgress, progressIntervalMs = writeDefaults.progressIntervalMs } = this.#options;
    const now = performance.now();
    if (onProgress === undefined || (!isLast && now - this.#toldMs < progressIntervalMs)) return;
    this.#toldMs = now;
    onProgress(this.progress);
  }

  #requireBelow(bytes: number): void {
    const { maxBytes, totalBytes } = this.#options;
    if (maxBytes !== undefined && bytes > maxBytes) throw tooLarge(this.path, maxBytes);
    if (totalBytes !== undefined && bytes > totalBytes) throw sizeDiffers(this.path, totalBytes, bytes);
  }

  #finish(end: WriterEnd): void {
    this.#end = end;
    this.#hooks.onEnd?.(end);
  }

  /** What fails once is not gone on with: nobody knows where. */
  #inTurn(action: () => Promise<void>): Promise<void> {
    const run = async (): Promise<void> => {
      if (this.#failure !== undefined) throw this.#failure.error;
      try {
        await action();
      } catch (error) {
        this.#failure = { error };
        if (this.id === undefined) await this.cancel(error);
        throw error;
      }
    };
    const done = this.#turn.then(run);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #assertOpen(op: string): void {
    if (this.isOpen) return;
    throw new InvalidArgumentError(op, `the writer of '${this.path}' is ${this.#end?.how ?? 'ending'}`);
  }
}

function fileOptionsOf(options: WriteOptions): FileOptions {
  const { mode, ifRevision, ifAbsent, parents, backupOriginal } = options;
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(ifRevision === undefined ? {} : { ifRevision }),
    ...(ifAbsent === undefined ? {} : { ifAbsent }),
    ...(parents === undefined ? {} : { parents }),
    ...(backupOriginal === undefined ? {} : { backup: backupOriginal }),
  };
}

function backupPathOf(path: string, { backupOriginal = false }: WriteOptions): string | undefined {
  if (backupOriginal === false) return undefined;
  return backupOriginal === true ? `${path}.bak` : backupOriginal;
}

/** xxh64 comes with every commit: it is computed here only where it is to be compared before. */
function digestFor({ checksum = 'xxh64', expectedChecksum }: WriteOptions): Digest | undefined {
  return checksum === 'xxh64' && expectedChecksum === undefined ? undefined : new Digest(checksum);
}
