/** What a write can be asked for, and the checks of it. */

import { InvalidArgumentError, type WriteOptions as StoreWriteOptions } from '@forewrit/core';
import { ChunkingStrategy, chunkSizeBytesDefault } from './chunking.js';
import { type ChecksumAlgorithm, checksumAlgorithms } from './integrity.js';
import type { Progress } from './progress.js';
import type { RetryOptions } from './retry.js';

export interface WriteOptions
  extends RetryOptions,
    Pick<StoreWriteOptions, 'mode' | 'ifRevision' | 'ifAbsent' | 'parents'> {
  /** Default: 8 KiB. */
  readonly chunkSizeBytes?: number;
  /** Default: `fixed`. */
  readonly chunkingStrategy?: ChunkingStrategy;
  /** Compare what was committed with what was written, byte for byte counted, and digests where given. Default: true. */
  readonly validateIntegrity?: boolean;
  /** Of the digest that the result has. Default: `xxh64`, which costs nothing. */
  readonly checksum?: ChecksumAlgorithm;
  /** The digest that the content must have, in hexadecimal digits: anything else is not committed. */
  readonly expectedChecksum?: string;
  /** The end of a stream commits. Default: true. With `false`, `commit()` does. */
  readonly autoCommit?: boolean;
  /** Keep what is replaced under `<path>.bak`, or under this path. Default: false. */
  readonly backupOriginal?: boolean | string;
  /** Makes it resumable: it can be continued under this id after a crash. */
  readonly id?: string;
  /** Kept with a resumable write. */
  readonly metadata?: unknown;
  /** How long a resumable write is kept without an advance. Default: 24 hours. */
  readonly ttlMs?: number;
  /** A resumable write is made durable after so many bytes … Default: 256 KiB. */
  readonly durableEveryBytes?: number;
  /** … or after this time, whichever comes first. Default: 1,000 ms. */
  readonly durableEveryMs?: number;
  /** How much it will be: room is asked for before anything is written, and another size is not committed. */
  readonly totalBytes?: number;
  /** More is refused (`ERR_TOO_LARGE`). Default: no limit. */
  readonly maxBytes?: number;
  /** Called from time to time, and at the end. */
  readonly onProgress?: (progress: Progress) => void;
  /** Least time between two calls. Default: 100 ms. */
  readonly progressIntervalMs?: number;
}

export const writeDefaults = {
  chunkSizeBytes: chunkSizeBytesDefault,
  chunkingStrategy: ChunkingStrategy.fixed,
  durableEveryBytes: 256 * 1024,
  durableEveryMs: 1000,
  progressIntervalMs: 100,
} as const;

const atLeast: Readonly<Record<string, number>> = {
  chunkSizeBytes: 4,
  maxRetries: 0,
  retryDelayMs: 0,
  durableEveryBytes: 1,
  durableEveryMs: 0,
  totalBytes: 0,
  maxBytes: 0,
  progressIntervalMs: 0,
  ttlMs: 0,
};

export function checkWriteOptions(op: string, options: WriteOptions): void {
  if (typeof options !== 'object' || options === null)
    throw new InvalidArgumentError(op, 'options must be an object');
  for (const [name, least] of Object.entries(atLeast)) {
    const value: unknown = options[name as keyof WriteOptions];
    if (value !== undefined && !(typeof value === 'number' && value >= least))
      throw new InvalidArgumentError(op, `${name} must be a number, at least ${least}`);
  }
  const { chunkingStrategy, checksum, expectedChecksum } = options;
  if (chunkingStrategy !== undefined && !Object.hasOwn(ChunkingStrategy, chunkingStrategy))
    throw new InvalidArgumentError(op, `there is no chunking strategy '${chunkingStrategy}'`);
  if (checksum !== undefined && !checksumAlgorithms.includes(checksum))
    throw new InvalidArgumentError(op, `checksum must be one of ${checksumAlgorithms.join(', ')}`);
  if (expectedChecksum !== undefined && !/^[0-9a-f]+$/i.test(expectedChecksum))
    throw new InvalidArgumentError(op, 'expectedChecksum must be hexadecimal digits');
}
