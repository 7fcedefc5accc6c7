/**
 * What a transaction has been asked to do, in order. Small content is kept in memory; streams and large content are
 * staged by the caller's thread meanwhile.
 */

import { InvalidArgumentError, StoreError } from '../errors.js';
import type { StorePath } from '../path/path.js';
import { treeSuffix } from '../commit/staged-target.js';
import { stagedStorePath } from '../files/volume.js';
import type { Content, Operation, StagedTree } from '../plan/operation.js';
import type { TransactionId } from '../record/record.js';
import { checkEncoding } from '../record/text.js';
import {
  aborted,
  type Data,
  isStream,
  stageContent,
  type StreamedData,
  stagingFailure,
} from './content-staging.js';
import type { ResumableFile } from './resumable-file.js';
import { fileOf, StagedContent } from './staged-content.js';
import type { StoreAccess } from './store-access.js';
import { removeStagedTree, stageTree, type TreeSource } from './tree-staging.js';

/** Content up to this size is handed to the committer; larger content is staged by the caller's thread. */
const handedOverBytesMax = 1 << 20;

export type HeldContent = Content | { readonly kind: 'text'; readonly text: string };
export type HeldOperation =
  | Exclude<Operation, { readonly type: 'write' | 'append' }>
  | (Omit<Extract<Operation, { type: 'write' }>, 'content'> & { readonly content: HeldContent })
  | (Omit<Extract<Operation, { type: 'append' }>, 'content'> & { readonly content: HeldContent });

/** An operation has its place from the moment it was asked for; a stream fills it when it has been read. */
interface Place {
  operation?: HeldOperation;
  failure?: { readonly error: unknown };
}

export class HeldOperations {
  readonly #access: StoreAccess;
  readonly #id: TransactionId;
  readonly #signal: AbortSignal | undefined;
  readonly #inlineLimitBytes: number;
  readonly #places: Place[] = [];
  readonly #pending = new Set<Promise<unknown>>();
  /** Files and directories that this thread has staged, by their names: where they are. */
  readonly #staged = new Map<string, string>();
  /** Staged over time, by their users. */
  readonly #resumables = new Set<ResumableFile>();
  #stagings = 0;
  #version = 0;

  constructor(
    access: StoreAccess,
    id: TransactionId,
    {
      signal,
      inlineLimitBytes,
    }: { readonly signal: AbortSignal | undefined; readonly inlineLimitBytes: number },
  ) {
    this.#access = access;
    this.#id = id;
    this.#signal = signal;
    this.#inlineLimitBytes = inlineLimitBytes;
  }

  /** Stagings that are under way. */
  get pending(): ReadonlySet<Promise<unknown>> {
    return this.#pending;
  }

  /** Of the first staging that has failed. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#places.find(({ failure }) => failure !== undefined)?.failure;
  }

  get operations(): HeldOperation[] {
    return this.operationsFrom(0);
  }

  /** Without the first `count` that were asked for. */
  operationsFrom(count: number): HeldOperation[] {
    const found: HeldOperation[] = [];
    for (let index = count; index < this.#places.length; index += 1) {
      const { operation } = this.#places[index]!;
      if (operation !== undefined) found.push(operation);
    }
    return found;
  }

  /** Another one whenever something else has happened to them than an addition at their end. */
  get version(): number {
    return this.#version;
  }

  get count(): number {
    return this.#places.length;
  }

  /** Forgets all but the first ones. A stream that is still being read fills a place that does not count any more. */
  takeBack(count: number): void {
    this.#version += 1;
    this.#places.splice(count);
  }

  add(operation: HeldOperation): void {
    this.#places.push({ operation });
  }

