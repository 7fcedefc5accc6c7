/**
 * A transaction as its user holds it: collects operations, reads its own writes, tracks what it has read, and hands all
 * of it to the committer at once. Nothing is visible before `commit` resolves; disposed without commit it is aborted.
 */

import type { Commit } from '../commit/job.js';
import type { Committer } from '../committer/committer.js';
import { coded, InvalidArgumentError, isStoreError } from '../errors.js';
import type { FileStat } from '../files/file-system.js';
import type { ReaddirOptions } from '../files/listing.js';
import type { StorePath } from '../path/path.js';
import type { KeptLink, RemoveOptions, WriteOptions } from '../plan/operation.js';
import { packEntryValue } from '../record/frame.js';
import { type Listed, transactionId, type TransactionId } from '../record/record.js';
import { decoded, encodingOf, type ReadOptions } from '../record/text.js';
import { missing } from './absence.js';
import {
  checkEntry,
  checkFlags,
  checkMode,
  checkPaths,
  checkRevision,
  checkSignal,
  fileOptions,
} from './check-arguments.js';
import { checkRange, type RangeOptions } from './collection-range.js';
import { aborted, type Data } from './content-staging.js';
import { type HeldOperation, HeldOperations, packOperations } from './held-operations.js';
import type { StoreAccess } from './store-access.js';
import type { StoreStat } from './store-stat.js';
import type { TreeSource } from './tree-staging.js';
import { tracePromise } from './trace.js';
import { TransactionView } from './transaction-view.js';

export type TransactionState = 'active' | 'committing' | 'committed' | 'applied' | 'aborted' | 'blocked';

export interface BeginOptions {
  readonly signal?: AbortSignal;
  readonly durability?: 'full' | 'relaxed';
  /**
   * `deferred`: resolves when it is flushed in the log, and the files follow; only for transactions that write small whole
   * files into directories that are there, others are immediate all the same. Default: as the store was opened.
   */
  readonly materialize?: 'immediate' | 'deferred';
  /**
   * Content up to this total travels in the log, as for the store: one flush for all of many small files instead of one
   * for each. At most 8 MiB. Default: as the store was opened.
   */
  readonly inlineLimitBytes?: number;
  /**
   * `false`: leaves no trace in history, and cannot be undone, as in a store without it. For what a program notes for itself,
   * which nobody should take back. Default: as the store was opened.
   */
  readonly history?: boolean;
}

/** A point to go back to: forgets the writes made since, not the reads. */
export interface Savepoint {
  rollback(): void;
}

/** Of failures after the commit was flushed, or about to be. */
const committedCodes: ReadonlySet<string> = new Set([
  'ERR_APPLY_BLOCKED',
  'ERR_APPLY_ROLLED_BACK',
  'ERR_EXTERNAL_EDIT',
  'ERR_STORE_POISONED',
]);

export type FileOptions = WriteOptions & { readonly encoding?: BufferEncoding };

let restoreContent: (tx: Transaction, path: StorePath, data: Data, like: FileStat) => void | Promise<void>;
let restoreKept: (tx: Transaction, path: StorePath, kept: KeptLink) => void;
let trackLinkItself: (tx: Transaction, path: StorePath) => Promise<void>;
let restoreTree: (tx: Transaction, path: StorePath, source: TreeSource) => Promise<void>;
let makeExactly: (tx: Transaction, path: StorePath, mode: number | undefined) => void;
let removeTree: (tx: Transaction, path: StorePath, expected: readonly Listed[]) => void;

