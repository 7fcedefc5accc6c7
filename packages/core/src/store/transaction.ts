/**
 * A transaction as its user holds it: collects operations, reads its own writes, tracks what it has read, and hands all
 * of it to the committer at once. Nothing is visible before `commit` resolves; disposed without commit it is aborted.
 */

import type { Committer } from '../committer/committer.js';
import type { Commit } from '../commit/job.js';
import { InvalidArgumentError, isStoreError, StoreError } from '../errors.js';
import {
  checkEntry,
  checkFlags,
  checkMode,
  checkPaths,
  checkRevision,
  checkSignal,
  fileOptions,
} from './check-arguments.js';
import { aborted, type Data, isStream, stageContent } from './content-staging.js';
import { eachPiece } from '../files/content.js';
import { packEntryValue } from '../record/frame.js';
import { fingerprintOf } from '../record/image.js';
import type { Content, Operation, RemoveOptions, TrackedRead, WriteOptions } from '../plan/operation.js';
import { newestRevision } from '../commit/revision.js';
import {
  checkRange,
  digestOf,
  type EntriesRead,
  isInRange,
  type RangeOptions,
  rowsInRange,
} from './collection-range.js';
import { parseEntryKey } from '../record/key.js';
import { isBelow, type StorePath } from '../path/path.js';
import { baseTree, directoryDigest } from '../plan/base-tree.js';
import { resolveOperation } from '../plan/resolution.js';
import { listDirectory, type ReaddirOptions } from '../files/listing.js';
import { checksumOfRead, type ReadFile } from './reader.js';
import { type TransactionId, transactionId } from '../record/record.js';
import { entryRow } from '../record/rows.js';
import type { StoreAccess } from './store-access.js';
import { statOfNode, statOfRead, type StoreStat } from './store-stat.js';
import { tracePromise } from './trace.js';
import { asBuffer, checkEncoding, decoded, encodingOf, type ReadOptions } from '../record/text.js';
import { type FileNode, WorkingTree } from '../plan/working-tree.js';

export type TransactionState = 'active' | 'committing' | 'committed' | 'applied' | 'aborted' | 'blocked';

export interface BeginOptions {
  readonly signal?: AbortSignal;
  readonly durability?: 'full' | 'relaxed';
}

/** A point to go back to: forgets the writes made since, not the reads. */
export interface Savepoint {
  rollback(): void;
}

export type FileOptions = WriteOptions & { readonly encoding?: BufferEncoding };

/** Content up to this size is handed to the committer; larger content is staged by the caller's thread. */
const handedOverBytesMax = 1 << 20;

/** Longer than a file system's clock stands still. */
const clockGrainMs = 50;

type HeldContent = Content | { readonly kind: 'text'; readonly text: string };
type HeldOperation =
  | Exclude<Operation, { readonly type: 'write' | 'append' }>
  | (Omit<Extract<Operation, { type: 'write' }>, 'content'> & { readonly content: HeldContent })
  | (Omit<Extract<Operation, { type: 'append' }>, 'content'> & { readonly content: HeldContent });

/** An operation has its place from the moment it was asked for; a stream fills it when it has been read. */
interface Place {
  operation?: HeldOperation;
  failure?: { readonly error: unknown };
}

