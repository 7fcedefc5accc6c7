/**
 * Apply: one rename for each target of a committed transaction, and its exact reverse.
 *
 * What is at the target must still be the before-image: whatever else is there belongs to somebody, and the transaction
 * is rolled back. A target's rename consumes its apply name (or fills its name in `before/`), so a missing apply name
 * proves that the target was applied, whoever looks.
 */

import { assert } from '../assert.js';
import { freeName } from './edited-before.js';
import { LeavingDirectories } from './leaving-directories.js';
import { copyDurably, linkRefusals, syncFile } from '../files/content.js';
import { hasCode, StoreError, systemCode } from '../errors.js';
import type { FileStat, FileSystem } from '../files/file-system.js';
import { fingerprintOf, type Image, imageOf, inodeOf, sameFingerprint, showsImage } from '../record/image.js';
import { absolutePath, isBelow, type Roots, type StorePath } from '../path/path.js';
import type { PathResolver } from '../path/path-resolver.js';
import type { Listed } from '../record/record.js';
import {
  beforePath,
  isBrought,
  type StagedTarget,
  type StagedTransaction,
  stagedPath,
} from './staged-target.js';

export interface ApplyContext {
  readonly fileSystem: FileSystem;
  readonly roots: Roots;
  readonly resolver: PathResolver;
  /** Called before each target, with its position: where tests kill or stop the process. */
  readonly onStep?: (step: 'apply' | 'roll-back', index: number) => void;
}

export class ApplyFailed extends Error {
  override readonly name = 'ApplyFailed';
  /** Targets that were tried before the failure, in order. The last one may have been changed, or not. */
  readonly tried: readonly StagedTarget[];
  constructor(tried: readonly StagedTarget[], cause: unknown) {
    super('applying failed', { cause });
    this.tried = tried;
  }
}

export function externalEdit(path: string, what = 'was changed by another program'): StoreError {
  return new StoreError('ERR_EXTERNAL_EDIT', `'${path}' ${what}`, {
    op: 'apply',
    path,
    hint: 'Nothing was changed. Read the file again and decide; { force: true } writes over what is there.',
  });
}

/** Carries out all targets or throws `ApplyFailed`. */
export function applyTransaction(context: ApplyContext, transaction: StagedTransaction): void {
  const tried: StagedTarget[] = [];
  const leaving = new LeavingDirectories(context.fileSystem, context.roots);
  try {
    for (const staged of transaction.targets) {
      context.onStep?.('apply', staged.target.index);
      context.resolver.verifyParent(staged.target.path, 'apply');
      leaving.before(staged.target);
      tried.push(staged);
      applyTarget(context, staged);
    }
  } catch (error) {
    throw new ApplyFailed(tried, error);
  }
}

function applyTarget(context: ApplyContext, staged: StagedTarget): void {
  const { fileSystem } = context;
  const { target, absolute, volume } = staged;
  const now = fileSystem.lstat(absolute);
  switch (target.action) {
    case 'write':
    case 'move': {
      if (!showsImage(now, target.before)) throw externalEdit(target.path);
      const from = stagedPath(volume, target.applyName!);
      // A rename between two links of one inode does nothing.
      if (now !== undefined && now.ino === inodeOf(target.after)) fileSystem.unlink(from);
      else fileSystem.rename(from, absolute);
      break;
    }
    case 'remove':
    case 'remove-directory':
      if (!showsImage(now, target.before)) throw externalEdit(target.path);
      makeRoom(context, staged);
      break;
    case 'make-directory':
    case 'make-parent':
      makeDirectory(fileSystem, staged, now);
      break;
    case 'move-directory': {
      const from = absolutePath(target.from!, context.roots);
      if (!showsImage(now, target.before)) throw externalEdit(target.path, 'has changed meanwhile');
      if (fileSystem.lstat(from)?.ino !== inodeOf(target.after)) throw externalEdit(target.from!);
      // No rename puts a directory over a file, or over what is not empty. Whoever finds its place empty, and it where it came
      // from, goes on.
      if (now !== undefined) makeRoom(context, staged);
      fileSystem.rename(from, absolute);
      context.resolver.forget();
      break;
    }
  }
}

/** What is there goes to its name in `before/`; a directory only with what was planned, and that is looked at when it has gone. */
function makeRoom({ fileSystem, resolver }: ApplyContext, { target, absolute, volume }: StagedTarget): void {
  const to = beforePath(volume, target.beforeName!);
  fileSystem.rename(absolute, to);
  if (target.before.type !== 'directory') return;
  resolver.forget();
  assert(target.listing !== undefined, 'a directory that goes was listed');
  const surprise = unplannedBelow(fileSystem, to, target.listing);
  if (surprise !== undefined) throw externalEdit(`${target.path}/${surprise}`);
}

