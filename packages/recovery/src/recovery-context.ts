/** What recovery works with: the part of a store's context that it needs, so that a store can also only be looked at. */

import {
  absolutePath,
  type FileRow,
  type FileSystem,
  type Folding,
  isStoreError,
  type Log,
  type PathResolver,
  type Roots,
  rowOf,
  type StoreContext,
  type StorePath,
  type Target,
  type Volume,
} from '@forewrit/core';

export interface RecoveryContext {
  readonly fileSystem: FileSystem;
  readonly roots: Roots;
  readonly resolver: PathResolver;
  readonly folding: Folding;
  /** Of the kernel that runs now; '' where it cannot be known. */
  readonly bootId: string;
  /** How the file system of a staging area is mounted now; '' where it cannot be known. */
  readonly mountOf: (path: StorePath) => string;
  /** What the newest transaction says of a path, whoever it was and whether or not its records are trimmed. */
  readonly rowAt: (path: StorePath) => FileRow | undefined;
  /** `undefined` where the file system that holds it is not there, or not among the roots. */
  readonly volume: (path: StorePath) => Volume | undefined;
}

export function recoveryContext(context: StoreContext): RecoveryContext {
  const { fileSystem, roots, resolver, folding, processTable, volumes, log } = context;
  const volume = (path: StorePath): Volume | undefined => volumes.get(path);
  return {
    fileSystem,
    roots,
    resolver,
    folding,
    bootId: processTable.identity().bootId,
    volume,
    mountOf: mountLook({ fileSystem, roots, volume }),
    rowAt: rowLook(log, folding),
  };
}

export function rowLook(log: Pick<Log, 'view'>, folding: Folding): RecoveryContext['rowAt'] {
  return (path) => log.view((view) => rowOf(view, path, folding));
}

/** Looks once for each area: what was known when the store was opened may have been mounted again since. */
export function mountLook({
  fileSystem,
  roots,
  volume,
}: Pick<RecoveryContext, 'fileSystem' | 'roots' | 'volume'>): RecoveryContext['mountOf'] {
  const known = new Map<StorePath, string>();
  return (path) => {
    const found = known.get(path);
    if (found !== undefined) return found;
    const place = path === '' ? roots.root : volume(path)?.staged;
    const mount = place === undefined ? '' : (fileSystem.mountId(place) ?? '');
    known.set(path, mount);
    return mount;
  };
}

/** Where a path is; `undefined` below a root that the store was opened without. */
export function placeOf(path: StorePath, roots: Roots): string | undefined {
  try {
    return absolutePath(path, roots);
  } catch (error) {
    if (isStoreError(error, 'ERR_INVALID_PATH')) return undefined;
    throw error;
  }
}

/** Whether everything that a target is about can be looked at. */
export function isReachable(context: RecoveryContext, target: Target): boolean {
  return (
    context.volume(target.volume) !== undefined &&
    placeOf(target.path, context.roots) !== undefined &&
    (target.from === undefined || placeOf(target.from, context.roots) !== undefined)
  );
}

/** The directory that holds what is at an absolute path. */
export function directoryOf(absolute: string): string {
  return absolute.slice(0, Math.max(absolute.lastIndexOf('/'), 1));
}

/** `<transaction>-<n>`, the stem of a target's names in the staging areas and among the conflicts. */
export function targetName(transaction: string, target: Pick<Target, 'index'>): string {
  return `${transaction}-${target.index.toString(36)}`;
}
