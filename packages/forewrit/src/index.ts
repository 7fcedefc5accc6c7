/**
 * What users of a store need, and no more. Published code of other packages of this project imports `@forewrit/core` and
 * `@forewrit/recovery` directly.
 */

export { inspect, openStore, repair } from '@forewrit/recovery';
export type { InspectedHistory, Inspection, InspectOptions, RepairReport } from '@forewrit/recovery';
export { InvalidArgumentError, isStoreError, StoreError } from '@forewrit/core';
export type {
  BeginOptions,
  CheckpointReport,
  Clock,
  Collection,
  Commit,
  Data,
  ErrorCode,
  FileOptions,
  HistoryEntry,
  HistoryPath,
  Logger,
  RangeOptions,
  RecoveryReport,
  RemoveOptions,
  Savepoint,
  Snapshot,
  StagedContent,
  StagedOperation,
  StageOptions,
  Store,
  StoreOptions,
  StoreSpace,
  StoreStat,
  StoreStats,
  Transaction,
  TransactionId,
  TransactionState,
  TransactOptions,
  UndoObstacle,
  UndoOptions,
  VerifyReport,
  WriteOptions,
} from '@forewrit/core';
