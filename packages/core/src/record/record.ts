/**
 * The records of the log, and the targets that they describe.
 *
 * A transaction's commit batch is, for each target, `stage` (only where there is content or a moved inode), `checksum`
 * (before- and after-image) and `rename`, between one `begin` and one `commit`. Here the three are joined into a
 * `Target`, which is what commit, apply, checkpoint and recovery work on; `codec.ts` takes it apart and puts it together.
 */

import type { Fingerprint, Image } from './image.js';
import type { StorePath } from '../path/path.js';

/** `<owner>-<counter>` in base 36: unique in a store for ever. Staged names begin with it. */
export type TransactionId = string;

export interface TransactionNumber {
  /** Number of the owner, +1 for every open of the store. */
  readonly owner: number;
  /** +1 for every transaction of the owner. */
  readonly counter: number;
}

export function sameTransaction(one: TransactionNumber, other: TransactionNumber): boolean {
  return one.owner === other.owner && one.counter === other.counter;
}

export function transactionId(number: TransactionNumber): TransactionId {
  return `${number.owner.toString(36)}-${number.counter.toString(36)}`;
}

export function parseTransactionId(id: string): TransactionNumber | undefined {
  const match = /^([0-9a-z]{1,7})-([0-9a-z]{1,7})$/.exec(id);
  if (match === null) return undefined;
  const owner = Number.parseInt(match[1]!, 36);
  const counter = Number.parseInt(match[2]!, 36);
  return owner > 0xffff_ffff || counter > 0xffff_ffff ? undefined : { owner, counter };
}

/** In the order of their numbers on the disk. */
export const actions = [
  'write',
  'move',
  'remove',
  'make-directory',
  /** A parent that was missing: any directory will do; no lock, not removed by roll-back. */
  'make-parent',
  'move-directory',
  'remove-directory',
] as const;
export type Action = (typeof actions)[number];

/** Something planned below a directory that goes, or that an undo brings back. */
export interface Listed {
  /** Relative to that directory. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  readonly fingerprint: Fingerprint;
  /** Of a file that an undo brings back. */
  readonly checksum?: bigint;
}

export interface Target {
  /** Position in its transaction: targets are applied in this order. */
  readonly index: number;
  readonly action: Action;
  readonly path: StorePath;
  /**
   * Where a moved file or directory comes from, as its path is when its turn comes; absent of a link from history. A
   * directory that an undo brings back comes from a staging area.
   */
  readonly from?: StorePath | undefined;
  /** The symbolic link that was followed to `path`. */
  readonly via?: StorePath | undefined;
  /** Which staging area: '' is the store's own, otherwise the path of the directory that holds `.forewrit-staged`. */
  readonly volume: StorePath;
  readonly before: Image;
  readonly after: Image;
  /** Content of a small file, kept in the log. */
  readonly content?: Uint8Array | undefined;
  /** Name under `staged/` of the durable copy: large content, moved files; of a directory that an undo brings back it is `from`. */
  readonly staged?: string | undefined;
  /** Name under `staged/` that the rename consumes. */
  readonly applyName?: string | undefined;
  /** Name under `before/`. */
  readonly beforeName?: string | undefined;
  /** The before-image is a copy: the file system would not link it. */
  readonly beforeCopied?: boolean | undefined;
  /** What a directory that goes, removed or replaced by another, was planned to hold; or what one holds that an undo brings back. */
  readonly listing?: readonly Listed[] | undefined;
  /** The inode that was here is moved elsewhere by this same transaction. */
  readonly movedAway?: boolean | undefined;
}

/** An entry that a transaction with files changes, with the value that roll-back restores. */
export interface EntryChange {
  readonly collection: string;
  readonly key: string;
  /** Encoded row before the transaction; absent when there was none. */
  readonly old?: Uint8Array;
}

export type LogRecord =
  | {
      readonly kind: 'begin';
      readonly bootId: string;
      readonly mount: string;
      readonly startedAtMs: number;
      /**
       * The log alone has its content: nothing is staged, no target has a name in the staging areas, and none changes as
       * long as the record says so.
       */
      readonly deferred?: true;
      /** Whoever lets go of its before-images keeps them for history. */
      readonly keeps?: true;
    }
  | { readonly kind: 'target'; readonly target: Target }
  | {
      readonly kind: 'commit';
      readonly revision: number;
      readonly entries: readonly EntryChange[];
      /** Records of this batch, this one included, and the chained hash of those before it. */
      readonly count: number;
      readonly chain: bigint;
    }
  | { readonly kind: 'abort'; readonly revision: number }
  | { readonly kind: 'applied'; readonly bootId: string };

/**
 * Content that arrives slowly and may be continued after a crash: durable up to `offset`, and in no file yet. The commit
 * that adopts it removes this record in its own batch.
 */
export interface Resumable {
  /** The name that its user has given it. */
  readonly id: string;
  /** How long after the last advance recovery keeps it. */
  readonly ttlMs: number;
  /** The user's, as msgpack. */
  readonly metadata?: Uint8Array;
  readonly volume: StorePath;
  /** Name under `staged/`. It begins with the transaction that made it, which need not be the one that has it now. */
  readonly staged: string;
  /** So many bytes of it are on stable storage. */
  readonly offset: number;
  /** xxh64 of these. */
  readonly checksum: bigint;
  /** When its record was last written for new bytes (ms since 1970). */
  readonly advancedAtMs: number;
}

/** All that the log knows of one transaction. */
export interface LoggedTransaction {
  readonly number: TransactionNumber;
  readonly id: TransactionId;
  readonly begin?: Extract<LogRecord, { kind: 'begin' }> | undefined;
  /** It is no transaction yet, and holds content that may be continued. */
  readonly resumable?: Resumable | undefined;
  readonly targets: readonly Target[];
  readonly commit?: Extract<LogRecord, { kind: 'commit' }> | undefined;
  readonly abort?: Extract<LogRecord, { kind: 'abort' }> | undefined;
  readonly applied?: Extract<LogRecord, { kind: 'applied' }> | undefined;
}

/** Where the log may say what it says: the first sequence numbers of a transaction's values. */
export const sequences = {
  commitBatch: 0,
  resumable: 0xffff_ffe0,
  abort: 0xffff_fff0,
  applied: 0xffff_fff1,
} as const;
