/**
 * Many writes on one store: operations with ids, at most so many at once, of limited size, with room on the disk, kept
 * for as long as somebody may ask for them. Several managers, in one process or in several, share a store: what is staged
 * under an id, and what has completed, is in its log.
 */

import { randomUUID } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import {
  checkStagedId,
  InvalidArgumentError,
  isStoreError,
  type StagedOperation,
  type Store,
  StoreError,
} from '@forewrit/core';
import { CompletedOperations } from './completed.js';
import { type Health, healthOf } from './health.js';
import { verifyFile } from './integrity.js';
import { FairQueue } from './limits.js';
import { managerDefaults, type ManagerOptions, checkManagerOptions } from './manager-options.js';
import { hasEnded, type Operation } from './operation.js';
import { type OpenOptions, RunningOperation } from './running-operation.js';
import { type Estimate, estimate, type Work } from './rates.js';
import { readAbout } from './staged-about.js';
import { requireFit } from './write-checks.js';
import type { Source, StreamingFileWriter, WriteResult } from './writer.js';

export interface StagingStats {
  /** Of this manager, since it was made. */
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly bytesWritten: number;
  readonly running: number;
  readonly waiting: number;
  /** Of the store: what can be continued. */
  readonly resumable: number;
}

export interface CleanUpReport {
  /** Staged content past its age, removed. */
  readonly discarded: readonly string[];
  /** Ended operations that are forgotten. */
  readonly forgotten: number;
}

/** `state`: an operation is in another state. `progress`: it has written more. `cleaned`: a clean-up has ended. */
export interface StagingEvents {
  state: [operation: Operation];
  progress: [operation: Operation];
  cleaned: [report: CleanUpReport];
}

/** Hears of every operation of every manager that is in another state: `{ root, operation }`. */
const stateChannel = channel('forewrit:staging');

const waitingMax = 10_000;
const remembered = 10_000;

export class StagingManager extends EventEmitter<StagingEvents> implements AsyncDisposable {
  readonly #store: Store;
  readonly #options: ManagerOptions & typeof managerDefaults;
  readonly #queue: FairQueue;
  readonly #completed: CompletedOperations;
  /** By id: what runs, and what has ended and is remembered, the oldest first. */
  readonly #operations = new Map<string, RunningOperation>();
  readonly #counts = { completed: 0, failed: 0, cancelled: 0, bytesWritten: 0 };
  #timer: NodeJS.Timeout | undefined;
  #cleaning: Promise<CleanUpReport> | undefined;
  #isClosed = false;

