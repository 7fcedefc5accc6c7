/**
 * `conflicts/`: content that recovery met and would not destroy, or could not put where it belongs. Each is durable,
 * name and all, before anything else happens to it. A recovery that is repeated finds what it had saved before, by inode
 * or by content, and saves nothing twice.
 */

import {
  absolutePath,
  checksumOfFile,
  type FileStat,
  type FileSystem,
  inodeOf,
  isBrought,
  type StorePath,
  stagedPath,
  syncFile,
  systemCode,
  type Target,
  type Volume,
} from '@forewrit/core';
import { linkFresh, writeFresh } from './fresh-file.js';
import { type RecoveryContext, targetName } from './recovery-context.js';

export interface SavedConflict {
  readonly path: StorePath;
  readonly savedAs: string;
}

export interface ConflictSubject {
  readonly transaction: string;
  readonly target: Target;
  readonly volume: Volume;
}

/** A regular file: what is in a target's place, or was. It keeps its name. */
export function saveTheirs(
  { fileSystem }: RecoveryContext,
  subject: ConflictSubject,
  { absolute, stat }: { readonly absolute: string; readonly stat: FileStat },
): SavedConflict {
  const saved = find(fileSystem, subject, (there) => there.ino === stat.ino);
  if (!saved.exists) linkFresh(fileSystem, { path: saved.path, mode: stat.mode, like: stat }, absolute);
  return finish(fileSystem, subject, saved.path);
}

/** What the transaction would have put there; `undefined` if that has no content. */
export function saveOurs(
  { fileSystem, roots }: RecoveryContext,
  subject: ConflictSubject,
): SavedConflict | undefined {
  const { target, volume } = subject;
  const { action, after, content, staged, from } = target;
  if (action === 'write' && after.type === 'file' && content !== undefined) {
    const saved = find(fileSystem, subject, (there, path) =>
      holds(fileSystem, { there, path }, content, after.checksum),
    );
    if (!saved.exists) {
      // Under another name first: a crash must not leave a part of it that looks like a conflict.
      const fresh = stagedPath(volume, `${targetName(subject.transaction, target)}.save`);
      writeFresh(fileSystem, { path: fresh, mode: after.mode }, content);
      fileSystem.rename(fresh, saved.path);
    }
    return finish(fileSystem, subject, saved.path);
  }
  if (action === 'move-directory') return saveStagedTree({ fileSystem, roots }, subject);
  if (action !== 'write' && action !== 'move') return undefined;
  // A moved file may have lost its staged name with its durable copy at its source.
  const places = [
    ...(staged === undefined ? [] : [stagedPath(volume, staged)]),
    ...(from === undefined ? [] : [absolutePath(from, roots)]),
  ];
  for (const place of places) {
    const stat = fileSystem.lstat(place);
    if (stat?.type !== after.type || (action === 'move' && stat.ino !== inodeOf(after))) continue;
    const saved = find(fileSystem, subject, (there) => there.ino === stat.ino);
    if (!saved.exists) linkFresh(fileSystem, { path: saved.path, mode: stat.mode, like: stat }, place);
    return finish(fileSystem, subject, saved.path);
  }
  return undefined;
}

/** What an undo was to bring back, if it still is where it was staged. */
function saveStagedTree(
  { fileSystem, roots }: Pick<RecoveryContext, 'fileSystem' | 'roots'>,
  subject: ConflictSubject,
): SavedConflict | undefined {
  const { from, after } = subject.target;
  if (!isBrought(subject.target)) return undefined;
  const { path, exists } = find(fileSystem, subject, (there) => there.ino === inodeOf(after));
  if (!exists) {
    const staged = absolutePath(from!, roots);
    if (fileSystem.lstat(staged)?.type !== 'directory') return undefined;
    fileSystem.rename(staged, path);
  }
  return finish(fileSystem, subject, path);
}

/** Puts aside a whole directory that stands where a file or another directory must go. */
export function setAside(fileSystem: FileSystem, subject: ConflictSubject, absolute: string): SavedConflict {
  const { path } = find(fileSystem, subject, () => false);
  fileSystem.rename(absolute, path);
  fileSystem.syncDirectory(subject.volume.conflicts);
  return { path: subject.target.path, savedAs: path };
}

function find(
  fileSystem: FileSystem,
  { transaction, target, volume }: ConflictSubject,
  isSame: (there: FileStat, path: string) => boolean,
): { readonly path: string; readonly exists: boolean } {
  const stem = `${volume.conflicts}/${targetName(transaction, target)}`;
  for (let k = 0; ; k += 1) {
    const path = `${stem}-${k}`;
    const there = fileSystem.lstat(path);
    if (there === undefined) return { path, exists: false };
    if (isSame(there, path)) return { path, exists: true };
  }
}

function holds(
  fileSystem: FileSystem,
  { there, path }: { readonly there: FileStat; readonly path: string },
  content: Uint8Array,
  checksum: bigint | undefined,
): boolean {
  return (
    there.type === 'file' &&
    there.size === content.byteLength &&
    checksumOfFile(fileSystem, path) === checksum
  );
}

function finish(fileSystem: FileSystem, { target, volume }: ConflictSubject, savedAs: string): SavedConflict {
  if (fileSystem.lstat(savedAs)?.type === 'file') syncIfReadable(fileSystem, savedAs);
  fileSystem.syncDirectory(volume.conflicts);
  return { path: target.path, savedAs };
}

/** A file that we may not even read is not ours to flush. */
function syncIfReadable(fileSystem: FileSystem, path: string): void {
  try {
    syncFile(fileSystem, path);
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
  }
}
