/**
 * A transaction as its user holds it: collects operations, reads its own writes, tracks what it has read, and hands all
 * of it to the committer at once. Nothing is visible before `commit` resolves; disposed without commit it is aborted.
 */

import type { Committer } from './committer.js';
import type { Commit } from './engine.js';
import { InvalidArgumentError, isStoreError, StoreError } from './errors.js';
import { aborted, type Data, isStream, stageContent } from './content-staging.js';
import { eachPiece } from './content.js';
import { packEntryValue } from './frame.js';
import { fingerprintOf } from './image.js';
import type { Content, Operation, RemoveOptions, TrackedRead, WriteOptions } from './operation.js';
import type { StorePath } from './path.js';
import { baseTree, directoryDigest, resolveOperation } from './planner.js';
import { listDirectory, type ReaddirOptions } from './listing.js';
import { checksumOfRead, type ReadFile } from './reader.js';
import { type TransactionId, transactionId } from './record.js';
import type { StoreAccess } from './store-access.js';
import { statOfNode, statOfRead, type StoreStat } from './store-stat.js';
import { asBuffer, checkEncoding, decoded, encodingOf, type ReadOptions } from './text.js';
import { type FileNode, WorkingTree } from './working-tree.js';

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

type HeldContent = Content | { readonly kind: 'text'; readonly text: string; readonly encoding: BufferEncoding };
type HeldOperation =
  | Exclude<Operation, { readonly type: 'write' | 'append' }>
  | (Omit<Extract<Operation, { type: 'write' }>, 'content'> & { readonly content: HeldContent })
  | (Omit<Extract<Operation, { type: 'append' }>, 'content'> & { readonly content: HeldContent });

export class Transaction implements AsyncDisposable {
  readonly id: TransactionId;
  readonly #access: StoreAccess;
  readonly #committer: Committer;
  readonly #counter: number;
  readonly #options: BeginOptions;
  readonly #cancel: Int32Array | undefined;
  readonly #onEnd: () => void;
  #state: TransactionState = 'active';
  /** Places are taken in call order; a stream fills its place when it has been read. */
  #operations: (HeldOperation | undefined)[] = [];
  readonly #reads: TrackedRead[] = [];
  readonly #pending = new Set<Promise<unknown>>();
  readonly #stagedNames: string[] = [];
  #failure: unknown;
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
  writeFile(path: string | URL, data: Data, options: FileOptions | BufferEncoding = {}): void | Promise<void> {
    const { encoding, backup, ...rest } = typeof options === 'string' ? { encoding: options } : options;
    const target = this.#path(path, 'writeFile');
    checkMode('writeFile', rest.mode);
    checkRevision('writeFile', rest.ifRevision);
    const backupPath = backup === undefined || backup === false ? undefined : this.#backupPath(target, backup);
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
    options: { readonly encoding?: BufferEncoding; readonly mode?: number; readonly parents?: boolean } | BufferEncoding = {},
  ): void | Promise<void> {
    const { encoding, ...rest } = typeof options === 'string' ? { encoding: options } : options;
    const target = this.#path(path, 'appendFile');
    checkMode('appendFile', rest.mode);
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
    this.#add({ type: 'copy', from: this.#path(from, 'copyFile'), path: this.#path(to, 'copyFile'), options });
  }

  /** Moves a file (replacing one at `to`) or a directory (`to` must be free). */
  rename(from: string | URL, to: string | URL, options: { readonly parents?: boolean } = {}): void {
    this.#add({ type: 'rename', from: this.#path(from, 'rename'), path: this.#path(to, 'rename'), options });
  }

  rm(path: string | URL, options: RemoveOptions = {}): void {
    this.#add({ type: 'remove', path: this.#path(path, 'rm'), options });
  }

