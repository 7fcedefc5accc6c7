/** Several files, all or nothing: one transaction. */

import { type Commit, InvalidArgumentError, type Store, StoreError, type Transaction } from '@forewrit/core';
import { noteRate } from './rates.js';
import { type RetryOptions, withRetries } from './retry.js';
import type { Source } from './writer.js';

export interface BatchProgress {
  readonly files: number;
  readonly totalFiles?: number;
  readonly bytes: number;
}

export interface BatchOptions extends RetryOptions {
  readonly mode?: number;
  /** Keep what is replaced under `<path>.bak`. Default: false. */
  readonly backupOriginal?: boolean;
  readonly maxFileBytes?: number;
  readonly totalFiles?: number;
  readonly onProgress?: (progress: BatchProgress) => void;
}

/** Many small files are flushed with the log, all at once. */
const inlineLimitBytes = 8 * 1024 * 1024;

export class BatchFileWriter implements AsyncDisposable {
  readonly #store: Store;
  readonly #tx: Transaction;
  readonly #options: BatchOptions;
  readonly #startedMs = performance.now();
  #files = 0;
  #bytes = 0;
  #state: 'open' | 'committing' | 'committed' | 'cancelled' = 'open';

  private constructor(store: Store, tx: Transaction, options: BatchOptions) {
    this.#store = store;
    this.#tx = tx;
    this.#options = options;
  }

  static async open(store: Store, options: BatchOptions = {}): Promise<BatchFileWriter> {
    const { signal } = options;
    const tx = await store.begin({ inlineLimitBytes, ...(signal === undefined ? {} : { signal }) });
    return new BatchFileWriter(store, tx, options);
  }

  /** Writes several files with a function: commits when it returns, cancels when it throws. */
  static async use(
    store: Store,
    write: (batch: BatchFileWriter) => Promise<void> | void,
    options: BatchOptions = {},
  ): Promise<Commit> {
    const batch = await BatchFileWriter.open(store, options);
    try {
      await write(batch);
      return await batch.commit();
    } catch (error) {
      await batch.cancel();
      throw error;
    }
  }

  get files(): number {
    return this.#files;
  }

  /** One that fails gives up the whole batch. */
  async add(path: string, data: Source, options: { readonly mode?: number } = {}): Promise<void> {
    this.#assertOpen('add');
    const { backupOriginal = false, maxFileBytes } = this.#options;
    const mode = options.mode ?? this.#options.mode;
    const counted = this.#counted(path, data, maxFileBytes);
    try {
      await this.#tx.writeFile(path, counted, {
        backup: backupOriginal,
        ...(mode === undefined ? {} : { mode }),
      });
    } catch (error) {
      await this.cancel();
      throw error;
    }
    this.#files += 1;
    this.#tell();
  }

  async commit(): Promise<Commit> {
    this.#assertOpen('commit');
    this.#state = 'committing';
    try {
      const commit = await this.#tx.commit();
      this.#state = 'committed';
      noteRate(this.#store, this.#bytes, performance.now() - this.#startedMs);
      return commit;
    } catch (error) {
      this.#state = 'cancelled';
      throw error;
    }
  }

  /** Nothing of it is left. Does nothing once it is committed. */
  async cancel(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'cancelled';
    await this.#tx.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cancel();
  }

  #counted(path: string, data: Source, maxBytes: number | undefined): Source {
    const count = (bytes: number, ofFile: number): void => {
      if (maxBytes !== undefined && ofFile > maxBytes) {
        throw new StoreError('ERR_TOO_LARGE', `'${path}' is larger than ${maxBytes} bytes`, {
          op: 'add',
          path,
          hint: 'Raise the limit, or write less. Nothing was changed.',
        });
      }
      this.#bytes += bytes;
    };
    if (typeof data === 'string' || data instanceof Uint8Array) {
      const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;
      count(bytes, bytes);
      return data;
    }
    return countedPieces(data, count);
  }

  #tell(): void {
    const { onProgress, totalFiles } = this.#options;
    const total = totalFiles === undefined ? {} : { totalFiles };
    onProgress?.({ files: this.#files, bytes: this.#bytes, ...total });
  }

  #assertOpen(op: string): void {
    if (this.#state === 'open') return;
    throw new InvalidArgumentError(op, `the batch is ${this.#state}`);
  }
}

async function* countedPieces(
  source: Exclude<Source, string | Uint8Array>,
  count: (bytes: number, ofFile: number) => void,
): AsyncGenerator<string | Uint8Array> {
  let ofFile = 0;
  for await (const piece of source) {
    const bytes = typeof piece === 'string' ? Buffer.byteLength(piece) : piece.byteLength;
    ofFile += bytes;
    count(bytes, ofFile);
    yield piece;
  }
}

/** Writes several files, all or nothing. Where no content is a stream, what may pass is tried again. */
export async function writeFilesBatch(
  store: Store,
  files: Readonly<Record<string, Source>> | Iterable<readonly [string, Source]>,
  options: BatchOptions = {},
): Promise<Commit> {
  const pairs = Symbol.iterator in files ? [...files] : Object.entries(files);
  const isReplayable = pairs.every(([, data]) => typeof data === 'string' || data instanceof Uint8Array);
  const write = (): Promise<Commit> =>
    BatchFileWriter.use(
      store,
      async (batch) => {
        for (const [path, data] of pairs) await batch.add(path, data);
      },
      { totalFiles: pairs.length, ...options },
    );
  return isReplayable ? await withRetries(write, options) : await write();
}
