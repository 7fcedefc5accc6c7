/** What transactions, snapshots and collections need of an open store. */

import type { AsyncFileSystem } from '../files/async-file-system.js';
import type { Committer } from '../committer/committer.js';
import type { Commit } from '../commit/job.js';
import type { FileSystem } from '../files/file-system.js';
import type { StoreSpace } from '../files/free-space.js';
import type { Folding } from '../record/key.js';
import type { Log } from '../log/log.js';
import type { Roots, StorePath } from '../path/path.js';
import type { PathResolver, ResolvedPath, ResolveOptions } from '../path/path-resolver.js';
import type { Reader } from './reader.js';
import type { TransactionId } from '../record/record.js';
import type { CommitRequest } from '../plan/request.js';
import type { EntryRow } from '../record/rows.js';
import type { StagingPlaces } from './staging-places.js';

export interface RelaxedTransaction {
  readonly id: TransactionId;
  /** It failed after it was accepted, and its outcome is known. */
  readonly failed: () => Promise<void>;
}

export interface StoreAccess {
  readonly roots: Roots;
  readonly fileSystem: FileSystem;
  readonly asyncFileSystem: AsyncFileSystem;
  readonly log: Log;
  readonly folding: Folding;
  readonly resolver: PathResolver;
  readonly reader: Reader;
  readonly durability: 'full' | 'relaxed';
  /** Saves are deferred unless they say otherwise. */
  readonly deferred: boolean;
  readonly inlineLimitBytes: number;
  readonly maxFileBytes: number | undefined;
  /** Whether owner and group of what is copied can be kept. */
  readonly privileged: boolean;
  /** Throws `ERR_NO_SPACE` if so many bytes would eat into the reserve; of the root's file system, or a directory's. */
  requireSpace(op: string, bytes: number, directory?: string): void;
  /** Of the file system that holds this path, or will. */
  space(path: StorePath): StoreSpace;
  /** Where the caller's thread stages content. */
  readonly stagingPlaces: StagingPlaces;
  /** A path as the user gave it; refuses the root itself unless `mayBeRoot`. */
  parse(path: string | URL, op: string, mayBeRoot: boolean): StorePath;
  /** Where a path leads now, symbolic links followed. */
  resolve(path: StorePath, op: string, isReplaced?: ResolveOptions['isReplaced']): ResolvedPath;
  /** Milliseconds since 1970, by the clock that stamps files. */
  nowMs(): number;
  entry(collection: string, key: string): EntryRow | undefined;
  unpack(value: Uint8Array): unknown;
  /** Resolves when every relaxed commit that was accepted has been carried out: reads wait for it. */
  settled(): Promise<void>;
  /** Resolves with the revision before the flush; what follows is waited for by reads and `close`. */
  commitRelaxed(
    committer: Committer,
    request: CommitRequest,
    transaction: RelaxedTransaction,
  ): Promise<Commit>;
}
