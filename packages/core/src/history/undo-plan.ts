/**
 * Whether one transaction can do what an undo asks for. Where directories have moved that depends on what is in them by now,
 * so it is planned as the commit will plan it, and nothing comes of it.
 */

import { PlanOutdated } from '../commit/plan-outdated.js';
import { assert } from '../assert.js';
import { isStoreError, type StoreError } from '../errors.js';
import { beforeStorePath } from '../files/volume.js';
import { absolutePath, isReservedPath, joinPath, type StorePath } from '../path/path.js';
import type { StagedTree } from '../plan/operation.js';
import { baseTree } from '../plan/base-tree.js';
import { checkChanges, targetsMax } from '../plan/plan-check.js';
import { netEffect, type PlannedTarget } from '../plan/plan.js';
import type { FileOperation } from '../plan/resolution.js';
import { WorkingTree } from '../plan/working-tree.js';
import type { HistoryRow, HistoryTarget } from '../record/history-row.js';
import { transactionId, type TransactionId } from '../record/record.js';
import { changed, type HistoryAccess, metCodes, type UndoObstacle } from './undo-obstacle.js';
import { movedOut, movesIn, sparePath, type UndoStep, undoSteps } from './undo-steps.js';

export function planObstacle(access: HistoryAccess, row: HistoryRow): UndoObstacle | undefined {
  const { targets, entries } = row;
  if (!targets.some(({ action }) => action === 'move-directory')) return undefined;
  try {
    const steps = stepsOf(access, row, transactionId(row.number));
    checkChanges(planned(access, row, steps), entries, { undone: true });
    return undefined;
  } catch (error) {
    // What changes under the eyes of the plan is for the commit to find.
    if (error instanceof PlanOutdated) return undefined;
    if (!isStoreError(error)) throw error;
    return obstacleOf(error, row);
  }
}

function planned(
  access: HistoryAccess,
  { targets }: HistoryRow,
  steps: readonly UndoStep[],
): readonly PlannedTarget[] {
  const tree = new WorkingTree(baseTree(access));
  const moves = movesIn(targets);
  for (const step of steps) {
    tree.apply(operationOf(step));
    if (step.do !== 'restore-directory') continue;
    // In what is kept there still is another link of each.
    for (const path of movedOut(moves, step.target))
      tree.apply({ type: 'remove', path, options: { force: true } });
  }
  return netEffect(tree, { maxTargets: targetsMax }).targets;
}

/** Without the store's own. */
export function namesIn(
  { fileSystem, roots }: Pick<HistoryAccess, 'fileSystem' | 'roots'>,
  directory: StorePath,
): string[] {
  const absolute = absolutePath(directory, roots);
  if (fileSystem.lstat(absolute)?.type !== 'directory') return [];
  return fileSystem.list(absolute).filter((name) => !isReservedPath(joinPath(directory, name)));
}

/** `transaction`: whose spare paths they are. */
export function stepsOf(access: HistoryAccess, row: HistoryRow, transaction: TransactionId): UndoStep[] {
  return undoSteps(
    row,
    (directory) => namesIn(access, directory),
    (path, index) => sparePath(transaction, path, index),
  );
}

/** Of content nothing matters but that it is there. */
function operationOf(step: UndoStep): FileOperation {
  const { path } = step;
  switch (step.do) {
    case 'rename':
      return { type: 'rename', from: step.from, path, options: {} };
    case 'remove':
      return { type: 'remove', path, options: {} };
    case 'remove-brought':
      return { type: 'remove', path, options: { recursive: true } };
    case 'make-directory':
      return { type: 'make-directory', path, options: {} };
    case 'restore-directory':
      return { type: 'restore-directory', path, tree: asKept(step.target) };
    case 'restore':
      return { type: 'write', path, content: { kind: 'bytes', bytes: new Uint8Array(0) }, options: {} };
  }
}

/** As if what is kept was staged itself. */
function asKept({ volume, kept }: HistoryTarget): StagedTree {
  assert(kept !== undefined, 'what comes back is kept');
  return { name: kept, path: beforeStorePath(volume, kept), listing: [] };
}

function obstacleOf(error: StoreError, { targets }: HistoryRow): UndoObstacle {
  const { code, message } = error;
  const path = error.path ?? targets[0]?.path ?? '';
  return metCodes.has(code) ? changed(path) : { code, path, message };
}
