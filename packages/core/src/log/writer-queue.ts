/**
 * The queue of those who want to write to the log: a place outside LMDB, so that a process that is stopped in the
 * middle of a write makes others wait in JavaScript, where a wait can end, and not in a native mutex, where it cannot.
 *
 *     <log>/queue/free              nobody has the place            } one file, the baton:
 *     <log>/queue/held-<token>      the handle with that token      } it is only ever renamed
 *     <log>/queue-wanted            somebody waits: who has just had the place stands back for a moment
 *
 * Taking the place is renaming `free` to one's own name, releasing it is renaming it back: atomic, no inode made or
 * freed. The place of a dead holder is taken over by renaming *its* name: only one of several can succeed, and never
 * with a place that has passed to somebody alive meanwhile, as a token is never used twice. The directory appears
 * with the baton in it, by a rename that only succeeds while there is none, so there is one baton.
 *
 * Two renames cost about a tenth of a commit. A handle may therefore keep the place for some milliseconds after a
 * commit (`lingerMs`), as long as nobody wants it: it looks when it commits again, and a timer lets go in any case.
 *
 * This is a courtesy, not the lock: LMDB's own robust mutex still keeps writers apart, whatever happens here.
 * Nothing is flushed: after a power cut the baton is free, or held by a token of another boot.
 */
import { assert } from '../assert.js';
import { isEnded } from './commit-gate.js';
import { fromSystemError, hasCode, StoreError, systemCode } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import { logClosed } from './log-limits.js';
import { assertQueueToken, identityOfToken } from './queue-token.js';

/** The first slices of a wait are 1 ms, later ones up to 10 ms. */
const sliceMsMin = 1;
const sliceMsMax = 10;
/** Longer than a slice: whoever has just had the place leaves it to those who wait, until one of them looks. */
const standBackMsMax = sliceMsMax + 2;
/** How soon, and then how often, a waiter looks whether the holder still lives. */
const firstLookMs = 4;
const lookEveryMs = 50;
/** The baton changes its name while others list the directory: only so many empty lists in a row mean that it is gone. */
const emptyLooksMax = 5;

/** What renaming a directory answers where there is one already. */
const takenCodes: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST', 'EPERM']);

const freeName = 'free';
const heldPrefix = 'held-';
export const newQueuePrefix = 'queue-new-';

export interface WriterQueueOptions {
  /** The directory of the log. */
  readonly directory: string;
  readonly fileSystem: FileSystem;
  /** Unique to this handle: no other one has or had it, on any boot. */
  readonly token: string;
  /** `true` whenever it cannot be proven dead. */
  readonly isTokenAlive: (token: string) => boolean;
  /** Milliseconds that only go forward. */
  readonly clock: () => number;
  /** The gate (`commit-gate.ts`) that ends every wait when it is closed. */
  readonly cancelFlag: Int32Array;
  /** How long to keep the place after it was used. Only for a thread whose timers run. */
  readonly lingerMs: number;
}

export class WriterQueue {
  readonly #options: WriterQueueOptions;
  readonly #queue: string;
  readonly #free: string;
  readonly #mine: string;
  readonly #wanted: string;
  /** `idle`: kept although it is not in use. */
  #place: 'none' | 'in use' | 'idle' = 'none';
  /** A release has failed: the baton may still bear our name. */
  #stuck = false;
  #lingering: NodeJS.Timeout | undefined;
  #emptyLooks = 0;

  constructor(options: WriterQueueOptions) {
    assertQueueToken(options.token);
    this.#options = options;
    this.#queue = `${options.directory}/queue`;
    this.#free = `${this.#queue}/${freeName}`;
    this.#mine = `${this.#queue}/${heldPrefix}${options.token}`;
    this.#wanted = `${options.directory}/queue-wanted`;
  }

