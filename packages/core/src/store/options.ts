/** What a store can be opened with. Everything has a default; what is injectable is there for tests. */

import type { FileSystem } from '../files/file-system.js';
import type { Log } from '../log/log.js';
import type { OwnerProbe } from '../owner/owner.js';
import type { ProcessTable } from '../owner/process-identity.js';

/** Any logger with these methods will do, pino and console among them. Silent by default. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface Clock {
  /** Milliseconds since 1970, for people to read; never used to decide anything. */
  nowMs(): number;
  /** Milliseconds that never go back, for limits and durations. */
  monotonicMs(): number;
}

/**
 * A place of the protocol at which a test kills or stops the process, by name, so that it reaches the committer's
 * thread. `skip` passes that many times first.
 */
export interface Failpoint {
  readonly name: string;
  readonly action: 'kill' | 'stop' | 'throw';
  readonly skip?: number;
}

export interface StoreOptions {
  /** Create the store where there is none. Default: true. */
  readonly create?: boolean;
  /** Further directories, addressed as `name:path`. */
  readonly roots?: Readonly<Record<string, string>>;
  /**
   * `full` (default): a save resolves when it is durable, atomic and visible. `relaxed`: it resolves when the guards
   * hold and the revision is known; a crash may lose the last saves, each of them whole.
   */
  readonly durability?: 'full' | 'relaxed';
  /**
   * `immediate` (default): the files are in place when a save resolves. `deferred`: a save of small files (`writeFile`,
   * `writeFiles`, transactions that do no more than that) resolves when it is flushed in the log: durable, and seen by all
   * who read through the library; other programs see it in the files at most `materializeWithinMs` later, after a crash
   * when the store is next opened. Whatever else is saved is immediate.
   */
  readonly materialize?: 'immediate' | 'deferred';
  /** How soon the files follow a deferred save; at `close()` in any case. Default: 100 ms. */
  readonly materializeWithinMs?: number;
  /**
   * Content of a transaction up to this total travels in the log; of many small files (up to 4,096 that have a quarter of it
   * on average) up to 8 MiB. Default: 64 KiB.
   */
  readonly inlineLimitBytes?: number;
  /** Largest file that a transaction may write. Default: no limit. */
  readonly maxFileBytes?: number;
  /** Largest total content of a transaction. Default: no limit. */
  readonly maxTransactionBytes?: number;
  /** Transactions open at once. Default: 1,000. */
  readonly maxConcurrentTransactions?: number;
  /** Free space of the disk that saves leave alone. Default: 64 MiB, or less on a small disk. */
  readonly reserveBytes?: number;
  /** Longest time from a save to the start of its checkpoint. Default: 1,000 ms. */
  readonly checkpointIntervalMs?: number;
  /**
   * Content applied since the last checkpoint that starts one at once. Default: 64 MiB. What the log holds of it is kept
   * small whatever this says: 2 MiB of small files start one, too.
   */
  readonly checkpointBytes?: number;
  /**
   * Before-images, and old values of entries, are kept for `history` and `undo`, until they are older than `maxAgeMs`
   * (default: 7 days) or more than `maxBytes` (default: 1 GiB), the oldest first. Default: off. What there is of history stays while it is off.
   */
  readonly history?: { readonly maxAgeMs?: number; readonly maxBytes?: number };
  /** `follow` (default): a symbolic link inside the store stands for what it points to. `refuse`: it is an error. */
  readonly symlinks?: 'follow' | 'refuse';
  /** How long to wait for other writers before `ERR_STORE_LOCKED`. Default: 10,000 ms. */
  readonly lockTimeoutMs?: number;
  /** `worker` (default): commits run in a thread of their own. `inline`: in the caller's thread. */
  readonly committer?: 'worker' | 'inline';
  /** Allow network and other shared file systems: the caller promises that one kernel at a time uses the store. */
  readonly allowSharedFileSystem?: boolean;
  /** Never write: read by what recovery would decide, without carrying it out. */
  readonly readOnly?: boolean;
  /** Ids of owners that a person knows to be gone, where nothing can prove it (`forewrit recover --owner-dead`). */
  readonly ownersDead?: readonly string[];
  readonly logger?: Logger;

  /** For tests, each only with `committer: 'inline'` except `failpoint`. */
  readonly failpoint?: Failpoint;
  readonly clock?: Clock;
  readonly fileSystem?: FileSystem;
  readonly log?: Log;
  readonly processTable?: ProcessTable;
  readonly probeWitness?: OwnerProbe['probeWitness'];
  /** A string that differs for every open; by default random. */
  readonly nonce?: string;
}

export const defaults = {
  inlineLimitBytes: 64 * 1024,
  maxConcurrentTransactions: 1000,
  reserveBytes: 64 * 1024 * 1024,
  materializeWithinMs: 100,
  checkpointIntervalMs: 1000,
  checkpointBytes: 64 * 1024 * 1024,
  lockTimeoutMs: 10_000,
} as const;

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export const systemClock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
