/**
 * History as users have it: the list of what can be undone, and the undo itself. That is an ordinary transaction: it tracks
 * what it finds at each path, looks whether that is what the other one has left, and puts back what is kept. So it is all
 * or nothing, a conflict if anything changes meanwhile, and has its own place in history.
 */

import type { Commit } from '../commit/job.js';
import { beforePath } from '../commit/staged-target.js';
import { isStoreError, StoreError } from '../errors.js';
import { describe, type HistoryEntry, isAbout } from '../history/history-entry.js';
import { findHistory, newestHistory } from '../history/history-table.js';
import { findObstacle, refusal, volumeOf } from '../history/obstacle.js';
import { lookAtBrought } from '../history/brought.js';
import { changed, metCodes } from '../history/undo-obstacle.js';
import { stepsOf } from '../history/undo-plan.js';
import type { UndoStep } from '../history/undo-steps.js';
import type { FileStat } from '../files/file-system.js';
import { absolutePath, joinPath, type StorePath } from '../path/path.js';
import { RunningChecksum } from '../record/checksum.js';
import type { HistoryRow, HistoryTarget } from '../record/history-row.js';
import { parseTransactionId, transactionId, type TransactionId } from '../record/record.js';
import { entryRow } from '../record/rows.js';
import { entryKey } from '../record/key.js';
import type { StoreAccess } from './store-access.js';
import { inTimePieces, openInTime } from './pieces.js';
import {
  makeDirectory,
  removeDirectory,
  restoreDirectory,
  restoreFile,
  restoreLink,
  trackLink,
  type Transaction,
} from './transaction.js';

const pageRows = 100;

/** The newest first. Rows that go meanwhile are left out. */
export function* listHistory(access: StoreAccess, asked: StorePath | undefined): Generator<HistoryEntry> {
  let before: number | undefined;
  for (;;) {
    const page = access.log.view((view) => newestHistory(view, { before, limit: pageRows }));
    for (const row of page) {
      if (asked === undefined || isAbout(row, asked)) yield describe(access, row);
    }
    if (page.length < pageRows) return;
    before = page.at(-1)!.revision;
  }
}

export function findForUndo(access: StoreAccess, id: TransactionId): HistoryRow | undefined {
  const number = parseTransactionId(id);
  return number === undefined ? undefined : access.log.view((view) => findHistory(view, number));
}

export function notInHistory(id: string): StoreError {
  return new StoreError('ERR_NOT_FOUND', `History has no transaction ${id}`, {
    op: 'undo',
    transaction: id,
    hint: 'history() lists what there is. It may be older than what is kept, have been left out, or have changed nothing.',
  });
}

/** Fills `tx` with what undoes the transaction, and commits it. */
export async function undoIn(access: StoreAccess, tx: Transaction, row: HistoryRow): Promise<Commit> {
  // What is found is tracked before it is judged: whatever changes from then on is a conflict.
  for (const { path, action } of row.targets) if (action !== 'make-parent') await track(access, tx, path);
  for (const { collection, key } of row.entries) await tx.get(collection, key);
  const obstacle = findObstacle(access, row);
  if (obstacle !== undefined) throw refusal(row, obstacle);
  const steps = stepsOf(access, row, tx.id);
  try {
    for (const step of steps) await carryOut(access, tx, row, step);
    restoreEntries(access, tx, row);
    return await tx.commit();
  } catch (error) {
    throw changedMeanwhile(row, error);
  }
}

/** A symbolic link is asked for itself, wherever it leads, and what cannot be read as well. */
async function track({ fileSystem, roots }: StoreAccess, tx: Transaction, path: StorePath): Promise<void> {
  const type = fileSystem.lstat(absolutePath(path, roots))?.type;
  if (type === 'symlink' || type === 'other') await trackLink(tx, path);
  else await tx.exists(path);
}

async function carryOut(
  access: StoreAccess,
  tx: Transaction,
  row: HistoryRow,
  step: UndoStep,
): Promise<void> {
  switch (step.do) {
    case 'rename':
      tx.rename(step.from, step.path);
      break;
    case 'remove':
      tx.rm(step.path);
      break;
    case 'remove-brought': {
      // What comes or changes from now on is found by the plan.
      const expected = lookAtBrought(access, row, step.target);
      if (expected === undefined) throw refusal(row, changed(step.path));
      removeDirectory(tx, step.path, expected);
      break;
    }
    case 'make-directory':
      makeDirectory(tx, step.path, step.mode);
      break;
    case 'restore-directory':
      await restoreTree(access, tx, row, step);
      break;
    case 'restore':
      await restore(access, tx, row, step);
      break;
  }
}

