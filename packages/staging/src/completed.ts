/**
 * Operations that have completed under an id of their user's: entries of the store, written by the very transaction that
 * completes them. So whoever comes back after a crash learns that there is nothing left to do.
 */

import type { Collection, Store, Transaction } from '@forewrit/core';
import type { ChecksumAlgorithm } from './integrity.js';
import type { Operation } from './operation.js';

const collection = 'forewrit.staging';

export interface CompletedEntry {
  readonly path: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly bytes: number;
  readonly transaction: string;
  readonly checksum: string;
  readonly algorithm: ChecksumAlgorithm;
  readonly metadata?: unknown;
}

export class CompletedOperations {
  readonly #entries: Collection<CompletedEntry>;

  constructor(store: Store) {
    this.#entries = store.collection<CompletedEntry>(collection, { history: false });
  }

  static record(tx: Transaction, id: string, entry: CompletedEntry): void {
    tx.put(collection, id, entry);
  }

  async get(id: string): Promise<Operation | undefined> {
    const entry = await this.#entries.get(id);
    return entry === undefined ? undefined : asOperation(id, entry);
  }

  async list(): Promise<Operation[]> {
    const found: Operation[] = [];
    for (const [id, entry] of await this.#entries.range()) found.push(asOperation(id, entry));
    return found;
  }

  async forget(id: string): Promise<void> {
    await this.#entries.delete(id);
  }

  /** Returns how many were. */
  async forgetBefore(timeMs: number): Promise<number> {
    let count = 0;
    for (const [id, { endedAtMs }] of await this.#entries.range()) {
      if (endedAtMs >= timeMs) continue;
      await this.#entries.delete(id);
      count += 1;
    }
    return count;
  }
}

function asOperation(id: string, entry: CompletedEntry): Operation {
  return { id, state: 'completed', ...entry };
}
