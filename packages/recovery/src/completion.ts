/**
 * Completion: the batches that begin and end the recovery of a transaction.
 *
 * - *Claim*: before anything is decided, every path that may be written is locked by its transaction. One that was
 *   applied on another boot let go of its locks then; it gets them back only where nobody has committed since.
 * - *In place*: where so much is to be made durable that nobody should wait for it, a transaction is first recorded as
 *   applied, as its owner would have done; its locks go, and its completion follows.
 * - *Complete*: everything is durable; in one batch the records go, the locks, and with them the news: rows name the
 *   inodes that a redo made, so that no reader takes them for somebody's edit.
 *
 * Newer transactions are completed first or in the same batch: as long as a newer one needs its records, so does
 * whoever it superseded, whose images it is recognised by. Where the newer one is blocked, what it superseded stays in
 * the log with nothing but those targets.
 */

import {
  assert,
  encodeCommitBatch,
  encodeMark,
  entryLockKey,
  type FileRow,
  type Folding,
  forgetUnflushed,
  hasHistoryOf,
  type HistoryRow,
  type Image,
  type LockRow,
  lockRow,
  type Log,
  type LogBatch,
  type LoggedTransaction,
  type LogView,
  metaKeys,
  pathKey,
  putFileRow,
  putHistory,
  removeResumable,
  type Row,
  rowOf,
  sameTransaction,
  type StorePath,
  type Target,
  transactionKey,
  transactionRange,
  sequences,
  textRow,
  trimRecords,
  unflushedPaths,
} from '@forewrit/core';
import { type Analysis, appliedHere, lockKeysOf, revisionOf, supersededTargets } from './analysis.js';
import type { Subject } from './target-observation.js';
import type { RecoveryContext } from './recovery-context.js';

/** Locks what may be written, and says what newer transactions have superseded. */
export function claim(
  log: Log,
  context: RecoveryContext,
  { winners, living }: Pick<Analysis, 'winners' | 'living'>,
): Subject[] {
  const { folding } = context;
  const missingLocks = (
    view: LogView,
    transaction: LoggedTransaction,
    superseded: ReadonlySet<number>,
  ): Lock[] => {
    const revision = revisionOf(transaction);
    return transaction.targets
      .filter((target) => !superseded.has(target.index) && !appliedHere(context, transaction, target))
      .flatMap((target) => lockKeysOf(target, folding))
      .filter(({ key }) => view.get('locks', key) === undefined)
      .filter(({ path }) => (rowOf(view, path, folding)?.revision ?? 0) <= revision)
      .map(({ key, path }) => ({
        key,
        lock: { what: path, transaction: transaction.number, blocked: false },
      }));
  };
  const look = (view: LogView): Subject[] => {
    const unflushed = unflushedPaths(view);
    return winners.map((transaction) => subjectOf(view, { transaction, living, folding, unflushed }));
  };
  const { subjects, wanting } = log.view((view) => {
    const seen = look(view);
    const weighed = seen.map(({ transaction, superseded }) => ({
      transaction,
      weight: missingLocks(view, transaction, superseded).length,
    }));
    return { subjects: seen, wanting: weighed.filter(({ weight }) => weight > 0) };
  });
  // As nearly always: a dead owner's locks are there, and as long as they are, nobody commits to their paths.
  if (wanting.length === 0) return subjects;
  for (const chunk of inBatches(wanting)) {
    log.commit(
      (batch) => {
        // Looked at again: since the view others may have committed.
        for (const { transaction } of chunk) {
          const superseded = new Set(supersededTargets(batch, transaction, folding).keys());
          for (const { key, lock } of missingLocks(batch, transaction, superseded)) {
            batch.put('locks', key, lockRow.encode(key, lock));
          }
        }
      },
      { essential: true },
    );
  }
  return log.view(look);
}

export function noteUnflushed(log: Log, { number }: LoggedTransaction, { index, path }: Target): void {
  const key = metaKeys.unflushed(number, index);
  log.commit((batch) => batch.put('meta', key, textRow.encode(key, path)), { essential: true });
}

interface Lock {
  readonly key: Uint8Array;
  readonly lock: LockRow;
}

/** Changes of one batch. One transaction always fits: it has as many as its commit had, or fewer. */
const batchWeightMax = 10_000;

