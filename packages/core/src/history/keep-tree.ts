/**
 * A removed directory is kept as a whole: every file and directory in it is made durable, and listed with its checksum. But
 * not what the same transaction has moved out of it.
 */

import { removeTree } from '../commit/removal.js';
import { systemCode } from '../errors.js';
import { checksumOfDescriptor } from '../files/content.js';
import type { FileSystem } from '../files/file-system.js';
import type { StorePath } from '../path/path.js';
import type { KeptBelow } from '../record/history-row.js';
import type { Target } from '../record/record.js';
import type { Kept } from './keep.js';

export function* keepTree(
  fileSystem: FileSystem,
  top: string,
  {
    path: removed,
    before,
    listing,
    elsewhere,
  }: Pick<Target, 'path' | 'before' | 'listing'> & { readonly elsewhere: ReadonlySet<StorePath> },
): Generator<void, Kept> {
  const planned = new Map((listing ?? []).map(({ name, type }) => [name, type]));
  const below: KeptBelow[] = [];
  let bytes = 0;
  const pending = [''];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const directory = next === '' ? top : `${top}/${next}`;
    for (const name of fileSystem.list(directory).sort()) {
      const relative = next === '' ? name : `${next}/${name}`;
      const path = `${top}/${relative}`;
      const stat = fileSystem.lstat(path);
      if (stat === undefined || planned.get(relative) !== stat.type) return { lost: 'edited' };
      planned.delete(relative);
      // Another link of it is where it was moved to.
      if (elsewhere.has(`${removed}/${relative}`)) continue;
      const { type, mode, size, mtimeNs } = stat;
      const found = { name: relative, type, mode, sizeBytes: size, mtimeNs };
      if (type === 'directory') pending.push(relative);
      if (type !== 'file') {
        below.push(found);
        continue;
      }
      const checksum = durableChecksum(fileSystem, path);
      if (checksum === undefined) return unflushed(fileSystem, top);
      below.push({ ...found, checksum });
      bytes += size;
      yield;
    }
    if (!isDurable(() => fileSystem.syncDirectory(directory))) return unflushed(fileSystem, top);
  }
  return planned.size > 0 ? { lost: 'edited' } : { before, below, bytes };
}

/** Nobody shall believe another flush. */
function unflushed(fileSystem: FileSystem, top: string): Kept {
  removeTree(fileSystem, top);
  return { lost: 'unreadable' };
}

function durableChecksum(fileSystem: FileSystem, path: string): bigint | undefined {
  const descriptor = fileSystem.openRead(path);
  try {
    if (!isDurable(() => fileSystem.sync(descriptor))) return undefined;
    return checksumOfDescriptor(fileSystem, descriptor);
  } finally {
    fileSystem.close(descriptor);
  }
}

export function isDurable(flush: () => void): boolean {
  try {
    flush();
    return true;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
}
