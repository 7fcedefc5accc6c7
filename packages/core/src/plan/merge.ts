/**
 * A transaction has one change for each path: one directory cannot go from it and another one come there. Where an undo
 * asks for that, the one that stands there stays, and what the other one holds comes into it one by one: files and
 * symbolic links, and directories whole where their place is free.
 *
 * Pure, like the working tree that it changes.
 */

import { joinPath, type StorePath } from '../path/path.js';
import { directoryMoves, leaves, type MovedTree, preimage } from './preimage.js';
import {
  type DirectoryNode,
  movable,
  notRegular,
  tooMany,
  type WorkingNode,
  WorkingTree,
} from './working-tree.js';

/** `namesMax`: of all that comes one by one. */
export function mergeDirectories(asked: WorkingTree, namesMax: number): WorkingTree {
  let tree = asked;
  // The one that stays where it is may be in the way of another; and what comes into it, of what it holds.
  for (;;) {
    const meeting = meetingIn(tree);
    if (meeting.length === 0) return tree;
    const changed = new Map(tree.changed);
    for (const [path, origin] of meeting) {
      changed.set(path, { type: 'directory' });
      for (const [child, node] of contentOf(tree, path, origin))
        if (!changed.has(child)) changed.set(child, node);
      if (changed.size > tree.changed.size + namesMax) throw tooMany('rename', origin, namesMax);
    }
    tree = new WorkingTree(tree.base, changed);
  }
}

/** Where to, and where from. */
function meetingIn(tree: WorkingTree): (readonly [StorePath, StorePath])[] {
  const merging: [StorePath, DirectoryNode & { readonly origin: StorePath }][] = [];
  for (const [path, node] of tree.changed) if (isMerging(node)) merging.push([path, node]);
  if (merging.length === 0) return [];
  const moved: MovedTree = { tree, movedFrom: directoryMoves(tree) };
  return merging
    .filter(([path, { origin }]) => leaves(tree, origin, path) && meetsDirectory(moved, path, origin))
    .map(([path, { origin }]) => [path, origin]);
}

function isMerging(node: WorkingNode): node is DirectoryNode & { readonly origin: StorePath } {
  return node.type === 'directory' && node.merges === true && node.origin !== undefined;
}

function meetsDirectory(moved: MovedTree, path: StorePath, origin: StorePath): boolean {
  const there = preimage(moved, path);
  return there !== undefined && there.basePath !== origin && there.stat.type === 'directory';
}

function* contentOf(
  { base }: WorkingTree,
  path: StorePath,
  origin: StorePath,
): Generator<[StorePath, WorkingNode]> {
  for (const name of base.children(origin)) {
    const from = joinPath(origin, name);
    const stat = base.stat(from);
    if (stat === undefined) continue;
    if (stat.type === 'other') throw notRegular('rename', from);
    const node = movable({ base: from, stat });
    yield [joinPath(path, name), node.type === 'directory' ? { ...node, merges: true } : node];
  }
}