/** In their order, cut where a batch would become too heavy. */
export function inBatches<T extends { readonly weight: number }>(items: readonly T[]): T[][] {
  const batches: T[][] = [];
  let weight = Number.POSITIVE_INFINITY;
  for (const item of items) {
    if (weight + item.weight > batchWeightMax) {
      batches.push([]);
      weight = 0;
    }
    weight += item.weight;
    batches.at(-1)?.push(item);
  }
  return batches;
}

const none: ReadonlySet<number> = new Set();

/** Of ten thousand transactions hardly one has anything to put in. */
function setOf(indexes: readonly number[]): ReadonlySet<number> {
  return indexes.length === 0 ? none : new Set(indexes);
}

export interface SubjectParts {
  readonly transaction: LoggedTransaction;
  readonly living: ReadonlySet<number>;
  readonly folding: Folding;
  readonly unflushed?: ReadonlySet<StorePath>;
}

export function subjectOf(
  view: LogView,
  { transaction, living, folding, unflushed = unflushedPaths(view) }: SubjectParts,
): Subject {
  const superseded = supersededTargets(view, transaction, folding);
  const held = [...superseded].filter(([, owner]) => living.has(owner)).map(([index]) => index);
  return {
    transaction,
    superseded: setOf([...superseded.keys()]),
    heldByLiving: setOf(held),
    unflushed,
  };
}

/** Locks one path of a transaction that was applied, unless somebody has committed to it since. */
export function lockAgain(
  log: Log,
  transaction: LoggedTransaction,
  target: Target,
  folding: Folding,
): boolean {
  return log.commit(
    (batch) => {
      const row = rowOf(batch, target.path, folding);
      if (row === undefined || !isOfRow(row, transaction)) return false;
      const key = pathKey(target.path, folding);
      const value = batch.get('locks', key);
      if (value !== undefined) return isOf(lockRow.decode(key, value), transaction);
      const lock = { what: target.path, transaction: transaction.number, blocked: false };
      batch.put('locks', key, lockRow.encode(key, lock));
      return true;
    },
    { essential: true },
  );
}

export interface Completion {
  readonly transaction: LoggedTransaction;
  readonly blocked: boolean;
  readonly superseded: ReadonlySet<number>;
  /** What rows are to say of files, by position of the target. */
  readonly images: ReadonlyMap<number, Image>;
  /** What it leaves to history. */
  readonly history?: EncodedHistory;
}

export interface EncodedHistory {
  readonly row: HistoryRow;
  readonly encoded: Row;
  /** Positions of the targets whose before-images stay. */
  readonly keeps: ReadonlySet<number>;
}

/** Bytes that weigh as much as a change. */
const bytesOfWeight = 2048;

/** Changes that a completion may make at most, and what it writes of history. */
export function weightOf({ transaction, history }: Completion): number {
  const ofHistory = history === undefined ? 0 : 4 + Math.ceil(history.encoded[1].byteLength / bytesOfWeight);
  return 4 + 3 * transaction.targets.length + (transaction.commit?.entries.length ?? 0) + ofHistory;
}

export function writeCompletion(batch: LogBatch, completion: Completion, folding: Folding): void {
  const { transaction, blocked } = completion;
  if (blocked) {
    writeBlocked(batch, completion, folding);
    return;
  }
  // Whoever has taken it over since has it under another number.
  if (transaction.resumable !== undefined)
    removeResumable(batch, transaction.number, transaction.resumable.id);
  letGo(batch, completion, folding);
  forgetUnflushed(batch, [transaction.number]);
  const { history } = completion;
  if (history !== undefined && !hasHistoryOf(batch, history.row.revision))
    putHistory(batch, history.row, history.encoded);
  const needed = neededByBlocked(batch, completion, folding);
  if (transaction.commit === undefined) forgetBegun(batch, transaction);
  else if (needed.length === 0) trimRecords(batch, transaction.number);
  else keepOnly(batch, transaction, needed);
}

/** All of it is in its place, and what is not durable yet the log still has. */
export function writeInPlace(
  batch: LogBatch,
  completion: Completion,
  { folding, bootId }: Pick<RecoveryContext, 'folding' | 'bootId'>,
): void {
  if (completion.blocked) {
    writeBlocked(batch, completion, folding);
    return;
  }
  letGo(batch, completion, folding);
  batch.put('log', ...encodeMark(completion.transaction.number, { kind: 'applied', bootId }));
}

