/** Names in a directory, sorted; with `recursive` the relative paths of everything below. */

import { StoreError } from '../errors.js';
import { joinPath, type StorePath } from '../path/path.js';

export interface ReaddirOptions {
  readonly recursive?: boolean;
}

/** A tree to list: the one on the disk, or as a transaction sees it. */
export interface ListedTree {
  typeOf(path: StorePath): string | undefined;
  children(path: StorePath): readonly string[];
}

export function listDirectory(tree: ListedTree, directory: StorePath, options: ReaddirOptions): string[] {
  const type = tree.typeOf(directory);
  if (type === undefined || type === 'absent') {
    throw new StoreError('ERR_NOT_FOUND', `There is nothing at '${directory}'`, {
      op: 'readdir',
      path: directory,
    });
  }
  if (type !== 'directory') {
    throw new StoreError('ERR_NOT_DIRECTORY', `'${directory}' is not a directory`, {
      op: 'readdir',
      path: directory,
    });
  }
  if (options.recursive !== true) return [...tree.children(directory)].sort();
  const found: string[] = [];
  const pending = [''];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const name of tree.children(joinPath(directory, next))) {
      const relative = next === '' ? name : `${next}/${name}`;
      found.push(relative);
      if (tree.typeOf(joinPath(directory, relative)) === 'directory') pending.push(relative);
    }
  }
  return found.sort();
}
