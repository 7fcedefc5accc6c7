/**
 * Consistent reads: a set of files as one moment of the log has them, whatever is being committed, applied or edited
 * meanwhile.
 *
 * The rows of all files come from *one* view of the log. Each file is opened and its fingerprint compared with its row;
 * all match ⇒ a whole set. A file that does not match is
 *  - being applied, or about to be (its path is locked): the committed content is in the log, or under its staged name;
 *  - replaced since the view (its row has moved on): the same places have it, and failing these the before-image of the
 *    newer transaction; else everything is read again from a newer view;
 *  - edited by a program that knows nothing of us (unlocked, same row): returned as it is.
 */

import type { AsyncFileSystem } from '../files/async-file-system.js';
import { hash64 } from '../record/checksum.js';
import { decodeTransaction } from '../record/codec.js';
import { newestRevision } from '../commit/revision.js';
import { rowOf } from '../commit/file-row.js';
import { readFully } from '../files/content.js';
import { changedCodes, fromSystemError, hasCode, StoreError, withStoreCode } from '../errors.js';
import type { Descriptor, FileStat, FileSystem } from '../files/file-system.js';
import { fingerprintOf, type Image, isInLogOnly, sameFingerprint, showsImage } from '../record/image.js';
import { type Folding, pathKey, transactionRange } from '../record/key.js';
import type { Log, LogView } from '../log/log.js';
import { absolutePath, ancestors, type Roots, type StorePath } from '../path/path.js';
import type { PathResolver, ResolvedPath } from '../path/path-resolver.js';
import {
  type LoggedTransaction,
  sameTransaction,
  type Target,
  transactionId,
  type TransactionId,
} from '../record/record.js';
import { type FileRow, lockRow, type LockRow } from '../record/rows.js';
import { volumeDirectory } from '../files/volume.js';

/** Files up to this size are read without leaving the thread: that takes microseconds, a round trip far more. */
const synchronousBytesMax = 256 * 1024;
const attemptsMax = 1000;
/** From this attempt on the log is asked for contents along with the rows, so that a busy writer cannot starve us. */
const assistedFrom = 2;
/** From this attempt on a lock is taken for that of an owner that will not let go of it, where nobody may recover. */
const readOnlyAttemptsMax = 50;
/** Transactions whose intents are kept in memory. */
const loggedMax = 8;

export interface ReaderContext {
  readonly log: Log;
  readonly fileSystem: FileSystem;
  readonly asyncFileSystem: AsyncFileSystem;
  readonly roots: Roots;
  readonly resolver: PathResolver;
  readonly folding: Folding;
  /** A lock of another owner is in the way: recover it if it has died. Resolves when it is worth looking again. */
  readonly onForeignLock: (lock: LockRow) => Promise<void>;
  /** Numbers of owners that are this process. */
  readonly isOwn: (owner: number) => boolean;
  /** Nothing can be recovered here: what a lock covers is read as recovery would decide. */
  readonly readOnly: boolean;
}

export interface ReadFile {
  readonly path: StorePath;
  /** `undefined` when there is nothing. */
  readonly stat: FileStat | undefined;
  readonly content: Uint8Array | undefined;
  /** The row that this content belongs to; `undefined` for files the store has not written, or that were edited. */
  readonly row: FileRow | undefined;
  /** Of the row in the log, edited or not. */
  readonly revision: number | undefined;
  /** The newest revision of the store when the row was looked at. */
  readonly since: number;
}

interface Wanted {
  readonly path: StorePath;
  readonly absolute: string;
  readonly row: FileRow | undefined;
  readonly lock: LockRow | undefined;
  readonly logged: LoggedTransaction | undefined;
  readonly since: number;
}

interface Look {
  readonly since: number;
  readonly assisted: boolean;
  /** Deferred transactions in this view of the log: what they are may change. */
  readonly deferred: Map<TransactionId, LoggedTransaction>;
}

export class Reader {
  readonly #context: ReaderContext;
  readonly #logged = new Map<TransactionId, LoggedTransaction>();

  constructor(context: ReaderContext) {
    this.#context = context;
  }

