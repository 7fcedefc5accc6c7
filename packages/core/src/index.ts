/**
 * The whole surface of `@forewrit/core`. Users of a store want `forewrit`, which re-exports what they need; the rest is
 * for `@forewrit/recovery` and tests.
 */

// The store as its users see it.
export {
  type SaveOptions,
  Store,
  type StoreParts,
  type TransactOptions,
  type UndoOptions,
  type VerifyReport,
} from './store/store.js';
export type { HistoryEntry } from './history/history-entry.js';
export type { HistoryPath } from './history/history-path.js';
export type { UndoObstacle } from './history/undo-obstacle.js';
export { historyDefaults } from './history/retention.js';
export type { StoreSpace } from './files/free-space.js';
export { askForDisks, describeDisks, type DiskDescription } from './files/disk-description.js';
export type { StoreStats } from './store/store-stats.js';
export {
  type BeginOptions,
  type FileOptions,
  type Savepoint,
  Transaction,
  type TransactionState,
} from './store/transaction.js';
export { Snapshot } from './store/snapshot.js';
export type { ReaddirOptions } from './files/listing.js';
export type { ReadOptions } from './record/text.js';
export type { StoreStat } from './store/store-stat.js';
export type { Collection } from './store/collection.js';
export type { RangeOptions } from './store/collection-range.js';
export type { Data, StreamedData } from './store/content-staging.js';
export { checkStagedId } from './store/check-arguments.js';
export { fileOf, StagedContent } from './store/staged-content.js';
export { Resumables, type StagedOperation, type StageOptions } from './store/resumables.js';
export { type StagingPlace, StagingPlaces } from './store/staging-places.js';
export type { Commit } from './commit/job.js';
export type { CheckpointReport } from './commit/checkpoint.js';
export type { MaterializeReport } from './commit/materialize.js';
export { type Clock, defaults, type Failpoint, type Logger, type StoreOptions } from './store/options.js';
export type { RemoveOptions, WriteOptions } from './plan/operation.js';
export {
  emptyRecoveryReport,
  type Recoverer,
  type Recovery,
  type RecoveryBacklog,
  type RecoveryReport,
} from './committer/recoverer.js';
export {
  coded,
  type ErrorCode,
  fromSystemError,
  hasCode,
  InvalidArgumentError,
  isStoreError,
  StoreError,
  systemCode,
  toError,
  withStoreCode,
} from './errors.js';

// Opening, for whoever brings a recoverer.
export { openAccess, openStoreWith, type StoreServices } from './store/open-store.js';
export {
  isTokenAlive,
  openParts,
  openReadOnlyParts,
  openRoot,
  type OpenedRoot,
  type PartsOptions,
} from './store/open-parts.js';
export { takenStorePlace } from './store/store-place.js';
export { runCommitterThread } from './committer/committer-thread.js';
export { CommitterLoop, type LoopOptions } from './committer/committer-loop.js';
export type { Committer, CommitterEvent, CommitterState } from './committer/committer.js';
export type { StoreAccess } from './store/store-access.js';
export {
  type ContextParts,
  deregisterOwner,
  openContext,
  readFormat,
  readOwners,
  readVolumes,
  refuseForeignLog,
  registerOwner,
  type StoreContext,
} from './store/store-context.js';
export { Engine } from './commit/engine.js';
export type { GroupResult, Job } from './commit/job.js';
export type { CommitRequest } from './plan/request.js';
export type { Content, Operation, TrackedRead } from './plan/operation.js';
export { failpointNames, type FailpointName, FailpointHit, Failpoints } from './failpoint.js';

