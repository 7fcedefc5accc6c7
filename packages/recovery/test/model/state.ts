/** What a store holds, as plain maps, and what a transaction makes of it: the oracle's idea of the operations. */

/** `undefined` is a directory. */
export type Files = ReadonlyMap<string, string | undefined>;

export interface State {
  readonly files: Files;
  readonly entries: ReadonlyMap<string, string>;
}

export const emptyState: State = { files: new Map(), entries: new Map() };

export type Change =
  | { readonly type: 'write' | 'append'; readonly path: string; readonly content: string }
  | { readonly type: 'copy' | 'move'; readonly from: string; readonly path: string }
  | { readonly type: 'remove' | 'mkdir'; readonly path: string }
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'delete'; readonly key: string };

/** The operations are not possible on this state. */
export class Impossible extends Error {
  override readonly name = 'Impossible';
}

export function changed(before: State, changes: readonly Change[]): State {
  const files = new Map(before.files);
  const entries = new Map(before.entries);
  for (const change of changes) {
    if (change.type === 'put') entries.set(change.key, change.value);
    else if (change.type === 'delete') entries.delete(change.key);
    else changeFiles(files, change);
  }
  return { files, entries };
}

export function isPossible(before: State, changes: readonly Change[]): boolean {
  try {
    changed(before, changes);
    return true;
  } catch (error) {
    if (error instanceof Impossible) return false;
    throw error;
  }
}

type FilesNow = Map<string, string | undefined>;

function changeFiles(files: FilesNow, change: Exclude<Change, { readonly type: 'put' | 'delete' }>): void {
  const { type, path } = change;
  switch (type) {
    case 'write':
      refuseDirectory(files, path);
      makeParents(files, path);
      files.set(path, change.content);
      break;
    case 'append':
      refuseDirectory(files, path);
      makeParents(files, path);
      files.set(path, (files.get(path) ?? '') + change.content);
      break;
    case 'copy': {
      const content = files.get(change.from);
      if (content === undefined) throw new Impossible(`no file ${change.from}`);
      refuseDirectory(files, path);
      makeParents(files, path);
      files.set(path, content);
      break;
    }
    case 'move':
      move(files, change.from, path);
      break;
    case 'remove':
      for (const each of atAndBelow(files, path)) files.delete(each);
      break;
    case 'mkdir': {
      if (files.has(path)) throw new Impossible(`${path} exists`);
      const parent = parentOf(path);
      if (parent !== '' && !isDirectory(files, parent)) throw new Impossible(`no directory ${parent}`);
      files.set(path, undefined);
      break;
    }
  }
}

function move(files: FilesNow, from: string, to: string): void {
  const moved = atAndBelow(files, from);
  if (to === from || to.startsWith(`${from}/`)) throw new Impossible('into itself');
  if (isDirectory(files, to) || (isDirectory(files, from) && files.has(to)))
    throw new Impossible(`${to} exists`);
  makeParents(files, to);
  for (const path of moved) {
    const content = files.get(path);
    files.delete(path);
    files.set(rebased(path, from, to), content);
  }
}

export function isDirectory(files: Files, path: string): boolean {
  return files.has(path) && files.get(path) === undefined;
}

export function isFile(files: Files, path: string): boolean {
  return files.get(path) !== undefined;
}

export function isAtOrBelow(path: string, top: string): boolean {
  return path === top || path.startsWith(`${top}/`);
}

export function rebased(path: string, from: string, to: string): string {
  return `${to}${path.slice(from.length)}`;
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

export function namesIn(files: Files, directory: string): string[] {
  return [...files.keys()]
    .filter((path) => parentOf(path) === directory)
    .map((path) => path.slice(directory === '' ? 0 : directory.length + 1))
    .sort();
}

function atAndBelow(files: FilesNow, top: string): string[] {
  const found = [...files.keys()].filter((path) => isAtOrBelow(path, top));
  if (found.length === 0) throw new Impossible(`nothing at ${top}`);
  return found;
}

function refuseDirectory(files: FilesNow, path: string): void {
  if (isDirectory(files, path)) throw new Impossible(`${path} is a directory`);
}

function makeParents(files: FilesNow, path: string): void {
  const parent = parentOf(path);
  if (parent === '' || isDirectory(files, parent)) return;
  if (files.has(parent)) throw new Impossible(`${parent} is no directory`);
  makeParents(files, parent);
  files.set(parent, undefined);
}

/** The paths at which two states differ. */
export function differences(one: Files, other: Files): string[] {
  const paths = new Set([...one.keys(), ...other.keys()]);
  return [...paths]
    .filter((path) => one.has(path) !== other.has(path) || one.get(path) !== other.get(path))
    .sort();
}

export function shown(files: Files, path: string): string {
  if (!files.has(path)) return 'nothing';
  return files.get(path) ?? 'a directory';
}
