/**
 * What the tree would look like after the operations of one transaction: a thin layer of changed nodes over the tree as
 * it is. Pure: it looks at the tree through `BaseTree` and touches nothing. The same code plans a commit and lets a
 * transaction read its own writes.
 */

import { assert } from '../assert.js';
import { StoreError } from '../errors.js';
import type { FileStat } from '../files/file-system.js';
import type { Listed } from '../record/record.js';
import type { Content, KeptLink, Operation, StagedTree } from './operation.js';
import { ancestors, baseName, isBelow, joinPath, parentPath, rebase, type StorePath } from '../path/path.js';

/** The tree as it is, by resolved paths. */
export interface BaseTree {
  stat(path: StorePath): FileStat | undefined;
  /** Names in a directory, without the store's own. */
  children(path: StorePath): readonly string[];
}

export interface FileNode {
  readonly type: 'file';
  /** The file that is at this path in the base tree is to be here, unchanged. */
  readonly inode?: StorePath | undefined;
  /** The content begins with that of this file of the base tree. */
  readonly copyOf?: StorePath | undefined;
  readonly parts: readonly Content[];
  /** Asked for explicitly. */
  readonly mode?: number | undefined;
  /** Mode and owner come from this file where nothing else says. */
  readonly like?: FileStat | undefined;
}

export interface DirectoryNode {
  readonly type: 'directory';
  /** The directory that is at this path in the base tree, moved here. */
  readonly origin?: StorePath;
  /** Made only because something below it is. */
  readonly implicit?: boolean;
  readonly mode?: number;
  /** The umask is not taken off. */
  readonly exact?: true;
  /** Its origin is in a staging area. */
  readonly tree?: StagedTree;
}

export type WorkingNode =
  | {
      readonly type: 'absent';
      /** All that the directory may hold that goes. */
      readonly expected?: readonly Listed[];
    }
  | DirectoryNode
  | FileNode
  | { readonly type: 'symlink' | 'other'; readonly inode: StorePath }
  | { readonly type: KeptLink['type']; readonly inode?: undefined; readonly kept: KeptLink };

/** What is at a path, as the transaction sees it. */
export type Seen =
  | { readonly node: WorkingNode; readonly base?: undefined; readonly stat?: undefined }
  | { readonly node?: undefined; readonly base: StorePath; readonly stat: FileStat };

const nothing: WorkingNode = Object.freeze({ type: 'absent' });

export class WorkingTree {
  readonly #base: BaseTree;
  #changed: Map<StorePath, WorkingNode>;

  constructor(base: BaseTree, changed: ReadonlyMap<StorePath, WorkingNode> = new Map()) {
    this.#base = base;
    this.#changed = new Map(changed);
  }

  get changed(): ReadonlyMap<StorePath, WorkingNode> {
    return this.#changed;
  }

  get base(): BaseTree {
    return this.#base;
  }

  /** Where the base tree holds what is at `path` now; `undefined` if it comes from this transaction. */
  basePath(path: StorePath): StorePath | undefined {
    for (const ancestor of ancestors(path)) {
      const node = this.#changed.get(ancestor);
      if (node === undefined) continue;
      if (node.type !== 'directory' || node.origin === undefined) return undefined;
      return rebase(path, ancestor, node.origin);
    }
    return path;
  }

  look(path: StorePath): Seen {
    const node = this.#changed.get(path);
    if (node !== undefined) return { node };
    const base = this.basePath(path);
    const stat = base === undefined ? undefined : this.#base.stat(base);
    return base === undefined || stat === undefined ? { node: nothing } : { base, stat };
  }

  typeAt(path: StorePath): WorkingNode['type'] {
    const seen = this.look(path);
    return seen.node === undefined ? seen.stat.type : seen.node.type;
  }

  /** Names in a directory, as the transaction sees it. */
  children(path: StorePath): string[] {
    const names = new Set<string>();
    const node = this.#changed.get(path);
    const base =
      node === undefined ? this.basePath(path) : node.type === 'directory' ? node.origin : undefined;
    if (base !== undefined) for (const name of this.#base.children(base)) names.add(name);
    for (const [changed, child] of this.#changed) {
      if (parentPath(changed) !== path) continue;
      if (child.type === 'absent') names.delete(baseName(changed));
      else names.add(baseName(changed));
    }
    return [...names].sort();
  }

  apply(operation: Exclude<Operation, { type: 'put' | 'delete' }>): void {
    switch (operation.type) {
      case 'write':
        this.#write(operation);
        break;
      case 'append':
        this.#append(operation);
        break;
      case 'copy':
        this.#copy(operation);
        break;
      case 'rename':
        this.#rename(operation);
        break;
      case 'remove':
        this.#remove(operation);
        break;
      case 'make-directory':
        this.#makeDirectory(operation);
        break;
      case 'restore-link':
        this.#restoreLink(operation);
        break;
      case 'restore-directory':
        this.#restoreDirectory(operation);
        break;
    }
  }

  #restoreDirectory({ path, tree }: Extract<Operation, { type: 'restore-directory' }>): void {
    if (this.typeAt(path) !== 'absent') throw exists('undo', path);
    this.#ensureParents('undo', path);
    this.#changed.set(path, { type: 'directory', origin: tree.path, tree });
  }