  hold(
    op: string,
    path: StorePath,
    data: Data,
    encoding: BufferEncoding = 'utf8',
    make: (content: HeldContent) => HeldOperation,
  ): void | Promise<void> {
    checkEncoding(op, encoding);
    if (data instanceof StagedContent) return this.#holdStaged(op, path, fileOf(data), make);
    if (typeof data === 'string') {
      // Only of UTF-8 the length is known before it is encoded.
      if (!/^utf-?8$/i.test(encoding)) return this.hold(op, path, Buffer.from(data, encoding), 'utf8', make);
      const size = Buffer.byteLength(data);
      if (size > handedOverBytesMax) return this.#stage(op, path, Buffer.from(data), make);
      this.#checkSize(op, path, size);
      this.add(make({ kind: 'text', text: data }));
      return;
    }
    if (data instanceof Uint8Array && data.byteLength <= handedOverBytesMax) {
      this.#checkSize(op, path, data.byteLength);
      // What the caller does to its buffer afterwards is not part of this transaction.
      this.add(make({ kind: 'bytes', bytes: Uint8Array.prototype.slice.call(data) }));
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
    data: Exclude<StreamedData, string>,
    make: (content: HeldContent) => HeldOperation,
  ): Promise<void> {
    if (data instanceof Uint8Array) this.#checkSize(op, path, data.byteLength);
    const name = `${this.#id}-s${(this.#stagings++).toString(36)}`;
    return this.#fill(make, async () => {
      const content = await stageContent(data, {
        fileSystem: this.#access.asyncFileSystem,
        place: () => this.#access.stagingPlaces.forFile(path),
        name,
        inlineBytesMax: this.#inlineLimitBytes,
        sizeBytesMax: this.#access.maxFileBytes,
        requireSpace: (bytes, { directory }) => this.#access.requireSpace(op, bytes, directory),
        signal: this.#signal,
        op,
        path,
      });
      if (content.kind === 'staged')
        this.#staged.set(name, `${this.#access.stagingPlaces.place(content.volume).directory}/${name}`);
      return content;
    });
  }

  /** What was staged before, and stays resumable until the commit. */
  #holdStaged(
    op: string,
    path: StorePath,
    file: ResumableFile,
    make: (content: HeldContent) => HeldOperation,
  ): Promise<void> {
    this.#checkSize(op, path, file.offset);
    file.hold(op);
    this.#resumables.add(file);
    return this.#fill(make, () => file.content());
  }

  /** For undo: a directory with all that history keeps of it. */
  holdTree(op: string, path: StorePath, source: TreeSource): Promise<void> {
    const { fileSystem, asyncFileSystem, stagingPlaces, privileged } = this.#access;
    const name = `${this.#id}-s${(this.#stagings++).toString(36)}${treeSuffix}`;
    const stage = async (): Promise<StagedTree> => {
      const { volume, directory: area } = await stagingPlaces.forFile(path);
      const bytes = source.below.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      this.#access.requireSpace(op, bytes, area);
      this.#staged.set(name, `${area}/${name}`);
      const signal = this.#signal;
      const target = { fileSystem, asyncFileSystem, area, name, path, privileged, signal };
      const listing = await stageTree(source, target).catch((error: unknown) => {
        throw signal?.aborted === true
          ? aborted({ op, path }, signal.reason)
          : stagingFailure(error, { op, path });
      });
      return { name, path: stagedStorePath(volume, name), listing };
    };
    return this.#fill((tree) => ({ type: 'restore-directory', path, tree }), stage);
  }

  #fill<Content>(make: (content: Content) => HeldOperation, stage: () => Promise<Content>): Promise<void> {
    const place: Place = {};
    this.#places.push(place);
    const run = async (): Promise<void> => {
      try {
        place.operation = make(await stage());
        this.#version += 1;
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

  /** The operations that were committed have taken over what they name; the rest stays resumable, or is removed. */
  async committed(operations: readonly Operation[]): Promise<void> {
    const names = new Set<string>();
    for (const operation of operations) {
      if ('content' in operation && operation.content.kind === 'staged') names.add(operation.content.name);
      if (operation.type === 'restore-directory') names.add(operation.tree.name);
    }
    for (const name of names) this.#staged.delete(name);
    for (const file of this.#resumables) {
      if (names.has(file.name)) await file.adopted();
      else file.letGo();
    }
    this.#resumables.clear();
    await this.removeStaged();
  }

  /** Nothing was committed. */
  async forgotten(): Promise<void> {
    for (const file of this.#resumables) file.letGo();
    this.#resumables.clear();
    await this.removeStaged();
  }

  /** It was committed, whatever became of it then: what is resumable now is to be taken up anew. */
  async ended(): Promise<void> {
    for (const file of this.#resumables) await file.abandon();
    this.#resumables.clear();
  }

  async removeStaged(): Promise<void> {
    const { fileSystem, asyncFileSystem } = this.#access;
    for (const [name, path] of this.#staged) {
      const removing = name.endsWith(treeSuffix)
        ? removeStagedTree({ fileSystem, asyncFileSystem }, path)
        : asyncFileSystem.unlink(path);
      // What cannot be removed is swept by the next open.
      await removing.catch(() => undefined);
    }
  }
}

/** All small contents in one buffer, which then moves to the committer's thread as it is. */
export function packOperations(held: readonly HeldOperation[]): Operation[] {
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
