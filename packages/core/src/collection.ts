/** Durable entries beside the files: small values under string keys, in the same log and the same transactions. */

import { type EntriesRead, rowsInRange } from './collection-range.js';
import { parseEntryKey } from './key.js';
import { entryRow } from './rows.js';
import type { StoreAccess } from './store-access.js';
import { checkEntry, type Transaction } from './transaction.js';
import type { Commit } from './engine.js';

export interface RangeOptions {
  /** First key, included. */
  readonly start?: string;
  /** Last key, excluded. */
  readonly end?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
}

/** Values are what msgpack can hold: null, booleans, numbers, bigints, strings, Uint8Arrays, arrays, plain objects. */
export interface Collection<V> {
  readonly name: string;
  /** The value, or `undefined`. In a transaction: use `tx.get`. */
  get(key: string): Promise<V | undefined>;
  /** Durable on return. */
  put(key: string, value: V): Promise<Commit>;
  delete(key: string): Promise<Commit>;
  /** Entries in key order (by the bytes of UTF-8), as of one moment. */
  range(options?: RangeOptions): Promise<[key: string, value: V][]>;
}

export function openCollection<V>(
  name: string,
  access: StoreAccess,
  store: {
    readonly settled: () => Promise<void>;
    readonly transact: (fn: (tx: Transaction) => void) => Promise<Commit>;
  },
): Collection<V> {
  checkEntry('collection', name, 'key');
  return {
    name,
    async get(key) {
      checkEntry('get', name, key);
      await store.settled();
      const entry = access.entry(name, key);
      return entry === undefined ? undefined : (access.unpack(entry.value) as V);
    },
    put: (key, value) => store.transact((tx) => tx.put(name, key, value)),
    delete: (key) => store.transact((tx) => tx.delete(name, key)),
    async range(options = {}) {
      await store.settled();
      return access.log
        .view((view) => rowsInRange(view, toRead(name, options)))
        .map(([key, value]) => [
          parseEntryKey(key).key,
          access.unpack(entryRow.decode(key, value).value) as V,
        ]);
    },
  };
}

function toRead(collection: string, options: RangeOptions): EntriesRead {
  return {
    collection,
    start: options.start,
    end: options.end,
    limit: options.limit,
    reverse: options.reverse ?? false,
  };
}

