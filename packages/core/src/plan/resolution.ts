/** Operations on the paths that are really meant, after symbolic links. */

import { PlanOutdated } from '../commit/plan-outdated.js';
import type { EntryOperation } from '../commit/proposal.js';
import type { FileStat } from '../files/file-system.js';
import { parentPath, type StorePath } from '../path/path.js';
import type { StoreContext } from '../store/store-context.js';
import type { Operation } from './operation.js';
import type { WorkingTree } from './working-tree.js';

export type FileOperation = Exclude<Operation, EntryOperation>;

export function isFileOperation(operation: Operation): operation is FileOperation {
  return operation.type !== 'put' && operation.type !== 'delete';
}

/** Of what the tree has, whatever has gone from its place: another directory there is not what the tree has, nor is what was in it. */
export function replacedIn(tree: WorkingTree): ((place: StorePath) => boolean) | undefined {
  const { changed, base } = tree;
  if (changed.size === 0) return undefined;
  return (place) => {
    const node = changed.get(place);
    if (node === undefined || (node.type !== 'absent' && node.type !== 'directory')) return false;
    const isBack = node.type === 'directory' && node.origin === place;
    return !isBack && base.stat(place) !== undefined;
  };
}

/**
 * The same operation on resolved paths. A symbolic link that the transaction has removed or replaced is followed no
 * more. What was seen on the way is kept in `looked`; where that has something else, the plan is outdated.
 */
export function resolveOperation(
  context: Pick<StoreContext, 'resolver'>,
  operation: FileOperation,
  { tree, looked }: { readonly tree: WorkingTree; readonly looked?: Map<StorePath, FileStat | undefined> },
): FileOperation {
  const { resolver } = context;
  const real = (path: StorePath, followLast: boolean): StorePath => {
    const resolved = resolver.resolve(path, {
      followLast,
      op: operation.type,
      isReplaced: replacedIn(tree),
    });
    if (resolved.via !== undefined && tree.changed.has(resolved.via)) return resolved.via;
    if (resolved.replaced === true) return resolved.path;
    if (looked !== undefined) {
      see(looked, resolved.path, resolved.stat);
      const parent = parentPath(resolved.path);
      const parentStat = parent === undefined ? undefined : resolver.directory(parent);
      if (parentStat !== undefined) see(looked, parent!, parentStat);
    }
    return resolved.path;
  };
  switch (operation.type) {
    case 'write': {
      const { backup, like } = operation.options;
      // What an undo puts back stands for itself: by then a link may be in its place that leads anywhere.
      const path = real(operation.path, like === undefined);
      if (backup === undefined) return { ...operation, path };
      return { ...operation, path, options: { ...operation.options, backup: real(backup, false) } };
    }
    case 'append':
      return { ...operation, path: real(operation.path, true) };
    case 'copy':
      return { ...operation, from: real(operation.from, true), path: real(operation.path, true) };
    case 'rename':
      return { ...operation, from: real(operation.from, false), path: real(operation.path, false) };
    case 'remove':
    case 'restore-link':
    case 'restore-directory':
    case 'make-directory':
      return { ...operation, path: real(operation.path, false) };
  }
}

/**
 * A plan sees each path once. If one operation found no directory and makes it, and for the next one somebody else has
 * made it meanwhile, what they have put there would be taken for what the transaction has removed.
 */
function see(
  looked: Map<StorePath, FileStat | undefined>,
  path: StorePath,
  stat: FileStat | undefined,
): void {
  if (!looked.has(path)) looked.set(path, stat);
  else if (!isSameFile(looked.get(path), stat)) throw new PlanOutdated(path);
}

function isSameFile(one: FileStat | undefined, other: FileStat | undefined): boolean {
  return one?.type === other?.type && one?.ino === other?.ino && one?.dev === other?.dev;
}
