/**
 * Content that was committed and cannot come into its file, as somebody has put something else there since: it goes into
 * `conflicts/`, under the names that recovery gives, so that whoever does it again finds it there.
 */

import { checksumOfFile, writeFully } from '../files/content.js';
import type { FileStat, FileSystem } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import type { Target, TransactionId } from '../record/record.js';
import { unlinkIfThere } from './removal.js';
import { stagedPath } from './staged-target.js';

/** Durable on return, name and all. Returns where it is. */
export function keepOurs(
  fileSystem: FileSystem,
  { target, volume }: { readonly target: Target; readonly volume: Volume },
  transaction: TransactionId,
): string {
  const name = `${transaction}-${target.index.toString(36)}`;
  const stem = `${volume.conflicts}/${name}`;
  let place = 0;
  for (; ; place += 1) {
    const there = fileSystem.lstat(`${stem}-${place}`);
    if (there === undefined) break;
    if (looksLike(there, target) && checksumOfFile(fileSystem, `${stem}-${place}`) === checksumOf(target))
      return `${stem}-${place}`;
  }
  // Under another name first: a crash must not leave a part of it that looks like a conflict.
  const fresh = stagedPath(volume, `${name}.save`);
  unlinkIfThere(fileSystem, fresh);
  write(fileSystem, fresh, target);
  fileSystem.rename(fresh, `${stem}-${place}`);
  fileSystem.syncDirectory(volume.conflicts);
  return `${stem}-${place}`;
}

function write(fileSystem: FileSystem, path: string, { content = new Uint8Array(0), after }: Target): void {
  const descriptor = fileSystem.create(path, 0o600);
  try {
    writeFully(fileSystem, descriptor, content, 0);
    if (after.type === 'file') fileSystem.chmod(descriptor, after.mode);
    fileSystem.sync(descriptor);
  } finally {
    fileSystem.close(descriptor);
  }
}

function looksLike(there: FileStat, { after }: Target): boolean {
  return there.type === 'file' && after.type === 'file' && there.size === after.fingerprint.size;
}

function checksumOf({ after }: Target): bigint | undefined {
  return after.type === 'file' ? after.checksum : undefined;
}
