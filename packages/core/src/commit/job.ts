/** A request on its way through the engine, alone and in its group, and the answers that it may get. */

import type { StorePath } from '../path/path.js';
import type { Prepared } from '../plan/planner.js';
import type { CommitRequest } from '../plan/request.js';
import type { TransactionId } from '../record/record.js';
import type { LockRow } from '../record/rows.js';
import type { StoreContext } from '../store/store-context.js';
import type { Verdict } from './proposal.js';

/** What a commit left behind. Durability: as the store's `durability` says. */
export interface Commit {
  readonly transaction: TransactionId;
  readonly revision: number;
  /** What changed, by store path. */
  readonly paths: readonly StorePath[];
  /** Content written. */
  readonly bytes: number;
}

export interface Job {
  readonly request: CommitRequest;
  /** On the committer's monotonic clock. */
  deadlineMs: number;
  attempts: number;
  forcedAttempts: number;
  /** When the owner of the lock that it waits for is next asked whether it lives. */
  nextProbeMs: number;
  readonly accepted: (revision: number) => void;
  readonly resolve: (commit: Commit) => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupResult {
  /** To be run again at once. */
  readonly deferred: Job[];
  /** To be run again when another owner has moved on. */
  readonly waiting: { readonly job: Job; readonly lock: LockRow }[];
  /** What is deferred needs the checkpoint that is under way, and one more. */
  checkpointWanted?: boolean;
}

/** In the group: planned and staged, and judged inside the batch. */
export interface Live {
  readonly job: Job;
  readonly prepared: Prepared;
  verdict?: Verdict;
  /** Milliseconds since 1970. */
  committedAtMs?: number;
}

export type Committed = Extract<Verdict, { kind: 'committed' }>;

/** Content that is written anew after a failed flush is nobody's change, and what it replaces is not to be trusted. */
export function keepsHistory({ options }: StoreContext, { request }: Pick<Job, 'request'>): boolean {
  return options.history !== undefined && request.neverInline !== true && request.history !== false;
}

export function isCancelled(job: Job): boolean {
  return job.request.cancel !== undefined && Atomics.load(job.request.cancel, 0) !== 0;
}

export function isExpired(job: Job, nowMs: number): boolean {
  return isCancelled(job) || nowMs > job.deadlineMs;
}