async function restoreTree(
  access: StoreAccess,
  tx: Transaction,
  row: HistoryRow,
  { path, target }: Extract<UndoStep, { do: 'restore-directory' }>,
): Promise<void> {
  const top = keptFile(access, target);
  const stat = top === undefined ? undefined : await access.asyncFileSystem.lstat(top);
  if (top === undefined || stat?.type !== 'directory') throw damaged(access, row, path);
  const mode = (target.before.type === 'directory' ? target.before.mode : undefined) ?? stat.mode;
  const wrong = (name: string): StoreError => damaged(access, row, joinPath(path, name));
  await restoreDirectory(tx, path, { top, mode, below: target.below ?? [], damaged: wrong });
}

async function restore(
  access: StoreAccess,
  tx: Transaction,
  row: HistoryRow,
  { path, target }: Extract<UndoStep, { do: 'restore' }>,
): Promise<void> {
  const { before, kept } = target;
  const file = keptFile(access, target);
  const stat = file === undefined ? undefined : await access.asyncFileSystem.lstat(file);
  if ((stat?.type === 'symlink' || stat?.type === 'other') && before.type === stat.type) {
    restoreLink(tx, path, { type: stat.type, volume: target.volume, name: kept! });
    return;
  }
  if (file === undefined || before.type !== 'file' || stat?.type !== 'file') throw damaged(access, row, path);
  const like = { ...stat, mode: before.mode };
  const content = keptContent(access, { file, stat }, () => damaged(access, row, path), before.checksum);
  await restoreFile(tx, path, content, like);
}

/** Its file system may not be there. */
function keptFile(access: StoreAccess, { volume: place, kept }: HistoryTarget): string | undefined {
  const volume = volumeOf(access, place);
  return volume === undefined || kept === undefined ? undefined : beforePath(volume, kept);
}

/** In pieces; fails at its end where that is not what was kept. */
async function* keptContent(
  { asyncFileSystem }: StoreAccess,
  { file, stat }: { readonly file: string; readonly stat: FileStat },
  wrong: () => StoreError,
  expected: bigint | undefined,
): AsyncGenerator<Uint8Array> {
  const checksum = new RunningChecksum();
  const descriptor = await openInTime(asyncFileSystem, file, wrong);
  try {
    for await (const piece of inTimePieces(asyncFileSystem, descriptor, stat.size)) {
      checksum.update(piece);
      yield piece;
    }
  } finally {
    await asyncFileSystem.close(descriptor);
  }
  if (expected === undefined || checksum.digest() !== expected) throw wrong();
}

/** Or it went with its row, a moment ago. */
function damaged(access: StoreAccess, row: HistoryRow, path: StorePath): StoreError {
  const code = 'ERR_INTEGRITY';
  const id = transactionId(row.number);
  if (findForUndo(access, id) === undefined) return notInHistory(id);
  return refusal(row, { code, path, message: `What was kept of '${path}' is not what it was` });
}

function restoreEntries(access: StoreAccess, tx: Transaction, { entries }: HistoryRow): void {
  for (const { collection, key, old } of entries) {
    if (old === undefined) tx.delete(collection, key);
    else tx.put(collection, key, access.unpack(entryRow.decode(entryKey(collection, key), old).value));
  }
}

function changedMeanwhile(row: HistoryRow, error: unknown): unknown {
  if (!isStoreError(error) || error.op === 'undo') return error;
  const path = error.path ?? row.targets[0]?.path ?? '';
  if (error.code === 'ERR_TOO_MANY') return refusal(row, { code: error.code, path, message: error.message });
  if (!metCodes.has(error.code)) return error;
  const met = refusal(row, {
    code: 'ERR_CONFLICT',
    path,
    message: `'${path}' has changed since: ${error.message}`,
  });
  return new StoreError(met.code, met.message, {
    op: 'undo',
    path,
    transaction: met.transaction,
    hint: met.hint,
    cause: error,
  });
}
