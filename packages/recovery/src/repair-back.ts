/**
 * Takes a transaction back, path by path, in the reverse of their order. Everything is looked at before anything is
 * touched: one before-image that is missing or damaged, and nothing happens. What is replaced is kept aside.
 */

import {
  assert,
  absolutePath,
  beforePath,
  checksumOfFile,
  type FileStat,
  fingerprintOf,
  inodeOf,
  isBrought,
  sameFingerprint,
  showsImage,
  stagedPath,
  StoreError,
} from '@forewrit/core';
import { saveOurs, saveTheirs, setAside } from './conflicts.js';
import { linkFresh } from './fresh-file.js';
import type { RepairEffects, RepairSubject } from './quarantine.js';
import { directoryOf, type RecoveryContext, targetName } from './recovery-context.js';
import { freshName } from './redo.js';

export function refuseWithoutBeforeImages(
  context: RecoveryContext,
  subjects: readonly RepairSubject[],
): void {
  const wrong = subjects.filter((subject) => !canGoBack(context, subject));
  if (wrong.length === 0) return;
  const paths = wrong.map(({ target }) => target.path);
  throw new StoreError('ERR_INTEGRITY', `No sound before-image of ${paths.join(', ')}`, {
    op: 'repair',
    path: paths[0],
    transaction: wrong[0]?.transaction,
    hint: 'Nothing was changed. Use --forward, or --quarantine to keep the files as they are.',
  });
}

export function canGoBack(
  { fileSystem }: RecoveryContext,
  { target, volume, absolute }: RepairSubject,
): boolean {
  const { before, beforeName, beforeCopied } = target;
  if (before.type === 'absent') return true;
  if (showsImage(fileSystem.lstat(absolute), before) || isUntouched(fileSystem.lstat(directoryOf(absolute))))
    return true;
  if (beforeName === undefined) return false;
  const path = beforePath(volume, beforeName);
  const stat = fileSystem.lstat(path);
  if (stat === undefined || stat.type !== before.type) return false;
  if (before.type !== 'file') return true;
  if (before.checksum !== undefined) return checksumOfFile(fileSystem, path) === before.checksum;
  return beforeCopied !== true && sameFingerprint(before.fingerprint, fingerprintOf(stat));
}

/** The directory that it would be in was to be moved there, and was not: it is where it came from, with all it holds. */
function isUntouched(parent: FileStat | undefined): boolean {
  return parent?.type !== 'directory';
}

/** `inPlace`: where a directory is to come back to, or below. */
export function goBack(
  context: RecoveryContext,
  subject: RepairSubject & { readonly inPlace: boolean },
  effects: RepairEffects,
): 'restored' | 'removed' | 'kept' {
  const { fileSystem } = context;
  const { target, absolute } = subject;
  const now = fileSystem.lstat(absolute);
  // Others may have come to rely on a parent; but not where a directory is to come back to, for that place is locked.
  if (target.action === 'make-parent' && !subject.inPlace) return 'kept';
  if (isUntouched(fileSystem.lstat(directoryOf(absolute)))) return 'kept';
  if (target.action === 'move-directory')
    return isBrought(target) ? putAside(context, subject, effects) : moveBack(context, subject, effects);
  if (showsImage(now, target.before)) return 'kept';
  if (now?.type === 'directory' && fileSystem.list(absolute).length === 0)
    fileSystem.removeDirectory(absolute);
  else if (now?.type === 'file') {
    // A file that comes back keeps what it replaces.
    if (target.before.type !== 'file' && keepTheirs(context, subject, effects) !== undefined)
      fileSystem.unlink(absolute);
  } else if (now !== undefined) effects.saved(setAside(fileSystem, subject, absolute));
  if (target.before.type === 'absent') return 'removed';
  putBack(context, subject, effects);
  return 'restored';
}

/** Until what is there has been kept: somebody may put something else there meanwhile. Returns it, if it is a file. */
function keepTheirs(
  context: RecoveryContext,
  subject: RepairSubject,
  { saved }: Pick<RepairEffects, 'saved'>,
): FileStat | undefined {
  const { absolute } = subject;
  let kept: bigint | undefined;
  for (;;) {
    const stat = context.fileSystem.lstat(absolute);
    if (stat?.type !== 'file') return undefined;
    if (stat.ino === kept) return stat;
    saved(saveTheirs(context, subject, { absolute, stat }));
    kept = stat.ino;
  }
}

/** Content whose durable copy was there before the transaction, under a name that was not made for it, goes nowhere else. */
export function keepAdopted(
  context: RecoveryContext,
  subject: RepairSubject,
  { saved }: Pick<RepairEffects, 'saved'>,
): void {
  const { transaction, target } = subject;
  const { action, staged } = target;
  if (action !== 'write' || staged === undefined || staged === targetName(transaction, target)) return;
  const ours = saveOurs(context, subject);
  if (ours !== undefined) saved(ours);
}

/**
 * A file gets a second link for its place, and its name in `before/` stays until the repair is flushed: of a rename a power
 * cut may keep just the half that takes the old name away, and there is no other copy.
 */
function putBack(
  context: RecoveryContext,
  subject: RepairSubject,
  effects: Pick<RepairEffects, 'saved'>,
): void {
  const { fileSystem } = context;
  const { transaction, target, volume, absolute } = subject;
  assert(target.beforeName !== undefined, 'what goes back has a before-image');
  const from = beforePath(volume, target.beforeName);
  const stat = fileSystem.lstat(from);
  if (stat === undefined || stat.type === 'directory') {
    fileSystem.rename(from, absolute);
    return;
  }
  const fresh = stagedPath(volume, freshName(transaction, target));
  linkFresh(fileSystem, { path: fresh, mode: stat.mode, like: stat }, from);
  const { ino } = fileSystem.lstat(fresh)!;
  const there = keepTheirs(context, subject, effects);
  // A rename between two links of one inode does nothing.
  if (there?.ino === ino) fileSystem.unlink(fresh);
  else fileSystem.rename(fresh, absolute);
}

/** An undo had brought it back, and somebody may have put something into it since: it goes to no staging area. */
function putAside(
  { fileSystem }: RecoveryContext,
  subject: RepairSubject,
  { saved, touched }: RepairEffects,
): 'removed' | 'kept' {
  const { target, absolute } = subject;
  if (fileSystem.lstat(absolute)?.ino !== inodeOf(target.after)) return 'kept';
  saved(setAside(fileSystem, subject, absolute));
  touched(directoryOf(absolute));
  return 'removed';
}

function moveBack(
  context: RecoveryContext,
  subject: RepairSubject,
  effects: RepairEffects,
): 'restored' | 'kept' {
  const { touched } = effects;
  const { fileSystem, roots } = context;
  const { target, absolute } = subject;
  assert(target.from !== undefined, 'a directory that has moved came from somewhere');
  const from = absolutePath(target.from, roots);
  const isThere = fileSystem.lstat(absolute)?.ino === inodeOf(target.after);
  const moves = isThere && fileSystem.lstat(from) === undefined;
  if (moves) {
    fileSystem.rename(absolute, from);
    touched(directoryOf(from));
    touched(directoryOf(absolute));
  }
  // What it had taken the place of, or had made room for it already.
  const displaced = target.before.type !== 'absent' && fileSystem.lstat(absolute) === undefined;
  if (displaced) putBack(context, subject, effects);
  return moves || displaced ? 'restored' : 'kept';
}
