/** What is put to the log: a staged transaction with all that it stood on, and what the commit batch says to it. */

import type { StoreError } from '../errors.js';
import type { StorePath } from '../path/path.js';
import type { Operation, TrackedRead } from '../plan/operation.js';
import type { EntryChange, Target, TransactionNumber } from '../record/record.js';
import type { FileRow, LockRow } from '../record/rows.js';

export type EntryOperation = Extract<Operation, { type: 'put' | 'delete' }>;

export interface Proposal {
  readonly number: TransactionNumber;
  readonly targets: readonly Target[];
  readonly entries: readonly EntryOperation[];
  readonly reads: readonly TrackedRead[];
  /** The rows that the plan stood on, as they were: bytes, so that comparing them costs nothing. */
  readonly planReads: readonly PlanRead[];
  /** Where there is nothing, and must be nothing: what is committed below such a path makes a directory of it. */
  readonly vacant: readonly Vacancy[];
  readonly requiredRevisions: readonly { readonly path: StorePath; readonly revision: number }[];
  /** Directories that move or go, and where they move to: nothing below may be untrimmed. */
  readonly vacated: readonly StorePath[];
}

export interface PlanRead {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

export interface Vacancy {
  readonly path: StorePath;
  /** The newest revision below it, as it was. */
  readonly newestBelow: number;
}

export type Verdict =
  | {
      readonly kind: 'committed';
      readonly revision: number;
      readonly lockKeys: readonly Uint8Array[];
      readonly entries: readonly EntryChange[];
      /** Rows below removed directories, as they were: a roll-back writes them again. */
      readonly buried: readonly FileRow[];
    }
  | { readonly kind: 'conflict'; readonly error: StoreError }
  | { readonly kind: 'outdated' }
  | { readonly kind: 'untrimmed'; readonly path: StorePath; readonly transaction: TransactionNumber }
  | { readonly kind: 'locked'; readonly lock: LockRow };
