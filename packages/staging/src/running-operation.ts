/** One operation of a manager, from its place in the queue to its end. */

import { isStoreError, type Store } from '@forewrit/core';
import { CompletedOperations } from './completed.js';
import type { FairQueue } from './limits.js';
import { mayBecome, type Operation, type OperationState } from './operation.js';
import { checkWriteOptions, type WriteOptions } from './options.js';
import { packAbout } from './staged-about.js';
import { StreamingFileWriter, type WriterEnd } from './writer.js';

export type OpenOptions = WriteOptions;

export class RunningOperation {
  readonly #store: Store;
  readonly #about: { readonly id: string; readonly path: string; readonly options: OpenOptions };
  readonly #onChange: (now: Operation, why: 'state' | 'progress') => void;
  readonly #giveUp = new AbortController();
  readonly #startedAtMs = Date.now();
  #state: OperationState = { state: 'pending' };
  #writer: StreamingFileWriter | undefined;
  #leave: () => void = () => undefined;

  constructor(
    store: Store,
    about: { readonly id: string; readonly path: string; readonly options: OpenOptions },
    onChange: (now: Operation, why: 'state' | 'progress') => void,
  ) {
    checkWriteOptions('open', about.options);
    this.#store = store;
    this.#about = about;
    this.#onChange = onChange;
  }

  get now(): Operation {
    const { id, path, options } = this.#about;
    const { totalBytes, metadata } = options;
    return {
      ...this.#state,
      ...(this.#state.state === 'in_progress' && this.#writer !== undefined
        ? { bytes: this.#writer.offset, durableBytes: this.#writer.durableOffset }
        : {}),
      id,
      path,
      startedAtMs: this.#startedAtMs,
      ...(totalBytes === undefined ? {} : { totalBytes }),
      ...(metadata === undefined ? {} : { metadata }),
    };
  }

  /** Waits for its turn, and opens the writer. */
  async run(queue: FairQueue): Promise<StreamingFileWriter> {
    const { path, options } = this.#about;
    const signals = [this.#giveUp.signal, ...(options.signal === undefined ? [] : [options.signal])];
    try {
      this.#leave = await queue.enter(AbortSignal.any(signals));
      this.#writer = await StreamingFileWriter.open(this.#store, path, this.#writeOptions(), {
        alsoCommit: (tx, { bytes, checksum, algorithm }) => {
          const { id, metadata } = options;
          if (id === undefined) return;
          CompletedOperations.record(tx, id, {
            path,
            startedAtMs: this.#startedAtMs,
            endedAtMs: Date.now(),
            bytes,
            transaction: tx.id,
            checksum,
            algorithm,
            ...(metadata === undefined ? {} : { metadata }),
          });
        },
        onEnd: (end) => this.#ended(end),
      });
    } catch (error) {
      this.#leave();
      if (isStoreError(error, 'ERR_ABORTED')) this.#become({ state: 'cancelled', endedAtMs: Date.now() });
      else this.#failed(error, false);
      throw error;
    }
    this.#become({
      state: 'in_progress',
      bytes: this.#writer.offset,
      durableBytes: this.#writer.durableOffset,
      heldBy: 'here',
    });
    return this.#writer;
  }

  /** What it has staged goes. */
  async cancel(): Promise<void> {
    this.#giveUp.abort(new Error('the operation was cancelled'));
    if (this.#writer?.isOpen !== true) return;
    this.#become({ state: 'cleaning_up' });
    await this.#writer.cancel();
  }

  async close(): Promise<void> {
    this.#giveUp.abort(new Error('the manager was closed'));
    await this.#writer?.close();
  }

  #writeOptions(): WriteOptions {
    const { path, options } = this.#about;
    const { totalBytes, metadata, onProgress } = options;
    const about = {
      path,
      ...(totalBytes === undefined ? {} : { totalBytes }),
      ...(metadata === undefined ? {} : { metadata }),
    };
    return {
      ...options,
      ...(options.id === undefined ? {} : { metadata: packAbout(about) }),
      onProgress: (progress) => {
        onProgress?.(progress);
        this.#onChange(this.now, 'progress');
      },
    };
  }

  #ended(end: WriterEnd): void {
    this.#leave();
    const endedAtMs = Date.now();
    switch (end.how) {
      case 'committed': {
        const { bytes, transaction, checksum, algorithm } = end.result;
        this.#become({ state: 'completed', endedAtMs, bytes, transaction, checksum, algorithm });
        break;
      }
      case 'cancelled':
        if (isStoreError(end.reason)) this.#failed(end.reason, false);
        else this.#become({ state: 'cancelled', endedAtMs });
        break;
      case 'closed':
        this.#become({
          state: 'failed',
          endedAtMs,
          code: 'ERR_ABORTED',
          message: 'it was closed before it was committed',
          resumable: true,
        });
        break;
    }
  }

  #failed(error: unknown, resumable: boolean): void {
    const code =
      typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'Error';
    const message = error instanceof Error ? error.message : String(error);
    this.#become({ state: 'failed', endedAtMs: Date.now(), code, message, resumable });
  }

  #become(next: OperationState): void {
    if (!mayBecome(this.#state.state, next.state)) return;
    this.#state = next;
    this.#onChange(this.now, 'state');
  }
}
