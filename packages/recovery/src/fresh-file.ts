/**
 * Content put under a new name and made durable there, to be renamed to where it belongs. The name is used again by a
 * recovery that follows a crashed one: whatever stands there is a part of this content, or a link of it, and ours.
 */

import {
  eachPiece,
  type FileStat,
  type FileSystem,
  hasCode,
  removeTree,
  systemCode,
  writeFully,
} from '@forewrit/core';

export interface FreshFile {
  readonly path: string;
  readonly mode: number;
  /** Whose owner and group the file gets, where we may give them. */
  readonly like?: FileStat | undefined;
}

const linkRefusals = new Set(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EINVAL']);

export function writeFresh(fileSystem: FileSystem, file: FreshFile, content: Uint8Array): void {
  createFresh(fileSystem, file, (descriptor) => writeFully(fileSystem, descriptor, content, 0));
}

/** A link of what is durable already; a copy of a file or symbolic link where the file system will not link it. */
export function linkFresh(fileSystem: FileSystem, file: FreshFile, from: string): void {
  removeTree(fileSystem, file.path);
  try {
    fileSystem.link(from, file.path);
  } catch (error) {
    // A copy of a pipe would be a file.
    if (!hasCode(error, linkRefusals) || fileSystem.lstat(from)?.type === 'other') throw error;
    copyFresh(fileSystem, file, from);
  }
}

/** A name in `before/` for what is about to be replaced. `false` where the file system will not link it. */
export function linkBefore(fileSystem: FileSystem, from: string, to: string): boolean {
  try {
    fileSystem.link(from, to);
    return true;
  } catch (error) {
    if (!hasCode(error, linkRefusals)) throw error;
    return false;
  }
}

export function copyFresh(fileSystem: FileSystem, file: FreshFile, from: string): void {
  if (fileSystem.lstat(from)?.type === 'symlink') {
    removeTree(fileSystem, file.path);
    fileSystem.symlink(fileSystem.readlink(from), file.path);
    return;
  }
  createFresh(fileSystem, file, (descriptor) => {
    const source = fileSystem.openRead(from);
    try {
      eachPiece(fileSystem, source, (piece, position) => writeFully(fileSystem, descriptor, piece, position));
    } finally {
      fileSystem.close(source);
    }
  });
}

/** An empty directory. */
export function makeFresh(fileSystem: FileSystem, file: FreshFile): void {
  removeTree(fileSystem, file.path);
  fileSystem.makeDirectory(file.path, 0o700);
  fileSystem.chmodPath(file.path, file.mode);
}

function createFresh(fileSystem: FileSystem, file: FreshFile, fill: (descriptor: number) => void): void {
  removeTree(fileSystem, file.path);
  const descriptor = fileSystem.create(file.path, 0o600);
  try {
    fill(descriptor);
    giveAway(fileSystem, descriptor, file.like);
    // After the owner: changing it may clear set-id bits.
    fileSystem.chmod(descriptor, file.mode);
    fileSystem.sync(descriptor);
  } finally {
    fileSystem.close(descriptor);
  }
}

function giveAway(fileSystem: FileSystem, descriptor: number, like: FileStat | undefined): void {
  if (like === undefined) return;
  const own = fileSystem.stat(descriptor);
  if (own.uid === like.uid && own.gid === like.gid) return;
  try {
    fileSystem.chown(descriptor, like);
  } catch (error) {
    // Only the superuser may; a save by anybody else gave the file to nobody either.
    if (systemCode(error) !== 'EPERM') throw error;
  }
}
