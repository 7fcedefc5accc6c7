/** Puts what a transaction holds of one path into `conflicts/`, where somebody can find it. The path stays as it is. */

import { beforePath, checksumOfFile, type FileStat, type Target, type Volume } from '@forewrit/core';
import { type SavedConflict, saveOurs, saveTheirs, setAside } from './conflicts.js';
import type { RecoveryContext } from './recovery-context.js';

export interface RepairSubject {
  readonly transaction: string;
  readonly target: Target;
  readonly volume: Volume;
  readonly absolute: string;
}

export interface RepairEffects {
  readonly saved: (conflict: SavedConflict) => void;
  readonly touched: (directory: string) => void;
}

export function quarantine(context: RecoveryContext, subject: RepairSubject, effects: RepairEffects): void {
  const { fileSystem } = context;
  const { target, volume, absolute } = subject;
  const now = fileSystem.lstat(absolute);
  if (!showsAfter(context, target, { absolute, stat: now })) {
    const ours = saveOurs(context, subject);
    if (ours !== undefined) effects.saved(ours);
  }
  if (target.beforeName === undefined) return;
  const before = beforePath(volume, target.beforeName);
  const stat = fileSystem.lstat(before);
  // Still in its place: then this is only another link of it.
  if (stat === undefined || stat.ino === now?.ino) return;
  // A file keeps its name until the end, so that the repair can be repeated in another direction.
  if (stat.type === 'file') effects.saved(saveTheirs(context, subject, { absolute: before, stat }));
  else effects.saved(setAside(fileSystem, subject, before));
}

function showsAfter(
  { fileSystem }: RecoveryContext,
  { after }: Target,
  { absolute, stat }: { readonly absolute: string; readonly stat: FileStat | undefined },
): boolean {
  if (after.type !== 'file' || stat?.type !== 'file') return false;
  if (after.fingerprint.ino === stat.ino && after.checksum === undefined) return true;
  return stat.size === after.fingerprint.size && checksumOfFile(fileSystem, absolute) === after.checksum;
}
