/** What a transaction asks for, in the order it was asked. `plan.ts` reduces a list of these to its net effect. */

import type { FileStat } from '../files/file-system.js';
import type { Fingerprint } from '../record/image.js';
import type { StorePath } from '../path/path.js';
import type { Listed, TransactionNumber } from '../record/record.js';

export type Content =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Already in a staging area, complete and fsynced. */
  | {
      readonly kind: 'staged';
      readonly volume: StorePath;
      readonly name: string;
      readonly size: number;
      readonly checksum: bigint;
      /** The resumable operation that the commit ends. */
      readonly resumable?: ResumableContent;
    };

export interface ResumableContent {
  readonly id: string;
  readonly number: TransactionNumber;
}

export interface WriteOptions {
  /** Permission bits of a new file, umasked; an existing file keeps its own unless this is given. */
  readonly mode?: number;
  /** Only if the path's newest revision is this one, else `ERR_CONFLICT`. */
  readonly ifRevision?: number;
  /** Only if there is nothing at the path, else `ERR_EXISTS`. */
  readonly ifAbsent?: boolean;
  /** Plan on what is there now, even if this transaction has read something else there. */
  readonly force?: boolean;
  /** Keep what is replaced under this path, or `<path>.bak` for `true`. */
  readonly backup?: boolean | string;
  /** Create missing parent directories in the same transaction. Default: true. */
  readonly parents?: boolean;
}

/** A symbolic link, socket, pipe or device that history keeps. */
export interface KeptLink {
  readonly type: 'symlink' | 'other';
  readonly volume: StorePath;
  /** Under `before/`. */
  readonly name: string;
}

/** A directory that an undo brings back: staged with all that it is to hold, and durable. */
export interface StagedTree {
  /** Under `staged/`. */
  readonly name: string;
  /** The same as a path, which no user can name. */
  readonly path: StorePath;
  readonly listing: readonly (Listed & { readonly mode: number })[];
}

export interface RemoveOptions {
  readonly recursive?: boolean;
  /** Nothing there is no error. */
  readonly force?: boolean;
}

export type Operation =
  | {
      readonly type: 'write';
      readonly path: StorePath;
      readonly content: Content;
      readonly options: Omit<WriteOptions, 'backup'> & {
        readonly backup?: StorePath;
        /** Mode and owner come from here, whatever is there. */
        readonly like?: FileStat;
      };
    }
  | {
      readonly type: 'append';
      readonly path: StorePath;
      readonly content: Content;
      readonly options: { readonly mode?: number; readonly parents?: boolean };
    }
  | {
      readonly type: 'copy';
      readonly from: StorePath;
      readonly path: StorePath;
      readonly options: { readonly parents?: boolean; readonly ifAbsent?: boolean };
    }
  | {
      readonly type: 'rename';
      readonly from: StorePath;
      readonly path: StorePath;
      readonly options: { readonly parents?: boolean };
    }
  | {
      readonly type: 'remove';
      readonly path: StorePath;
      readonly options: RemoveOptions & {
        /** Only if the directory holds exactly this, apart from what the transaction takes elsewhere. */
        readonly expected?: readonly Listed[];
      };
    }
  /** Another link of what is no file and that history keeps. */
  | { readonly type: 'restore-link'; readonly path: StorePath; readonly kept: KeptLink }
  | { readonly type: 'restore-directory'; readonly path: StorePath; readonly tree: StagedTree }
  | {
      readonly type: 'make-directory';
      readonly path: StorePath;
      readonly options: {
        readonly recursive?: boolean;
        readonly mode?: number;
        /** The mode is exactly this, whatever the umask. */
        readonly exact?: true;
      };
    }
  | { readonly type: 'put'; readonly collection: string; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly collection: string; readonly key: string };

/** Something that a transaction read: if it changed, the commit is a conflict. */
export type TrackedRead =
  | {
      readonly kind: 'file';
      readonly path: StorePath;
      readonly revision: number | undefined;
      /** The newest revision of the store when it was read. */
      readonly since: number;
      /** What was there; absent when there was nothing. */
      readonly fingerprint?: Fingerprint;
      /** Decides where the fingerprint cannot. */
      readonly checksum?: bigint;
      /** Changed so shortly before it was read that another change may have left the same times. */
      readonly recent?: boolean;
    }
  /** A directory that was there, and what it held if that was asked for (names, joined by NUL). */
  | {
      readonly kind: 'directory';
      readonly path: StorePath;
      readonly names: string | undefined;
      readonly since: number;
    }
  | {
      readonly kind: 'entry';
      readonly collection: string;
      readonly key: string;
      readonly revision: number | undefined;
    }
  /** A range of a collection: the hash of the keys and revisions that it held. */
  | {
      readonly kind: 'entries';
      readonly collection: string;
      readonly start: string | undefined;
      readonly end: string | undefined;
      readonly limit: number | undefined;
      readonly reverse: boolean;
      readonly digest: string;
    };

export function partSize(part: Content): number {
  return part.kind === 'bytes' ? part.bytes.byteLength : part.size;
}
