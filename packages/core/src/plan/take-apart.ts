/**
 * A directory that cannot move in one piece is made where it is to be, and what it holds moves there one by one. Its modes are
 * those of the one that goes.
 *
 * Pure, like the working tree that it changes.
 */

import { PlanOutdated } from '../commit/plan-outdated.js';
import { assert } from '../assert.js';
import { ancestors, isBelow, rebase, type StorePath } from '../path/path.js';
import { directoryMoves } from './preimage.js';
import { movable, type WorkingNode, WorkingTree } from './working-tree.js';

/** `namesMax`: of what moves one by one. */
export function takeApart(tree: WorkingTree, path: StorePath, namesMax: number): WorkingTree {
  const { base } = tree;
  const node = tree.changed.get(path);
  assert(
    node?.type === 'directory' && node.origin !== undefined,
    'what is taken apart is a directory that moves',
  );
  const { origin } = node;
  const top = base.stat(origin);
  if (top === undefined) throw new PlanOutdated(origin);
  const changed = new Map(tree.changed);
  changed.set(path, madeLike(node.mode ?? top.mode));
  const movedFrom = directoryMoves(tree);
  const walk = { limit: namesMax, op: 'rename', left: (each: StorePath) => movedFrom.has(each) };
  for (const { path: from, stat } of tree.walkBase(origin, walk)) {
    const to = rebase(from, origin, path);
    const isReplaced = [to, ...ancestors(to)].some((each) => isBelow(each, path) && tree.changed.has(each));
    if (isReplaced) continue;
    changed.set(to, stat.type === 'directory' ? madeLike(stat.mode) : movable({ base: from, stat }));
  }
  return new WorkingTree(base, changed);
}

function madeLike(mode: number): WorkingNode {
  return { type: 'directory', mode, exact: true };
}
