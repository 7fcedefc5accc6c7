/** What a store asks of the committer, wherever that runs: in this thread, or in one of its own. */

import type { CheckpointReport } from '../commit/checkpoint.js';
import type { Commit } from '../commit/job.js';
import type { StagingRequest } from '../commit/resumable-records.js';
import type { RecoveryReport } from './recoverer.js';
import type { CommitRequest } from '../plan/request.js';

export interface CommitterState {
  readonly ownerNumber: number;
  readonly ownerId: string;
  readonly recovery: RecoveryReport;
}

export type CommitterEvent =
  | ({ readonly type: 'checkpoint' } & CheckpointReport)
  | { readonly type: 'recover'; readonly report: RecoveryReport }
  | {
      readonly type: 'materialize';
      /** Whose files are in place now. */
      readonly transactions: number;
      /** Content of ours that gave way to what another program had put in its place, and where it is now. */
      readonly conflicts: readonly { readonly path: string; readonly savedAs: string }[];
      /** Transactions that are tried again later: the logger is told why. */
      readonly failed: number;
    }
  | { readonly type: 'poisoned'; readonly cause: unknown }
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly details: object;
      readonly message: string;
    };

export interface Committer {
  readonly state: CommitterState;
  readonly counters: Counters;
  /** `accepted` is called with the revision before the flush, for relaxed requests. */
  commit(request: CommitRequest, accepted?: (revision: number) => void): Promise<Commit>;
  /** What becomes of resumable content. Resolves when the log says so, durably. */
  stage(request: StagingRequest): Promise<void>;
  /** Also puts into the files what was deferred. */
  checkpoint(): Promise<CheckpointReport>;
  /** Resolves when all that was deferred before is in the files. */
  materialize(): Promise<void>;
  /** Looks whether any owner has died, and recovers what it left. */
  recoverDead(): Promise<void>;
  /** Finishes what is under way; what other processes do keeps it for two seconds at most. Idempotent. */
  close(): Promise<void>;
}

/** What the committer counts, in memory that both threads see. */
export const counterNames = [
  'commits',
  'groups',
  'conflicts',
  'rollBacks',
  'checkpoints',
  'uncheckpointedTransactions',
  'uncheckpointedBytes',
  'openDescriptors',
  'deferredTransactions',
  'deferredBytes',
  'queued',
  'waiting',
  'bytesWritten',
] as const;

export type CounterName = (typeof counterNames)[number];

export class Counters {
  readonly buffer: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(buffer = new SharedArrayBuffer(counterNames.length * 8)) {
    this.buffer = buffer;
    this.#values = new Float64Array(buffer);
  }

  get(name: CounterName): number {
    return this.#values[counterNames.indexOf(name)]!;
  }

  set(name: CounterName, value: number): void {
    this.#values[counterNames.indexOf(name)] = value;
  }

  add(name: CounterName, value = 1): void {
    this.set(name, this.get(name) + value);
  }
}
