/**
 * Recovery by hand: what opening the store does, and after it the rare remains that an open has no reason to look for, which
 * a process left that died while it opened the store, or that nothing but a damaged log explains.
 */

import {
  lockRow,
  type LogBatch,
  type RecoveryReport,
  type StoreContext,
  type StoreOptions,
  transactionRange,
  unlinkIfThere,
} from '@forewrit/core';
import { livingOwners } from '../analysis.js';
import { temporaryIdentity } from '../check/places.js';
import { withRecovered } from '../recovered-store.js';

export interface RecoverReport extends RecoveryReport {
  /** Files of first opens that did not come to their end. */
  readonly leftovers: number;
  /** What was locked by transactions that the log does not hold. */
  readonly unlocked: readonly string[];
}

/**
 * Recovers the store at `root`, and closes it again. Durable on return.
 *
 * @throws StoreError as `openStore`
 */
export async function recover(root: string | URL, options: StoreOptions = {}): Promise<RecoverReport> {
  return await withRecovered(root, { ...options, op: 'recover' }, ({ context, state }) => ({
    ...state.recovery,
    leftovers: sweepLeftovers(context),
    unlocked: unlockOrphaned(context),
  }));
}

/** The store has its id now: whoever wrote another copy of it has no use for that. */
function sweepLeftovers({ fileSystem, layout }: StoreContext): number {
  const names = fileSystem.list(layout.directory).filter((name) => temporaryIdentity.test(name));
  return names.filter((name) => unlinkIfThere(fileSystem, `${layout.directory}/${name}`)).length;
}

function unlockOrphaned({ log }: StoreContext): string[] {
  if (log.view((view) => view.range('locks', { start: new Uint8Array(0), limit: 1 })).length === 0) return [];
  return log.commit((batch) => {
    const living = livingOwners(batch, new Set());
    const orphaned = batch.range('locks', { start: new Uint8Array(0) }).flatMap(([key, value]) => {
      const { what, transaction } = lockRow.decode(key, value);
      return living.has(transaction.owner) || isRecorded(batch, transaction) ? [] : [{ key, what }];
    });
    for (const { key } of orphaned) batch.delete('locks', key);
    return orphaned.map(({ what }) => what);
  });
}

function isRecorded(
  batch: LogBatch,
  { owner, counter }: { readonly owner: number; readonly counter: number },
): boolean {
  return batch.range('log', { ...transactionRange(owner, counter), limit: 1 }).length > 0;
}
