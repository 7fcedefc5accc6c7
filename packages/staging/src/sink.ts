/** Where a writer's bytes go until they are committed: into a transaction of their own, or under an id, to be continued. */

import type { Commit, FileOptions, StagedContent, Store, Transaction } from '@forewrit/core';
import { Handoff } from './handoff.js';

export interface Sink {
  /** So many bytes survive a crash. */
  readonly durableBytes: number;
  /** xxh64 of what was written, where it is known before the commit. */
  readonly checksum: string | undefined;
  write(piece: Uint8Array): Promise<void>;
  /** Makes durable what was written. */
  sync(): Promise<void>;
  /** Resolves when everything is written and nothing can fail any more but the commit. */
  finish(): Promise<void>;
  commit(more: (tx: Transaction) => void): Promise<Commit>;
  /** Nothing is left. */
  cancel(reason: unknown): Promise<void>;
  /** What can be continued is kept, anything else goes. */
  close(): Promise<void>;
}

export class TransactionSink implements Sink {
  readonly durableBytes = 0;
  readonly checksum = undefined;
  readonly #tx: Transaction;
  readonly #handoff = new Handoff();
  readonly #staging: Promise<void>;

  private constructor(tx: Transaction, path: string, options: FileOptions) {
    this.#tx = tx;
    this.#staging = Promise.resolve(tx.writeFile(path, this.#handoff, options));
    this.#staging.catch((error: unknown) => this.#handoff.refuse(error));
  }

  static async open(
    store: Store,
    path: string,
    { signal, ...options }: FileOptions & { readonly signal?: AbortSignal | undefined },
  ): Promise<TransactionSink> {
    const tx = await store.begin(signal === undefined ? {} : { signal });
    try {
      return new TransactionSink(tx, path, options);
    } catch (error) {
      await tx.abort();
      throw error;
    }
  }

  write(piece: Uint8Array): Promise<void> {
    return this.#handoff.push(piece);
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  async finish(): Promise<void> {
    this.#handoff.end();
    await this.#staging;
  }

  async commit(more: (tx: Transaction) => void): Promise<Commit> {
    more(this.#tx);
    return await this.#tx.commit();
  }

  async cancel(reason: unknown): Promise<void> {
    this.#handoff.fail(reason);
    this.#handoff.refuse(reason);
    await this.#staging.catch(() => undefined);
    await this.#tx.abort();
  }

  close(): Promise<void> {
    return this.cancel(new Error('the writer was closed'));
  }
}

export class ResumableSink implements Sink {
  readonly #store: Store;
  readonly #staged: StagedContent;
  readonly #path: string;
  readonly #options: FileOptions;

  constructor(store: Store, staged: StagedContent, path: string, options: FileOptions) {
    this.#store = store;
    this.#staged = staged;
    this.#path = path;
    this.#options = options;
  }

  get durableBytes(): number {
    return this.#staged.durableOffset;
  }

  get checksum(): string {
    return this.#staged.checksum;
  }

  write(piece: Uint8Array): Promise<void> {
    return this.#staged.append(piece);
  }

  sync(): Promise<void> {
    return this.#staged.sync();
  }

  finish(): Promise<void> {
    return this.#staged.sync();
  }

  async commit(more: (tx: Transaction) => void): Promise<Commit> {
    const tx = await this.#store.begin();
    try {
      await tx.writeFile(this.#path, this.#staged, this.#options);
      more(tx);
      return await tx.commit();
    } catch (error) {
      await tx.abort();
      throw error;
    }
  }

  cancel(): Promise<void> {
    return this.#staged.discard();
  }

  close(): Promise<void> {
    return this.#staged.close();
  }
}