  mkdir(path: string | URL, options: { readonly recursive?: boolean; readonly mode?: number } = {}): void {
    checkMode('mkdir', options.mode);
    this.#add({ type: 'make-directory', path: this.#path(path, 'mkdir', true), options });
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
  get(collection: string, key: string): Promise<unknown> {
    checkEntry('get', collection, key);
    this.#assertActive('get');
    const own = this.#operations.findLast(
      (each) =>
        (each?.type === 'put' || each?.type === 'delete') && each.collection === collection && each.key === key,
    );
    if (own?.type === 'put') return Promise.resolve(this.#access.unpack(own.value));
    if (own?.type === 'delete') return Promise.resolve(undefined);
    const entry = this.#access.entry(collection, key);
    this.#reads.push({ kind: 'entry', collection, key, revision: entry?.revision });
    return Promise.resolve(entry === undefined ? undefined : this.#access.unpack(entry.value));
  }

  /** Reads a file as this transaction sees it. The read is tracked: if it changes before the commit, that conflicts. */
  async readFile(path: string | URL): Promise<Buffer>;
  async readFile(path: string | URL, encoding: BufferEncoding | { encoding: BufferEncoding }): Promise<string>;
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
  async readFiles(paths: Iterable<string>, encoding: BufferEncoding | { encoding: BufferEncoding }): Promise<Map<string, string>>;
  async readFiles(paths: Iterable<string>, options?: ReadOptions): Promise<Map<string, Buffer | string>> {
    const encoding = encodingOf('readFiles', options);
    const asked = [...paths].map((path) => [path, this.#path(path, 'readFiles')] as const);
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
    const tree = this.#tree();
    if (tree !== undefined && isChanged(tree, this.#access.resolve(target))) {
      return tree.typeAt(this.#access.resolve(target)) !== 'absent';
    }
    const [read] = await this.#access.reader.readSet([target], { op: 'exists', only: 'stat' });
    this.#track(read!);
    return read!.stat !== undefined;
  }

  /** As `store.stat`, of what this transaction sees; what it has written itself has no revision yet. */
  async stat(path: string | URL): Promise<StoreStat> {
    const target = this.#path(path, 'stat', true);
    await this.#settled();
    const at = this.#access.resolve(target);
    const tree = this.#tree();
    const seen = tree !== undefined && isChanged(tree, at) ? tree.look(at) : undefined;
    if (seen?.node !== undefined) return statOfNode(seen.node, at);
    const [read] = await this.#access.reader.readSet([seen?.base ?? target], { op: 'stat', only: 'stat' });
    this.#track(read!);
    if (read!.stat === undefined) throw missing('stat', target);
    return statOfRead(read!);
  }

  /** Names in a directory, sorted, as this transaction sees it. The listing is tracked. */
  async readdir(path: string | URL, options: ReaddirOptions = {}): Promise<string[]> {
    const target = this.#access.resolve(this.#path(path, 'readdir', true));
    await this.#settled();
    const tree = this.#tree() ?? new WorkingTree(baseTree(this.#access));
    return listDirectory(
      {
        typeOf: (at) => tree.typeAt(at),
        children: (at) => {
          if (!isChanged(tree, at)) {
            this.#reads.push({ kind: 'directory', path: at, names: directoryDigest(baseTree(this.#access), at) });
          }
          return tree.children(at);
        },
      },
      target,
      options,
    );
  }

  savepoint(): Savepoint {
    this.#assertActive('savepoint');
    const length = this.#operations.length;
    return {
      rollback: () => {
        this.#assertActive('rollback');
        if (this.#operations.length > length) this.#operations.length = length;
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
      const commit = relaxed
        ? await this.#access.commitRelaxed(this.#committer, request, this.id)
        : await this.#committer.commit(request);
      this.#state = relaxed ? 'committed' : 'applied';
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
    return backup === true ? `${target}.bak` : this.#access.parse(backup, 'writeFile', false);
  }

  #add(operation: HeldOperation): void {
    this.#assertActive(operation.type);
    this.#operations.push(operation);
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
      if (data.length * 3 <= handedOverBytesMax || Buffer.byteLength(data, encoding) <= handedOverBytesMax) {
        this.#checkSize(op, path, Buffer.byteLength(data, encoding));
        this.#operations.push(make({ kind: 'text', text: data, encoding }));
        return;
      }
      return this.#stage(op, path, Buffer.from(data, encoding), make);
    }
    if (data instanceof Uint8Array && data.byteLength <= handedOverBytesMax) {
      this.#checkSize(op, path, data.byteLength);
      // What the caller does to its buffer afterwards is not part of this transaction.
      this.#operations.push(make({ kind: 'bytes', bytes: Uint8Array.prototype.slice.call(data) }));
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
    const place = this.#operations.push(undefined) - 1;
    const operations = this.#operations;
    const name = `${this.id}-s${this.#stagedNames.length.toString(36)}`;
    this.#stagedNames.push(name);
    if (data instanceof Uint8Array) this.#checkSize(op, path, data.byteLength);
    const staging = stageContent(data, {
      fileSystem: this.#access.asyncFileSystem,
      directory: this.#access.stagedDirectory,
      name,
      inlineBytesMax: this.#access.inlineLimitBytes,
      sizeBytesMax: this.#access.maxFileBytes,
      signal: this.#options.signal,
      op,
      path,
    }).then(
      (content) => {
        operations[place] = make(content);
      },
      (error: unknown) => {
        this.#failure ??= error;
        throw error;
      },
    );
    this.#pending.add(staging);
    const done = (): void => {
      this.#pending.delete(staging);
    };
    staging.then(done, done);
    return staging;
  }

  /** Waits until every stream has been staged; fails as the first that failed did. */
  async #settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    if (this.#failure === undefined) return;
    const failure = this.#failure;
    await this.abort();
    throw failure;
  }

  async #removeStaged(): Promise<void> {
    for (const name of this.#stagedNames) {
      // What is not there was small or never came to be; what cannot be removed is swept by the next open.
      await this.#access.asyncFileSystem.unlink(`${this.#access.stagedDirectory}/${name}`).catch(() => undefined);
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
    for (const operation of operations) tree.apply(resolveOperation(this.#access, operation));
    return tree;
  }

  async #readAll(paths: readonly StorePath[], op: string): Promise<Map<StorePath, Buffer>> {
    this.#assertActive(op);
    await this.#settled();
    const tree = this.#tree();
    const result = new Map<StorePath, Buffer>();
    const outside: { asked: StorePath; from: StorePath }[] = [];
    for (const path of paths) {
      const at = this.#access.resolve(path);
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
    for (const part of node.parts) parts.push(part.kind === 'bytes' ? part.bytes : this.#stagedBytes(part.name));
    return Buffer.concat(parts);
  }

  #stagedBytes(name: string): Uint8Array {
    const { fileSystem, stagedDirectory } = this.#access;
    const pieces: Uint8Array[] = [];
    const descriptor = fileSystem.openRead(`${stagedDirectory}/${name}`);
    try {
      eachPiece(fileSystem, descriptor, (piece) => pieces.push(Uint8Array.from(piece)));
    } finally {
      fileSystem.close(descriptor);
    }
    return Buffer.concat(pieces);
  }

  #track(read: ReadFile): void {
    const { path, revision, stat } = read;
    if (stat === undefined) {
      this.#reads.push({ kind: 'file', path, revision });
      return;
    }
    if (stat.type !== 'file') return;
    const checksum = checksumOfRead(read);
    this.#reads.push({
      kind: 'file',
      path,
      revision,
      fingerprint: fingerprintOf(stat),
      ...(checksum === undefined ? {} : { checksum }),
    });
  }
}

function isChanged(tree: WorkingTree, path: StorePath): boolean {
  return tree.changed.has(path) || tree.basePath(path) !== path || [...tree.changed.keys()].some((changed) => changed.startsWith(`${path}/`) || path === '');
}

/** All small contents in one buffer, which then moves to the committer's thread as it is. */
function packOperations(held: readonly (HeldOperation | undefined)[]): Operation[] {
  let size = 0;
  for (const operation of held) if (operation !== undefined && 'content' in operation) size += heldSize(operation.content);
  const buffer = new Uint8Array(size);
  let position = 0;
  const operations: Operation[] = [];
  for (const operation of held) {
    if (operation === undefined) continue;
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
    else Buffer.from(buffer.buffer, position, bytes.byteLength).write(content.text, content.encoding);
    position += bytes.byteLength;
    operations.push({ ...operation, content: { kind: 'bytes', bytes } });
  }
  return operations;
}

function heldSize(content: HeldContent): number {
  switch (content.kind) {
    case 'text':
      return Buffer.byteLength(content.text, content.encoding);
    case 'bytes':
      return content.bytes.byteLength;
    case 'staged':
      return 0;
  }
}

export function missing(op: string, path: StorePath): StoreError {
  return new StoreError('ERR_NOT_FOUND', `There is nothing at '${path}'`, { op, path });
}

function checkMode(op: string, mode: number | undefined): void {
  if (mode === undefined || (Number.isInteger(mode) && mode >= 0 && mode <= 0o7777)) return;
  throw new InvalidArgumentError(op, 'mode must be an integer from 0 to 0o7777');
}

function checkRevision(op: string, revision: number | undefined): void {
  if (revision === undefined || (Number.isSafeInteger(revision) && revision >= 0)) return;
  throw new InvalidArgumentError(op, 'ifRevision must be a revision, as commits and stat give it');
}

export function checkEntry(op: string, collection: unknown, key: unknown): void {
  if (typeof collection !== 'string' || collection === '' || collection.includes('\0')) {
    throw new InvalidArgumentError(op, 'a collection has a name, without NUL');
  }
  if (typeof key !== 'string' || key === '') throw new InvalidArgumentError(op, 'a key is a string, not empty');
  if (Buffer.byteLength(collection) + Buffer.byteLength(key) + 1 > 1900) {
    throw new InvalidArgumentError(op, 'collection and key together have at most 1,899 bytes');
  }
}

