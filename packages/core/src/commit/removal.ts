/** Names that go: what is not there any more is gone already. */

import { systemCode } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';

export function unlinkIfThere(fileSystem: FileSystem, path: string): boolean {
  try {
    fileSystem.unlink(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Removes a file, link or whole directory of ours. */
export function removeTree(fileSystem: FileSystem, path: string): number {
  const stat = fileSystem.lstat(path);
  if (stat === undefined) return 0;
  if (stat.type !== 'directory') {
    fileSystem.unlink(path);
    return 1;
  }
  let removed = 1;
  for (const name of fileSystem.list(path)) removed += removeTree(fileSystem, `${path}/${name}`);
  fileSystem.removeDirectory(path);
  return removed;
}