function makeDirectory(fileSystem: FileSystem, staged: StagedTarget, now: FileStat | undefined): void {
  const { target, absolute, volume } = staged;
  const from = stagedPath(volume, target.applyName!);
  if (now?.type === 'directory' && target.action === 'make-parent') {
    fileSystem.removeDirectory(from);
    return;
  }
  if (now !== undefined) throw externalEdit(target.path, 'appeared meanwhile');
  try {
    fileSystem.rename(from, absolute);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR') {
      throw externalEdit(target.path, 'appeared meanwhile');
    }
    throw error;
  }
}

/** The first path below a removed directory that was not planned, or is not as it was planned. */
export function unplannedBelow(
  fileSystem: FileSystem,
  top: string,
  listing: readonly Listed[],
): string | undefined {
  const planned = new Map(listing.map((listed) => [listed.name, listed]));
  const pending = [''];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const name of fileSystem.list(next === '' ? top : `${top}/${next}`)) {
      const relative = next === '' ? name : `${next}/${name}`;
      const stat = fileSystem.lstat(`${top}/${relative}`);
      if (stat === undefined) continue;
      const listed = planned.get(relative);
      if (listed === undefined || listed.type !== stat.type) return relative;
      if (stat.type === 'directory') pending.push(relative);
      else if (!sameFingerprint(listed.fingerprint, fingerprintOf(stat))) return relative;
    }
  }
  return undefined;
}

export interface RollBackReport {
  /** Targets that were not ours any more, and stay as somebody has made them. */
  readonly left: readonly StorePath[];
  /** What stood at those before, where it is now. */
  readonly saved: readonly { readonly path: StorePath; readonly savedAs: string }[];
  /** Before-images that were copies: what is at these paths now. */
  readonly images: ReadonlyMap<StorePath, Image>;
}

/**
 * Takes back those targets that this apply has changed and that still are our after-image: the apply name first, then
 * the before-image, so that recovery can go forward until the abort is flushed. Then makes every target durable.
 *
 * An operation that has failed may have happened all the same, so each target that was tried is looked at: as long as
 * its apply name is there (or its name in `before/` is not), it was not applied. Where a flush has failed before
 * (`unflushed`), another one proves nothing, and there is no going back.
 */
export function rollBack(
  context: ApplyContext,
  transaction: StagedTransaction,
  {
    tried,
    unflushed,
  }: { readonly tried: readonly StagedTarget[]; readonly unflushed: ReadonlySet<StorePath> },
): RollBackReport {
  const left: StagedTarget[] = [];
  const vacated = transaction.targets.flatMap(({ target }) =>
    target.action === 'move-directory' && target.from !== undefined ? [target.from] : [],
  );
  for (const staged of tried.toReversed()) {
    context.onStep?.('roll-back', staged.target.index);
    if (!revertTarget(context, staged, vacated)) left.push(staged);
  }
  const saved = left.flatMap((staged) => keepBefore(context.fileSystem, staged, transaction.id));
  const images = new Map<StorePath, Image>();
  const directories = new Set<string>();
  for (const staged of transaction.targets) {
    for (const path of [staged.absolute, fromOf(context, staged)]) {
      if (path === undefined) continue;
      const stat = context.fileSystem.lstat(path);
      if (stat?.type === 'file') {
        if (unflushed.has(staged.target.path)) throw flushFailed(staged.target.path);
        syncFile(context.fileSystem, path);
      }
      const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 1));
      if (context.fileSystem.lstat(parent)?.type === 'directory') directories.add(parent);
    }
    const { before, beforeCopied, path } = staged.target;
    if (beforeCopied !== true || before.type !== 'file' || left.includes(staged)) continue;
    images.set(path, imageOf(context.fileSystem.lstat(staged.absolute), before.checksum));
  }
  for (const directory of directories) context.fileSystem.syncDirectory(directory);
  return { left: left.map(({ target }) => target.path), saved, images };
}

function flushFailed(path: StorePath): StoreError {
  return new StoreError('ERR_IO', `A flush of '${path}' has failed: what was there cannot be made durable`, {
    op: 'apply',
    path,
    hint: 'Check the disk. Opening the store again writes the content anew.',
  });
}

