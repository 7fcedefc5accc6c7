/**
 * The whole surface of `@forewrit/core`. Users of a store want `forewrit`, which re-exports what they need; the rest is
 * for `@forewrit/recovery` and tests.
 */

// The store as its users see it.
export {
  type SaveOptions,
  Store,
  type StoreParts,
  type StoreStats,
  type TransactOptions,
  type VerifyReport,
} from './store.js';
export {
  type BeginOptions,
  type FileOptions,
  type Savepoint,
  Transaction,
  type TransactionState,
} from './transaction.js';
export { Snapshot } from './snapshot.js';
export type { ReaddirOptions } from './listing.js';
export type { ReadOptions } from './text.js';
export type { StoreStat } from './store-stat.js';
export type { Collection } from './collection.js';
export type { RangeOptions } from './collection-range.js';
export type { Data } from './content-staging.js';
export type { Commit } from './engine.js';
export type { CheckpointReport } from './checkpoint.js';
export { type Clock, defaults, type Failpoint, type Logger, type StoreOptions } from './options.js';
export type { RemoveOptions, WriteOptions } from './operation.js';
export { emptyRecoveryReport, type Recoverer, type RecoveryReport } from './recoverer.js';
export {
  type ErrorCode,
  fromSystemError,
  InvalidArgumentError,
  isStoreError,
  StoreError,
  systemCode,
} from './errors.js';

// Opening, for whoever brings a recoverer.
export { openAccess, openStoreWith, type StoreServices } from './open-store.js';
export { openParts, openReadOnlyParts, openRoot, type OpenedRoot, type PartsOptions } from './open-parts.js';
export { runCommitterThread } from './committer-thread.js';
export { CommitterLoop, type LoopOptions } from './committer-loop.js';
export type { Committer, CommitterEvent, CommitterState } from './committer.js';
export type { StoreAccess } from './store-access.js';
export {
  type ContextParts,
  deregisterOwner,
  openContext,
  readFormat,
  readOwners,
  readVolumes,
  registerOwner,
  type StoreContext,
} from './store-context.js';
export { Engine, type GroupResult, type Job } from './engine.js';
export type { CommitRequest } from './request.js';
export type { Content, Operation, TrackedRead } from './operation.js';
export { failpointNames, type FailpointName, FailpointHit, Failpoints } from './failpoint.js';

// What is on disk.
export type { Descriptor, FileStat, FileSystem, FileSystemSpace, FileType } from './file-system.js';
export { type AsyncFileSystem, asyncOver } from './async-file-system.js';
export { NodeAsyncFileSystem, NodeFileSystem } from './node-file-system.js';
export {
  type CommitOptions,
  FlushError,
  type Log,
  type LogBatch,
  type LogStats,
  type LogView,
  type Range,
  type Row,
  type Table,
  tables,
} from './log.js';
export { type LmdbLog, openLmdbLog, type LmdbLogOptions } from './lmdb-log.js';
export { MemoryLog, type MemoryLogOptions, MemoryLogState } from './memory-log.js';
export {
  storeLayout,
  type StoreLayout,
  type Volume,
  volumeDirectory,
  Volumes,
  lookVolume,
  recordedMount,
} from './volume.js';
export {
  type Action,
  type EntryChange,
  type Listed,
  type LoggedTransaction,
  type LogRecord,
  parseTransactionId,
  sequences,
  type Target,
  type TransactionId,
  transactionId,
  type TransactionNumber,
} from './record.js';
export { decodeTransaction, encodeCommitBatch, encodeMark } from './codec.js';
export {
  type EntryRow,
  entryRow,
  type FileRow,
  fileRow,
  type FormatRow,
  formatRow,
  type LockRow,
  lockRow,
  metaKeys,
  numberRow,
  ownerRow,
  textRow,
  tombstoneRevision,
  unflushedIndex,
} from './rows.js';
export { formatVersion } from './frame.js';
export {
  absent,
  type Fingerprint,
  fingerprintOf,
  type Image,
  imageOf,
  inodeOf,
  sameFingerprint,
  showsImage,
} from './image.js';
export { formatChecksum, hash64, loadChecksum, RunningChecksum } from './checksum.js';

// Pieces that recovery shares with the engine.
export {
  type AppliedMark,
  isLocking,
  nextRevision,
  putFileRow,
  rowOf,
  rowsBelow,
  trimRecords,
  writeAbort,
  writeApplied,
} from './commit.js';
export { unplannedBelow } from './apply.js';
export {
  buryTombstones,
  freeName,
  removeTree,
  saveEditedBefore,
  syncDirectoryIfThere,
  unlinkIfThere,
} from './checkpoint.js';
export { checksumOfFile, eachPiece, readFileAt, readFully, syncFile, writeFully } from './content.js';
export { beforePath, stagedPath } from './staging-area.js';
export { type Owner, ownerId, judgeOwner, type Liveness, probeOwner, sameBoot } from './owner.js';
export {
  type ProcessIdentity,
  type ProcessLook,
  type ProcessTable,
  systemProcessTable,
} from './process-identity.js';
export { openWitness, probeWitness, type Witness, witnessPrefix } from './witness.js';
export {
  absolutePath,
  ancestors,
  baseName,
  isBelow,
  isReservedPath,
  joinPath,
  parentPath,
  rebase,
  type Roots,
  splitRoot,
  type StorePath,
} from './path.js';
export { checkRoots, parsePath } from './path-parser.js';
export { PathResolver, type ResolvedPath } from './path-resolver.js';
export {
  entryKey,
  entryLockKey,
  type Folding,
  isEntryLockKey,
  ownerRange,
  parseEntryKey,
  parseTransactionKey,
  pathKey,
  subtreeRange,
  transactionKey,
  transactionRange,
  u32Key,
} from './key.js';
export { currentUmask } from './umask.js';
export { assert, AssertionError, unreachable } from './assert.js';