  /** Makes the queue if there is none. */
  prepare(): void {
    if (this.#options.fileSystem.lstat(this.#queue) === undefined) this.#make();
  }

  /** Returns with the place; `ERR_STORE_LOCKED` after that time, `ERR_STORE_CLOSED` when cancelled. */
  acquire(op: string, timeoutMs: number): void {
    assert(this.#place !== 'in use', 'a handle takes the place in the queue twice');
    if (isEnded(this.#options.cancelFlag)) throw logClosed(op);
    const wanted = this.#options.fileSystem.lstat(this.#wanted) !== undefined;
    if (wanted) this.#letGo();
    if (this.#place === 'none' && (wanted || !this.#take())) this.#wait({ op, timeoutMs, standBack: wanted });
    this.#place = 'in use';
  }

  release(): void {
    assert(this.#place === 'in use', 'a handle releases a place that it does not have');
    this.#place = 'idle';
    this.#letGo();
  }

  /** Releases it soon: as soon as somebody wants it, or else after a while. */
  releaseSoon(): void {
    const { lingerMs } = this.#options;
    if (lingerMs === 0) return this.release();
    assert(this.#place === 'in use', 'a handle releases a place that it does not have');
    this.#place = 'idle';
    if (this.#lingering === undefined) this.#lingering = setTimeout(() => this.#letGo(), lingerMs).unref();
    else this.#lingering.refresh();
  }

  close(): void {
    clearTimeout(this.#lingering);
    this.#letGo();
  }

  #letGo(): void {
    if (this.#place !== 'idle') return;
    this.#place = 'none';
    try {
      this.#options.fileSystem.rename(this.#mine, this.#free);
      this.#stuck = false;
    } catch (error) {
      // Whoever took it over held us for dead; nothing is left to release then. In any other case the next one to
      // take the place is we ourselves, or whoever finds us dead. What was committed is committed.
      this.#stuck = systemCode(error) !== 'ENOENT';
    }
  }

  #wait({ op, timeoutMs, standBack }: { op: string; timeoutMs: number; standBack: boolean }): void {
    const { clock } = this.#options;
    const started = clock();
    let sliceMs = sliceMsMin;
    let lookAt = started + firstLookMs;
    let leftMs = timeoutMs;
    if (standBack) this.#standBack(Math.min(standBackMsMax, timeoutMs));
    while (!this.#take()) {
      if (isEnded(this.#options.cancelFlag)) throw logClosed(op);
      const now = clock();
      leftMs = started + timeoutMs - now;
      if (now >= lookAt || leftMs <= 0) {
        if (this.#takeOver()) break;
        lookAt = now + lookEveryMs;
      }
      if (leftMs <= 0) throw this.#locked(op, timeoutMs);
      this.#makeWanted();
      this.#sleep(Math.min(sliceMs, leftMs));
      sliceMs = Math.min(sliceMs * 1.2, sliceMsMax);
    }
    // Others who still wait put it back.
    this.#quietly(() => this.#options.fileSystem.unlink(this.#wanted));
  }

  #standBack(ms: number): void {
    const { cancelFlag, clock, fileSystem } = this.#options;
    const end = clock() + ms;
    do this.#sleep(sliceMsMin);
    while (fileSystem.lstat(this.#free) !== undefined && clock() < end && !isEnded(cancelFlag));
  }

  #take(): boolean {
    if (this.#stuck && this.#options.fileSystem.lstat(this.#mine) !== undefined) return true;
    return this.#rename(this.#free);
  }

  /** Takes the place of a holder that is dead; puts the queue right if it is damaged. */
  #takeOver(): boolean {
    const names = this.#names();
    const held = names.filter((name) => name.startsWith(heldPrefix));
    for (const name of held) {
      if (this.#options.isTokenAlive(name.slice(heldPrefix.length))) continue;
      if (this.#rename(`${this.#queue}/${name}`)) return true;
    }
    this.#emptyLooks = held.length > 0 || names.includes(freeName) ? 0 : this.#emptyLooks + 1;
    if (this.#emptyLooks > emptyLooksMax) this.#make();
    return false;
  }

  #rename(from: string): boolean {
    try {
      this.#options.fileSystem.rename(from, this.#mine);
      return true;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false;
      throw fromSystemError(error, { op: 'commit', path: from });
    }
  }

  #names(): string[] {
    try {
      return this.#options.fileSystem.list(this.#queue);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      throw fromSystemError(error, { op: 'commit', path: this.#queue });
    }
  }

  #make(): void {
    const { directory, fileSystem, token } = this.#options;
    const fresh = `${directory}/${newQueuePrefix}${token}`;
    try {
      fileSystem.makeDirectory(fresh, 0o700);
      fileSystem.close(fileSystem.create(`${fresh}/${freeName}`, 0o600));
      try {
        fileSystem.rename(fresh, this.#queue);
      } catch (error) {
        // Another process was first.
        if (!hasCode(error, takenCodes)) throw error;
        removeNewQueue(fileSystem, fresh);
      }
    } catch (error) {
      this.#quietly(() => removeNewQueue(fileSystem, fresh));
      throw fromSystemError(error, { op: 'open', path: this.#queue });
    }
  }

  #makeWanted(): void {
    const { fileSystem } = this.#options;
    if (fileSystem.lstat(this.#wanted) !== undefined) return;
    // On a full disk it cannot be made, and waiting is only less fair.
    this.#quietly(() => fileSystem.close(fileSystem.create(this.#wanted, 0o600)));
  }

  #locked(op: string, timeoutMs: number): StoreError {
    const holder = this.#names().find((name) => name.startsWith(heldPrefix));
    const pid = holder === undefined ? undefined : identityOfToken(holder.slice(heldPrefix.length))?.pid;
    const who = pid === undefined ? 'another process' : `process ${pid}`;
    return new StoreError(
      'ERR_STORE_LOCKED',
      `The log is being written by ${who}: gave up after ${timeoutMs} ms`,
      {
        op,
        path: this.#queue,
        hint: 'If that process hangs or is stopped, end it or let it go on. Then try again: nothing was changed.',
      },
    );
  }

  #sleep(ms: number): void {
    Atomics.wait(this.#options.cancelFlag, 0, 0, ms);
  }

  #quietly(action: () => void): void {
    try {
      action();
    } catch {
      // Each caller says why it does not matter.
    }
  }
}

/**
 * Releases the place that a handle kept whose thread was terminated: its process lives on, so nobody else can find it
 * dead. Only after `endCommits` has said that nothing is being written.
 */
export function releasePlaceOf(handle: Pick<WriterQueueOptions, 'directory' | 'fileSystem' | 'token'>): void {
  const { directory, fileSystem, token } = handle;
  try {
    fileSystem.rename(`${directory}/queue/${heldPrefix}${token}`, `${directory}/queue/${freeName}`);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw fromSystemError(error, { op: 'close', path: directory });
  }
}

/** Removes a queue that was being made. */
export function removeNewQueue(fileSystem: FileSystem, path: string): void {
  if (fileSystem.lstat(`${path}/${freeName}`) !== undefined) fileSystem.unlink(`${path}/${freeName}`);
  if (fileSystem.lstat(path) !== undefined) fileSystem.removeDirectory(path);
}
