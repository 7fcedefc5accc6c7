/**
 * The log in LMDB; `lmdb-directory.ts` says what is on disk.
 *
 * A commit, in this order: the place in the queue; LMDB's writer lock; the watermark and the room for what is announced;
 * `build`; the room for what it became; flush (data, then the meta page on a descriptor that writes through). Before the
 * meta page is durable the batch does not exist, after it the batch is whole. An error up to the flush aborts and leaves
 * nothing; an error of the flush is a `FlushError`, and the handle is of no use any more.
 */
import { assert } from '../assert.js';
import { newCommitGate, throughGate } from './commit-gate.js';
import { fromSystemError } from '../errors.js';
import { forgetFlushFailure, hasFlushFailed, noteFlushFailure } from './flush-failure.js';
import { dataFileName, prepareDirectory, requireDirectory } from './lmdb-directory.js';
import { fromLmdbError, type LmdbEnvironment, openEnvironment } from './lmdb-environment.js';
import { checkLogFile } from './lmdb-file.js';
import { LmdbBatch, LmdbView } from './lmdb-view.js';
import { type CheckRow, extentAtOpen, isPreviousWhole, walkLogFile } from './lmdb-walk.js';
import {
  type CommitOptions,
  FlushError,
  type Log,
  type LogBatch,
  type LogStats,
  type LogView,
} from './log.js';
import {
  logClosed,
  logFull,
  logPoisoned,
  mapSizeBytesDefault,
  ordinaryFillMax,
  reserveBytesDefault,
} from './log-limits.js';
import { type LogFileSystem, LogRoom } from './log-room.js';
import { watchLog } from './log-watch.js';
import { SpaceFloor } from './space-floor.js';
import { WriterQueue } from './writer-queue.js';

const lockTimeoutMsDefault = 10_000;
/** A reader that died keeps old pages from being used again until somebody looks. */
const readerCheckEveryMs = 60_000;

export interface LmdbLogOptions {
  /** The directory of the log. Its parent must exist. */
  readonly directory: string;
  readonly fileSystem: LogFileSystem;
  /** `queueToken(…)`: unique to this handle. */
  readonly queueToken: string;
  /** `true` whenever the handle with this token cannot be proven dead. */
  readonly isTokenAlive: (token: string) => boolean;
  /** `ERR_NOT_FOUND` if there is no log, instead of making one. */
  readonly mustExist?: boolean;
  /** How long to wait for other writers: when opening, and in commits that do not say. */
  readonly lockTimeoutMs?: number;
  /**
   * The gate (`commit-gate.ts`) that another thread closes before it ends this one. Something other than 0 in its
   * first element ends every wait with `ERR_STORE_CLOSED`.
   */
  readonly cancelFlag?: Int32Array | undefined;
  /** Looks at rows of the log before LMDB opens it, and in `examine`. By default their bytes are not looked at. */
  readonly checkRow?: CheckRow | undefined;
  /** Another handle of this process has it open, and has looked at it: then only the two metas are looked at again. */
  readonly looked?: boolean;
  /** How long this handle may keep its turn while nobody wants it: for a thread of its own, whose timers run. */
  readonly lingerMs?: number;
  /** Disk that ordinary commits leave free; of a small disk, a sixteenth. */
  readonly reserveBytes?: number;
  /** How much the log may hold. */
  readonly mapSizeBytes?: number;
  /** Milliseconds that only go forward. */
  readonly clock?: () => number;
}

type Settings = Required<LmdbLogOptions> & { readonly cancelFlag: Int32Array };

export function openLmdbLog(options: LmdbLogOptions): LmdbLog {
  const settings: Settings = {
    mustExist: false,
    lockTimeoutMs: lockTimeoutMsDefault,
    lingerMs: 0,
    reserveBytes: reserveBytesDefault,
    mapSizeBytes: mapSizeBytesDefault,
    clock: () => performance.now(),
    checkRow: undefined,
    looked: false,
    ...options,
    cancelFlag: options.cancelFlag ?? newCommitGate(),
  };
  try {
    requireDirectory(settings);
    return throughGate(settings.cancelFlag, 'open', () => openInTurn(settings));
  } catch (error) {
    throw fromSystemError(error, { op: 'open', path: settings.directory });
  }
}