// What is on disk.
export type { Descriptor, FileStat, FileSystem, FileSystemSpace, FileType } from './files/file-system.js';
export { type AsyncFileSystem, asyncOver } from './files/async-file-system.js';
export { NodeAsyncFileSystem, NodeFileSystem } from './files/node-file-system.js';
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
} from './log/log.js';
export { type LmdbLog, openLmdbLog, type LmdbLogOptions } from './log/lmdb-log.js';
export { type InspectionOptions, openLogToInspect } from './log/lmdb-inspection.js';
export { MemoryLog, type MemoryLogOptions, MemoryLogState } from './log/memory-log.js';
export {
  storeLayout,
  type StoreLayout,
  type Volume,
  volumeDirectory,
  Volumes,
  lookVolume,
  recordedMount,
} from './files/volume.js';
export {
  type Action,
  type EntryChange,
  type Listed,
  type LoggedTransaction,
  type LogRecord,
  type Resumable,
  parseTransactionId,
  sequences,
  type Target,
  type TransactionId,
  transactionId,
  type TransactionNumber,
  sameTransaction,
} from './record/record.js';
export { decodeTransaction, encodeCommitBatch, encodeMark } from './record/codec.js';
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
} from './record/rows.js';
export { encodeFrame, formatVersion, frameSeed, unpackEntryValue } from './record/frame.js';
export {
  absent,
  type Fingerprint,
  fingerprintOf,
  type Image,
  imageOf,
  inodeOf,
  isInLogOnly,
  sameFingerprint,
  showsImage,
} from './record/image.js';
export { formatChecksum, hash64, loadChecksum, RunningChecksum } from './record/checksum.js';

// Pieces that recovery shares with the engine.
export {
  type AppliedMark,
  forgetUnflushed,
  trimRecords,
  unflushedPaths,
  writeAbort,
  writeApplied,
} from './commit/mark.js';
export {
  findResumable,
  type FoundResumable,
  isOverdue,
  isUnfinished,
  listResumables,
  removeResumable,
} from './commit/resumable.js';
export type { StagingRequest } from './commit/resumable-records.js';
export { isLocking } from './commit/lock.js';
export { nextRevision } from './commit/revision.js';
export { putFileRow, rowOf, rowsBelow } from './commit/file-row.js';
export { putRows } from './commit/tombstones.js';
export { unplannedBelow } from './commit/apply.js';
export { LeavingDirectories } from './commit/leaving-directories.js';
export { buryTombstones, syncDirectoryIfThere } from './commit/checkpoint.js';
export { freeName, saveEditedBefore } from './commit/edited-before.js';
export { removeTree, unlinkIfThere } from './commit/removal.js';
export {
  checksumOfFile,
  eachPiece,
  readFileAt,
  readFully,
  syncFile,
  writeFully,
} from './files/content.js';
export { valueBytesMax } from './log/log-limits.js';
export { changesInLog } from './history/entry-changes.js';
export {
  encodeHistory,
  findHistory,
  hasHistoryOf,
  type HistoryTotals,
  historyTotals,
  newestHistory,
  putHistory,
} from './history/history-table.js';
export { keepTransaction } from './history/keep.js';
export { findForUndo, listHistory, undoIn } from './store/store-history.js';

export { type HistoryRow, historyRow, type HistoryTarget } from './record/history-row.js';
export { beforePath, isBrought, stagedPath, treeSuffix } from './commit/staged-target.js';
export { type Owner, ownerId, judgeOwner, type Liveness, probeOwner, sameBoot } from './owner/owner.js';
export {
  type ProcessIdentity,
  type ProcessLook,
  type ProcessTable,
  systemProcessTable,
} from './owner/process-identity.js';
export { openWitness, probeWitness, type Witness, witnessPrefix } from './owner/witness.js';
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
} from './path/path.js';
export { checkRoots, parsePath } from './path/path-parser.js';
export { PathResolver, type ResolvedPath } from './path/path-resolver.js';
export {
  entryKey,
  entryLockKey,
  type Folding,
  isEntryLockKey,
  normalizationMarker,
  ownerRange,
  parseEntryKey,
  parseTransactionKey,
  pathKey,
  subtreeRange,
  transactionKey,
  transactionRange,
  u32Key,
} from './record/key.js';
export { mountOf, parseMountTable } from './files/mount-identity.js';
export { currentUmask } from './files/umask.js';
export { assert, AssertionError, unreachable } from './assert.js';
