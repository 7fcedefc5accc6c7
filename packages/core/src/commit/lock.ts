/** Locks: one for each path and entry that a transaction changes, from its commit until it is applied. */

import { assert } from '../assert.js';
import type { LogBatch, LogView } from '../log/log.js';
import { ancestors, isBelow, type StorePath } from '../path/path.js';
import { entryLockKey, type Folding, pathKey, subtreeRange } from '../record/key.js';
import { sameTransaction, type Target, type TransactionNumber } from '../record/record.js';
import { lockRow, type LockRow } from '../record/rows.js';
import type { EntryOperation } from './proposal.js';

export function isLocking(target: Target): boolean {
  return target.action !== 'make-parent';
}

function isDirectoryChange(target: Pick<Target, 'action'>): boolean {
  return target.action === 'move-directory' || target.action === 'remove-directory';
}

/** The first lock that stands in the way of these targets and entries. */
export function lockedBy(
  view: LogView,
  proposal: {
    readonly targets: readonly Pick<Target, 'action' | 'path' | 'from'>[];
    readonly entries: readonly EntryOperation[];
  },
  folding: Folding,
  /** Locks that the next batch lets go of before it looks at any. */
  isEnding: (transaction: TransactionNumber) => boolean = () => false,
): { kind: 'locked'; lock: LockRow } | undefined {
  const looked = new Set<StorePath>();
  const decode = (key: Uint8Array, value: Uint8Array | undefined): LockRow | undefined => {
    const lock = value === undefined ? undefined : lockRow.decode(key, value);
    return lock === undefined || isEnding(lock.transaction) ? undefined : lock;
  };
  const look = (path: StorePath): LockRow | undefined => {
    if (looked.has(path)) return undefined;
    looked.add(path);
    const key = pathKey(path, folding);
    return decode(key, view.get('locks', key));
  };
  for (const target of proposal.targets) {
    for (const path of target.from === undefined ? [target.path] : [target.path, target.from]) {
      for (const at of [path, ...ancestors(path)]) {
        const lock = look(at);
        if (lock !== undefined) return { kind: 'locked', lock };
      }
      // What is below a directory that is to be made brings it along.
      if (!isDirectoryChange(target) && target.action !== 'make-directory') continue;
      for (const [key, value] of view.range('locks', subtreeRange(path, folding))) {
        const lock = decode(key, value);
        if (lock !== undefined) return { kind: 'locked', lock };
      }
    }
  }
  for (const entry of proposal.entries) {
    const key = entryLockKey(entry.collection, entry.key);
    const lock = decode(key, view.get('locks', key));
    if (lock !== undefined) return { kind: 'locked', lock };
  }
  return undefined;
}

/** The locks of what is below a directory. */
export function locksBelow(view: LogView, directory: StorePath, folding: Folding): LockRow[] {
  return view
    .range('locks', subtreeRange(directory, folding))
    .map(([key, value]) => lockRow.decode(key, value))
    .filter(({ what }) => isBelow(what, directory));
}

export class LockWriter {
  readonly keys: Uint8Array[] = [];
  readonly #batch: LogBatch;
  readonly #transaction: TransactionNumber;

  constructor(batch: LogBatch, transaction: TransactionNumber) {
    this.#batch = batch;
    this.#transaction = transaction;
  }

  add(key: Uint8Array, what: string): void {
    // No path is ever written by two transactions of which neither is applied.
    const held = this.#batch.get('locks', key);
    const holder = held === undefined ? undefined : lockRow.decode(key, held).transaction;
    const isFree = holder === undefined || sameTransaction(holder, this.#transaction);
    assert(isFree, `'${what}' is locked by another transaction`);
    this.keys.push(key);
    this.#batch.put(
      'locks',
      key,
      lockRow.encode(key, { what, transaction: this.#transaction, blocked: false }),
    );
  }
}
