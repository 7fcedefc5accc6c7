/**
 * The log for those who only look: nothing is made and nothing written but a slot in LMDB's reader table, which keeps
 * the pages of what we look at from being used again. Where there is no table, or one that we may not write (another
 * user's store, a read-only disk), we look at a private copy instead, made anew when the log has changed.
 *
 * Why a copy of a file that is being written is whole: LMDB writes a page again only when no snapshot since the one
 * before the last needs it. While transaction T+1 is the newest, what T consists of is untouched. So pages are copied,
 * with the metas that name T, and counted only if T+1 is not yet superseded when the last page has been read.
 */
import { assert } from '../assert.js';
import { fromSystemError, isStoreError, StoreError } from '../errors.js';
import type { Descriptor } from '../files/file-system.js';
import { hasFlushFailed } from './flush-failure.js';
import { dataFileName, lockFileName, logMissing, removeDirectory } from './lmdb-directory.js';
import { type LmdbEnvironment, openEnvironment } from './lmdb-environment.js';
import { checkLogFile, type LogFileState, readMetas } from './lmdb-file.js';
import { LmdbView } from './lmdb-view.js';
import { type CheckRow, extentAtOpen, walkLogFile, type WalkOptions } from './lmdb-walk.js';
import type { Log, LogStats, LogView } from './log.js';
import { logClosed, mapSizeBytesDefault, reserveBytesDefault } from './log-limits.js';
import type { LogFileSystem } from './log-room.js';
import { watchLog } from './log-watch.js';
import { SpaceFloor } from './space-floor.js';

/** A busy writer may supersede a snapshot before it is copied, or be met in the middle of a meta page. */
const attemptsMax = 20;
const attemptDelayMs = 2;
const copyStepBytes = 1024 * 1024;

export interface InspectionOptions {
  readonly directory: string;
  readonly fileSystem: LogFileSystem;
  /** A path where nothing is yet, outside the store: a directory is made there if a copy is needed. */
  readonly scratchDirectory: string;
  readonly mapSizeBytes?: number;
  /** Looks at rows in `examine`. By default their bytes are not looked at. */
  readonly checkRow?: CheckRow | undefined;
  /** Looks at them before the log is used, too, so that it is refused if one is damaged. */
  readonly checkRowsAtOpen?: boolean;
}

type Settings = Required<InspectionOptions>;

/** A log whose `commit` is refused. */
export function openLogToInspect(options: InspectionOptions): Log {
  const settings: Settings = {
    mapSizeBytes: mapSizeBytesDefault,
    checkRow: undefined,
    checkRowsAtOpen: false,
    ...options,
  };
  const { directory, fileSystem } = settings;
  try {
    if (fileSystem.lstat(`${directory}/${dataFileName}`) === undefined) throw logMissing(directory);
    checkWhileInUse(settings);
    return new InspectedLog(settings, openShared(settings) ?? new Copy(settings));
  } catch (error) {
    throw fromSystemError(error, { op: 'open', path: directory });
  }
}

interface Source {
  /** Reads the newest state. */
  read<T>(body: (environment: LmdbEnvironment) => T): T;
  /** Inside `read`: looks at all of it. */
  examine(): void;
  close(): void;
}

class InspectedLog implements Log {
  readonly #settings: Settings;
  readonly #source: Source;
  readonly #unwatch = new Set<() => void>();
  #state: 'open' | 'viewing' | 'closed' = 'open';

  constructor(settings: Settings, source: Source) {
    this.#settings = settings;
    this.#source = source;
  }

  commit(): never {
    throw new StoreError('ERR_PERMISSION', 'The log was opened to read it only', { op: 'commit' });
  }

  view<T>(read: (view: LogView) => T): T {
    return this.#read('view', (environment) => read(new LmdbView(environment)));
  }

