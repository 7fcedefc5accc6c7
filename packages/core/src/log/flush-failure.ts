/**
 * `<log>/flush-failed`: a flush of the log has failed. When LMDB could not write a meta page it puts the transaction
 * number of that page back, but not the rest: what is there then looks like a page whose number is damaged, and is no
 * damage. Whoever opens the log knows by this file, and removes it when the next commit has written that page anew.
 *
 * Without it the log would be refused after such a failure, so it is made in any way that still works.
 */
import type { FileSystem } from '../files/file-system.js';

function pathOf(directory: string): string {
  return `${directory}/flush-failed`;
}

export function noteFlushFailure(fileSystem: FileSystem, directory: string): void {
  try {
    if (hasFlushFailed(fileSystem, directory)) return;
    const descriptor = fileSystem.create(pathOf(directory), 0o600);
    fileSystem.close(descriptor);
    fileSystem.syncDirectory(directory);
  } catch {
    // The caller is told of the flush.
  }
}

export function hasFlushFailed(fileSystem: FileSystem, directory: string): boolean {
  return fileSystem.lstat(pathOf(directory)) !== undefined;
}

export function forgetFlushFailure(fileSystem: FileSystem, directory: string): void {
  try {
    fileSystem.unlink(pathOf(directory));
  } catch {
    // The next one to open the log does it.
  }
}
