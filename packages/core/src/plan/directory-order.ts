/**
 * The order in which directories are made and moved: each when it has its parent and a free place (Kahn's algorithm,
 * Communications of the ACM 5, 1962).
 */

import { assert } from '../assert.js';
import { isBelow, rebase, type StorePath } from '../path/path.js';
import type { PlannedTarget } from './plan.js';

interface Done {
  readonly from: StorePath;
  readonly path: StorePath;
}

interface Blocker {
  readonly target: PlannedTarget;
  /** It has to leave; otherwise it has to come. */
  readonly leaves: boolean;
}

/**
 * Where an outer source has moved before an inner one, `from` is the path that this has when its turn comes. `circle`: each waits for
 * another one, and would not if this one did not move.
 */
export function orderDirectories(
  directories: readonly PlannedTarget[],
): { readonly ordered: readonly PlannedTarget[] } | { readonly circle: StorePath } {
  // Sorted by path, parents come first.
  if (directories.every(({ from }) => from === undefined)) return { ordered: directories };
  const waiting = new Set(directories);
  const ordered: PlannedTarget[] = [];
  const done: Done[] = [];
  while (waiting.size > 0) {
    const next = [...waiting].find((candidate) => blockerOf(candidate, { waiting, done }) === undefined);
    if (next === undefined) return { circle: leaverInCircle({ waiting, done }) };
    waiting.delete(next);
    if (next.from === undefined) {
      ordered.push(next);
      continue;
    }
    let from = next.from;
    for (const move of done) if (isBelow(from, move.from)) from = rebase(from, move.from, move.path);
    done.push({ from: next.from, path: next.path });
    if (from !== next.path) ordered.push({ ...next, from });
  }
  return { ordered };
}

interface Progress {
  readonly waiting: ReadonlySet<PlannedTarget>;
  readonly done: readonly Done[];
}

function blockerOf(candidate: PlannedTarget, { waiting, done }: Progress): Blocker | undefined {
  const { path, displaced } = candidate;
  for (const target of waiting) {
    if (target === candidate) continue;
    // Its parent is still to be made or moved there.
    if (isBelow(path, target.path)) return { target, leaves: false };
    const { from } = target;
    if (from === undefined) continue;
    // Its place, or that of a directory above it, is still taken.
    if (from === path || isBelow(path, from)) return { target, leaves: true };
    // It would go away with what is there now, unless it has left with another one.
    const isIn = displaced !== undefined && isBelow(from, displaced.basePath);
    if (isIn && !done.some((move) => isBelow(from, move.from) && isBelow(move.from, displaced.basePath)))
      return { target, leaves: true };
  }
  return undefined;
}

/** Parents alone are no circle: each is above the other. So there is one that has to leave; best one whose place is free. */
function leaverInCircle(progress: Progress): StorePath {
  const met = new Map<PlannedTarget, Blocker>();
  let [at] = progress.waiting;
  while (at !== undefined && !met.has(at)) {
    const blocker = blockerOf(at, progress);
    assert(blocker !== undefined, 'each waits for another one');
    met.set(at, blocker);
    at = blocker.target;
  }
  const way = [...met];
  const circle = way.slice(way.findIndex(([target]) => target === at)).map(([, blocker]) => blocker);
  const leavers = circle.filter(({ leaves }) => leaves).map(({ target }) => target);
  const leaver = leavers.find(({ displaced }) => displaced === undefined) ?? leavers[0];
  assert(leaver !== undefined, 'in a circle something has to leave');
  return leaver.path;
}
