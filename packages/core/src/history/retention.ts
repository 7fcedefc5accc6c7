/**
 * Retention: what is too old, or too much, goes from history, the oldest first. A batch forgets the rows, then the names in
 * `before/` go: what a crash leaves of these belongs to nobody, and is swept when the store is next opened. Before that
 * batch each before-image is looked at a last time: what somebody has written into it, through a descriptor that was open
 * when it was replaced, goes to `conflicts/` unless another name still leads to it.
 *
 * Whatever fails here leaves history longer than it should be; the next checkpoint tries again.
 */

import { freeNameUnless } from '../commit/edited-before.js';
import { removeTree, unlinkIfThere } from '../commit/removal.js';
import { isWorthAnotherTry } from '../commit/refusal.js';
import { beforePath } from '../commit/staged-target.js';
import { isStoreError, systemCode } from '../errors.js';
import { checksumOfFile, syncFile } from '../files/content.js';
import type { FileStat, FileSystem } from '../files/file-system.js';
import type { Volume, Volumes } from '../files/volume.js';
import type { CommitOptions, Log, LogView } from '../log/log.js';
import type { HistoryRow, HistoryTarget } from '../record/history-row.js';
import { fingerprintOf, sameFingerprint } from '../record/image.js';
import { transactionId } from '../record/record.js';
import type { Logger } from '../store/options.js';
import { dropHistory, historyTotals, oldestHistory } from './history-table.js';

export const historyDefaults = { maxAgeMs: 7 * 24 * 3600 * 1000, maxBytes: 2 ** 30 } as const;

/** Whatever `maxBytes` is, rows of history leave the log to saves. */
export const rowBytesMax = 64 << 20;
const dropMax = 500;

export interface RetentionContext {
  readonly fileSystem: FileSystem;
  readonly log: Log;
  readonly logger: Logger;
  readonly volumes: Pick<Volumes, 'get'>;
  readonly commitOptions: () => CommitOptions;
}

export interface RetentionLimits {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  readonly nowMs: number;
}

interface Saved {
  readonly path: string;
  readonly savedAs: string;
}

/** Yields after each transaction that goes. Returns what was put aside. */
export function* retain(context: RetentionContext, limits: RetentionLimits): Generator<void, Saved[]> {
  const saved: Saved[] = [];
  try {
    for (;;) {
      const due = context.log.view((view) => dueIn(view, limits));
      if (due.length === 0) return saved;
      for (const row of due) saved.push(...saveEditedOf(context, row));
      const dropped = context.log.commit(
        (batch) => due.filter(({ revision }) => dropHistory(batch, revision)),
        context.commitOptions(),
      );
      for (const row of dropped) {
        removeKept(context, row);
        yield;
      }
    }
  } catch (error) {
    if (systemCode(error) === undefined && !(isStoreError(error) && isWorthAnotherTry(error))) throw error;
    context.logger.warn({ error }, 'history could not be shortened; the next checkpoint tries again');
    return saved;
  }
}

function dueIn(view: LogView, limits: RetentionLimits): HistoryRow[] {
  const totals = historyTotals(view);
  // Mostly nothing is, and then only the oldest need be read.
  if (overLimits(oldestHistory(view, 1), totals, limits).length === 0) return [];
  return overLimits(oldestHistory(view, dropMax), totals, limits).map(({ row }) => row);
}

/** From the oldest on, as many as have to go. */
function overLimits(
  oldest: readonly { row: HistoryRow; rowBytes: number }[],
  totals: { readonly keptBytes: number; readonly rowBytes: number },
  { maxAgeMs, maxBytes, nowMs }: RetentionLimits,
): typeof oldest {
  let { keptBytes, rowBytes } = totals;
  let count = 0;
  for (const { row, rowBytes: own } of oldest) {
    const isOld = row.committedAtMs < nowMs - maxAgeMs;
    if (!isOld && keptBytes + rowBytes <= maxBytes && rowBytes <= rowBytesMax) break;
    keptBytes -= row.keptBytes;
    rowBytes -= own;
    count += 1;
  }
  return oldest.slice(0, count);
}

function saveEditedOf(context: RetentionContext, row: HistoryRow): Saved[] {
  const { fileSystem, volumes } = context;
  return row.targets.flatMap((target, index) => {
    const volume = volumes.get(target.volume);
    if (target.kept === undefined || volume === undefined) return [];
    const stem = `${volume.conflicts}/${transactionId(row.number)}-${index.toString(36)}`;
    const saved: Saved[] = [];
    let isAside = false;
    for (const { file, path, stat } of editedOf(fileSystem, beforePath(volume, target.kept), target)) {
      const to = freeNameUnless(fileSystem, stem, stat.ino);
      // It may have been put there in vain: its name need not be durable.
      isAside ||= to === undefined;
      if (to === undefined || stat.nlink > 1) continue;
      syncFile(fileSystem, file);
      fileSystem.link(file, to);
      isAside = true;
      saved.push({ path, savedAs: to });
    }
    if (isAside) fileSystem.syncDirectory(volume.conflicts);
    return saved;
  });
}

interface Edited {
  readonly file: string;
  readonly path: string;
  readonly stat: FileStat;
}

/** Files that hold something else than was kept. */
function editedOf(fileSystem: FileSystem, top: string, { path, before, below }: HistoryTarget): Edited[] {
  if (before.type === 'file') {
    const stat = fileSystem.lstat(top);
    if (stat?.type !== 'file' || sameFingerprint(before.fingerprint, fingerprintOf(stat))) return [];
    return checksumOfFile(fileSystem, top) === before.checksum ? [] : [{ file: top, path, stat }];
  }
  return (below ?? []).flatMap(({ name, type, sizeBytes, mtimeNs }) => {
    const file = `${top}/${name}`;
    const stat = type === 'file' ? fileSystem.lstat(file) : undefined;
    if (stat?.type !== 'file' || (stat.size === sizeBytes && stat.mtimeNs === mtimeNs)) return [];
    return [{ file, path: `${path}/${name}`, stat }];
  });
}

/** What cannot be removed belongs to nobody any more, and goes when the store is next opened. */
function removeKept({ fileSystem, logger, volumes }: RetentionContext, row: HistoryRow): void {
  for (const { volume: place, kept, before, path } of row.targets) {
    const volume: Volume | undefined = volumes.get(place);
    if (kept === undefined || volume === undefined) continue;
    try {
      const at = beforePath(volume, kept);
      if (before.type === 'directory') removeTree(fileSystem, at);
      else unlinkIfThere(fileSystem, at);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      logger.warn({ path, error }, 'what history kept of a file could not be removed');
    }
  }
}
