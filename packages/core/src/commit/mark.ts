/** What is written of a transaction after its commit: `applied`, `abort`, and that its records go. */

import { batchChangesMax } from '../log/log-limits.js';
import type { LogBatch, LogView } from '../log/log.js';
import { isBelow, isReservedPath, type StorePath } from '../path/path.js';
import { encodeMark } from '../record/codec.js';
import { absent, type Image } from '../record/image.js';
import { entryKey, type Folding, transactionKey } from '../record/key.js';
import { type EntryChange, sequences, type Target, type TransactionNumber } from '../record/record.js';
import { metaKeys, textRow } from '../record/rows.js';
import { moved, rowsBelow } from './file-row.js';
import { isLocking } from './lock.js';
import type { BuriedRow } from './proposal.js';
import { nextRevision } from './revision.js';
import { putRows } from './tombstones.js';

/** Locks that one batch lets go of, beside what else it does. */
export const markKeysMax = batchChangesMax / 8;

/** A transaction whose targets all hold their after-images, waiting to be recorded as such. */
export interface AppliedMark {
  readonly number: TransactionNumber;
  readonly lockKeys: readonly Uint8Array[];
}

export function writeApplied(batch: LogBatch, marks: readonly AppliedMark[], bootId: string): void {
  for (const mark of marks) {
    const [key, value] = encodeMark(mark.number, { kind: 'applied', bootId });
    batch.put('log', key, value);
    for (const lock of mark.lockKeys) batch.delete('locks', lock);
  }
}

/**
 * The batch that ends a roll-back: `abort`, a new revision with the old images, the entries' old values, unlocked. The
 * roll-back made every target durable before; only the names in the staging areas are still to be removed.
 */
export function writeAbort(
  batch: LogBatch,
  rolledBack: {
    readonly mark: AppliedMark;
    readonly targets: readonly Target[];
    readonly entries: readonly EntryChange[];
    readonly buried: readonly BuriedRow[];
    /** What is at some paths now, where that is not the before-image itself. */
    readonly images?: ReadonlyMap<StorePath, Image>;
  },
  folding: Folding,
): number {
  const { mark, entries } = rolledBack;
  const revision = nextRevision(batch);
  const transaction = mark.number;
  const images = [...imagesBefore(batch, rolledBack, folding)];
  putRows(
    batch,
    revision,
    images.map(([path, image]) => ({ path, transaction, image })),
    folding,
  );
  for (const entry of entries.toReversed()) {
    const key = entryKey(entry.collection, entry.key);
    if (entry.old === undefined) batch.delete('entries', key);
    else batch.put('entries', key, entry.old);
  }
  const [key, value] = encodeMark(mark.number, { kind: 'abort', revision });
  batch.put('log', key, value);
  for (const lock of mark.lockKeys) batch.delete('locks', lock);
  return revision;
}

/** What was at each path before the transaction. The rows that moved with a directory move back. */
function imagesBefore(
  view: LogView,
  { targets, buried, images }: Pick<Parameters<typeof writeAbort>[1], 'targets' | 'buried' | 'images'>,
  folding: Folding,
): Map<StorePath, Image> {
  const restored = new Map<StorePath, Image>();
  const gone = new Set<StorePath>();
  const moves = targets.filter(({ action }) => action === 'move-directory');
  /** `before`: at the turn of which target it was there. */
  const origin = (path: StorePath, before = Infinity): StorePath => {
    let at = path;
    for (const { index, path: to, from } of moves.toReversed()) {
      if (index < before && from !== undefined && (at === to || isBelow(at, to))) at = moved(at, to, from);
    }
    return at;
  };
  for (const { index, row } of buried) restored.set(origin(row.path, index), row.image);
  for (const move of moves) {
    for (const { path, image } of rowsBelow(view, move.path, folding)) {
      gone.add(path);
      if (image.type !== 'absent') restored.set(origin(path), image);
    }
    gone.add(move.path);
    restored.set(origin(move.path), move.after);
    // What it has taken the place of.
    if (move.before.type !== 'absent') restored.set(origin(move.path, move.index), move.before);
  }
  for (const target of targets) {
    if (!isLocking(target) || target.action === 'move-directory') continue;
    gone.add(target.path);
    const path = origin(target.path);
    // Nothing there when it was applied: what had been there before has moved away, and comes back.
    if (target.before.type !== 'absent') restored.set(path, images?.get(target.path) ?? target.before);
    else if (path !== target.path) restored.set(path, absent);
  }
  for (const path of gone) if (!restored.has(path)) restored.set(path, absent);
  // What an undo had brought goes back into a staging area, of which no row tells.
  for (const path of restored.keys()) if (isReservedPath(path)) restored.delete(path);
  return restored;
}

export function trimRecords(batch: LogBatch, number: TransactionNumber): void {
  batch.delete('log', transactionKey(number.owner, number.counter, sequences.commitBatch));
  batch.delete('log', transactionKey(number.owner, number.counter, sequences.abort));
  batch.delete('log', transactionKey(number.owner, number.counter, sequences.applied));
}

/**
 * Paths with content whose flush has failed. That is said of the path and not of one transaction: what has failed to
 * reach the disk stays in its place when a newer transaction over it is rolled back, or was never applied.
 */
export function unflushedPaths(view: LogView): Set<StorePath> {
  return new Set(view.range('meta', metaKeys.unflusheds).map(([key, value]) => textRow.decode(key, value)));
}

/** Flushes that have failed say nothing more once the records of their transactions go. */
export function forgetUnflushed(batch: LogBatch, numbers: readonly TransactionNumber[]): void {
  // There are hardly ever any.
  if (batch.range('meta', { ...metaKeys.unflusheds, limit: 1 }).length === 0) return;
  for (const number of numbers) {
    for (const [key] of batch.range('meta', metaKeys.unflushedOf(number))) batch.delete('meta', key);
  }
}
