/** Whether what a transaction has read in the tree is still there: edits by programs that know nothing of us count. */

import { type Deferred, pathName } from '../commit/deferred.js';
import { rowOf } from '../commit/file-row.js';
import { conflict } from '../commit/guard.js';
import { checksumOfFile } from '../files/content.js';
import type { LogView } from '../log/log.js';
import type { FileStat } from '../files/file-system.js';
import { absolutePath, type StorePath } from '../path/path.js';
import { fingerprintOf, sameFingerprint, showsImage } from '../record/image.js';
import { type Folding, pathKey } from '../record/key.js';
import { type FileRow, lockRow, type LockRow } from '../record/rows.js';
import type { StoreContext } from '../store/store-context.js';
import { baseTree, directoryDigest } from './base-tree.js';
import type { TrackedRead } from './operation.js';

type ChangedRead = Extract<TrackedRead, { kind: 'file' | 'directory' }>;

interface ReadSurroundings {
  readonly forced: ReadonlySet<StorePath>;
  readonly deferred: Deferred;
}

/**
 * Throws a conflict where something is not as it was read. Returns the lock of another owner where it only waits for its
 * file: then that is worth waiting for.
 */
export function refuseReads(
  context: StoreContext,
  reads: readonly TrackedRead[],
  { owner, ...around }: ReadSurroundings & { readonly owner: number },
): LockRow | undefined {
  const changed = changedRead(context, reads, around);
  if (changed === undefined) return undefined;
  const lock = context.log.view((view) => lockOfUnchanged(view, changed, context.folding));
  if (lock === undefined || lock.blocked || lock.transaction.owner === owner) throw conflict(changed.path);
  return lock;
}

/** The first that is not as it was read. */
function changedRead(
  context: StoreContext,
  reads: readonly TrackedRead[],
  { forced, deferred }: ReadSurroundings,
): ChangedRead | undefined {
  for (const read of reads) {
    if (read.kind === 'directory' && !isStillDirectory(context, read)) return read;
    if (read.kind === 'file' && !forced.has(read.path) && !isStillFile(context, read, deferred)) return read;
  }
  return undefined;
}

function isStillDirectory(
  context: StoreContext,
  { path, names }: Extract<TrackedRead, { kind: 'directory' }>,
): boolean {
  const tree = baseTree(context);
  if (names === undefined) return tree.stat(path)?.type === 'directory';
  return directoryDigest(tree, path) === names;
}

function isStillFile(
  { fileSystem, roots, folding }: StoreContext,
  { path, fingerprint, checksum, recent }: Extract<TrackedRead, { kind: 'file' }>,
  deferred: Deferred,
): boolean {
  const absolute = absolutePath(path, roots);
  const stat = fileSystem.lstat(absolute);
  if (fingerprint?.ino === 0n) {
    // It was in the log alone. There it is still, as its revision will tell, as long as nobody has written the file.
    const target = deferred.at(pathName(path, folding))?.targets.get(pathName(path, folding))?.target;
    if (target !== undefined) return showsImage(stat, target.before);
  }
  if (fingerprint === undefined || stat === undefined) return fingerprint === stat;
  // Within the clock's grain a second edit leaves no trace in the times.
  const decides = recent !== true || checksum === undefined;
  if (sameFingerprint(fingerprint, fingerprintOf(stat)) && decides) return true;
  if (checksum === undefined || stat.type !== 'file' || stat.size !== fingerprint.size) return false;
  return checksumOfFile(fileSystem, absolute) === checksum;
}

/**
 * The lock on what was read, if the log has it at the same revision: then it is still what it was, and about to come into
 * its file.
 */
function lockOfUnchanged(view: LogView, read: ChangedRead, folding: Folding): LockRow | undefined {
  if (read.kind !== 'file' || rowOf(view, read.path, folding)?.revision !== read.revision) return undefined;
  const key = pathKey(read.path, folding);
  const value = view.get('locks', key);
  return value === undefined ? undefined : lockRow.decode(key, value);
}

/** Who asks for a revision has read it: an edit since by another program counts as well. */
export function asRead(row: FileRow | undefined): TrackedRead[] {
  if (row?.image.type !== 'file') return [];
  const { path, revision, image } = row;
  const { fingerprint, checksum } = image;
  const read = { kind: 'file', path, revision, since: revision, fingerprint } as const;
  return [checksum === undefined ? read : { ...read, checksum }];
}

export function knownChecksum(row: FileRow | undefined, stat: FileStat): bigint | undefined {
  if (row?.image.type !== 'file' || !sameFingerprint(row.image.fingerprint, fingerprintOf(stat)))
    return undefined;
  return row.image.checksum;
}
