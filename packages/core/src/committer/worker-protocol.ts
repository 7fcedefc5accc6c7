/** What the caller's thread and the committer's thread say to each other: plain data only. */

import type { CheckpointReport } from '../commit/checkpoint.js';
import type { CommitterEvent, CommitterState } from './committer.js';
import type { Commit } from '../commit/job.js';
import type { StagingRequest } from '../commit/resumable-records.js';
import type { PlainError } from '../errors.js';
import type { StoreOptions } from '../store/options.js';
import type { Roots } from '../path/path.js';
import type { CommitRequest } from '../plan/request.js';

/** Options that can be sent: no functions, nothing injected. */
export type PlainOptions = Omit<
  StoreOptions,
  'logger' | 'clock' | 'fileSystem' | 'log' | 'processTable' | 'probeWitness'
>;

export interface WorkerInput {
  readonly roots: Roots;
  readonly options: PlainOptions;
  readonly umask: number;
  readonly nonce: string;
  readonly counters: SharedArrayBuffer;
  /** The gate (`commit-gate.ts`) that the caller's thread closes before it ends this one. */
  readonly cancelFlag: SharedArrayBuffer;
}

export type ToWorker =
  | { readonly type: 'commit'; readonly id: number; readonly request: CommitRequest }
  | { readonly type: 'stage'; readonly id: number; readonly request: StagingRequest }
  | { readonly type: 'checkpoint' | 'materialize' | 'recover' | 'close'; readonly id: number };

export type FromWorker =
  | { readonly type: 'ready'; readonly state: CommitterState }
  | { readonly type: 'failed'; readonly error: PlainError }
  | { readonly type: 'accepted'; readonly id: number; readonly revision: number }
  | { readonly type: 'done'; readonly id: number; readonly value?: Commit | CheckpointReport }
  | { readonly type: 'error'; readonly id: number; readonly error: PlainError }
  | { readonly type: 'event'; readonly event: Exclude<CommitterEvent, { type: 'poisoned' }> }
  | { readonly type: 'poisoned'; readonly error: PlainError }
  /** The store is being closed, and the thread is at work. */
  | { readonly type: 'closing' };
