/**
 * What a transaction sees: its own writes over what is there, files and entries. What it reads of the latter is tracked,
 * so that the commit can tell whether it still stands.
 */

import { rowOf } from '../commit/file-row.js';
import { newestRevision } from '../commit/revision.js';
import { StoreError } from '../errors.js';
import { eachPiece } from '../files/content.js';
import type { FileStat } from '../files/file-system.js';
import { listDirectory, type ReaddirOptions } from '../files/listing.js';
import { absolutePath, ancestors, isBelow, type StorePath } from '../path/path.js';
import { baseTree, directoryDigest } from '../plan/base-tree.js';
import { lockBehind } from '../plan/named-paths.js';
import type { Content, Operation, TrackedRead } from '../plan/operation.js';
import { isFileOperation, replacedIn, resolveOperation } from '../plan/resolution.js';
import { type FileNode, WorkingTree } from '../plan/working-tree.js';
import { fingerprintOf } from '../record/image.js';
import { parseEntryKey } from '../record/key.js';
import { entryRow } from '../record/rows.js';
import { asBuffer } from '../record/text.js';
import { falseBelowFile, missing } from './absence.js';
import { digestOf, type EntriesRead, isInRange, rowsInRange } from './collection-range.js';
import { type HeldOperations, packOperations } from './held-operations.js';
import { checksumOfRead, type ReadFile } from './reader.js';
import type { StoreAccess } from './store-access.js';
import { statOfNode, statOfRead, type StoreStat } from './store-stat.js';

/** Longer than a file system's clock stands still. */
const clockGrainMs = 50;
/** As often, a millisecond apart or more, those are waited for who are about to change what writes stand on. */
const lookAgainMax = 1000;

/** The tree as the first `count` operations of that version leave it. */
interface Written {
  readonly version: number;
  readonly count: number;
  readonly tree: WorkingTree;
  /** What was seen on the disk; good for one look. */
  readonly looked: Map<StorePath, FileStat | undefined>;
}

export class TransactionView {
  readonly #access: StoreAccess;
  readonly #held: HeldOperations;
  readonly #reads: TrackedRead[] = [];
  #written: Written | undefined;

  constructor(access: StoreAccess, held: HeldOperations) {
    this.#access = access;
    this.#held = held;
  }

  get reads(): readonly TrackedRead[] {
    return this.#reads;
  }

  async get(collection: string, key: string): Promise<unknown> {
    const own = this.#entryOperations(collection).findLast((each) => each.key === key);
    if (own?.type === 'put') return this.#access.unpack(own.value);
    if (own?.type === 'delete') return undefined;
    await this.#access.settled();
    const entry = this.#access.entry(collection, key);
    this.#reads.push({ kind: 'entry', collection, key, revision: entry?.revision });
    return entry === undefined ? undefined : this.#access.unpack(entry.value);
  }

