/**
 * The seam to the log: synchronous and narrow. `lmdb-log.ts` is the real one, `memory-log.ts` keeps everything in
 * memory for simulations.
 *
 * Tables and their keys (byte strings, compared as unsigned bytes) are laid out in `docs/format.md`.
 */

import { toError } from '../errors.js';

export const tables = ['log', 'files', 'locks', 'owners', 'entries', 'history', 'meta'] as const;
export type Table = (typeof tables)[number];

export type Row = readonly [key: Uint8Array, value: Uint8Array];

export interface Range {
  /** First key, included. */
  readonly start: Uint8Array;
  /** Last key, excluded; to the end of the table when absent. */
  readonly end?: Uint8Array | undefined;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/** One consistent state of the log. Returned values may be kept and must not be changed. */
export interface LogView {
  get(table: Table, key: Uint8Array): Uint8Array | undefined;
  /** Rows in key order, collected before it returns. `reverse` gives the same rows last first. */
  range(table: Table, range: Range): Row[];
}

/** A batch under construction. It sees its own writes. */
export interface LogBatch extends LogView {
  put(table: Table, key: Uint8Array, value: Uint8Array): void;
  delete(table: Table, key: Uint8Array): void;
}

export interface LogStats {
  /** Bytes of the log that hold data. */
  readonly usedBytes: number;
  /** Bytes of the log file. */
  readonly fileBytes: number;
}

export interface CommitOptions {
  /** How long to queue for the one writer's place before `ERR_STORE_LOCKED`. */
  readonly timeoutMs?: number;
  /**
   * Bytes this batch will add at most. Space for them is secured before anything is written (`ERR_NO_SPACE`,
   * `ERR_LOG_FULL`): the log must never meet a full disk.
   */
  readonly sizeBytes?: number;
  /**
   * `true` for what ends a transaction (`applied`, `abort`, trim, recovery): may use the room that ordinary commits
   * leave free for it.
   */
  readonly essential?: boolean;
}

export interface Log {
  /**
   * Runs `build` as the only writer of all processes, then makes what it wrote durable: all or nothing, flushed on
   * return. Whatever `build` throws is thrown, and nothing was written. A `FlushError` means that the outcome is
   * unknown. `build` must be quick and synchronous, and do no file I/O.
   */
  commit<T>(build: (batch: LogBatch) => T, options?: CommitOptions): T;
  /** Reads from one consistent state, the newest at the time of the call. */
  view<T>(read: (view: LogView) => T): T;
  /** Calls `listener` some time after another process (or this one) wrote. May call without cause; may be late. */
  watch(listener: () => void): () => void;
  stats(): LogStats;
  /**
   * Looks at everything that the log holds, however much that is: `ERR_LOG_CORRUPT` if something is damaged. Opening
   * it looks at what can be looked at in a moment.
   */
  examine(): void;
  /** Releases the log. Never waits for other processes longer than a second. Idempotent. */
  close(): void;
}

/** A batch was handed to stable storage and the answer was an error: it may be durable or not. */
export class FlushError extends Error {
  override readonly name = 'FlushError';
  constructor(cause: unknown) {
    super(`flushing the log failed: ${toError(cause).message}`, { cause });
  }
}
