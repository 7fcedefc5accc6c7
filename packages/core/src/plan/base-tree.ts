/** The tree as it is on the disk, without what is the store's own, and with the new files that the log alone has yet. */

import type { FileStat } from '../files/file-system.js';
import { rowOf } from '../commit/file-row.js';
import { locksBelow } from '../commit/lock.js';
import type { LogView } from '../log/log.js';
import {
  absolutePath,
  baseName,
  isReservedPath,
  joinPath,
  parentPath,
  type StorePath,
} from '../path/path.js';
import { decodeTransaction } from '../record/codec.js';
import { isInLogOnly } from '../record/image.js';
import { type Folding, pathKey, transactionRange } from '../record/key.js';
import type { StoreContext } from '../store/store-context.js';
import type { BaseTree } from './working-tree.js';

type TreeContext = Pick<StoreContext, 'fileSystem' | 'roots' | 'log' | 'folding'>;

/**
 * The tree as it is, for the reducer. Each path is looked at once; where `listings` are kept, each directory is listed
 * once, too: what has come since a directory was found empty must not go with it.
 */
export function baseTree(
  context: TreeContext,
  stats = new Map<StorePath, FileStat | undefined>(),
  listings?: Map<StorePath, readonly string[]>,
): BaseTree {
  const { fileSystem, roots, log, folding } = context;
  return {
    stat(path) {
      if (!stats.has(path)) stats.set(path, fileSystem.lstat(absolutePath(path, roots)));
      return stats.get(path) ?? log.view((view) => newFile(view, path, folding));
    },
    children(path) {
      const known = listings?.get(path);
      if (known !== undefined) return known;
      const names = fileSystem
        .list(absolutePath(path, roots))
        .filter((name) => !isReservedPath(joinPath(path, name)));
      const there = new Set(names);
      const made = log.view((view) => newFilesIn(view, path, { folding, there }));
      const listing = [...names, ...made].sort();
      listings?.set(path, listing);
      return listing;
    },
  };
}

/** What a file will show that a deferred save is about to make where there is none. */
function newFile(view: LogView, path: StorePath, folding: Folding): FileStat | undefined {
  // Hardly anything is locked; what is not, is not deferred.
  if (view.get('locks', pathKey(path, folding)) === undefined) return undefined;
  const row = rowOf(view, path, folding);
  if (row === undefined || !isInLogOnly(row.image)) return undefined;
  const { transaction, image } = row;
  const rows = view.range('log', transactionRange(transaction.owner, transaction.counter));
  const target = decodeTransaction(transaction, rows).targets.find((each) => each.path === path);
  // Where there was one, somebody has removed it.
  if (target?.before.type !== 'absent') return undefined;
  return { type: 'file', dev: 0n, uid: 0, gid: 0, nlink: 1, mode: image.mode, ...image.fingerprint };
}

function newFilesIn(
  view: LogView,
  directory: StorePath,
  { folding, there }: { readonly folding: Folding; readonly there: ReadonlySet<string> },
): string[] {
  return locksBelow(view, directory, folding)
    .map(({ what }) => what)
    .filter((path) => parentPath(path) === directory && !there.has(baseName(path)))
    .filter((path) => newFile(view, path, folding) !== undefined)
    .map((path) => baseName(path));
}

export function directoryDigest(tree: BaseTree, path: StorePath): string {
  return tree.stat(path)?.type === 'directory' ? tree.children(path).join('\0') : '';
}
