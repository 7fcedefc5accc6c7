/**
 * Analysis: reads every transaction that the log still holds and tells what is to be done with each. It deletes nothing
 * and touches no file; a record that cannot be trusted is thrown as what it is, and then nothing is recovered at all.
 */

import {
  ancestors,
  decodeTransaction,
  type FileRow,
  type Folding,
  isBelow,
  isBrought,
  isLocking,
  isOverdue,
  isUnfinished,
  type LoggedTransaction,
  type LogView,
  type Owner,
  ownerRange,
  ownerRow,
  parseTransactionKey,
  pathKey,
  recordedMount,
  type Row,
  rowOf,
  rowsBelow,
  type StorePath,
  type Target,
} from '@forewrit/core';
import { decideUncommitted } from './decision.js';
import { PathHistory } from './path-history.js';
import type { RecoveryContext } from './recovery-context.js';

const everything = { start: new Uint8Array(0) };

/** The values of one transaction, still encoded. */
export interface TransactionRows {
  readonly number: { readonly owner: number; readonly counter: number };
  readonly rows: readonly Row[];
}

export function readTransactionRows(view: LogView): TransactionRows[] {
  const groups: { number: { owner: number; counter: number }; rows: Row[] }[] = [];
  for (const row of view.range('log', everything)) {
    const { owner, transaction } = parseTransactionKey(row[0]);
    const last = groups.at(-1);
    if (last?.number.owner === owner && last.number.counter === transaction) last.rows.push(row);
    else groups.push({ number: { owner, counter: transaction }, rows: [row] });
  }
  return groups;
}

export function readTransactions(view: LogView): LoggedTransaction[] {
  return readTransactionRows(view).map(({ number, rows }) => decodeTransaction(number, rows));
}

export interface Analysis {
  /** Everything in the log, of the living and the dead, in no order. */
  readonly transactions: readonly LoggedTransaction[];
  /** Committed transactions of dead owners, the oldest first. */
  readonly winners: readonly LoggedTransaction[];
  /** Transactions of dead owners that were rolled back: only their names are left. */
  readonly aborted: readonly LoggedTransaction[];
  /** Transactions of dead owners that logged something before their commit, have none, and are not waited for. */
  readonly losers: readonly LoggedTransaction[];
  readonly history: PathHistory;
  /** Owners that may still be writing. */
  readonly living: ReadonlySet<number>;
}

/** `dead`: numbers of owners that are proven dead. One that is not registered (any more) is not writing either. */
export function analyse(
  view: LogView,
  dead: ReadonlySet<number>,
  { folding, nowMs }: { readonly folding: Folding; readonly nowMs: number },
): Analysis {
  const living = livingOwners(view, dead);
  const transactions = readTransactions(view);
  const ours = transactions.filter(({ number }) => !living.has(number.owner));
  const committed = ours.filter(({ commit }) => commit !== undefined);
  return {
    transactions,
    winners: committed.filter(({ abort }) => abort === undefined).sort(byRevision),
    aborted: committed.filter(({ abort }) => abort !== undefined),
    losers: ours.filter((each) => each.commit === undefined && !isWaiting(each, nowMs)),
    history: new PathHistory(folding, transactions),
    living,
  };
}

/** Whether it stays as it is, to be continued by whoever wants to. */
export function isWaiting({ commit, resumable }: LoggedTransaction, nowMs: number): boolean {
  if (commit !== undefined || resumable === undefined) return false;
  return decideUncommitted({ resumable: !isOverdue(resumable, nowMs) }).verdict === 'wait';
}

/** Whether all that is left of an owner is what may be continued. */
export function holdsOnlyWaiting(view: LogView, owner: number, nowMs: number): boolean {
  const range = ownerRange(owner);
  // Nothing else need be read to know that there is something to do.
  if (view.range('log', { ...range, limit: 1 }).some(([key]) => isUnfinished(key))) return false;
  const rows = view.range('log', range);
  if (rows.some(([key]) => isUnfinished(key))) return false;
  return rows.every(([key, value]) => {
    const { transaction: counter } = parseTransactionKey(key);
    return isWaiting(decodeTransaction({ owner, counter }, [[key, value]]), nowMs);
  });
}

export function livingOwners(view: LogView, dead: ReadonlySet<number>): Set<number> {
  const numbers = registeredOwners(view).map(({ number }) => number);
  return new Set(numbers.filter((number) => !dead.has(number)));
}

export function registeredOwners(view: LogView): Owner[] {
  return view.range('owners', everything).map(([key, value]) => ownerRow.decode(key, value));
}

export function revisionOf({ commit }: LoggedTransaction): number {
  return commit?.revision ?? 0;
}

function byRevision(a: LoggedTransaction, b: LoggedTransaction): number {
  return revisionOf(a) - revisionOf(b);
}

/** On which boot a transaction ran, as seen from now. An unknown boot or mount is another one. */
export function bootOf(
  context: RecoveryContext,
  { begin }: LoggedTransaction,
  target: Target,
): 'same' | 'other' {
  if (begin === undefined || context.bootId === '' || begin.bootId !== context.bootId) return 'other';
  const mount = recordedMount(begin.mount, target.volume);
  return mount !== '' && mount === context.mountOf(target.volume) ? 'same' : 'other';
}

/** That it was applied counts only as long as what was applied cannot have been lost. */
export function appliedHere(
  context: RecoveryContext,
  transaction: LoggedTransaction,
  target: Target,
): boolean {
  if (transaction.applied?.bootId !== context.bootId) return false;
  return bootOf(context, transaction, target) === 'same';
}

/** All of it was, and its locks are gone. */
export function isInPlace(context: RecoveryContext, transaction: LoggedTransaction): boolean {
  if (transaction.applied?.bootId !== context.bootId) return false;
  return transaction.targets.every((target) => appliedHere(context, transaction, target));
}

/** By position of the target, the number of the owner whose newer transaction has committed to its path. */
export function supersededTargets(
  view: LogView,
  transaction: LoggedTransaction,
  folding: Folding,
): Map<number, number> {
  const revision = revisionOf(transaction);
  const superseded = new Map<number, number>();
  for (const target of transaction.targets) {
    const newer = deciders(view, target, folding).find((row) => row.revision > revision);
    if (newer !== undefined) superseded.set(target.index, newer.transaction.owner);
  }
  return superseded;
}

/** Rows that tell who decides what is at the path of a target. */
function deciders(view: LogView, { action, path, after }: Target, folding: Folding): FileRow[] {
  const rowsAt = (at: StorePath): FileRow[] => {
    const row = rowOf(view, at, folding);
    return row === undefined ? [] : [row];
  };
  // A parent has no row of its own. But if it was removed or moved since, or what it stood on, that has left one; and
  // where something was removed, a row below it says that somebody has made it a parent since.
  if (action === 'make-parent') return [path, ...ancestors(path)].flatMap(rowsAt);
  if (after.type !== 'absent') return rowsAt(path);
  return [...rowsAt(path), ...rowsBelow(view, path, folding).filter((row) => isBelow(row.path, path))];
}

/** The keys under which a target is locked. */
export function lockKeysOf(
  target: Target,
  folding: Folding,
): { readonly key: Uint8Array; readonly path: StorePath }[] {
  if (!isLocking(target)) return [];
  const paths =
    target.action === 'move-directory' && target.from !== undefined && !isBrought(target)
      ? [target.path, target.from]
      : [target.path];
  return paths.map((path) => ({ key: pathKey(path, folding), path }));
}