  watch(listener: () => void): () => void {
    if (this.#state === 'closed') throw logClosed('watch');
    const { directory, fileSystem } = this.#settings;
    const version = (): number => {
      try {
        return checkLogFile(fileSystem, `${directory}/${dataFileName}`).lastTransaction;
      } catch {
        // In the middle of a write, or gone: the listener will see.
        return -1;
      }
    };
    const unwatch = watchLog({ directory, fileName: dataFileName, version, listener });
    this.#unwatch.add(unwatch);
    return () => {
      unwatch();
      this.#unwatch.delete(unwatch);
    };
  }

  stats(): LogStats {
    const { directory, fileSystem } = this.#settings;
    return {
      usedBytes: this.#read('stats', (environment) => environment.usedPages() * environment.pageBytes),
      fileBytes: fileSystem.lstat(`${directory}/${dataFileName}`)?.size ?? 0,
    };
  }

  examine(): void {
    this.#read('examine', () => this.#source.examine());
  }

  close(): void {
    if (this.#state === 'closed') return;
    assert(this.#state !== 'viewing', 'close inside a view');
    this.#state = 'closed';
    for (const unwatch of this.#unwatch) unwatch();
    this.#unwatch.clear();
    this.#source.close();
  }

  #read<T>(op: string, body: (environment: LmdbEnvironment) => T): T {
    if (this.#state === 'closed') throw logClosed(op);
    assert(this.#state !== 'viewing', `${op} inside a view`);
    this.#state = 'viewing';
    try {
      return this.#source.read(body);
    } finally {
      this.#state = 'open';
    }
  }
}

/** The environment itself, with a slot in its reader table; `undefined` if we cannot get one. */
function openShared(settings: Settings): Source | undefined {
  const { directory, fileSystem, mapSizeBytes } = settings;
  if (fileSystem.lstat(`${directory}/${lockFileName}`)?.type !== 'file') return undefined;
  new SpaceFloor({
    fileSystem,
    path: directory,
    reserveBytes: reserveBytesDefault,
    clock: () => performance.now(),
  }).requireForRead();
  let environment: LmdbEnvironment;
  try {
    environment = openEnvironment(directory, { readOnly: true, mapSizeBytes });
  } catch (error) {
    if (isStoreError(error, 'ERR_PERMISSION')) return undefined;
    throw error;
  }
  const source: Source = {
    read: (body) => environment.read(() => body(environment)),
    examine: () => walkWhileInUse(settings, everything(settings)),
    close: () => environment.close(),
  };
  try {
    const isPinned = environment.read(() => {
      // LMDB goes on without a table that it may not write: harmless only while nobody else writes.
      if (environment.info().readers === 0) return false;
      walkWhileInUse(settings, whatOpeningTakes(settings));
      return true;
    });
    if (isPinned) {
      environment.openTables();
      return source;
    }
    source.close();
    return undefined;
  } catch (error) {
    source.close();
    throw error;
  }
}

/** In a read transaction: what it sees, and what was committed since, is not overwritten. */
function walkWhileInUse({ directory, fileSystem }: Settings, look: Look): void {
  const previous = hasFlushFailed(fileSystem, directory) ? 'ignored' : 'whole';
  walkLogFile(fileSystem, `${directory}/${dataFileName}`, { ...look, previous, inUse: true });
}

type Look = Pick<WalkOptions, 'checkRow' | 'extent'>;

function everything({ checkRow }: Settings): Look {
  return { checkRow };
}

function whatOpeningTakes({ checkRow, checkRowsAtOpen }: Settings): Look {
  return { checkRow: checkRowsAtOpen ? checkRow : undefined, extent: extentAtOpen };
}

class Copy implements Source {
  readonly #settings: Settings;
  #current: { readonly environment: LmdbEnvironment; readonly transaction: number } | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    settings.fileSystem.makeDirectory(settings.scratchDirectory, 0o700);
  }

  read<T>(body: (environment: LmdbEnvironment) => T): T {
    const { lastTransaction } = checkWhileInUse(this.#settings);
    if (this.#current?.transaction !== lastTransaction) this.#renew();
    const environment = this.#current?.environment;
    assert(environment !== undefined, 'there is no copy of the log');
    return environment.read(() => body(environment));
  }

  examine(): void {
    this.#walk(everything(this.#settings));
  }

  close(): void {
    this.#drop();
    removeDirectory(this.#settings.fileSystem, this.#settings.scratchDirectory);
  }

  #renew(): void {
    this.#drop();
    const { mapSizeBytes, scratchDirectory } = this.#settings;
    const path = `${scratchDirectory}/${dataFileName}`;
    const transaction = retried(() => this.#copy(path));
    this.#walk(whatOpeningTakes(this.#settings));
    const environment = openEnvironment(scratchDirectory, { readOnly: false, mapSizeBytes });
    this.#current = { environment, transaction };
    environment.openTables();
  }

  /** The commit before the one that was copied may have been overwritten meanwhile. */
  #walk(look: Look): void {
    const { fileSystem, scratchDirectory } = this.#settings;
    walkLogFile(fileSystem, `${scratchDirectory}/${dataFileName}`, { ...look, previous: 'ignored' });
  }

  /** The transaction that was copied; `undefined` if it was superseded twice meanwhile. */
  #copy(path: string): number | undefined {
    const { directory, fileSystem } = this.#settings;
    if (fileSystem.lstat(path) !== undefined) fileSystem.unlink(path);
    const { pageBytes } = checkWhileInUse(this.#settings);
    const from = fileSystem.openRead(`${directory}/${dataFileName}`);
    const to = fileSystem.create(path, 0o600);
    try {
      const metas = this.#read(from, { position: 0, length: 2 * pageBytes });
      this.#write(to, metas, 0);
      // Twice the same: not read while it was being written.
      if (Buffer.compare(metas, this.#read(from, { position: 0, length: metas.length })) !== 0)
        return undefined;
      const { lastPage, lastTransaction } = readMetas(fileSystem, path);
      const endBytes = (lastPage + 1) * pageBytes;
      for (let position = metas.length; position < endBytes; position += copyStepBytes) {
        const length = Math.min(copyStepBytes, endBytes - position);
        this.#write(to, this.#read(from, { position, length }), position);
      }
      const after = checkWhileInUse(this.#settings);
      return after.lastTransaction <= lastTransaction + 1 ? lastTransaction : undefined;
    } finally {
      fileSystem.close(from);
      fileSystem.close(to);
    }
  }

  #read(descriptor: Descriptor, { position, length }: { position: number; length: number }): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const count = this.#settings.fileSystem.read(descriptor, bytes.subarray(filled), position + filled);
      if (count === 0)
        throw new StoreError('ERR_LOG_CORRUPT', 'The log ends while it is copied', { op: 'open' });
      filled += count;
    }
    return bytes;
  }

  #write(descriptor: Descriptor, bytes: Uint8Array, position: number): void {
    for (let written = 0; written < bytes.length; ) {
      written += this.#settings.fileSystem.write(descriptor, bytes.subarray(written), position + written);
    }
  }

  #drop(): void {
    this.#current?.environment.close();
    this.#current = undefined;
  }
}

/** Without the writers' place we may read a meta page while it is being written: look again before we believe it. */
function checkWhileInUse({ directory, fileSystem }: Settings): LogFileState {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return checkLogFile(fileSystem, `${directory}/${dataFileName}`);
    } catch (error) {
      if (attempt === attemptsMax || !isStoreError(error, 'ERR_LOG_CORRUPT')) throw error;
      sleep(attemptDelayMs);
    }
  }
}

function retried<T>(attemptOnce: () => T | undefined): T {
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const result = attemptOnce();
    if (result !== undefined) return result;
    sleep(attemptDelayMs);
  }
  throw new StoreError('ERR_STORE_LOCKED', 'The log is written faster than it can be copied', {
    op: 'open',
    hint: 'Try again when the store is less busy, or as a user who may write to its log.',
  });
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
