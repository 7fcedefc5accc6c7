/** What a store has done so far, and what it has open. */

import type { CounterName, Counters } from '../committer/committer.js';
import type { LogStats } from '../log/log.js';

export interface StoreStats {
  readonly commits: number;
  /** Flushes that carried commits: several commits share one. */
  readonly groups: number;
  readonly conflicts: number;
  readonly rollBacks: number;
  readonly checkpoints: number;
  /** Content of commits. */
  readonly bytesWritten: number;
  readonly uncheckpointedTransactions: number;
  readonly uncheckpointedBytes: number;
  readonly openDescriptors: number;
  /** Committed, and in no file yet: after superseded saves were taken in by newer ones. */
  readonly deferredTransactions: number;
  readonly deferredBytes: number;
  readonly queued: number;
  readonly waiting: number;
  readonly activeTransactions: number;
  readonly log: LogStats;
}

/** Without a committer, of a read-only store, nothing is counted. */
export function statsOf(
  counters: Counters | undefined,
  activeTransactions: number,
  log: LogStats,
): StoreStats {
  const count = (name: CounterName): number => counters?.get(name) ?? 0;
  return {
    commits: count('commits'),
    groups: count('groups'),
    conflicts: count('conflicts'),
    rollBacks: count('rollBacks'),
    checkpoints: count('checkpoints'),
    bytesWritten: count('bytesWritten'),
    uncheckpointedTransactions: count('uncheckpointedTransactions'),
    uncheckpointedBytes: count('uncheckpointedBytes'),
    openDescriptors: count('openDescriptors'),
    deferredTransactions: count('deferredTransactions'),
    deferredBytes: count('deferredBytes'),
    queued: count('queued'),
    waiting: count('waiting'),
    activeTransactions,
    log,
  };
}
