/**
 * The last look at a before-image or removed directory that is let go: content that somebody has written into it since (an
 * editor's open descriptor) is not ours to drop, and goes to `conflicts/`, durable before whatever forgets the rest.
 */

import { assert } from '../assert.js';
import { checksumOfFile, syncFile } from '../files/content.js';
import type { FileStat, FileSystem } from '../files/file-system.js';
import { fingerprintOf, type Image, sameFingerprint } from '../record/image.js';
import type { Listed } from '../record/record.js';
import { beforePath, type StagedTarget } from './staged-target.js';

export interface Saved {
  readonly path: string;
  readonly savedAs: string;
}

export function saveEditedBefore(
  fileSystem: FileSystem,
  staged: Pick<StagedTarget, 'target' | 'volume' | 'absolute'>,
  id: string,
): Saved[] {
  const { target, volume } = staged;
  if (target.beforeName === undefined || target.beforeCopied === true) return [];
  const path = beforePath(volume, target.beforeName);
  const stat = fileSystem.lstat(path);
  if (stat === undefined) return [];
  const stem = `${volume.conflicts}/${id}-${target.index.toString(36)}`;
  const saved: Saved[] = [];
  if (stat.type !== target.before.type) {
    // Put there between the last look at the target and its removal.
    const to = freeName(fileSystem, stem);
    fileSystem.rename(path, to);
    saved.push({ path: target.path, savedAs: to });
  } else if (stat.type === 'directory') {
    assert(target.listing !== undefined, 'a directory that is removed was listed');
    for (const relative of editedBelow(fileSystem, path, target.listing)) {
      const to = freeName(fileSystem, stem);
      if (fileSystem.lstat(`${path}/${relative}`)?.type === 'file')
        syncFile(fileSystem, `${path}/${relative}`);
      fileSystem.rename(`${path}/${relative}`, to);
      saved.push({ path: `${target.path}/${relative}`, savedAs: to });
    }
  } else if (wasEdited(fileSystem, path, stat, target.before) && !isElsewhere(fileSystem, staged, stat)) {
    const to = freeNameUnless(fileSystem, stem, stat.ino);
    if (to !== undefined) {
      syncFile(fileSystem, path);
      fileSystem.link(path, to);
      saved.push({ path: target.path, savedAs: to });
    }
  }
  if (saved.length > 0) fileSystem.syncDirectory(volume.conflicts);
  return saved;
}

function wasEdited(fileSystem: FileSystem, path: string, stat: FileStat, before: Image): boolean {
  if (before.type !== 'file' || stat.type !== 'file') return false;
  if (sameFingerprint(before.fingerprint, fingerprintOf(stat))) return false;
  if (stat.mtimeNs <= before.fingerprint.mtimeNs && stat.size === before.fingerprint.size) return false;
  return before.checksum === undefined || checksumOfFile(fileSystem, path) !== before.checksum;
}

/** The inode is still in the tree: at the target itself (put back by somebody), or where this transaction moved it. */
function isElsewhere(
  fileSystem: FileSystem,
  staged: Pick<StagedTarget, 'target' | 'absolute'>,
  stat: FileStat,
): boolean {
  return staged.target.movedAway === true || fileSystem.lstat(staged.absolute)?.ino === stat.ino;
}

/** Files below a removed directory that were not planned, or were written to since. */
function editedBelow(fileSystem: FileSystem, top: string, listing: readonly Listed[]): string[] {
  const planned = new Map(listing.map((listed) => [listed.name, listed]));
  const found: string[] = [];
  const pending = [''];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const name of fileSystem.list(next === '' ? top : `${top}/${next}`)) {
      const relative = next === '' ? name : `${next}/${name}`;
      const stat = fileSystem.lstat(`${top}/${relative}`);
      if (stat === undefined) continue;
      const listed = planned.get(relative);
      if (stat.type === 'directory' && listed?.type === 'directory') pending.push(relative);
      else if (listed === undefined) found.push(relative);
      else if (stat.type === 'file' && stat.nlink === 1 && stat.mtimeNs > listed.fingerprint.mtimeNs) {
        found.push(relative);
      }
    }
  }
  return found;
}

/** `<stem>-<first free k>`. */
export function freeName(fileSystem: FileSystem, stem: string): string {
  let k = 0;
  while (fileSystem.lstat(`${stem}-${k}`) !== undefined) k += 1;
  return `${stem}-${k}`;
}

/** The same; `undefined` when the same inode stands there already. */
export function freeNameUnless(fileSystem: FileSystem, stem: string, ino: bigint): string | undefined {
  for (let k = 0; ; k += 1) {
    const path = `${stem}-${k}`;
    const stat = fileSystem.lstat(path);
    if (stat === undefined) return path;
    if (stat.ino === ino) return undefined;
  }
}