  range(range: EntriesRead): [key: string, value: unknown][] {
    const own = new Map(this.#entryOperations(range.collection).map((each) => [each.key, each]));
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

  async exists(target: StorePath): Promise<boolean> {
    const tree = await this.#tree();
    return await falseBelowFile(async () => {
      const at = this.#resolve(target, 'exists', tree);
      if (tree !== undefined && isChanged(tree, at)) return tree.typeAt(at) !== 'absent';
      const [read] = await this.#access.reader.readSet([target], { op: 'exists', only: 'stat' });
      this.#track(read!);
      return read!.stat !== undefined;
    });
  }

  async stat(target: StorePath): Promise<StoreStat> {
    const tree = await this.#tree();
    const at = this.#resolve(target, 'stat', tree);
    const seen = tree !== undefined && isChanged(tree, at) ? tree.look(at) : undefined;
    if (seen?.node !== undefined) return statOfNode(seen.node, at);
    const [read] = await this.#access.reader.readSet([seen?.base ?? target], { op: 'stat', only: 'stat' });
    this.#track(read!);
    if (read!.stat === undefined) throw missing('stat', target);
    return statOfRead(read!);
  }

  /** What stands at this very path. */
  trackLink(path: StorePath): void {
    const { log, fileSystem, roots, folding } = this.#access;
    const { revision, since } = log.view((view) => ({
      revision: rowOf(view, path, folding)?.revision,
      since: newestRevision(view),
    }));
    const stat = fileSystem.lstat(absolutePath(path, roots));
    const fingerprint = stat === undefined ? {} : { fingerprint: fingerprintOf(stat) };
    this.#reads.push({ kind: 'file', path, revision, since, ...fingerprint });
  }

  async readdir(asked: StorePath, options: ReaddirOptions): Promise<string[]> {
    const tree = (await this.#tree()) ?? new WorkingTree(baseTree(this.#access));
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
      options,
    );
  }

  async readAll(paths: readonly StorePath[], op: string): Promise<Map<StorePath, Buffer>> {
    const tree = await this.#tree();
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
    for (const part of node.parts) parts.push(part.kind === 'bytes' ? part.bytes : this.#stagedBytes(part));
    return Buffer.concat(parts);
  }

  #stagedBytes({ volume, name }: Extract<Content, { kind: 'staged' }>): Uint8Array {
    const { fileSystem, stagingPlaces } = this.#access;
    const pieces: Uint8Array[] = [];
    const descriptor = fileSystem.openRead(`${stagingPlaces.place(volume).directory}/${name}`);
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
    const base = isNewParent(tree, path)
      ? path
      : node === undefined
        ? tree.basePath(path)
        : node.type === 'directory'
          ? node.origin
          : undefined;
    if (base === undefined) return;
    const since = this.#access.log.view(newestRevision);
    this.#reads.push({
      kind: 'directory',
      path: base,
      names: directoryDigest(baseTree(this.#access), base),
      since,
    });
  }

  /** As soon as nobody else is about to change what its writes stand on, and would refuse them. */
  async #tree(): Promise<WorkingTree | undefined> {
    const { log, folding, reader } = this.#access;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return this.#treeNow();
      } catch (error) {
        const operations = packOperations(this.#held.operations).filter(isFileOperation);
        const lock = log.view((view) => lockBehind(error, view, { operations, folding }));
        if (lock === undefined || attempt === lookAgainMax || !(await reader.awaitLock(lock))) throw error;
      }
    }
  }

  /** The tree with this transaction's writes, if it has any. What was written since the last look is added to it. */
  #treeNow(): WorkingTree | undefined {
    const { version, count } = this.#held;
    if (this.#written?.version !== version) {
      const looked = new Map<StorePath, FileStat | undefined>();
      const tree = new WorkingTree(baseTree(this.#access, looked));
      this.#written = { version, tree, looked, count: 0 };
    }
    const written = this.#written;
    const { tree, looked } = written;
    this.#access.resolver.forget();
    looked.clear();
    const fresh = this.#held.operationsFrom(written.count);
    // One that is refused leaves the tree half done.
    this.#written = undefined;
    for (const operation of packOperations(fresh).filter(isFileOperation))
      tree.apply(resolveOperation(this.#access, operation, { tree }));
    this.#written = { ...written, count };
    return tree.changed.size === 0 ? undefined : tree;
  }

  /** A symbolic link that this transaction has removed or replaced is followed no more. */
  #resolve(path: StorePath, op: string, tree: WorkingTree | undefined): StorePath {
    const resolved = this.#access.resolve(path, op, tree === undefined ? undefined : replacedIn(tree));
    return resolved.via !== undefined && tree?.changed.has(resolved.via) === true
      ? resolved.via
      : resolved.path;
  }

  #entryOperations(collection: string): Extract<Operation, { type: 'put' | 'delete' }>[] {
    return this.#held.operations.filter(
      (each): each is Extract<Operation, { type: 'put' | 'delete' }> =>
        (each.type === 'put' || each.type === 'delete') && each.collection === collection,
    );
  }
}

/** What is below a missing parent is as others leave it: they may have made the same one meanwhile. */
function isChanged(tree: WorkingTree, path: StorePath): boolean {
  if (tree.changed.has(path) || [...tree.changed.keys()].some((changed) => isBelow(changed, path)))
    return true;
  if (tree.basePath(path) === path) return false;
  const nearest = ancestors(path).find((ancestor) => tree.changed.has(ancestor));
  return nearest === undefined || !isNewParent(tree, nearest);
}

/** A directory that is made only because something below it is, where there was nothing. */
function isNewParent(tree: WorkingTree, path: StorePath): boolean {
  const node = tree.changed.get(path);
  return node?.type === 'directory' && node.implicit === true && tree.base.stat(path) === undefined;
}