  #restoreLink({ path, kept }: Extract<Operation, { type: 'restore-link' }>): void {
    this.#refuseNonFile('undo', path);
    this.#ensureParents('undo', path);
    this.#changed.set(path, { type: kept.type, kept });
  }

  #write(operation: Extract<Operation, { type: 'write' }>): void {
    const { path, content, options } = operation;
    const seen = this.look(path);
    const type = this.typeAt(path);
    if (options.ifAbsent === true && type !== 'absent') throw exists('writeFile', path);
    this.#refuseNonFile('writeFile', path);
    this.#ensureParents('writeFile', path, options.parents);
    if (options.backup !== undefined && type === 'file') {
      this.#refuseNonFile('writeFile', options.backup);
      this.#ensureParents('writeFile', options.backup, options.parents);
      this.#changed.set(options.backup, movable(seen));
    }
    const begun = options.like === undefined ? likeOf(seen, this.#base) : { like: options.like };
    this.#changed.set(path, {
      type: 'file',
      parts: [content],
      mode: options.mode ?? begun.mode,
      like: begun.like,
    });
  }

  #append(operation: Extract<Operation, { type: 'append' }>): void {
    const { path, content, options } = operation;
    const seen = this.look(path);
    this.#refuseNonFile('appendFile', path);
    this.#ensureParents('appendFile', path, options.parents);
    const begun = contentOf(seen);
    this.#changed.set(path, {
      type: 'file',
      ...begun,
      parts: [...begun.parts, content],
      ...(seen.node?.type !== 'file' && seen.base === undefined && options.mode !== undefined
        ? { mode: options.mode }
        : {}),
      ...likeOf(seen, this.#base),
    });
  }

  #copy(operation: Extract<Operation, { type: 'copy' }>): void {
    const { from, path, options } = operation;
    const source = this.look(from);
    const type = this.typeAt(from);
    if (type === 'absent') throw notFound('copyFile', from);
    if (type === 'directory') throw isDirectory('copyFile', from);
    if (type !== 'file') throw notRegular('copyFile', from);
    if (options.ifAbsent === true && this.typeAt(path) !== 'absent') throw exists('copyFile', path);
    this.#refuseNonFile('copyFile', path);
    this.#ensureParents('copyFile', path, options.parents);
    if (from === path) return;
    const target = this.look(path);
    const like = likeOf(this.typeAt(path) === 'file' ? target : source, this.#base);
    this.#changed.set(path, { type: 'file', ...contentOf(source), ...like });
  }

  #rename(operation: Extract<Operation, { type: 'rename' }>): void {
    const { from, path, options } = operation;
    const type = this.typeAt(from);
    if (type === 'absent') throw notFound('rename', from);
    if (from === path) return;
    const destination = this.typeAt(path);
    if (type === 'directory') {
      if (isBelow(path, from)) {
        throw new StoreError(
          'ERR_INVALID_PATH',
          `Cannot move the directory '${from}' into itself ('${path}')`,
          {
            op: 'rename',
            path,
          },
        );
      }
      if (destination !== 'absent') throw exists('rename', path);
    } else {
      if (destination === 'directory') throw isDirectory('rename', path);
      if (destination === 'other') throw notRegular('rename', path);
    }
    this.#ensureParents('rename', path, options.parents);
    const moved = movable(this.look(from));
    const below =
      type === 'directory' ? [...this.#changed].filter(([changed]) => isBelow(changed, from)) : [];
    this.#vacate(from, type);
    this.#changed.set(path, moved);
    for (const [changed, node] of below) this.#changed.set(rebase(changed, from, path), node);
  }

  #remove(operation: Extract<Operation, { type: 'remove' }>): void {
    const { path, options } = operation;
    const type = this.typeAt(path);
    if (type === 'absent') {
      if (options.force === true) return;
      throw notFound('rm', path);
    }
    assert(parentPath(path) !== undefined, 'what is removed is no root');
    if (type === 'directory' && options.recursive !== true && this.children(path).length > 0) {
      throw new StoreError('ERR_NOT_EMPTY', `The directory '${path}' is not empty`, {
        op: 'rm',
        path,
        hint: 'Pass { recursive: true } to remove it with everything below it.',
      });
    }
    this.#vacate(path, type);
    if (options.expected !== undefined)
      this.#changed.set(path, { type: 'absent', expected: options.expected });
  }

  #makeDirectory(operation: Extract<Operation, { type: 'make-directory' }>): void {
    const { path, options } = operation;
    const type = this.typeAt(path);
    if (type === 'directory' && options.recursive === true) return;
    if (type !== 'absent') throw exists('mkdir', path);
    this.#ensureParents('mkdir', path, options.recursive === true);
    this.#changed.set(path, {
      type: 'directory',
      ...(options.mode === undefined ? {} : { mode: options.mode }),
      ...(options.exact === true ? { exact: true } : {}),
    });
  }

  #vacate(path: StorePath, type: WorkingNode['type']): void {
    for (const changed of type === 'directory' ? [...this.#changed.keys()] : []) {
      if (isBelow(changed, path)) this.#changed.delete(changed);
    }
    this.#changed.set(path, nothing);
  }

  #ensureParents(op: string, path: StorePath, create = true): void {
    const missing: StorePath[] = [];
    for (const ancestor of ancestors(path)) {
      const type = this.typeAt(ancestor);
      if (type === 'directory') break;
      if (type !== 'absent') {
        throw new StoreError('ERR_NOT_DIRECTORY', `'${ancestor}' is not a directory`, { op, path });
      }
      missing.push(ancestor);
    }
    if (missing.length > 0 && !create) {
      throw new StoreError('ERR_NOT_FOUND', `The directory '${missing[0]}' does not exist`, {
        op,
        path,
        hint: 'Create it first, or allow missing parents to be created.',
      });
    }
    for (const parent of missing) this.#changed.set(parent, { type: 'directory', implicit: true });
  }

  #refuseNonFile(op: string, path: StorePath): void {
    const type = this.typeAt(path);
    if (type === 'directory') throw isDirectory(op, path);
    if (type === 'other') throw notRegular(op, path);
  }

  /** Every path that the base tree has below `path`, directories before what they hold; without those that have `left`. */
  walkBase(
    path: StorePath,
    {
      limit,
      op,
      left,
    }: { readonly limit: number; readonly op: string; left: (directory: StorePath) => boolean },
  ): { path: StorePath; stat: FileStat }[] {
    const found: { path: StorePath; stat: FileStat }[] = [];
    const pending = [path];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const name of this.#base.children(next)) {
        const child = joinPath(next, name);
        const stat = this.#base.stat(child);
        if (stat === undefined || (stat.type === 'directory' && left(child))) continue;
        found.push({ path: child, stat });
        if (stat.type === 'directory') pending.push(child);
        if (found.length > limit) throw tooMany(op, path, limit);
      }
    }
    return found;
  }
}

