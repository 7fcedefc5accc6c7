/**
 * Store paths: the one spelling by which the store knows a file, and what can be said about it from the text alone.
 * `path-resolver.ts` goes on from here and looks at the file system.
 *
 *     ''         the main root            'name:'      the root `name`
 *     a/b.json   below the main root      name:a/b     below the root `name`
 *     ./x:y/z    below the main root, where the first name contains ':'
 *
 * There is no '.', no '..', no empty name and no slash at the end. A named root inside the main one is only another way
 * to write: 'cache:x' becomes 'data/cache/x'. So one file below the roots has one store path, and whatever is
 * below a directory begins with that directory's path. `checkRoots` refuses every other overlap.
 */

import { assert } from '../assert.js';
import { StoreError } from '../errors.js';
import { isStagedDirectoryName, isStoreDirectoryName, type PathPlatform } from './path-name.js';

/** A file in the store: separated by '/', relative to its root, as this file's header describes. */
export type StorePath = string;

export interface Roots {
  /** Absolute, and real: no component is a symbolic link. */
  readonly root: string;
  /** Further directories by name; absolute and real. */
  readonly named: ReadonlyMap<string, string>;
  /**
   * Other absolute spellings of the roots, with the root that they mean: what the caller gave to `openStore`, where it
   * ran through a symbolic link (on macOS every temporary directory does). Absolute paths may begin with them.
   */
  readonly aliases?: ReadonlyMap<string, StorePath>;
}

/** The root of a path ('' or 'name:'), and the rest ('' for a root itself). */
export function splitRoot(path: StorePath): { readonly root: StorePath; readonly rest: string } {
  if (path.startsWith('./')) return { root: '', rest: path.slice(2) };
  const colon = path.indexOf(':');
  if (colon === -1) return { root: '', rest: path };
  const slash = path.indexOf('/');
  if (slash !== -1 && slash < colon) return { root: '', rest: path };
  return { root: path.slice(0, colon + 1), rest: path.slice(colon + 1) };
}

/** The names from the root down; none for a root. */
export function pathNames(path: StorePath): string[] {
  const { rest } = splitRoot(path);
  return rest === '' ? [] : rest.split('/');
}

/** `undefined` for a root. */
export function parentPath(path: StorePath): StorePath | undefined {
  const { root, rest } = splitRoot(path);
  if (rest === '') return undefined;
  const slash = rest.lastIndexOf('/');
  return slash === -1 ? root : path.slice(0, path.length - rest.length + slash);
}

/** Every directory above a path, the nearest first, the root last and included. Empty for a root. */
export function ancestors(path: StorePath): StorePath[] {
  const found: StorePath[] = [];
  for (let above = parentPath(path); above !== undefined; above = parentPath(above)) found.push(above);
  return found;
}

/** The last name; '' for a root. */
export function baseName(path: StorePath): string {
  const { rest } = splitRoot(path);
  return rest.slice(rest.lastIndexOf('/') + 1);
}

/** Strictly below: a path is not below itself. */
export function isBelow(path: StorePath, ancestor: StorePath): boolean {
  const above = splitRoot(ancestor);
  if (above.rest !== '') return path.startsWith(`${ancestor}/`);
  const { root, rest } = splitRoot(path);
  return root === above.root && rest !== '';
}

/** `name` is one name, or several separated by '/'; with none the parent itself. */
export function joinPath(parent: StorePath, name: string): StorePath {
  if (name === '') return parent;
  assert(!name.startsWith('/'), 'a path is joined with names, not with an absolute path');
  if (parent === '') return splitRoot(name).root === '' ? name : `./${name}`;
  return parent.endsWith(':') && splitRoot(parent).rest === '' ? `${parent}${name}` : `${parent}/${name}`;
}

/** Where `path` is after `from`, which it is or is below, was moved to `to`. */
export function rebase(path: StorePath, from: StorePath, to: StorePath): StorePath {
  if (path === from) return to;
  assert(isBelow(path, from), `'${path}' is not below '${from}'`);
  const isRoot = splitRoot(from).rest === '';
  return joinPath(to, isRoot ? splitRoot(path).rest : path.slice(from.length + 1));
}

/** Whether a path is the store's own: its directory, a staging directory, or anything inside one. */
export function isReservedPath(path: StorePath): boolean {
  const names = pathNames(path);
  return isStoreDirectoryName(names[0] ?? '') || names.some(isStagedDirectoryName);
}

/** Windows takes '/' as well, so the path below the root is the same text everywhere. */
export function absolutePath(path: StorePath, roots: Roots): string {
  const { root, rest } = splitRoot(path);
  const directory = rootDirectory(root, roots);
  if (directory === undefined) {
    throw new StoreError('ERR_INVALID_PATH', `'${path}' is below a root that this store was opened without`, {
      op: 'resolve',
      path,
      hint: `Open the store with { roots: { '${root.slice(0, -1)}': … } }.`,
    });
  }
  if (rest === '') return directory;
  const ends = directory.endsWith('/') || directory.endsWith('\\');
  return ends ? `${directory}${rest}` : `${directory}/${rest}`;
}

export function rootDirectory(root: StorePath, roots: Roots): string | undefined {
  return root === '' ? roots.root : roots.named.get(root.slice(0, -1));
}

/** The components of an absolute path, with '.' and '..' as they are; `undefined` if it is not absolute. */
export function splitAbsolute(text: string, platform: PathPlatform): string[] | undefined {
  if (platform === 'posix') return text.startsWith('/') ? text.split('/').filter(isName) : undefined;
  const ordinary = text.replace(/^[\\/]{2}[?.][\\/]UNC[\\/]/i, '\\\\').replace(/^[\\/]{2}[?.][\\/]/, '');
  if (/^[a-z]:[\\/]/i.test(ordinary)) return ordinary.split(/[\\/]/).filter(isName);
  const share = /^[\\/]{2}([^\\/]+[\\/]+[^\\/]+)(.*)$/s.exec(ordinary);
  if (share === null) return undefined;
  return [`//${share[1]!.replace(/[\\/]+/, '/')}`, ...share[2]!.split(/[\\/]/).filter(isName)];
}

/** The store path of a real absolute path; `undefined` outside every root. Compares by component, never by prefix. */
export function locate(
  components: readonly string[],
  roots: Roots,
  platform: PathPlatform,
): StorePath | undefined {
  for (const [root, directory] of rootEntries(roots)) {
    const below = componentsBelow(components, splitAbsolute(directory, platform), platform);
    if (below !== undefined) return joinPath(root, below.join('/'));
  }
  return undefined;
}

/** The main root first: what is inside it belongs to it, whatever other root it is inside as well. */
export function rootEntries(roots: Roots): (readonly [root: StorePath, directory: string])[] {
  return [['', roots.root], ...[...roots.named].map(([name, directory]) => [`${name}:`, directory] as const)];
}

/** What comes after `above` in `components`; `undefined` if they do not begin with it. */
export function componentsBelow(
  components: readonly string[],
  above: readonly string[] | undefined,
  platform: PathPlatform,
): readonly string[] | undefined {
  if (above === undefined) return undefined;
  const same = (name: string, index: number): boolean =>
    name === components[index] ||
    (platform === 'win32' && name.toLowerCase() === components[index]?.toLowerCase());
  return above.every(same) ? components.slice(above.length) : undefined;
}

function isName(name: string): boolean {
  return name !== '';
}