  /** Reads all files of one moment. Missing ones have no content. `only: 'stat'` leaves contents alone. */
  async readSet(
    paths: readonly StorePath[],
    options: { readonly op: string; readonly only?: 'stat'; readonly followLast?: boolean },
  ): Promise<ReadFile[]> {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const found = await this.#attempt(paths, options, attempt);
      if (found !== undefined) return found;
      if (attempt > 10) await pause(Math.min(attempt, 20));
    }
    throw new StoreError('ERR_CONFLICT', `The files keep changing: ${paths.join(', ')}`, {
      op: options.op,
      hint: 'Another program writes them without pause. Try again.',
    });
  }

  /** Waits for whoever holds a lock, or recovers what he has left. `false`: nobody can do that here. */
  async awaitLock(lock: LockRow): Promise<boolean> {
    const { readOnly, isOwn, onForeignLock } = this.#context;
    if (readOnly || lock.blocked) return false;
    if (!isOwn(lock.transaction.owner)) await onForeignLock(lock);
    await pause(1);
    return true;
  }

  async #attempt(
    paths: readonly StorePath[],
    options: { readonly op: string; readonly only?: 'stat'; readonly followLast?: boolean },
    attempt: number,
  ): Promise<ReadFile[] | undefined> {
    const { resolver, log } = this.#context;
    resolver.forget();
    const resolved = paths.map((path) =>
      resolver.resolve(path, { followLast: options.followLast ?? true, op: options.op }),
    );
    const wanted = log.view((view) => {
      const how = { since: newestRevision(view), assisted: attempt >= assistedFrom, deferred: new Map() };
      return resolved.map((each) => this.#look(view, each, how));
    });
    const found: ReadFile[] = [];
    const doubtful: Wanted[] = [];
    for (const each of wanted) {
      const read = await this.#read(each, options, doubtful).catch((error: unknown) => {
        throw withStoreCode(error, { op: options.op, path: each.path });
      });
      if (read === 'again') return undefined;
      if (read === 'foreign') {
        await this.#context.onForeignLock(each.lock!);
        return undefined;
      }
      found.push(read);
    }
    // What did not match and was not locked is somebody's edit, unless a commit came in between.
    for (const each of doubtful) {
      const { row, lock } = this.#lookAgain(each);
      if (row?.revision !== each.row?.revision) return undefined;
      if (each.row !== undefined && isInLogOnly(each.row.image)) {
        // Its file was not ours to change, unless that has begun meanwhile.
        if (row !== undefined && isInLogOnly(row.image)) continue;
        return undefined;
      }
      if (lock === undefined || (this.#context.readOnly && attempt >= readOnlyAttemptsMax)) continue;
      if (!this.#context.readOnly && !this.#context.isOwn(lock.transaction.owner))
        await this.#context.onForeignLock(lock);
      return undefined;
    }
    return found;
  }

  #lookAgain({ path }: Wanted): Pick<Wanted, 'row' | 'lock'> {
    return this.#context.log.view((view) => ({
      row: rowOf(view, path, this.#context.folding),
      lock: this.#lockOn(view, path),
    }));
  }

  /** Whether a commit of this path has come in since the view. */
  #hasMovedOn(wanted: Wanted): boolean {
    return this.#lookAgain(wanted).row?.revision !== wanted.row?.revision;
  }

  #look(
    view: LogView,
    { path, absolute }: Pick<ResolvedPath, 'path' | 'absolute'>,
    { since, assisted, deferred }: Look,
  ): Wanted {
    const { folding } = this.#context;
    const row = rowOf(view, path, folding);
    const lock = this.#lockOn(view, path);
    const logged =
      row !== undefined && (assisted || lock !== undefined) ? this.#loggedOf(view, row, deferred) : undefined;
    return { path, absolute, row, lock, logged, since };
  }

  /** The intents of a transaction never change once it is begun, so those that were read last are kept: many files may be of one. */
  #loggedOf(
    view: LogView,
    { transaction, image }: FileRow,
    deferred: Look['deferred'],
  ): LoggedTransaction | undefined {
    const id = transactionId(transaction);
    const known = deferred.get(id) ?? (isInLogOnly(image) ? undefined : this.#logged.get(id));
    if (known !== undefined) return known;
    const rows = view.range('log', transactionRange(transaction.owner, transaction.counter));
    if (rows.length === 0) return undefined;
    const logged = decodeTransaction(transaction, rows);
    if (logged.begin?.deferred === true) {
      deferred.set(id, logged);
      return logged;
    }
    if (this.#logged.size >= loggedMax) this.#logged.clear();
    this.#logged.set(id, logged);
    return logged;
  }

  #lockOn(view: LogView, path: StorePath): LockRow | undefined {
    for (const at of [path, ...ancestors(path)]) {
      const key = pathKey(at, this.#context.folding);
      const value = view.get('locks', key);
      if (value !== undefined) return lockRow.decode(key, value);
    }
    return undefined;
  }

  async #read(
    wanted: Wanted,
    options: { readonly op: string; readonly only?: 'stat' },
    doubtful: Wanted[],
  ): Promise<ReadFile | 'again' | 'foreign'> {
    const { fileSystem } = this.#context;
    const { row, path, since } = wanted;
    if (wanted.lock?.blocked === true) throw blockedRead(options.op, path, wanted.lock);
    const now = lstat(fileSystem, wanted.absolute, { op: options.op, path });
    if (row === undefined || matches(now, row.image)) {
      const read = await this.#contentAt(wanted, now, options);
      if (read !== undefined) {
        if (row === undefined) doubtful.push(wanted);
        return { path, row, revision: row?.revision, since, ...read };
      }
      return 'again';
    }
    // The lock on a directory above says nothing of what its transaction has not written itself.
    const covers = wanted.lock !== undefined && sameTransaction(wanted.lock.transaction, row.transaction);
    const lock = covers ? wanted.lock : undefined;
    if (lock !== undefined && !this.#context.isOwn(lock.transaction.owner)) {
      const served = this.#fromLog({ ...wanted, row }, now, options);
      if (served !== undefined) return served;
      if (!this.#context.readOnly) return 'foreign';
      // Neither the before- nor the after-image: recovery would keep what somebody has put there.
      const kept = await this.#contentAt(wanted, now, options);
      return kept === undefined ? 'again' : { path, row: undefined, revision: row.revision, since, ...kept };
    }
    if (lock !== undefined || (wanted.logged !== undefined && this.#hasMovedOn(wanted))) {
      const served = this.#fromLog({ ...wanted, row }, now, options);
      if (served !== undefined) return served;
      // Content that the log alone has comes over nobody's edit.
      if (lock !== undefined && !isInLogOnly(row.image)) return 'again';
    }
    doubtful.push(wanted);
    const read = await this.#contentAt(wanted, now, options);
    if (read === undefined) return 'again';
    return { path, row: undefined, revision: row.revision, since, ...read };
  }

  /** Content through a descriptor whose fingerprint is the one that was judged. */
  async #contentAt(
    { absolute, path }: Wanted,
    judged: FileStat | undefined,
    { op, only }: { readonly op: string; readonly only?: 'stat' },
  ): Promise<Pick<ReadFile, 'stat' | 'content'> | undefined> {
    if (judged === undefined || only === 'stat') return { stat: judged, content: undefined };
    if (judged.type === 'directory')
      throw new StoreError('ERR_IS_DIRECTORY', `'${path}' is a directory`, { op, path });
    if (judged.type !== 'file') {
      throw new StoreError('ERR_INVALID_PATH', `'${path}' is not a regular file`, { op, path });
    }
    const { fileSystem, asyncFileSystem } = this.#context;
    let descriptor: Descriptor;
    try {
      descriptor = fileSystem.openRead(absolute);
    } catch (error) {
      // Look again what it has become.
      if (hasCode(error, changedCodes)) return undefined;
      throw fromSystemError(error, { op, path });
    }
    try {
      const stat = fileSystem.stat(descriptor);
      if (!sameFingerprint(fingerprintOf(stat), fingerprintOf(judged))) return undefined;
      if (stat.size <= synchronousBytesMax) {
        return { stat, content: readFully(fileSystem, descriptor, stat.size) };
      }
      return { stat, content: await readAll(asyncFileSystem, descriptor, stat.size) };
    } catch (error) {
      throw fromSystemError(error, { op, path });
    } finally {
      fileSystem.close(descriptor);
    }
  }

  /** The committed content of a path whose file does not (or does not yet, or no longer) show it. */
  #fromLog(
    wanted: Wanted & { readonly row: FileRow },
    now: FileStat | undefined,
    { only }: { readonly only?: 'stat' },
  ): ReadFile | undefined {
    const { row, logged, path, since } = wanted;
    const revision = row.revision;
    const target = logged?.targets.find((each) => each.path === path);
    if (row.image.type === 'absent') {
      if (target !== undefined && !showsImage(now, target.before)) return undefined;
      return { path, row, revision, since, stat: undefined, content: undefined };
    }
    if (target === undefined || row.image.type !== 'file') return undefined;
    if (wanted.lock !== undefined && !showsImage(now, target.before)) return undefined;
    const stat = statOf(row.image, now);
    if (only === 'stat') return { path, row, revision, since, stat, content: undefined };
    // A copy: what is kept must not change with what is given away.
    const content =
      target.content === undefined
        ? this.#stagedContent(target, row.image)
        : Uint8Array.prototype.slice.call(target.content);
    return content === undefined ? undefined : { path, row, revision, since, stat, content };
  }

  #stagedContent(target: Target, image: Extract<Image, { type: 'file' }>): Uint8Array | undefined {
    const { fileSystem, roots } = this.#context;
    if (target.staged === undefined) return undefined;
    const base = volumeDirectory(absolutePath(target.volume, roots), target.volume);
    let descriptor: Descriptor;
    try {
      descriptor = fileSystem.openRead(`${base}/staged/${target.staged}`);
    } catch (error) {
      // Whatever else keeps us from it does not make what the path still shows the answer.
      if (hasCode(error, changedCodes)) return undefined;
      throw error;
    }
    try {
      const stat = fileSystem.stat(descriptor);
      return stat.ino === image.fingerprint.ino ? readFully(fileSystem, descriptor, stat.size) : undefined;
    } finally {
      fileSystem.close(descriptor);
    }
  }
}