export function tooMany(op: string, path: StorePath, limit: number): StoreError {
  return new StoreError('ERR_TOO_MANY', `'${path}' holds more than ${limit} files`, {
    op,
    path,
    hint: 'Remove or move its parts in several transactions.',
  });
}

/** The node to put elsewhere for what is seen here. */
export function movable(seen: Seen): WorkingNode {
  if (seen.node?.type === 'directory') {
    // Whoever moves it somewhere has named that place: another directory there will not do.
    const { implicit: _implicit, ...named } = seen.node;
    return named;
  }
  if (seen.node !== undefined) return seen.node;
  switch (seen.stat.type) {
    case 'directory':
      return { type: 'directory', origin: seen.base };
    case 'file':
      return { type: 'file', inode: seen.base, parts: [], like: seen.stat };
    default:
      return { type: seen.stat.type, inode: seen.base };
  }
}

/** Content of a file that is to be copied or added to. */
function contentOf(seen: Seen): Pick<FileNode, 'copyOf' | 'parts'> {
  if (seen.node === undefined) return { copyOf: seen.base, parts: [] };
  if (seen.node.type !== 'file') return { parts: [] };
  const copyOf = seen.node.inode ?? seen.node.copyOf;
  return copyOf === undefined ? { parts: seen.node.parts } : { copyOf, parts: seen.node.parts };
}

function likeOf(seen: Seen, base: BaseTree): Pick<FileNode, 'like' | 'mode'> {
  if (seen.node === undefined) return seen.stat.type === 'file' ? { like: seen.stat } : {};
  if (seen.node.type !== 'file') return {};
  const like = seen.node.like ?? (seen.node.inode === undefined ? undefined : base.stat(seen.node.inode));
  return {
    ...(like === undefined ? {} : { like }),
    ...(seen.node.mode === undefined ? {} : { mode: seen.node.mode }),
  };
}

function exists(op: string, path: StorePath): StoreError {
  return new StoreError('ERR_EXISTS', `There is something at '${path}' already`, {
    op,
    path,
    hint: 'Remove it in a transaction of its own first, or choose another name.',
  });
}

function notFound(op: string, path: StorePath): StoreError {
  return new StoreError('ERR_NOT_FOUND', `There is nothing at '${path}'`, { op, path });
}

function isDirectory(op: string, path: StorePath): StoreError {
  return new StoreError('ERR_IS_DIRECTORY', `'${path}' is a directory`, { op, path });
}

export function notRegular(op: string, path: StorePath): StoreError {
  return new StoreError('ERR_INVALID_PATH', `'${path}' is not a regular file`, {
    op,
    path,
    hint: 'Sockets, pipes and devices can be removed, and moved on their file system, and nothing else.',
  });
}
