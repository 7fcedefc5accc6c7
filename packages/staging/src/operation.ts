/** What the manager knows of an operation: six states, each with what is known in it. */

import type { TransactionId } from '@forewrit/core';
import type { ChecksumAlgorithm } from './integrity.js';

export type OperationState =
  /** Waits for its turn. */
  | { readonly state: 'pending' }
  /** Being written, here or elsewhere, or to be continued. */
  | {
      readonly state: 'in_progress';
      readonly bytes: number;
      readonly durableBytes: number;
      readonly heldBy: HeldBy;
    }
  | {
      readonly state: 'completed';
      readonly endedAtMs: number;
      readonly bytes: number;
      readonly transaction: TransactionId;
      /** In hexadecimal digits. */
      readonly checksum: string;
      readonly algorithm: ChecksumAlgorithm;
    }
  | {
      readonly state: 'failed';
      readonly endedAtMs: number;
      readonly code: string;
      readonly message: string;
      /** What was durable is kept. */
      readonly resumable: boolean;
    }
  | { readonly state: 'cancelled'; readonly endedAtMs: number }
  /** What it has staged is being removed. */
  | { readonly state: 'cleaning_up' };

export type HeldBy = 'here' | 'elsewhere' | 'nobody';

export type Operation = OperationState & {
  readonly id: string;
  readonly path: string;
  readonly startedAtMs: number;
  readonly totalBytes?: number;
  /** The caller's. */
  readonly metadata?: unknown;
};

export type StateName = OperationState['state'];

const mayFollow: Readonly<Record<StateName, readonly StateName[]>> = {
  pending: ['in_progress', 'failed', 'cancelled'],
  in_progress: ['completed', 'failed', 'cancelled', 'cleaning_up'],
  cleaning_up: ['cancelled', 'failed'],
  failed: ['pending', 'cleaning_up'],
  cancelled: ['pending'],
  completed: ['pending'],
};

export function mayBecome(from: StateName, to: StateName): boolean {
  return mayFollow[from].includes(to);
}

export function hasEnded({ state }: OperationState): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled';
}
