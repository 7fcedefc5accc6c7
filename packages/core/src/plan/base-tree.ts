/** The tree as it is on the disk, without what is the store's own. */

import type { FileStat } from '../files/file-system.js';
import { absolutePath, isReservedPath, joinPath, type StorePath } from '../path/path.js';
import type { StoreContext } from '../store/store-context.js';
import type { BaseTree } from './working-tree.js';

/** The tree as it is, for the reducer. */
export function baseTree(
  context: Pick<StoreContext, 'fileSystem' | 'roots'>,
  stats = new Map<StorePath, FileStat | undefined>(),
): BaseTree {
  return {
    stat(path) {
      if (stats.has(path)) return stats.get(path);
      const stat = context.fileSystem.lstat(absolutePath(path, context.roots));
      stats.set(path, stat);
      return stat;
    },
    children: (path) =>
      context.fileSystem
        .list(absolutePath(path, context.roots))
        .filter((name) => !isReservedPath(joinPath(path, name)))
        .sort(),
  };
}

export function directoryDigest(tree: BaseTree, path: StorePath): string {
  return tree.stat(path)?.type === 'directory' ? tree.children(path).join('\0') : '';
}
