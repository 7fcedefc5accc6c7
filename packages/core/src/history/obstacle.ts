/**
 * Whether a transaction can be undone as things are: everything that it replaced is kept, and each path and entry is as it
 * left it. That is a question of what is there, not of who has put it there: so a transaction can be undone again once
 * the newer ones over it have been.
 */

import { rowOf } from '../commit/file-row.js';
import { beforePath } from '../commit/staged-target.js';
import { type ErrorCode, isStoreError, StoreError, withStoreCode } from '../errors.js';
import { checksumOfFile } from '../files/content.js';
import type { FileStat, FileSystem } from '../files/file-system.js';
import { lookVolume, type Volume } from '../files/volume.js';
import { absolutePath, joinPath, type StorePath } from '../path/path.js';
import { hash64 } from '../record/checksum.js';
import type { HistoryEntryChange, HistoryRow, HistoryTarget, LossReason } from '../record/history-row.js';
import { fingerprintOf, type Image, isInLogOnly, sameFingerprint, showsImage } from '../record/image.js';
import { entryKey } from '../record/key.js';
import { transactionId } from '../record/record.js';
import { entryRow, type FileRow } from '../record/rows.js';
import { lookAtBrought } from './brought.js';
import { changed, type HistoryAccess, type UndoObstacle } from './undo-obstacle.js';
import { namesIn, planObstacle } from './undo-plan.js';

const losses: Record<LossReason, string> = {
  edited: 'somebody has written into it after it was replaced; that is in .forewrit/conflicts',
  missing: 'it was gone',
  unreadable: 'it could not be read, or made durable',
};

export function findObstacle(access: HistoryAccess, row: HistoryRow): UndoObstacle | undefined {
  for (const target of row.targets) {
    const obstacle = obstacleAt(access, row, target);
    if (obstacle !== undefined) return obstacle;
  }
  return planObstacle(access, row) ?? findChangedEntry(access, row);
}

export function volumeOf({ fileSystem, roots }: HistoryAccess, path: StorePath): Volume | undefined {
  return lookVolume(fileSystem, roots, path);
}

/** As an error of `undo`. */
export function refusal(row: HistoryRow, { code, path, message }: UndoObstacle): StoreError {
  return new StoreError(code, message, {
    op: 'undo',
    path,
    transaction: transactionId(row.number),
    hint: hints.get(code) ?? 'Nothing was changed.',
  });
}

const hints: ReadonlyMap<ErrorCode, string> = new Map([
  [
    'ERR_CONFLICT',
    'Undo the newer transactions first, the newest before the others: history() lists them. Nothing was changed.',
  ],
  [
    'ERR_INVALID_PATH',
    'Put back by hand, in transactions of your own, what it has changed: what it replaced is in .forewrit/before. Nothing was changed.',
  ],
  [
    'ERR_TOO_MANY',
    'Put back by hand, in several transactions, what it has changed: what it replaced is in .forewrit/before. Nothing was changed.',
  ],
]);

function obstacleAt(access: HistoryAccess, row: HistoryRow, target: HistoryTarget): UndoObstacle | undefined {
  const { path, lost, kept, before } = target;
  if (lost !== undefined) {
    return { code: 'ERR_INTEGRITY', path, message: `What was at '${path}' is not kept: ${losses[lost]}` };
  }
  try {
    if (kept !== undefined) {
      const volume = volumeOf(access, target.volume);
      const stat = volume === undefined ? undefined : access.fileSystem.lstat(beforePath(volume, kept));
      if (stat?.type !== before.type) {
        return { code: 'ERR_INTEGRITY', path, message: `What was kept of '${path}' is not there any more` };
      }
    }
    return isAsLeft(access, row, target) ? undefined : changed(path);
  } catch (error) {
    // A root that the store was opened without, or a file that nobody may read.
    const coded = withStoreCode(error, { op: 'undo', path });
    if (!isStoreError(coded)) throw error;
    return { code: coded.code, path, message: coded.message };
  }
}

function isAsLeft(access: HistoryAccess, row: HistoryRow, target: HistoryTarget): boolean {
  const { fileSystem, roots } = access;
  const { action, path, after } = target;
  const absolute = absolutePath(path, roots);
  const now = fileSystem.lstat(absolute);
  if (action === 'make-parent') return true;
  if (after.type === 'absent') return now === undefined;
  if (now === undefined || now.type !== after.type) return false;
  if (target.brought !== undefined) return lookAtBrought(access, row, target) !== undefined;
  if (action === 'make-directory') {
    const made = new Set(row.targets.map((each) => each.path));
    return namesIn(access, path).every((name) => made.has(joinPath(path, name)));
  }
  // Which directory it is says nothing: one that was removed since and has come back is another.
  if (after.type === 'directory') return true;
  if (after.type !== 'file') return showsImage(now, after);
  const newest = access.log.view((view) => rowOf(view, path, access.folding));
  return holds(fileSystem, { absolute, now, newest }, after);
}

/** What the log knows need not be read again; where it knows nothing of the content, the inode has to be the same. */
function holds(
  fileSystem: FileSystem,
  {
    absolute,
    now,
    newest,
  }: { readonly absolute: string; readonly now: FileStat; readonly newest: FileRow | undefined },
  after: Extract<Image, { type: 'file' }>,
): boolean {
  const known = newest?.image.type === 'file' ? newest.image : undefined;
  const { checksum } = after;
  if (known !== undefined && (isInLogOnly(known) || showsImage(now, known))) {
    if (checksum !== undefined && known.checksum !== undefined) return known.checksum === checksum;
  }
  if (sameFingerprint(after.fingerprint, fingerprintOf(now))) return true;
  if (checksum === undefined || now.size !== after.fingerprint.size) return false;
  return checksumOfFile(fileSystem, absolute) === checksum;
}

function findChangedEntry(
  { log }: HistoryAccess,
  { revision, entries, targets }: HistoryRow,
): UndoObstacle | undefined {
  const found = log.view((view) =>
    entries.find((entry) => {
      const at = entryKey(entry.collection, entry.key);
      const value = view.get('entries', at);
      const row = value === undefined ? undefined : entryRow.decode(at, value);
      if (isEntryAsLeft(entry, row, revision)) return false;
      // A note beside files that is gone again, as such notes go: the files decide.
      return targets.length === 0 || entry.old !== undefined || row !== undefined;
    }),
  );
  return found === undefined ? undefined : changed(`${found.collection}/${found.key}`);
}

function isEntryAsLeft(
  { after }: HistoryEntryChange,
  row: { readonly revision: number; readonly value: Uint8Array } | undefined,
  revision: number,
): boolean {
  if (after === 'unknown') return row?.revision === revision;
  if (row === undefined) return after === 'absent';
  return hash64(row.value) === after;
}