export class Transaction implements AsyncDisposable {
  readonly id: TransactionId;
  readonly #access: StoreAccess;
  readonly #committer: Committer;
  readonly #counter: number;
  readonly #options: BeginOptions;
  readonly #cancel: Int32Array | undefined;
  readonly #onEnd: () => void;
  #state: TransactionState = 'active';
  readonly #places: Place[] = [];
  readonly #reads: TrackedRead[] = [];
  readonly #pending = new Set<Promise<unknown>>();
  /** Files that this thread has staged. */
  readonly #staged = new Set<string>();
  #stagings = 0;
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
    return this.#hold('writeFile', target, data, encoding, (content) => ({
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
    return this.#hold('appendFile', target, data, encoding, (content) => ({
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
    const own = this.#entryOperations(collection).findLast((each) => each.key === key);
    if (own?.type === 'put') return this.#access.unpack(own.value);
    if (own?.type === 'delete') return undefined;
    await this.#access.settled();
    const entry = this.#access.entry(collection, key);
    this.#reads.push({ kind: 'entry', collection, key, revision: entry?.revision });
    return entry === undefined ? undefined : this.#access.unpack(entry.value);
  }

  /** Entries of a collection in key order, as this transaction sees them; the range is tracked. */
  async range(collection: string, options: RangeOptions = {}): Promise<[key: string, value: unknown][]> {
    const range = checkRange('range', collection, options);
    this.#assertActive('range');
    await this.#access.settled();
    const own = new Map(this.#entryOperations(collection).map((each) => [each.key, each]));
    // What this transaction deletes makes room for more.
    const wanted: EntriesRead = own.size === 0 ? range : { ...range, limit: undefined };
    const rows = this.#access.log.view((view) => rowsInRange(view, wanted));
    this.#reads.push({ kind: 'entries', ...wanted, digest: digestOf(rows) });
    const values = new Map(
      rows.map(([key, value]) => [parseEntryKey(key).key, entryRow.decode(key, value).value]),
    );
    for (const [key, operation] of own) {
      if (!isInRange(key, range)) continue;
      if (operation.type === 'put') values.set(key, operation.value);
      else values.delete(key);
    }
    const found = [...values].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    if (range.reverse) found.reverse();
    return found.slice(0, range.limit).map(([key, value]) => [key, this.#access.unpack(value)]);
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
    const tree = this.#tree();
    return await falseBelowFile(async () => {
      const at = this.#resolve(target, 'exists', tree);
      if (tree !== undefined && isChanged(tree, at)) return tree.typeAt(at) !== 'absent';
      const [read] = await this.#access.reader.readSet([target], { op: 'exists', only: 'stat' });
      this.#track(read!);
      return read!.stat !== undefined;
    });
  }

  /** As `store.stat`, of what this transaction sees; what it has written itself has no revision yet. */
  async stat(path: string | URL): Promise<StoreStat> {
    const target = this.#path(path, 'stat', true);
    await this.#readable();
    const tree = this.#tree();
    const at = this.#resolve(target, 'stat', tree);
    const seen = tree !== undefined && isChanged(tree, at) ? tree.look(at) : undefined;
    if (seen?.node !== undefined) return statOfNode(seen.node, at);
    const [read] = await this.#access.reader.readSet([seen?.base ?? target], { op: 'stat', only: 'stat' });
    this.#track(read!);
    if (read!.stat === undefined) throw missing('stat', target);
    return statOfRead(read!);
  }

  /** Names in a directory, sorted, as this transaction sees it. The listing is tracked. */
  async readdir(path: string | URL, options: ReaddirOptions = {}): Promise<string[]> {
    checkFlags('readdir', options, ['recursive']);
    const asked = this.#path(path, 'readdir', true);
    await this.#readable();
    const tree = this.#tree() ?? new WorkingTree(baseTree(this.#access));
    const target = this.#resolve(asked, 'readdir', tree);
    return listDirectory(
      {
        typeOf: (at) => tree.typeAt(at),
        children: (at) => {
          this.#trackListing(tree, at);
          return tree.children(at);
        },
      },
      target,
      options ?? {},
    );
  }

  savepoint(): Savepoint {
    this.#assertActive('savepoint');
    const { length } = this.#places;
    return {
      rollback: () => {
        this.#assertActive('rollback');
        // A stream that is still being read fills a place that does not count any more.
        this.#places.splice(length);
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
    const request = {
      counter: this.#counter,
      operations: packOperations(this.#operations),
      reads: this.#reads,
      relaxed,
      ...(this.#cancel === undefined ? {} : { cancel: this.#cancel }),
    };
    try {
      const traced = { root: this.#access.roots.root, transaction: this.id };
      const commit = await tracePromise('commit', traced, () =>
        relaxed
          ? this.#access.commitRelaxed(this.#committer, request, {
              id: this.id,
              failed: () => this.#removeStaged(),
            })
          : tracePromise('apply', traced, () => this.#committer.commit(request)),
      );
      this.#state = relaxed ? 'committed' : 'applied';
      // Content that no operation has adopted: of writes that a savepoint took back.
      for (const operation of request.operations) {
        if ('content' in operation && operation.content.kind === 'staged')
          this.#staged.delete(operation.content.name);
      }
      await this.#removeStaged();
      return commit;
    } catch (error) {
      this.#state = isStoreError(error, 'ERR_APPLY_BLOCKED') ? 'blocked' : 'aborted';
      // Where the outcome is unknown nothing may be deleted: reopening decides.
      if (!isStoreError(error, 'ERR_STORE_POISONED') && this.#state === 'aborted') await this.#removeStaged();
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
    await Promise.allSettled(this.#pending);
    await this.#removeStaged();
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

  #add(operation: HeldOperation): void {
    this.#assertActive(operation.type);
    this.#places.push({ operation });
  }

  get #operations(): HeldOperation[] {
    return this.#places.flatMap(({ operation }) => (operation === undefined ? [] : [operation]));
  }

  #entryOperations(collection: string): Extract<Operation, { type: 'put' | 'delete' }>[] {
    return this.#operations.filter(
      (each): each is Extract<Operation, { type: 'put' | 'delete' }> =>
        (each.type === 'put' || each.type === 'delete') && each.collection === collection,
    );
  }

  #hold(
    op: string,
    path: StorePath,
    data: Data,
    encoding: BufferEncoding = 'utf8',
    make: (content: HeldContent) => HeldOperation,
  ): void | Promise<void> {
    this.#assertActive(op);
    checkEncoding(op, encoding);
    if (typeof data === 'string') {
      // Only of UTF-8 the length is known before it is encoded.
      if (!/^utf-?8$/i.test(encoding)) return this.#hold(op, path, Buffer.from(data, encoding), 'utf8', make);
      const size = Buffer.byteLength(data);
      if (size > handedOverBytesMax) return this.#stage(op, path, Buffer.from(data), make);
      this.#checkSize(op, path, size);
      this.#add(make({ kind: 'text', text: data }));
      return;
    }
    if (data instanceof Uint8Array && data.byteLength <= handedOverBytesMax) {
      this.#checkSize(op, path, data.byteLength);
      // What the caller does to its buffer afterwards is not part of this transaction.
      this.#add(make({ kind: 'bytes', bytes: Uint8Array.prototype.slice.call(data) }));
      return;
    }
    if (!(data instanceof Uint8Array) && !isStream(data)) {
      throw new InvalidArgumentError(op, 'data must be a string, a Uint8Array or a stream of these');
    }
    return this.#stage(op, path, data, make);
  }

  #checkSize(op: string, path: StorePath, size: number): void {
    const { maxFileBytes } = this.#access;
    if (maxFileBytes === undefined || size <= maxFileBytes) return;
    throw new StoreError('ERR_TOO_LARGE', `'${path}' has ${size} bytes; the limit is ${maxFileBytes}`, {
      op,
      path,
      hint: 'Raise maxFileBytes when opening the store. Nothing was changed.',
    });
  }

  #stage(
    op: string,
    path: StorePath,
    data: Exclude<Data, string>,
    make: (content: HeldContent) => HeldOperation,
  ): Promise<void> {
    if (data instanceof Uint8Array) this.#checkSize(op, path, data.byteLength);
    const place: Place = {};
    this.#places.push(place);
    const name = `${this.id}-s${(this.#stagings++).toString(36)}`;
    const run = async (): Promise<void> => {
      try {
        const content = await stageContent(data, {
          fileSystem: this.#access.asyncFileSystem,
          directory: this.#access.stagedDirectory,
          name,
          inlineBytesMax: this.#access.inlineLimitBytes,
          sizeBytesMax: this.#access.maxFileBytes,
          requireSpace: (bytes) => this.#access.requireSpace(op, bytes),
          signal: this.#options.signal,
          op,
          path,
        });
        if (content.kind === 'staged') this.#staged.add(name);
        place.operation = make(content);
      } catch (error) {
        place.failure = { error };
        throw error;
      }
    };
    const staging = run();
    this.#pending.add(staging);
    void this.#forgetWhenSettled(staging);
    return staging;
  }

  async #forgetWhenSettled(staging: Promise<void>): Promise<void> {
    await Promise.allSettled([staging]);
    this.#pending.delete(staging);
  }

  /** Waits until there is no write that a read must see and cannot yet. */
  async #readable(): Promise<void> {
    await this.#settled();
    await this.#access.settled();
  }

  /** Waits until every stream has been staged; fails as the first that failed did. */
  async #settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    const failed = this.#places.find(({ failure }) => failure !== undefined);
    if (failed?.failure === undefined) return;
    await this.abort();
    throw failed.failure.error;
  }

  async #removeStaged(): Promise<void> {
    for (const name of this.#staged) {
      // What cannot be removed is swept by the next open.
      await this.#access.asyncFileSystem
        .unlink(`${this.#access.stagedDirectory}/${name}`)
        .catch(() => undefined);
    }
  }

  /** The tree with this transaction's writes, if it has any. */
  #tree(): WorkingTree | undefined {
    const operations = packOperations(this.#operations).filter(
      (each) => each.type !== 'put' && each.type !== 'delete',
    );
    if (operations.length === 0) return undefined;
    this.#access.resolver.forget();
    const tree = new WorkingTree(baseTree(this.#access));
    for (const operation of operations) tree.apply(resolveOperation(this.#access, operation, { tree }));
    return tree;
  }

  /** A symbolic link that this transaction has removed or replaced is followed no more. */
  #resolve(path: StorePath, op: string, tree: WorkingTree | undefined): StorePath {
    const resolved = this.#access.resolve(path, op);
    return resolved.via !== undefined && tree?.changed.has(resolved.via) === true
      ? resolved.via
      : resolved.path;
  }

  async #readAll(paths: readonly StorePath[], op: string): Promise<Map<StorePath, Buffer>> {
    this.#assertActive(op);
    await this.#readable();
    const tree = this.#tree();
    const result = new Map<StorePath, Buffer>();
    const outside: { asked: StorePath; from: StorePath }[] = [];
    for (const path of paths) {
      const at = this.#resolve(path, op, tree);
      if (tree === undefined || !isChanged(tree, at)) {
        outside.push({ asked: path, from: path });
        continue;
      }
      const seen = tree.look(at);
      if (seen.node === undefined) outside.push({ asked: path, from: seen.base });
      else if (seen.node.type === 'file') result.set(path, await this.#own(seen.node, op));
      else if (seen.node.type === 'directory') {
        throw new StoreError('ERR_IS_DIRECTORY', `'${path}' is a directory`, { op, path });
      }
    }
    if (outside.length === 0) return result;
    const reads = await this.#access.reader.readSet(
      outside.map(({ from }) => from),
      { op },
    );
    for (const [index, read] of reads.entries()) {
      this.#track(read);
      if (read.content !== undefined) result.set(outside[index]!.asked, asBuffer(read.content));
    }
    return result;
  }

  /** Content that this transaction has written, with what it was added to. */
  async #own(node: FileNode, op: string): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    const begun = node.inode ?? node.copyOf;
    if (begun !== undefined) {
      const [read] = await this.#access.reader.readSet([begun], { op });
      this.#track(read!);
      if (read!.content !== undefined) parts.push(read!.content);
    }
    for (const part of node.parts)
      parts.push(part.kind === 'bytes' ? part.bytes : this.#stagedBytes(part.name));
    return Buffer.concat(parts);
  }

  #stagedBytes(name: string): Uint8Array {
    const { fileSystem, stagedDirectory } = this.#access;
    const pieces: Uint8Array[] = [];
    const descriptor = fileSystem.openRead(`${stagedDirectory}/${name}`);
    try {
      eachPiece(fileSystem, descriptor, (piece) => pieces.push(Uint8Array.prototype.slice.call(piece)));
    } finally {
      fileSystem.close(descriptor);
    }
    return Buffer.concat(pieces);
  }

  #track(read: ReadFile): void {
    const { path, revision, since, stat } = read;
    if (stat?.type === 'directory') this.#reads.push({ kind: 'directory', path, names: undefined, since });
    else if (stat === undefined) this.#reads.push({ kind: 'file', path, revision, since });
    else {
      const checksum = checksumOfRead(read);
      const recent = Number(stat.mtimeNs / 1_000_000n) > this.#access.nowMs() - clockGrainMs;
      this.#reads.push({
        kind: 'file',
        path,
        revision,
        since,
        fingerprint: fingerprintOf(stat),
        ...(checksum === undefined ? {} : { checksum }),
        ...(recent ? { recent } : {}),
      });
    }
  }

  /** Tracks what the directory on the disk holds, of which this transaction sees its own version. */
  #trackListing(tree: WorkingTree, path: StorePath): void {
    const node = tree.changed.get(path);
    const base =
      node === undefined ? tree.basePath(path) : node.type === 'directory' ? node.origin : undefined;
    if (base === undefined) return;
    const since = this.#access.log.view(newestRevision);
    this.#reads.push({
      kind: 'directory',
      path: base,
      names: directoryDigest(baseTree(this.#access), base),
      since,
    });
  }
}