export class Transaction implements AsyncDisposable {
  static {
    restoreContent = (tx, path, data, like) => {
      tx.#assertActive('undo');
      return tx.#held.hold('undo', path, data, 'utf8', (content) => ({
        type: 'write',
        path,
        content,
        options: { like },
      }));
    };
    restoreKept = (tx, path, kept) => tx.#add({ type: 'restore-link', path, kept });
    trackLinkItself = async (tx, path) => {
      tx.#assertActive('undo');
      await tx.#readable();
      tx.#view.trackLink(path);
    };
    restoreTree = (tx, path, source) => {
      tx.#assertActive('undo');
      return tx.#held.holdTree('undo', path, source);
    };
    makeExactly = (tx, path, mode) =>
      tx.#add({
        type: 'make-directory',
        path,
        options: { recursive: true, ...(mode === undefined ? {} : { mode, exact: true }) },
      });
    removeTree = (tx, path, expected) =>
      tx.#add({ type: 'remove', path, options: { recursive: true, expected } });
  }

  readonly id: TransactionId;
  readonly #access: StoreAccess;
  readonly #committer: Committer;
  readonly #counter: number;
  readonly #options: BeginOptions;
  readonly #cancel: Int32Array | undefined;
  readonly #onEnd: () => void;
  #state: TransactionState = 'active';
  readonly #held: HeldOperations;
  readonly #view: TransactionView;
  #unlisten: (() => void) | undefined;

  /** Use `store.begin()` or `store.transact()`. */
  constructor(parts: {
    readonly access: StoreAccess;
    readonly committer: Committer;
    readonly counter: number;
    readonly options: BeginOptions;
    readonly onEnd: () => void;
  }) {
    this.#access = parts.access;
    this.#committer = parts.committer;
    this.#counter = parts.counter;
    this.#options = parts.options;
    this.#onEnd = parts.onEnd;
    this.id = transactionId({ owner: parts.committer.state.ownerNumber, counter: parts.counter });
    const { signal } = parts.options;
    const { inlineLimitBytes = this.#access.inlineLimitBytes } = parts.options;
    this.#held = new HeldOperations(this.#access, this.id, { signal, inlineLimitBytes });
    this.#view = new TransactionView(this.#access, this.#held);
    checkSignal('begin', signal);
    if (signal === undefined) return;
    signal.throwIfAborted();
    this.#cancel = new Int32Array(new SharedArrayBuffer(4));
    const listener = (): void => {
      Atomics.store(this.#cancel!, 0, 1);
    };
    signal.addEventListener('abort', listener, { once: true });
    this.#unlisten = () => signal.removeEventListener('abort', listener);
  }

  get state(): TransactionState {
    return this.#state;
  }

  /**
   * Writes a whole file, replacing what is there. Missing parents are created in the same transaction. Streams and large
   * content are staged while the returned promise is pending; small content returns at once.
   *
   * @throws StoreError ERR_PATH_ESCAPE, ERR_PATH_RESERVED, ERR_INVALID_PATH, ERR_TOO_LARGE, ERR_NO_SPACE
   */
  writeFile(
    path: string | URL,
    data: Data,
    options: FileOptions | BufferEncoding = {},
  ): void | Promise<void> {
    const { encoding, backup, ...rest } = fileOptions('writeFile', options);
    const target = this.#path(path, 'writeFile');
    checkMode('writeFile', rest.mode);
    checkRevision('writeFile', rest.ifRevision);
    checkFlags('writeFile', rest, ['ifAbsent', 'force', 'parents']);
    const backupPath =
      backup === undefined || backup === false ? undefined : this.#backupPath(target, backup);
    return this.#held.hold('writeFile', target, data, encoding, (content) => ({
      type: 'write',
      path: target,
      content,
      options: { ...rest, ...(backupPath === undefined ? {} : { backup: backupPath }) },
    }));
  }

  /** Adds to the end of a file, creating it if needed. The file is replaced as a whole, like everything else. */
  appendFile(
    path: string | URL,
    data: Data,
    options:
      | { readonly encoding?: BufferEncoding; readonly mode?: number; readonly parents?: boolean }
      | BufferEncoding = {},
  ): void | Promise<void> {
    const { encoding, ...rest } = fileOptions('appendFile', options);
    const target = this.#path(path, 'appendFile');
    checkMode('appendFile', rest.mode);
    checkFlags('appendFile', rest, ['parents']);
    return this.#held.hold('appendFile', target, data, encoding, (content) => ({
      type: 'append',
      path: target,
      content,
      options: rest,
    }));
  }

  copyFile(
    from: string | URL,
    to: string | URL,
    options: { readonly parents?: boolean; readonly ifAbsent?: boolean } = {},
  ): void {
    checkFlags('copyFile', options, ['parents', 'ifAbsent']);
    this.#add({
      type: 'copy',
      from: this.#path(from, 'copyFile'),
      path: this.#path(to, 'copyFile'),
      options: options ?? {},
    });
  }

  /** Moves a file (replacing one at `to`) or a directory (`to` must be free). */
  rename(from: string | URL, to: string | URL, options: { readonly parents?: boolean } = {}): void {
    checkFlags('rename', options, ['parents']);
    this.#add({
      type: 'rename',
      from: this.#path(from, 'rename'),
      path: this.#path(to, 'rename'),
      options: options ?? {},
    });
  }

  rm(path: string | URL, options: RemoveOptions = {}): void {
    checkFlags('rm', options, ['recursive', 'force']);
    this.#add({ type: 'remove', path: this.#path(path, 'rm'), options: options ?? {} });
  }

  mkdir(path: string | URL, options: { readonly recursive?: boolean; readonly mode?: number } = {}): void {
    checkFlags('mkdir', options, ['recursive']);
    checkMode('mkdir', options?.mode);
    this.#add({ type: 'make-directory', path: this.#path(path, 'mkdir', true), options: options ?? {} });
  }

  put(collection: string, key: string, value: unknown): void {
    checkEntry('put', collection, key);
    if (value === undefined) throw new InvalidArgumentError('put', 'a value cannot be undefined; use delete');
    this.#add({ type: 'put', collection, key, value: packEntryValue(value) });
  }

  delete(collection: string, key: string): void {
    checkEntry('delete', collection, key);
    this.#add({ type: 'delete', collection, key });
  }

  /** The value of an entry, as this transaction sees it; the read is tracked. */
  async get(collection: string, key: string): Promise<unknown> {
    checkEntry('get', collection, key);
    this.#assertActive('get');
    return await this.#view.get(collection, key);
  }

  /** Entries of a collection in key order, as this transaction sees them; the range is tracked. */
  async range(collection: string, options: RangeOptions = {}): Promise<[key: string, value: unknown][]> {
    const range = checkRange('range', collection, options);
    this.#assertActive('range');
    await this.#access.settled();
    return this.#view.range(range);
  }

  /** Reads a file as this transaction sees it. The read is tracked: if it changes before the commit, that conflicts. */
  async readFile(path: string | URL): Promise<Buffer>;
  async readFile(
    path: string | URL,
    encoding: BufferEncoding | { encoding: BufferEncoding },
  ): Promise<string>;
  async readFile(path: string | URL, options?: ReadOptions): Promise<Buffer | string>;
  async readFile(path: string | URL, options?: ReadOptions): Promise<Buffer | string> {
    const encoding = encodingOf('readFile', options);
    const target = this.#path(path, 'readFile');
    const content = (await this.#readAll([target], 'readFile')).get(target);
    if (content === undefined) throw missing('readFile', target);
    return decoded(content, encoding);
  }

  /** Reads several files of one moment. Keys are the paths as they were given. */
  async readFiles(paths: Iterable<string>): Promise<Map<string, Buffer>>;
  async readFiles(
    paths: Iterable<string>,
    encoding: BufferEncoding | { encoding: BufferEncoding },
  ): Promise<Map<string, string>>;
  async readFiles(paths: Iterable<string>, options?: ReadOptions): Promise<Map<string, Buffer | string>> {
    const encoding = encodingOf('readFiles', options);
    const asked = checkPaths('readFiles', paths).map(
      (path) => [path, this.#path(path, 'readFiles')] as const,
    );
    const contents = await this.#readAll(
      asked.map(([, target]) => target),
      'readFiles',
    );
    const result = new Map<string, Buffer | string>();
    for (const [path, target] of asked) {
      const content = contents.get(target);
      if (content === undefined) throw missing('readFiles', target);
      result.set(path, decoded(content, encoding));
    }
    return result;
  }

  async exists(path: string | URL): Promise<boolean> {
    const target = this.#path(path, 'exists', true);
    this.#assertActive('exists');
    await this.#readable();
    return await coded({ op: 'exists', path: target }, () => this.#view.exists(target));
  }

  /** As `store.stat`, of what this transaction sees; what it has written itself has no revision yet. */
  async stat(path: string | URL): Promise<StoreStat> {
    const target = this.#path(path, 'stat', true);
    await this.#readable();
    return await coded({ op: 'stat', path: target }, () => this.#view.stat(target));
  }

  /** Names in a directory, sorted, as this transaction sees it. The listing is tracked. */
  async readdir(path: string | URL, options: ReaddirOptions = {}): Promise<string[]> {
    checkFlags('readdir', options, ['recursive']);
    const asked = this.#path(path, 'readdir', true);
    await this.#readable();
    return await coded({ op: 'readdir', path: asked }, () => this.#view.readdir(asked, options ?? {}));
  }

  savepoint(): Savepoint {
    this.#assertActive('savepoint');
    const { count } = this.#held;
    return {
      rollback: () => {
        this.#assertActive('rollback');
        this.#held.takeBack(count);
      },
    };
  }

  /**
   * Commits all or nothing. With `full` durability it resolves when the changes are durable, atomic and visible.
   *
   * @throws StoreError ERR_CONFLICT, ERR_EXTERNAL_EDIT, ERR_STORE_LOCKED, ERR_NO_SPACE, ERR_APPLY_ROLLED_BACK,
   * ERR_APPLY_BLOCKED, ERR_STORE_POISONED and those of the operations
   */
  async commit(): Promise<Commit> {
    this.#assertActive('commit');
    await this.#settled();
    this.#assertActive('commit');
    this.#state = 'committing';
    const relaxed = (this.#options.durability ?? this.#access.durability) === 'relaxed';
    const { materialize } = this.#options;
    const deferred = materialize === undefined ? this.#access.deferred : materialize === 'deferred';
    const request = {
      counter: this.#counter,
      operations: packOperations(this.#held.operations),
      reads: this.#view.reads,
      relaxed,
      ...(deferred ? { deferred } : {}),
      ...(this.#options.inlineLimitBytes === undefined
        ? {}
        : { inlineLimitBytes: this.#options.inlineLimitBytes }),
      ...(this.#options.history === false ? { history: false as const } : {}),
      ...(this.#cancel === undefined ? {} : { cancel: this.#cancel }),
    };
    try {
      const traced = { root: this.#access.roots.root, transaction: this.id };
      const commit = await tracePromise('commit', traced, () =>
        relaxed
          ? this.#access.commitRelaxed(this.#committer, request, {
              id: this.id,
              failed: () => this.#held.removeStaged(),
            })
          : tracePromise('apply', traced, () => this.#committer.commit(request)),
      );
      this.#state = relaxed || deferred ? 'committed' : 'applied';
      // Content that no operation has adopted is of writes that a savepoint took back.
      await this.#held.committed(request.operations);
      return commit;
    } catch (error) {
      this.#state = isStoreError(error, 'ERR_APPLY_BLOCKED') ? 'blocked' : 'aborted';
      // Where the outcome is unknown nothing may be deleted: reopening decides.
      if (isStoreError(error) && committedCodes.has(error.code)) await this.#held.ended();
      if (!isStoreError(error, 'ERR_STORE_POISONED') && this.#state === 'aborted')
        await this.#held.forgotten();
      if (isStoreError(error, 'ERR_ABORTED')) throw aborted({ op: 'commit' }, this.#options.signal?.reason);
      throw error;
    } finally {
      this.#end();
    }
  }

  /** Forgets everything; nothing was changed. Does nothing once committed. */
  async abort(): Promise<void> {
    if (this.#state !== 'active') return;
    this.#state = 'aborted';
    await Promise.allSettled(this.#held.pending);
    await this.#held.forgotten();
    this.#end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }

  #end(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
    this.#onEnd();
  }

  #assertActive(op: string): void {
    if (this.#state === 'active') return;
    throw new InvalidArgumentError(op, `transaction ${this.id} is ${this.#state}`);
  }

  #path(path: string | URL, op: string, mayBeRoot = false): StorePath {
    this.#assertActive(op);
    return this.#access.parse(path, op, mayBeRoot);
  }

  #backupPath(target: StorePath, backup: true | string): StorePath {
    const path = this.#access.parse(backup === true ? `${target}.bak` : backup, 'writeFile', false);
    if (path !== target) return path;
    throw new InvalidArgumentError('writeFile', 'the backup must have another path than the file');
  }

  async #readAll(paths: readonly StorePath[], op: string): Promise<Map<StorePath, Buffer>> {
    this.#assertActive(op);
    await this.#readable();
    return await coded({ op, path: paths[0] }, () => this.#view.readAll(paths, op));
  }

  #add(operation: HeldOperation): void {
    this.#assertActive(operation.type);
    this.#held.add(operation);
  }

  /** Waits until there is no write that a read must see and cannot yet. */
  async #readable(): Promise<void> {
    await this.#settled();
    await this.#access.settled();
  }

  /** Waits until every stream has been staged; fails as the first that failed did. */
  async #settled(): Promise<void> {
    while (this.#held.pending.size > 0) await Promise.allSettled(this.#held.pending);
    const { failure } = this.#held;
    if (failure === undefined) return;
    await this.abort();
    throw failure.error;
  }
}

/** For undo: content with the mode and owner that it had, whatever stands there now. */
export function restoreFile(
  tx: Transaction,
  path: StorePath,
  data: Data,
  like: FileStat,
): void | Promise<void> {
  return restoreContent(tx, path, data, like);
}

/** For undo: what is no file and that history keeps. */
export function restoreLink(tx: Transaction, path: StorePath, kept: KeptLink): void {
  restoreKept(tx, path, kept);
}

/** For undo: that there is this symbolic link, socket, pipe or device, and not what it leads to. */
export function trackLink(tx: Transaction, path: StorePath): Promise<void> {
  return trackLinkItself(tx, path);
}

/** For undo: a directory with exactly the mode that it had, and all that is kept of what it held. */
export function restoreDirectory(tx: Transaction, path: StorePath, source: TreeSource): Promise<void> {
  return restoreTree(tx, path, source);
}

/** For undo: a directory with exactly the mode that it had, and nothing in it. */
export function makeDirectory(tx: Transaction, path: StorePath, mode: number | undefined): void {
  makeExactly(tx, path, mode);
}

/** For undo: a directory that holds exactly this. */
export function removeDirectory(tx: Transaction, path: StorePath, expected: readonly Listed[]): void {
  removeTree(tx, path, expected);
}
