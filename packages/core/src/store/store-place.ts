/**
 * `.forewrit` is a directory of the root, or there is no store. A link to one elsewhere is refused by whoever opens or looks:
 * the last step of every change is a rename within one file system, and a link would be followed by some and not by others.
 */

import { StoreError } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import { realPath } from '../files/node-file-system.js';
import { storeLayout } from '../files/volume.js';

/** What stands in the place of a store's own directory. */
export interface TakenStorePlace {
  readonly path: string;
  readonly type: 'file' | 'symlink' | 'other';
  /** Of a link: where it leads, if a directory is there. */
  readonly leadsTo?: string;
  readonly message: string;
}

/** `undefined` where there is the directory, or nothing. */
export function takenStorePlace(fileSystem: FileSystem, root: string): TakenStorePlace | undefined {
  const path = storeLayout(root).directory;
  const type = fileSystem.lstat(path)?.type;
  if (type === undefined || type === 'directory') return undefined;
  if (type !== 'symlink') {
    const what = type === 'file' ? 'a file' : 'no directory';
    return { path, type, message: `'${path}' is ${what}, and should be a directory` };
  }
  const leadsTo = directoryBehind(fileSystem, path);
  const where =
    leadsTo === undefined ? `'${fileSystem.readlink(path)}', where no directory is` : `'${leadsTo}'`;
  const message = `'${path}' is a symbolic link to ${where}, and should be a directory itself`;
  return { path, type, message, ...(leadsTo === undefined ? {} : { leadsTo }) };
}

/** With nothing but directories on the way to it. */
function directoryBehind(fileSystem: FileSystem, link: string): string | undefined {
  try {
    const target = realPath(link);
    return fileSystem.lstat(target)?.type === 'directory' ? target : undefined;
  } catch {
    return undefined;
  }
}

export function refuseTakenStorePlace(fileSystem: FileSystem, root: string, op: string): void {
  const taken = takenStorePlace(fileSystem, root);
  if (taken === undefined) return;
  const { path, message, leadsTo } = taken;
  const hint =
    leadsTo === undefined
      ? 'Move it away. If the directory of the store is somewhere, move that one back in its place (mv).'
      : 'Remove the link, and move the directory itself back in its place (mv).';
  throw new StoreError('ERR_NOT_DIRECTORY', message, { op, path, hint });
}