  constructor(store: Store, options: ManagerOptions = {}) {
    super();
    checkManagerOptions(options);
    this.#store = store;
    this.#options = { ...managerDefaults, ...options };
    this.#queue = new FairQueue({ atOnceMax: this.#options.maxConcurrentOperations, waitingMax });
    this.#completed = new CompletedOperations(store);
    this.#timer = setInterval(() => {
      // What cannot be cleaned up now is cleaned up next time.
      this.cleanUp().catch(() => undefined);
    }, this.#options.cleanupIntervalMs).unref();
  }

  /**
   * Begins an operation, when its turn has come. With an `id` it can be continued by `resume` after a crash.
   *
   * @throws StoreError ERR_TOO_LARGE, ERR_NO_SPACE, ERR_CONFLICT if there is an operation of that id that has not ended,
   * ERR_TOO_MANY, and those of `StreamingFileWriter.open`
   */
  async open(path: string, options: OpenOptions = {}): Promise<StreamingFileWriter> {
    const { id } = options;
    if (id !== undefined) {
      checkStagedId('open', id);
      if (!this.#isActive(id) && (await this.#staged(id)) !== undefined) throw inUse(id);
    }
    return await this.#run(path, options);
  }

  /** Writes a file from a source, and commits it. */
  async write(path: string, source: Source, options: OpenOptions = {}): Promise<WriteResult> {
    const writer = await this.open(path, options);
    try {
      await writer.writeFrom(source);
      return await writer.commit();
    } finally {
      await writer.close();
    }
  }

  /**
   * Goes on with an operation that was begun under this id, here or elsewhere, from its last durable byte (`offset`).
   *
   * @throws StoreError ERR_NOT_FOUND if there is nothing to continue (`get` tells whether it has completed), ERR_CONFLICT if
   * it is being written, ERR_INTEGRITY if what is staged is damaged
   */
  async resume(id: string, options: Omit<OpenOptions, 'id'> = {}): Promise<StreamingFileWriter> {
    checkStagedId('resume', id);
    const staged = this.#isActive(id) ? undefined : await this.#staged(id);
    if (this.#isActive(id)) throw inUse(id);
    const about = staged === undefined ? undefined : readAbout(staged);
    if (about === undefined) {
      const state = (await this.get(id))?.state;
      throw new StoreError('ERR_NOT_FOUND', `There is nothing to continue of '${id}'`, {
        op: 'resume',
        hint: state === undefined ? 'Begin it anew with open().' : `It is ${state}.`,
      });
    }
    const { path, totalBytes, metadata } = about;
    return await this.#run(path, {
      ...(totalBytes === undefined ? {} : { totalBytes }),
      ...(metadata === undefined ? {} : { metadata }),
      ...options,
      id,
    });
  }

  async #run(path: string, options: OpenOptions): Promise<StreamingFileWriter> {
    if (this.#isClosed) throw new InvalidArgumentError('open', 'the manager is closed');
    const id = options.id ?? `operation-${randomUUID()}`;
    if (this.#isActive(id)) throw inUse(id);
    const maxBytes = Math.min(options.maxBytes ?? Number.POSITIVE_INFINITY, this.#options.maxFileSizeBytes);
    const limited = { ...options, maxBytes };
    requireFit(this.#store, path, limited);
    const operation = new RunningOperation(this.#store, { id, path, options: limited }, (now, why) => {
      this.#changed(operation, now, why);
    });
    // An ended one of the same id makes place, at the end of the line.
    this.#operations.delete(id);
    this.#operations.set(id, operation);
    this.#forgetMany();
    try {
      return await operation.run(this.#queue);
    } catch (error) {
      // It is somebody else's, and has not failed.
      if (isStoreError(error, 'ERR_CONFLICT') && this.#operations.get(id) === operation)
        this.#operations.delete(id);
      throw error;
    }
  }

  /** Gives an operation up, wherever it is, and removes what it has staged. `false` if there is none that has not ended. */
  async cancel(id: string): Promise<boolean> {
    checkStagedId('cancel', id);
    const running = this.#operations.get(id);
    if (running !== undefined && !hasEnded(running.now)) {
      await running.cancel();
      return true;
    }
    return await this.#store.discardStaged(id);
  }

  /** What is known of an operation: here, in the log, or completed. */
  async get(id: string): Promise<Operation | undefined> {
    const own = this.#operations.get(id)?.now;
    if (own !== undefined && !hasEnded(own)) return own;
    const staged = await this.#staged(id);
    const known = staged === undefined ? undefined : stagedAsOperation(staged);
    return known ?? laterOf(own, await this.#completed.get(id));
  }

  /**
   * Compares the file of a completed operation with the digest that it had then.
   *
   * @throws StoreError ERR_NOT_FOUND if there is no such operation; ERR_INTEGRITY if the file is another one
   */
  async verify(id: string): Promise<void> {
    checkStagedId('verify', id);
    const known = await this.get(id);
    if (known?.state !== 'completed') {
      throw new StoreError('ERR_NOT_FOUND', `There is no completed operation '${id}'`, {
        op: 'verify',
        hint:
          known === undefined ? 'It may have been forgotten: see maxStagingAgeMs.' : `It is ${known.state}.`,
      });
    }
    await verifyFile(this.#store, known.path, {
      checksum: known.algorithm,
      expectedChecksum: known.checksum,
    });
  }

  /** All operations that are known, the oldest first. */
  async list(): Promise<Operation[]> {
    const found = new Map<string, Operation>();
    for (const each of await this.#completed.list()) found.set(each.id, each);
    for (const { now } of this.#operations.values()) {
      const later = laterOf(now, found.get(now.id));
      if (later !== undefined) found.set(now.id, later);
    }
    for (const staged of await this.#store.staged()) {
      const known = found.get(staged.id);
      const isHere = known !== undefined && !hasEnded(known);
      const each = isHere ? undefined : stagedAsOperation(staged);
      if (each !== undefined) found.set(each.id, each);
    }
    return [...found.values()].sort((one, other) => one.startedAtMs - other.startedAtMs);
  }

  /** Removes what is older than it may become. Happens by itself, too. */
  cleanUp(): Promise<CleanUpReport> {
    this.#cleaning ??= this.#cleanUp().finally(() => {
      this.#cleaning = undefined;
    });
    return this.#cleaning;
  }

  async #cleanUp(): Promise<CleanUpReport> {
    const discarded: string[] = [];
    const limitMs = Date.now() - this.#options.maxStagingAgeMs;
    for (const staged of await this.#store.staged()) {
      const { id, heldBy, overdue, advancedAtMs } = staged;
      if (readAbout(staged) === undefined || heldBy !== 'nobody') continue;
      if (!overdue && advancedAtMs >= limitMs) continue;
      try {
        if (await this.#store.discardStaged(id)) discarded.push(id);
      } catch (error) {
        // Somebody goes on with it after all.
        if (!isStoreError(error, 'ERR_CONFLICT')) throw error;
      }
    }
    let forgotten = await this.#completed.forgetBefore(limitMs);
    for (const [id, { now }] of this.#operations) {
      if (!('endedAtMs' in now) || now.endedAtMs >= limitMs) continue;
      this.#operations.delete(id);
      forgotten += 1;
    }
    const report = { discarded, forgotten };
    this.emit('cleaned', report);
    return report;
  }

  async stats(): Promise<StagingStats> {
    return {
      ...this.#counts,
      running: this.#queue.running,
      waiting: this.#queue.waiting,
      resumable: (await this.#store.staged()).length,
    };
  }

  /** Whether writes can be expected to go well, and what stands in their way if not. */
  async health(): Promise<Health> {
    return await healthOf(this.#store, {
      waiting: this.#queue.waiting,
      atOnceMax: this.#options.maxConcurrentOperations,
      spaceLowBytes: this.#options.maxFileSizeBytes,
    });
  }

  /** How long a write would take, and how much room, by what was measured on this store. */
  estimate(work: Work): Estimate {
    return estimate(this.#store, work);
  }

  /** Lets go of everything: what has an id can be continued, anything else is cancelled. The store stays open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#queue.close(
      new StoreError('ERR_ABORTED', 'the manager was closed', { op: 'open', hint: 'Make another one.' }),
    );
    for (const operation of this.#operations.values()) await operation.close();
    await this.#cleaning?.catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #isActive(id: string): boolean {
    const known = this.#operations.get(id);
    return known !== undefined && !hasEnded(known.now);
  }

  async #staged(id: string): Promise<StagedOperation | undefined> {
    return (await this.#store.staged()).find((each) => each.id === id);
  }

  #changed(operation: RunningOperation, now: Operation, why: 'state' | 'progress'): void {
    if (why === 'state') {
      if (now.state === 'completed') this.#counts.bytesWritten += now.bytes;
      if (now.state === 'completed' || now.state === 'failed' || now.state === 'cancelled')
        this.#counts[now.state] += 1;
    }
    const told = operation.now;
    this.emit(why, told);
    if (why === 'state' && stateChannel.hasSubscribers)
      stateChannel.publish({ root: this.#store.root, operation: told });
  }

  #forgetMany(): void {
    if (this.#operations.size <= remembered) return;
    for (const [id, { now }] of this.#operations) {
      if (!hasEnded(now)) continue;
      this.#operations.delete(id);
      if (this.#operations.size <= remembered) return;
    }
  }
}

/** What has not ended is the newest there is. */
function laterOf(one: Operation | undefined, other: Operation | undefined): Operation | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  if (!('endedAtMs' in one)) return one;
  if (!('endedAtMs' in other)) return other;
  return one.endedAtMs >= other.endedAtMs ? one : other;
}

function stagedAsOperation(staged: StagedOperation): Operation | undefined {
  const about = readAbout(staged);
  if (about === undefined) return undefined;
  const { id, durableBytes, startedAtMs, heldBy } = staged;
  return { id, ...about, startedAtMs, state: 'in_progress', bytes: durableBytes, durableBytes, heldBy };
}

function inUse(id: string): StoreError {
  return new StoreError('ERR_CONFLICT', `There is an operation '${id}' that has not ended`, {
    op: 'open',
    hint: 'Continue it with resume(), or end it with cancel().',
  });
}
