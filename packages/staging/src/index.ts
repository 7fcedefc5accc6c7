/** The whole surface of `@forewrit/staging`. */

export { type BatchOptions, type BatchProgress, BatchFileWriter, writeFilesBatch } from './batch-writer.js';
export { ChunkingStrategy, type ChunkingOptions, chunksOf } from './chunking.js';
export { type ChecksumAlgorithm, checksumAlgorithms, verifyFile, type VerifyOptions } from './integrity.js';
export type { WriteOptions } from './options.js';
export type { Progress } from './progress.js';
export { type CleanUpReport, type StagingEvents, StagingManager, type StagingStats } from './manager.js';
export type { ManagerOptions as StagingOptions } from './manager-options.js';
export type { Health } from './health.js';
export type { Operation, OperationState, StateName } from './operation.js';
export { type Estimate, estimate, type Work } from './rates.js';
export type { RetryOptions } from './retry.js';
export { writeFileAtomically } from './write-file.js';
export { type Source, StreamingFileWriter, type WriteResult } from './writer.js';