/** Opening the tables takes LMDB's writer lock, so it has its turn, too. */
function openInTurn(settings: Settings): LmdbLog {
  const queue = new WriterQueue({ ...settings, token: settings.queueToken });
  queue.prepare();
  queue.acquire('open', settings.lockTimeoutMs);
  try {
    return openParts(settings, queue);
  } finally {
    queue.release();
  }
}

function openParts(settings: Settings, queue: WriterQueue): LmdbLog {
  const { directory, fileSystem, mapSizeBytes } = settings;
  const path = `${directory}/${dataFileName}`;
  const floor = new SpaceFloor({ ...settings, path: directory });
  prepareDirectory({ ...settings, floor });
  checkBeforeUse(settings);
  floor.requireForCommit(true);
  const environment = openEnvironment(directory, { readOnly: false, mapSizeBytes });
  try {
    environment.openTables();
    const room = new LogRoom({ fileSystem, path, floor });
    return new LmdbLog({ settings, environment, queue, floor, room });
  } catch (error) {
    environment.close();
    throw error;
  }
}

/** With the place in the queue: nobody is writing. */
function checkBeforeUse({ checkRow, directory, fileSystem, looked }: Settings): void {
  const path = `${directory}/${dataFileName}`;
  const options = { checkRow, extent: extentAtOpen };
  if (!hasFlushFailed(fileSystem, directory)) {
    if (looked) checkLogFile(fileSystem, path);
    else walkLogFile(fileSystem, path, { ...options, previous: 'whole' });
    return;
  }
  walkLogFile(fileSystem, path, { ...options, previous: 'ignored' });
  if (isPreviousWhole(fileSystem, path)) forgetFlushFailure(fileSystem, directory);
}

interface LmdbLogParts {
  readonly settings: Settings;
  readonly environment: LmdbEnvironment;
  readonly queue: WriterQueue;
  readonly floor: SpaceFloor;
  readonly room: LogRoom;
}

export class LmdbLog implements Log {
  readonly #settings: Settings;
  readonly #environment: LmdbEnvironment;
  readonly #queue: WriterQueue;
  readonly #floor: SpaceFloor;
  readonly #room: LogRoom;
  readonly #view: LmdbView;
  readonly #unwatch = new Set<() => void>();
  #state: 'open' | 'viewing' | 'committing' | 'closed' = 'open';
  #flushFailure: FlushError | undefined;
  #readersCheckedAt: number;

  constructor({ settings, environment, queue, floor, room }: LmdbLogParts) {
    this.#settings = settings;
    this.#environment = environment;
    this.#queue = queue;
    this.#floor = floor;
    this.#room = room;
    this.#view = new LmdbView(environment);
    this.#readersCheckedAt = settings.clock();
  }