function isChanged(tree: WorkingTree, path: StorePath): boolean {
  return (
    tree.changed.has(path) ||
    tree.basePath(path) !== path ||
    [...tree.changed.keys()].some((changed) => isBelow(changed, path))
  );
}

/** All small contents in one buffer, which then moves to the committer's thread as it is. */
function packOperations(held: readonly HeldOperation[]): Operation[] {
  let size = 0;
  for (const operation of held) if ('content' in operation) size += heldSize(operation.content);
  const buffer = new Uint8Array(size);
  let position = 0;
  const operations: Operation[] = [];
  for (const operation of held) {
    if (operation.type !== 'write' && operation.type !== 'append') {
      operations.push(operation);
      continue;
    }
    const { content } = operation;
    if (content.kind === 'staged') {
      operations.push({ ...operation, content });
      continue;
    }
    const bytes = buffer.subarray(position, position + heldSize(content));
    if (content.kind === 'bytes') bytes.set(content.bytes);
    else Buffer.from(buffer.buffer, position, bytes.byteLength).write(content.text);
    position += bytes.byteLength;
    operations.push({ ...operation, content: { kind: 'bytes', bytes } });
  }
  return operations;
}

function heldSize(content: HeldContent): number {
  switch (content.kind) {
    case 'text':
      return Buffer.byteLength(content.text);
    case 'bytes':
      return content.bytes.byteLength;
    case 'staged':
      return 0;
  }
}

/** Below a file there is nothing; for a question that is an answer, not an error. */
export async function falseBelowFile(look: () => Promise<boolean>): Promise<boolean> {
  try {
    return await look();
  } catch (error) {
    if (isStoreError(error, 'ERR_NOT_DIRECTORY')) return false;
    throw error;
  }
}

export function missing(op: string, path: StorePath): StoreError {
  return new StoreError('ERR_NOT_FOUND', `There is nothing at '${path}'`, { op, path });
}
