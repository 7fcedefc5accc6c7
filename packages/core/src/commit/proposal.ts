/** What is put to the log: a staged transaction with all that it stood on, and what the commit batch says to it. */

import type { StoreError } from '../errors.js';
import type { StorePath } from '../path/path.js';
import type { Content, Operation, ResumableContent, TrackedRead } from '../plan/operation.js';
import type { EntryChange, Target, TransactionNumber } from '../record/record.js';
import type { FileRow, LockRow } from '../record/rows.js';
import type { FoundResumable } from './resumable.js';

export type EntryOperation = Extract<Operation, { type: 'put' | 'delete' }>;

export interface Proposal {
  readonly number: TransactionNumber;
  readonly targets: readonly Target[];
  readonly entries: readonly EntryOperation[];
  readonly reads: readonly TrackedRead[];
  /** Files that come with a directory that an undo brings back, where there is room for a row of each. */
  readonly brought: readonly Pick<FileRow, 'path' | 'image'>[];
  /** Resumable content that becomes part of the transaction: its record must be ours, and say the same. */
  readonly adopts: readonly Adoption[];
  /** The rows that the plan stood on, as they were: bytes, so that comparing them costs nothing. */
  readonly planReads: readonly PlanRead[];
  /** Where there is nothing, and must be nothing: what is committed below such a path makes a directory of it. */
  readonly vacant: readonly Vacancy[];
  readonly requiredRevisions: readonly { readonly path: StorePath; readonly revision: number }[];
  /** Directories that move or go, and where they move to: nothing below may be untrimmed. */
  readonly vacated: readonly StorePath[];
}

export type Adoption = ResumableContent & Pick<StagedContent, 'name' | 'size' | 'checksum'>;

type StagedContent = Extract<Content, { kind: 'staged' }>;

export interface PlanRead {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

export interface Vacancy {
  readonly path: StorePath;
  /** The newest revision below it, as it was. */
  readonly newestBelow: number;
}

/** A row below a directory that a target takes away, as it was. */
export interface BuriedRow {
  /** Position of the target. */
  readonly index: number;
  readonly row: FileRow;
}

export type Verdict =
  | {
      readonly kind: 'committed';
      readonly revision: number;
      readonly lockKeys: readonly Uint8Array[];
      readonly entries: readonly EntryChange[];
      /** Of what was below directories that went: a roll-back writes them again. */
      readonly buried: readonly BuriedRow[];
      /** Resumable operations that ended with it: a roll-back writes them again. */
      readonly adopted: readonly FoundResumable[];
      /** Of the row of history that was written with it: it changes entries only. */
      readonly rowBytes?: number;
    }
  | { readonly kind: 'conflict'; readonly error: StoreError }
  | { readonly kind: 'outdated' }
  | { readonly kind: 'untrimmed'; readonly path: StorePath; readonly transaction: TransactionNumber }
  | { readonly kind: 'locked'; readonly lock: LockRow };
