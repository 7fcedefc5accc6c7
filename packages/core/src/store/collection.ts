/** Durable entries beside the files: small values under string keys, in the same log and the same transactions. */

import { checkEntry } from './check-arguments.js';
import { checkRange, type RangeOptions, rowsInRange } from './collection-range.js';
import { parseEntryKey } from '../record/key.js';
import { entryRow } from '../record/rows.js';
import type { StoreAccess } from './store-access.js';
import type { Transaction } from './transaction.js';
import type { Commit } from '../commit/job.js';

/** Values are what msgpack can hold: null, booleans, numbers, bigints, strings, Uint8Arrays, arrays, plain objects. */
export interface Collection<V> {
  readonly name: string;
  /** The value, or `undefined`. In a transaction: use `tx.get`. */
  get(key: string): Promise<V | undefined>;
  /** Durable on return. */
  put(key: string, value: V): Promise<Commit>;
  delete(key: string): Promise<Commit>;
  /** Entries in key order (by the bytes of UTF-8), as of one moment. In a transaction: use `tx.range`. */
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
      const range = checkRange('range', name, options);
      await store.settled();
      return access.log
        .view((view) => rowsInRange(view, range))
        .map(([key, value]) => [
          parseEntryKey(key).key,
          access.unpack(entryRow.decode(key, value).value) as V,
        ]);
    },
  };
}