  commit<T>(build: (batch: LogBatch) => T, options: CommitOptions = {}): T {
    this.#assertIdle('commit');
    if (this.#flushFailure !== undefined) throw logPoisoned('commit', this.#flushFailure);
    this.#floor.requireForCommit(options.essential === true);
    return throughGate(this.#settings.cancelFlag, 'commit', () => this.#commitInTurn(build, options));
  }

  view<T>(read: (view: LogView) => T): T {
    this.#assertIdle('view');
    return this.#read(() => read(this.#view));
  }

  watch(listener: () => void): () => void {
    if (this.#state === 'closed') throw logClosed('watch');
    const unwatch = watchLog({
      directory: this.#settings.directory,
      fileName: dataFileName,
      version: () => this.#environment.info().lastTransaction,
      listener,
    });
    this.#unwatch.add(unwatch);
    return () => {
      unwatch();
      this.#unwatch.delete(unwatch);
    };
  }

  stats(): LogStats {
    this.#assertIdle('stats');
    const pages = this.#read(() => this.#environment.usedPages());
    return { usedBytes: pages * this.#environment.pageBytes, fileBytes: this.#room.fileBytes() };
  }

  examine(): void {
    this.#assertIdle('examine');
    const { checkRow, directory, fileSystem } = this.#settings;
    const previous = hasFlushFailed(fileSystem, directory) ? 'ignored' : 'whole';
    // What a read transaction sees, or saw later, is not overwritten.
    this.#read(() =>
      walkLogFile(fileSystem, `${directory}/${dataFileName}`, { checkRow, previous, inUse: true }),
    );
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#assertIdle('close');
    this.#state = 'closed';
    for (const unwatch of this.#unwatch) unwatch();
    this.#unwatch.clear();
    this.#queue.close();
    this.#room.close();
    this.#environment.close();
  }

  /** There is one read transaction: a second use of it would move the first one on. */
  #assertIdle(op: string): void {
    if (this.#state === 'closed') throw logClosed(op);
    assert(this.#state !== 'committing', `${op} inside a commit: read through the batch`);
    assert(this.#state !== 'viewing', `${op} inside a view`);
  }

  #read<T>(body: () => T): T {
    this.#floor.requireForRead();
    this.#state = 'viewing';
    try {
      return this.#environment.read(body);
    } finally {
      this.#state = 'open';
    }
  }

  #commitInTurn<T>(build: (batch: LogBatch) => T, options: CommitOptions): T {
    this.#queue.acquire('commit', options.timeoutMs ?? this.#settings.lockTimeoutMs);
    this.#state = 'committing';
    try {
      return this.#write(build, options);
    } finally {
      this.#state = 'open';
      this.#queue.releaseSoon();
    }
  }

  #write<T>(build: (batch: LogBatch) => T, options: CommitOptions): T {
    const batch = new LmdbBatch(this.#environment);
    let built: { readonly result: T } | undefined;
    try {
      this.#environment.write(() => {
        this.#secureAnnounced(options);
        const result = build(batch);
        this.#secureBuilt(batch, options);
        built = { result };
      });
    } catch (error) {
      if (built === undefined) throw fromLmdbError(error, 'commit');
      this.#flushFailure = new FlushError(error);
      noteFlushFailure(this.#settings.fileSystem, this.#settings.directory);
      throw this.#flushFailure;
    } finally {
      batch.end();
    }
    assert(built !== undefined, 'a commit ended without its result');
    return built.result;
  }

  /** Room for the bytes that the caller expects: refused before any work is done. */
  #secureAnnounced({ sizeBytes = 0, essential = false }: CommitOptions): void {
    const endBytes = this.#endBytes();
    const capacityBytes = this.#settings.mapSizeBytes * ordinaryFillMax;
    if (!essential && endBytes + sizeBytes > capacityBytes) {
      // Pages that are free lie before the end, too: count those that hold something.
      const usedBytes = this.#environment.usedPages() * this.#environment.pageBytes;
      if (usedBytes + sizeBytes > capacityBytes) throw logFull({ usedBytes, capacityBytes });
    }
    if (sizeBytes > 0 && !this.#room.has(endBytes + sizeBytes, essential)) {
      this.#clearDeadReaders();
      this.#room.grow(endBytes + sizeBytes, essential);
    }
  }

  /** Room for every page that LMDB may have to write now. */
  #secureBuilt(batch: LmdbBatch, { essential = false }: CommitOptions): void {
    const { pageBytes } = this.#environment;
    const endBytes = this.#endBytes();
    // The list of free pages is written anew by each commit.
    const listPages = 16 + Math.ceil(endBytes / pageBytes / 256);
    this.#floor.requireForWrite((batch.pagesMax + listPages) * pageBytes, essential);
    if (this.#room.has(endBytes + (batch.pagesMax + listPages) * pageBytes, essential)) return;
    // Each page that is written is one that holds data now, but for the few that came and went within the batch.
    const pages = Math.min(batch.pagesMax, Math.ceil(this.#environment.usedPages() * 1.25));
    this.#room.grow(endBytes + (pages + listPages) * pageBytes, essential);
  }

  /** Where the last used page ends: what the batch adds goes behind it, or into free pages before it. */
  #endBytes(): number {
    return (this.#environment.info().lastPage + 1) * this.#environment.pageBytes;
  }

  #clearDeadReaders(): void {
    const now = this.#settings.clock();
    if (now - this.#readersCheckedAt < readerCheckEveryMs) return;
    this.#readersCheckedAt = now;
    this.#environment.clearDeadReaders();
  }
}
