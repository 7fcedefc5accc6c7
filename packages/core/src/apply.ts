/**
 * Apply: one rename for each target of a committed transaction, and its exact reverse.
 *
 * What is at the target must still be the before-image: whatever else is there belongs to somebody, and the transaction
 * is rolled back. A target's rename consumes its apply name (or fills its name in `before/`), so a missing apply name
 * proves that the target was applied, whoever looks.
 */

import { assert } from './assert.js';
import { syncFile } from './content.js';
import { StoreError, systemCode } from './errors.js';
import type { FileStat, FileSystem } from './file-system.js';
import { fingerprintOf, type Image, inodeOf, sameFingerprint, showsImage } from './image.js';
import { absolutePath, type Roots } from './path.js';
import type { PathResolver } from './path-resolver.js';
import type { Listed } from './record.js';
import { beforePath, type StagedTarget, type StagedTransaction, stagedPath } from './staging-area.js';

export interface ApplyContext {
  readonly fileSystem: FileSystem;
  readonly roots: Roots;
  readonly resolver: PathResolver;
  /** Called before each target, with its position: where tests kill or stop the process. */
  readonly onStep?: (step: 'apply' | 'roll-back', index: number) => void;
}

export class ApplyFailed extends Error {
  override readonly name = 'ApplyFailed';
  /** Targets that were changed before the failure, in order. */
  readonly changed: readonly StagedTarget[];
  constructor(changed: readonly StagedTarget[], cause: unknown) {
    super('applying failed', { cause });
    this.changed = changed;
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
  const changed: StagedTarget[] = [];
  try {
    for (const staged of transaction.targets) {
      context.onStep?.('apply', staged.target.index);
      context.resolver.verifyParent(staged.target.path, 'apply');
      applyTarget(context, staged, changed);
    }
  } catch (error) {
    throw new ApplyFailed(changed, error);
  }
}

function applyTarget(context: ApplyContext, staged: StagedTarget, changed: StagedTarget[]): void {
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
      changed.push(staged);
      break;
    }
    case 'remove':
      if (!showsImage(now, target.before)) throw externalEdit(target.path);
      fileSystem.rename(absolute, beforePath(volume, target.beforeName!));
      changed.push(staged);
      break;
    case 'make-directory':
    case 'make-parent':
      makeDirectory(fileSystem, staged, now, changed);
      break;
    case 'move-directory': {
      const from = absolutePath(target.from!, context.roots);
      if (now !== undefined) throw externalEdit(target.path, 'appeared meanwhile');
      if (fileSystem.lstat(from)?.ino !== inodeOf(target.after)) throw externalEdit(target.from!);
      fileSystem.rename(from, absolute);
      changed.push(staged);
      context.resolver.forget();
      break;
    }
    case 'remove-directory': {
      if (!showsImage(now, target.before)) throw externalEdit(target.path);
      const to = beforePath(volume, target.beforeName!);
      fileSystem.rename(absolute, to);
      changed.push(staged);
      context.resolver.forget();
      const surprise = unplannedBelow(fileSystem, to, target.listing ?? []);
      if (surprise !== undefined) throw externalEdit(`${target.path}/${surprise}`);
      break;
    }
  }
}

function makeDirectory(
  fileSystem: FileSystem,
  staged: StagedTarget,
  now: FileStat | undefined,
  changed: StagedTarget[],
): void {
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
  changed.push(staged);
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

/** What a roll-back found that was not ours any more, and left alone. */
export interface RollBackReport {
  readonly left: readonly string[];
}

/**
 * Takes back those targets that this apply changed and that still are our after-image: the apply name first, then the
 * before-image, so that recovery can go forward until the abort is flushed. Then makes every target durable.
 */
export function rollBack(
  context: ApplyContext,
  transaction: StagedTransaction,
  changed: readonly StagedTarget[],
): RollBackReport {
  const left: string[] = [];
  for (const staged of [...changed].reverse()) {
    context.onStep?.('roll-back', staged.target.index);
    if (!revertTarget(context, staged)) left.push(staged.target.path);
  }
  const directories = new Set<string>();
  for (const staged of transaction.targets) {
    for (const path of [staged.absolute, fromOf(context, staged)]) {
      if (path === undefined) continue;
      const stat = context.fileSystem.lstat(path);
      if (stat?.type === 'file') syncFile(context.fileSystem, path);
      const parent = path.slice(0, path.lastIndexOf('/'));
      if (context.fileSystem.lstat(parent)?.type === 'directory') directories.add(parent);
    }
  }
  for (const directory of directories) context.fileSystem.syncDirectory(directory);
  return { left };
}

function fromOf(context: ApplyContext, staged: StagedTarget): string | undefined {
  const { action, from } = staged.target;
  return action === 'move-directory' && from !== undefined ? absolutePath(from, context.roots) : undefined;
}

function revertTarget(context: ApplyContext, staged: StagedTarget): boolean {
  const { fileSystem } = context;
  const { target, absolute, volume } = staged;
  const now = fileSystem.lstat(absolute);
  switch (target.action) {
    case 'write':
    case 'move':
      return revertFile(fileSystem, staged, now);
    case 'remove':
    case 'remove-directory':
      if (now !== undefined) return false;
      fileSystem.rename(beforePath(volume, target.beforeName!), absolute);
      context.resolver.forget();
      return true;
    case 'make-parent':
      // Others may have come to rely on it. Its apply name goes with the other staged names.
      return true;
    case 'make-directory':
      if (now?.type !== 'directory' || fileSystem.list(absolute).length > 0) return false;
      fileSystem.rename(absolute, stagedPath(volume, target.applyName!));
      return true;
    case 'move-directory': {
      const from = absolutePath(target.from!, context.roots);
      if (now?.ino !== inodeOf(target.after) || fileSystem.lstat(from) !== undefined) return false;
      fileSystem.rename(absolute, from);
      context.resolver.forget();
      return true;
    }
  }
}

function revertFile(fileSystem: FileSystem, staged: StagedTarget, now: FileStat | undefined): boolean {
  const { target, absolute, volume } = staged;
  if (!isAfterImage(now, target.after)) return false;
  const apply = stagedPath(volume, target.applyName!);
  if (target.before.type === 'absent') {
    fileSystem.rename(absolute, apply);
    return true;
  }
  assert(target.beforeName !== undefined, 'a replaced file has a before-image');
  fileSystem.link(absolute, apply);
  const before = beforePath(volume, target.beforeName);
  if (now?.ino === inodeOf(target.before)) fileSystem.unlink(before);
  else fileSystem.rename(before, absolute);
  return true;
}

function isAfterImage(now: FileStat | undefined, after: Image): boolean {
  return now !== undefined && showsImage(now, after);
}
