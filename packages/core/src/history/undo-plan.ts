/**
 * Whether one transaction can do what an undo asks for. Where directories have moved that depends on what is in them by now,
 * so it is planned as the commit will plan it, and nothing comes of it. Otherwise it is a question of how much there is.
 */

import { PlanOutdated } from '../commit/plan-outdated.js';
import { isStoreError, type StoreError } from '../errors.js';
import { absolutePath, isReservedPath, joinPath, type StorePath } from '../path/path.js';
import { baseTree } from '../plan/base-tree.js';
import { checkChanges, targetsMax } from '../plan/plan-check.js';
import { netEffect, type PlannedTarget } from '../plan/plan.js';
import type { FileOperation } from '../plan/resolution.js';
import { WorkingTree } from '../plan/working-tree.js';
import type { HistoryRow } from '../record/history-row.js';
import { transactionId, type TransactionId } from '../record/record.js';
import { changed, type HistoryAccess, metCodes, type UndoObstacle } from './undo-obstacle.js';
import { sparePath, type UndoStep, undoSteps } from './undo-steps.js';

/** With fewer paths and entries it fits into one commit whatever is done to them. */
const changesSure = 5000;

export function planObstacle(access: HistoryAccess, row: HistoryRow): UndoObstacle | undefined {
  const { targets, entries } = row;
  const movesDirectories = targets.some(({ action }) => action === 'move-directory');
  const count = targets.reduce((sum, { below = [] }) => sum + 1 + below.length, entries.length);
  if (!movesDirectories && count <= changesSure) return undefined;
  try {
    const steps = stepsOf(access, row, transactionId(row.number));
    checkChanges(movesDirectories ? planned(access, steps) : steps.flatMap(targetsOf), entries);
    return undefined;
  } catch (error) {
    // What changes under the eyes of the plan is for the commit to find.
    if (error instanceof PlanOutdated) return undefined;
    if (!isStoreError(error)) throw error;
    return obstacleOf(error, row);
  }
}

function planned(access: HistoryAccess, steps: readonly UndoStep[]): readonly PlannedTarget[] {
  const tree = new WorkingTree(baseTree(access));
  for (const step of steps) tree.apply(operationOf(step));
  return netEffect(tree, { maxTargets: targetsMax }).targets;
}

/** Where no directory moves, each step is as many targets whatever there is. */
function targetsOf(step: UndoStep): Pick<PlannedTarget, 'action'>[] {
  switch (step.do) {
    case 'rename':
      return [{ action: 'move' }, { action: 'remove' }];
    case 'remove':
      return [{ action: 'remove' }];
    case 'make-directory':
      return [{ action: 'make-directory' }];
    case 'restore':
      return [{ action: 'write' }];
  }
}

function namesIn(
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
    case 'make-directory':
      return { type: 'make-directory', path, options: { recursive: true } };
    case 'restore':
      return { type: 'write', path, content: { kind: 'bytes', bytes: new Uint8Array(0) }, options: {} };
  }
}

function obstacleOf(error: StoreError, { targets }: HistoryRow): UndoObstacle {
  const { code, message } = error;
  const path = error.path ?? targets[0]?.path ?? '';
  return metCodes.has(code) ? changed(path) : { code, path, message };
}
