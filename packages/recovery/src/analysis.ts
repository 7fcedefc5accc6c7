/**
 * Analysis: reads every transaction that the log still holds and tells what is to be done with each. It deletes nothing
 * and touches no file; a record that cannot be trusted is thrown as what it is, and then nothing is recovered at all.
 */

import {
  ancestors,
  decodeTransaction,
  type Folding,
  isLocking,
  type LoggedTransaction,
  type LogView,
  type Owner,
  ownerRow,
  parseTransactionKey,
  pathKey,
  type Row,
  rowOf,
  type StorePath,
  type Target,
} from '@forewrit/core';
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

export interface Analysis {
  /** Everything in the log, of the living and the dead, in no order. */
  readonly transactions: readonly LoggedTransaction[];
  /** Committed transactions of dead owners, the oldest first. */
  readonly winners: readonly LoggedTransaction[];
  /** Transactions of dead owners that were rolled back: only their names are left. */
  readonly aborted: readonly LoggedTransaction[];
  /** Transactions of dead owners that logged something before their commit, and have none. */
  readonly losers: readonly LoggedTransaction[];
  readonly history: PathHistory;
  /** Owners that may still be writing. */
  readonly living: ReadonlySet<number>;
}

/** `dead`: numbers of owners that are proven dead. One that is not registered (any more) is not writing either. */
export function analyse(view: LogView, dead: ReadonlySet<number>, folding: Folding): Analysis {
  const living = livingOwners(view, dead);
  const transactions = readTransactionRows(view).map(({ number, rows }) => decodeTransaction(number, rows));
  const ours = transactions.filter(({ number }) => !living.has(number.owner));
  const committed = ours.filter(({ commit }) => commit !== undefined);
  return {
    transactions,
    winners: committed.filter(({ abort }) => abort === undefined).sort(byRevision),
    aborted: committed.filter(({ abort }) => abort !== undefined),
    losers: ours.filter(({ commit }) => commit === undefined),
    history: new PathHistory(folding, transactions),
    living,
  };
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
export function bootOf(context: RecoveryContext, { begin }: LoggedTransaction, target: Target): 'same' | 'other' {
  if (begin === undefined || context.bootId === '' || begin.bootId !== context.bootId) return 'other';
  // Only the mount of the root is recorded: of any other file system nobody knows whether it was mounted again.
  if (target.volume !== '' || context.mount === '' || begin.mount !== context.mount) return 'other';
  return 'same';
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

/** The positions of those targets on whose paths a newer transaction has committed. */
export function supersededTargets(view: LogView, transaction: LoggedTransaction, folding: Folding): Set<number> {
  const revision = revisionOf(transaction);
  const isNewer = (path: StorePath): boolean => (rowOf(view, path, folding)?.revision ?? 0) > revision;
  const superseded = new Set<number>();
  for (const { index, action, path } of transaction.targets) {
    // A parent has no row of its own; but one that was removed or moved since, or stood on such a one, has left one.
    const paths = action === 'make-parent' ? [path, ...ancestors(path)] : [path];
    if (paths.some(isNewer)) superseded.add(index);
  }
  return superseded;
}

/** The keys under which a target is locked. */
export function lockKeysOf(target: Target, folding: Folding): { readonly key: Uint8Array; readonly path: StorePath }[] {
  if (!isLocking(target)) return [];
  const paths = target.action === 'move-directory' && target.from !== undefined ? [target.path, target.from] : [target.path];
  return paths.map((path) => ({ key: pathKey(path, folding), path }));
}