/** What cannot go back to its place, as somebody has put something else there, is not dropped with the staged files. */
function keepBefore(
  fileSystem: FileSystem,
  { target, volume }: StagedTarget,
  id: string,
): RollBackReport['saved'] {
  if (target.beforeName === undefined) return [];
  const from = beforePath(volume, target.beforeName);
  const stat = fileSystem.lstat(from);
  if (stat === undefined) return [];
  const to = freeName(fileSystem, `${volume.conflicts}/${id}-${target.index.toString(36)}`);
  if (stat.type === 'file') syncFile(fileSystem, from);
  fileSystem.rename(from, to);
  fileSystem.syncDirectory(volume.conflicts);
  return [{ path: target.path, savedAs: to }];
}

function fromOf(context: ApplyContext, staged: StagedTarget): string | undefined {
  const { action, from } = staged.target;
  return action === 'move-directory' && from !== undefined ? absolutePath(from, context.roots) : undefined;
}

/** `false` for what is not ours any more. `vacated`: places that directories have left, and go back to. */
function revertTarget(context: ApplyContext, staged: StagedTarget, vacated: readonly StorePath[]): boolean {
  const { fileSystem } = context;
  const { target, absolute } = staged;
  const now = fileSystem.lstat(absolute);
  switch (target.action) {
    case 'write':
    case 'move':
      return revertFile(fileSystem, staged, now);
    case 'remove':
    case 'remove-directory':
      return revertRemoved(context, staged, now);
    case 'make-parent':
      // Others may have come to rely on it; but not where a directory is to go back to, for that place is locked.
      if (!vacated.some((from) => target.path === from || isBelow(target.path, from))) return true;
      return revertDirectory(fileSystem, staged, now);
    case 'make-directory':
      return revertDirectory(fileSystem, staged, now);
    case 'move-directory': {
      const from = absolutePath(target.from!, context.roots);
      const there = fileSystem.lstat(from);
      const isBack = there?.ino === inodeOf(target.after);
      if (!isBack) {
        if (now?.ino !== inodeOf(target.after) || there !== undefined) return false;
        if (isBrought(target) && wasEdited(fileSystem, staged)) return false;
        fileSystem.rename(absolute, from);
        context.resolver.forget();
      }
      return revertRemoved(context, staged, isBack ? now : undefined);
    }
  }
}

/** What somebody has put into a directory that an undo has brought would be dropped with it. */
function wasEdited(fileSystem: FileSystem, { target, absolute }: StagedTarget): boolean {
  return unplannedBelow(fileSystem, absolute, target.listing ?? []) !== undefined;
}

/** Also what a directory has taken the place of, or was about to. */
function revertRemoved(
  { fileSystem, resolver }: ApplyContext,
  { target, absolute, volume }: StagedTarget,
  now: FileStat | undefined,
): boolean {
  if (target.beforeName === undefined) return true;
  const before = beforePath(volume, target.beforeName);
  if (fileSystem.lstat(before) === undefined) return true;
  if (now !== undefined) return false;
  fileSystem.rename(before, absolute);
  resolver.forget();
  return true;
}

function revertDirectory(fileSystem: FileSystem, staged: StagedTarget, now: FileStat | undefined): boolean {
  const { target, absolute, volume } = staged;
  const apply = stagedPath(volume, target.applyName!);
  if (now === undefined || fileSystem.lstat(apply) !== undefined) return true;
  if (now.type !== 'directory' || fileSystem.list(absolute).length > 0) return false;
  fileSystem.rename(absolute, apply);
  return true;
}

function revertFile(fileSystem: FileSystem, staged: StagedTarget, now: FileStat | undefined): boolean {
  const { target, absolute, volume } = staged;
  const apply = stagedPath(volume, target.applyName!);
  if (fileSystem.lstat(apply) !== undefined) return true;
  // A moved file is ours by its inode, whatever has been written into it since.
  const isOurs =
    target.action === 'move' ? now?.ino === inodeOf(target.after) : isAfterImage(now, target.after);
  if (!isOurs) return showsImage(now, target.before);
  if (target.before.type === 'absent') {
    fileSystem.rename(absolute, apply);
    return true;
  }
  assert(target.beforeName !== undefined, 'a replaced file has a before-image');
  linkOrCopy(fileSystem, absolute, apply);
  const before = beforePath(volume, target.beforeName);
  if (now?.ino === inodeOf(target.before)) fileSystem.unlink(before);
  else fileSystem.rename(before, absolute);
  return true;
}

function linkOrCopy(fileSystem: FileSystem, from: string, to: string): void {
  try {
    fileSystem.link(from, to);
  } catch (error) {
    if (!hasCode(error, linkRefusals)) throw error;
    copyDurably(fileSystem, from, to);
  }
}

function isAfterImage(now: FileStat | undefined, after: Image): boolean {
  return now !== undefined && showsImage(now, after);
}
