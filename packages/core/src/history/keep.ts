/**
 * Keeping: what a checkpoint, or recovery, would let go of an applied transaction becomes its row of history.
 *
 * Each before-image is looked at and made durable under the name that it has; the directory `before/` is flushed by the
 * caller, once for all. Only then the row may be written. What cannot be kept as it was (somebody has written into it, it
 * is gone, it cannot be flushed) is said to be lost, with the reason: then the transaction cannot be undone.
 *
 * Whatever fails here costs an undo and not the checkpoint, which saves are waiting for.
 *
 * A file that was moved needs no before-image: it is where it was moved to. Of a flush that fails nothing is kept, and its
 * name goes at once, so that nobody believes a second one.
 */

import { beforePath, isBrought } from '../commit/staged-target.js';
import { unlinkIfThere } from '../commit/removal.js';
import { systemCode } from '../errors.js';
import { checksumOfDescriptor } from '../files/content.js';
import type { FileStat, FileSystem } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import type { HistoryEntryChange, HistoryRow, HistoryTarget, LossReason } from '../record/history-row.js';
import { fingerprintOf, type Image, inodeOf, sameFingerprint } from '../record/image.js';
import type { Target, TransactionNumber } from '../record/record.js';
import { isDurable, keepTree } from './keep-tree.js';
import { type FileMove, movedOut, movesIn } from './undo-steps.js';

export interface KeepTarget {
  readonly target: Target;
  /** Absent where its file system is not there. */
  readonly volume: Volume | undefined;
}

export interface KeepSubject {
  readonly number: TransactionNumber;
  readonly revision: number;
  readonly committedAtMs: number;
  readonly targets: readonly KeepTarget[];
  readonly entries: readonly HistoryEntryChange[];
  /** The power may have been cut since: content that was not flushed need not be what it was. */
  readonly doubtful?: boolean;
  /** A flush of what was there has failed before: another one proves nothing. */
  readonly isUnflushed: (target: Target) => boolean;
}

export type Kept =
  | { readonly before: Image; readonly below?: HistoryTarget['below']; readonly bytes: number }
  | { readonly lost: LossReason };

/** Yields after each of its files. */
export function* keepTransaction(fileSystem: FileSystem, subject: KeepSubject): Generator<void, HistoryRow> {
  const targets: HistoryTarget[] = [];
  let keptBytes = 0;
  const plainTargets = subject.targets.map(({ target }) => target);
  const moved = new Set(
    plainTargets.flatMap(({ action, after }) => (action === 'move' ? [inodeOf(after)] : [])),
  );
  const moves = movesIn(plainTargets);
  for (const each of subject.targets) {
    const { action, path, volume, before, after, beforeName } = each.target;
    const plain = { action, path, ...whereFrom(each.target), volume, before, after };
    if (!needsBefore(each.target, moved)) {
      targets.push(plain);
      continue;
    }
    const kept = subject.isUnflushed(each.target)
      ? ({ lost: 'unreadable' } as const)
      : yield* keepBefore(fileSystem, each, { doubtful: subject.doubtful === true, moves });
    yield;
    if ('lost' in kept) targets.push({ ...plain, lost: kept.lost });
    else {
      keptBytes += kept.bytes;
      const below = kept.below === undefined ? {} : { below: kept.below };
      targets.push({ ...plain, before: kept.before, kept: beforeName!, ...below });
    }
  }
  const { number, revision, committedAtMs, entries } = subject;
  return { number, revision, committedAtMs, keptBytes, targets, entries };
}

/** What an undo has brought back did not move: where it was staged is nobody's business. */
function whereFrom(target: Target): Pick<HistoryTarget, 'from' | 'brought'> {
  const { from, listing = [] } = target;
  if (isBrought(target)) return { brought: listing };
  return from === undefined ? {} : { from };
}

/** What was there is nowhere else. */
function needsBefore({ before, movedAway }: Target, moved: ReadonlySet<bigint | undefined>): boolean {
  if (before.type === 'absent') return false;
  return movedAway !== true || !moved.has(inodeOf(before));
}

function* keepBefore(
  fileSystem: FileSystem,
  { target, volume }: KeepTarget,
  { doubtful, moves }: { readonly doubtful: boolean; readonly moves: readonly FileMove[] },
): Generator<void, Kept> {
  if (target.beforeName === undefined || volume === undefined) return { lost: 'missing' };
  const path = beforePath(volume, target.beforeName);
  try {
    const stat = fileSystem.lstat(path);
    if (stat === undefined) return { lost: 'missing' };
    if (stat.type !== target.before.type) return { lost: 'edited' };
    if (stat.type === 'directory')
      return yield* keepTree(fileSystem, path, { ...target, elsewhere: movedOut(moves, target) });
    if (target.before.type !== 'file') return { before: target.before, bytes: stat.size };
    return keepFile(fileSystem, path, {
      stat,
      before: target.before,
      copied: target.beforeCopied === true,
      doubtful,
    });
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return { lost: code === 'ENOENT' ? 'missing' : 'unreadable' };
  }
}

function keepFile(
  fileSystem: FileSystem,
  path: string,
  {
    stat,
    before,
    copied,
    doubtful,
  }: {
    readonly stat: FileStat;
    readonly before: Extract<Image, { type: 'file' }>;
    readonly copied: boolean;
    readonly doubtful: boolean;
  },
): Kept {
  const touched = !copied && !sameFingerprint(before.fingerprint, fingerprintOf(stat));
  const { checksum } = before;
  const descriptor = fileSystem.openRead(path);
  try {
    if (!isDurable(() => fileSystem.sync(descriptor))) {
      unlinkIfThere(fileSystem, path);
      return { lost: 'unreadable' };
    }
    const bytes = before.fingerprint.size;
    if (checksum !== undefined && !touched && !doubtful) return { before, bytes };
    const found = checksumOfDescriptor(fileSystem, descriptor);
    if (checksum === undefined ? touched : found !== checksum) return { lost: 'edited' };
    return { before: { ...before, checksum: found }, bytes };
  } finally {
    fileSystem.close(descriptor);
  }
}