/** Its locks go, and its rows say what is there now. */
function letGo(batch: LogBatch, { transaction, images }: Completion, folding: Folding): void {
  for (const target of transaction.targets) {
    for (const { key } of lockKeysOf(target, folding)) unlock(batch, key, transaction);
    const image = images.get(target.index);
    if (image !== undefined) renewRow(batch, transaction, { target, image }, folding);
  }
  for (const { collection, key } of transaction.commit?.entries ?? []) {
    unlock(batch, entryLockKey(collection, key), transaction);
  }
}

/** What has only begun may have written any number of records. */
function forgetBegun(batch: LogBatch, { number }: LoggedTransaction): void {
  const rows = batch.range('log', transactionRange(number.owner, number.counter));
  for (const [key] of rows) batch.delete('log', key);
}

/** Marks what a person has to decide: readers and writers of these paths are told so. */
function writeBlocked(batch: LogBatch, completion: Completion, folding: Folding): void {
  for (const { key, lock } of unmarkedLocks(batch, completion, folding)) {
    batch.put('locks', key, lockRow.encode(key, lock));
  }
}

/** The locks of a blocked transaction that do not say yet that it is. */
export function unmarkedLocks(
  view: LogView,
  { transaction, superseded }: Completion,
  folding: Folding,
): Lock[] {
  const paths = transaction.targets
    .filter((target) => !superseded.has(target.index))
    .flatMap((target) => lockKeysOf(target, folding))
    .map(({ key, path }) => ({ key, what: path }));
  assert(transaction.commit !== undefined, 'only what was committed is blocked');
  const entries = transaction.commit.entries.map(({ collection, key }) => ({
    key: entryLockKey(collection, key),
    what: `${collection}/${key}`,
  }));
  const isLocked = (key: Uint8Array): boolean => view.get('locks', key) !== undefined;
  return [...paths, ...entries.filter(({ key }) => isLocked(key))]
    .map(({ key, what }) => ({ key, lock: { what, transaction: transaction.number, blocked: true } }))
    .filter(({ key }) => {
      const value = view.get('locks', key);
      if (value === undefined) return true;
      const held = lockRow.decode(key, value);
      return isOf(held, transaction) && !held.blocked;
    });
}

/** Superseded targets whose superseder is blocked: to go back, it may need what they left. */
function neededByBlocked(view: LogView, { transaction, superseded }: Completion, folding: Folding): Target[] {
  return transaction.targets.filter((target) => {
    if (!superseded.has(target.index)) return false;
    return lockKeysOf(target, folding).some(({ key }) => {
      const value = view.get('locks', key);
      if (value === undefined) return false;
      const held = lockRow.decode(key, value);
      return held.blocked && !isOf(held, transaction);
    });
  });
}

/** The same record with fewer targets: what was completed must not be decided again a week later. */
function keepOnly(batch: LogBatch, transaction: LoggedTransaction, targets: readonly Target[]): void {
  const { number, commit } = transaction;
  assert(transaction.begin !== undefined && commit !== undefined, 'only a committed record is kept in part');
  // History has all of it by now.
  const { keeps: _keeps, ...begin } = transaction.begin;
  const [key, value] = encodeCommitBatch({ number, begin, targets, revision: commit.revision, entries: [] });
  batch.put('log', key, value);
  batch.delete('log', transactionKey(number.owner, number.counter, sequences.abort));
}

function renewRow(
  batch: LogBatch,
  transaction: LoggedTransaction,
  { target, image }: { readonly target: Target; readonly image: Image },
  folding: Folding,
): void {
  const row = rowOf(batch, target.path, folding);
  if (row === undefined || !isOfRow(row, transaction)) return;
  putFileRow(batch, { ...row, image }, folding);
}

/** A deferred transaction may have taken in saves that are older than itself: their rows keep their revisions. */
function isOfRow(row: FileRow, transaction: LoggedTransaction): boolean {
  return sameTransaction(row.transaction, transaction.number) && row.revision <= revisionOf(transaction);
}

/** Only a lock of this transaction: a superseded path may be locked by whoever came later. */
export function unlock(batch: LogBatch, key: Uint8Array, transaction: LoggedTransaction): void {
  const value = batch.get('locks', key);
  if (value !== undefined && isOf(lockRow.decode(key, value), transaction)) batch.delete('locks', key);
}

function isOf(lock: LockRow, { number }: LoggedTransaction): boolean {
  return sameTransaction(lock.transaction, number);
}
