/** The names in a directory as the disk has them now, without the store's own. */

import { listDirectory, type ReaddirOptions } from '../files/listing.js';
import type { StorePath } from '../path/path.js';
import { baseTree } from '../plan/base-tree.js';
import type { StoreAccess } from './store-access.js';

export function namesIn(access: StoreAccess, path: StorePath, options: ReaddirOptions): string[] {
  const target = access.resolve(path, 'readdir').path;
  const tree = baseTree(access);
  return listDirectory(
    { typeOf: (at) => tree.stat(at)?.type, children: (at) => tree.children(at) },
    target,
    options,
  );
}
