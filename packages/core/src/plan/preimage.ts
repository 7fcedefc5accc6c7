/** What of the tree as it is stands at a path once the directories that the transaction moves are where it wants them. */

import type { FileStat } from '../files/file-system.js';
import { ancestors, rebase, type StorePath } from '../path/path.js';
import type { WorkingTree } from './working-tree.js';

export interface MovedTree {
  readonly tree: WorkingTree;
  /** Directory moves: where from → where to. */
  readonly movedFrom: ReadonlyMap<StorePath, StorePath>;
}

export interface Preimage {
  readonly basePath: StorePath;
  readonly stat: FileStat;
}

export function directoryMoves(tree: WorkingTree): Map<StorePath, StorePath> {
  const moves = new Map<StorePath, StorePath>();
  for (const [path, node] of tree.changed) {
    if (node.type === 'directory' && node.origin !== undefined && leaves(tree, node.origin, path))
      moves.set(node.origin, path);
  }
  return moves;
}

/** Also what is to be at its own path again, when the directory that it stood in goes elsewhere. */
export function leaves(tree: WorkingTree, origin: StorePath, path: StorePath): boolean {
  return origin !== path || tree.basePath(path) !== path;
}

/** What is physically at `path` once all directory moves have been carried out. */
export function preimage({ tree, movedFrom }: MovedTree, path: StorePath): Preimage | undefined {
  let basePath: StorePath | undefined = path;
  for (const ancestor of ancestors(path)) {
    const node = tree.changed.get(ancestor);
    if (node === undefined) {
      if (movedFrom.has(ancestor)) return undefined;
      continue;
    }
    if (node.type !== 'directory') return undefined;
    if (node.origin !== undefined) {
      basePath = rebase(path, ancestor, node.origin);
      break;
    }
    // Made by the transaction. Where it had been removed first, the old directory still stands there.
    if (movedFrom.has(ancestor)) return undefined;
  }
  if (movedFrom.has(basePath) && movedFrom.get(basePath) !== path) return undefined;
  const stat = tree.base.stat(basePath);
  return stat === undefined ? undefined : { basePath, stat };
}