function lstat(
  fileSystem: FileSystem,
  absolute: string,
  details: { readonly op: string; readonly path: StorePath },
): FileStat | undefined {
  try {
    return fileSystem.lstat(absolute);
  } catch (error) {
    throw fromSystemError(error, details);
  }
}

function matches(now: FileStat | undefined, image: Image): boolean {
  if (image.type === 'directory') return now?.type === 'directory';
  return showsImage(now, image);
}

/** What a stat of the file will show once it is in place. */
function statOf(image: Extract<Image, { type: 'file' }>, now: FileStat | undefined): FileStat {
  return {
    type: 'file',
    dev: now?.dev ?? 0n,
    uid: now?.uid ?? 0,
    gid: now?.gid ?? 0,
    nlink: 1,
    mode: image.mode,
    ...image.fingerprint,
    ...(isInLogOnly(image) ? { birthtimeNs: image.fingerprint.mtimeNs } : {}),
  };
}

async function readAll(
  fileSystem: AsyncFileSystem,
  descriptor: Descriptor,
  size: number,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(size);
  let done = 0;
  while (done < size) {
    const count = await fileSystem.read(descriptor, bytes.subarray(done), done);
    if (count === 0) return bytes.subarray(0, done);
    done += count;
  }
  return bytes;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function blockedRead(op: string, path: StorePath, lock: LockRow): StoreError {
  const transaction = transactionId(lock.transaction);
  return new StoreError(
    'ERR_APPLY_BLOCKED',
    `'${path}' belongs to transaction ${transaction}, which is blocked`,
    {
      op,
      path,
      transaction,
      hint: `Run: forewrit repair ${transaction} --forward (or --back, or --quarantine)`,
    },
  );
}

/** The checksum of what was read, for tracked reads. */
export function checksumOfRead(read: ReadFile): bigint | undefined {
  if (read.row?.image.type === 'file' && read.row.image.checksum !== undefined)
    return read.row.image.checksum;
  return read.content === undefined ? undefined : hash64(read.content);
}
