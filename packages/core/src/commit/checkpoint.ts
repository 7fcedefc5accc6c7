/**
 * Checkpoint: makes what was applied durable where it is, then forgets how it got there.
 *
 * The set is fixed at the start. Each after-image is fsynced once, through the descriptor that it was written with, so
 * that the inode is the one that was written, whatever stands at the path by now; a target that a newer *applied*
 * transaction has replaced needs no fsync, for that one's records will bring it back. Then each directory is fsynced
 * once, after the superseded ones were told apart. Only then one batch trims the records; and only then staged names and
 * before-images go. A before-image that somebody has written to since (an editor's open descriptor) is kept in
 * `conflicts/`, made durable before the batch that forgets it.
 *
 * A generator, so that whoever drives it can commit between two steps.
 */

import { assert } from '../assert.js';
import { rowOf } from './file-row.js';
import { forgetUnflushed, trimRecords } from './mark.js';
import { checksumOfFile, syncFile } from '../files/content.js';
import { systemCode } from '../errors.js';
import type { FileStat, FileSystem } from '../files/file-system.js';
import { fingerprintOf, type Image, sameFingerprint } from '../record/image.js';
import type { CommitOptions, Log, LogBatch, LogView } from '../log/log.js';
import type { Logger } from '../store/options.js';
import { absolutePath, ancestors, type Roots } from '../path/path.js';
import type { Listed, TransactionNumber } from '../record/record.js';
import { fileRow, metaKeys, textRow, tombstoneRevision } from '../record/rows.js';
import { beforePath, type StagedTarget, type StagedTransaction, stagedPath } from './staged-target.js';
import { type Folding, ownerRange, pathKey } from '../record/key.js';

/** Transactions whose records one batch trims: three changes each, of the 40,000 that a batch may have. */
const trimMax = 4000;
/** Tombstones that one batch buries: two changes each. */
const buryMax = 4000;

export interface AppliedTransaction {
  readonly number: TransactionNumber;
  readonly revision: number;
  readonly staged: StagedTransaction;
  readonly lockKeys: readonly Uint8Array[];
}

export interface CheckpointReport {
  /** Transactions whose records were trimmed. */
  readonly transactions: number;
  readonly syncedFiles: number;
  readonly syncedDirectories: number;
  readonly conflicts: readonly { readonly path: string; readonly savedAs: string }[];
  readonly durationMs: number;
}

export interface CheckpointContext {
  readonly fileSystem: FileSystem;
  readonly log: Log;
  readonly logger: Logger;
  readonly roots: Roots;
  readonly folding: Folding;
  readonly nowMs: () => number;
  readonly commitOptions: () => CommitOptions;
  /** Flushes marks of their own where there are too many for one batch. */
  readonly thinOutMarks: () => void;
  /** Guards the batch and writes the marks that wait for one. */
  readonly writeMarks: (batch: LogBatch) => void;
  /** The batch is durable that has trimmed these and written the marks. */
  readonly trimmed: (set: readonly AppliedTransaction[]) => void;
  /** What this owner has in the log beside these. */
  readonly untrimmedOwn: (beside: readonly AppliedTransaction[]) => UntrimmedOwn;
  /** Closes what is still open of a target. */
  readonly release: (target: StagedTarget) => void;
  /** A target's fsync failed: never repeat it, write the content again from its durable copy. */
  readonly rewrite: (applied: AppliedTransaction, target: StagedTarget, cause: unknown) => void;
  readonly isSuperseded: (applied: AppliedTransaction, target: StagedTarget) => boolean;
  readonly onStep?: (step: 'sync' | 'sync-directory' | 'trim' | 'sweep') => void;
}

export function* checkpoint(
  context: CheckpointContext,
  set: readonly AppliedTransaction[],
): Generator<void, CheckpointReport> {
  const started = context.nowMs();
  const { fileSystem, log } = context;
  let syncedFiles = 0;
  const directories = new Set<string>();
  for (const applied of set) {
    for (const staged of applied.staged.targets) {
      for (const directory of changedDirectories(context, staged)) directories.add(directory);
      if (staged.descriptor === undefined || context.isSuperseded(applied, staged)) continue;
      context.onStep?.('sync');
      try {
        fileSystem.sync(staged.descriptor);
        syncedFiles += 1;
      } catch (error) {
        context.rewrite(applied, staged, error);
      }
      yield;
    }
  }
  let syncedDirectories = 0;
  for (const directory of directories) {
    context.onStep?.('sync-directory');
    if (syncDirectoryIfThere(fileSystem, directory)) syncedDirectories += 1;
    yield;
  }
  const conflicts = saveEdited(context, set);
  context.onStep?.('trim');
  context.thinOutMarks();
  for (let start = 0; start === 0 || start < set.length; start += trimMax) {
    log.commit((batch) => {
      context.writeMarks(batch);
      const trimmed = set.slice(start, start + trimMax);
      for (const { number } of trimmed) trimRecords(batch, number);
      forgetUnflushed(
        batch,
        trimmed.map(({ number }) => number),
      );
      buryTombstones(batch, context.folding, context.untrimmedOwn(trimmed));
    }, context.commitOptions());
    context.trimmed(set.slice(start, start + trimMax));
  }
  context.onStep?.('sweep');
  for (const applied of set) {
    for (const staged of applied.staged.targets) {
      context.release(staged);
      sweep(context, staged);
    }
    yield;
  }
  return {
    transactions: set.length,
    syncedFiles,
    syncedDirectories,
    conflicts,
    durationMs: context.nowMs() - started,
  };
}

/** What cannot be removed belongs to no record any more, and goes when the store is next opened. */
function sweep({ fileSystem, logger }: CheckpointContext, staged: StagedTarget): void {
  try {
    forget(fileSystem, staged);
  } catch (error) {
    logger.warn({ path: staged.target.path, error }, 'a staged file or before-image could not be removed');
  }
}

/**
 * Directories whose entries this target changed, and all above them: one of those may have been made by a transaction of
 * another owner that is not durable yet, and once our records are trimmed nobody else knows what we have put in there.
 */
function changedDirectories(context: CheckpointContext, staged: StagedTarget): string[] {
  const { action, from, path } = staged.target;
  const paths = action === 'move-directory' && from !== undefined ? [path, from] : [path];
  const above = paths.flatMap((each) => ancestors(each));
  // A new directory itself as well, for its mode.
  if (action === 'make-directory') above.push(path);
  return above.map((each) => absolutePath(each, context.roots));
}

/** A directory that is gone has no entries to keep. */
export function syncDirectoryIfThere(fileSystem: FileSystem, directory: string): boolean {
  try {
    fileSystem.syncDirectory(directory);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw error;
  }
}

/** Of whose transactions it is known how old they are. */
export interface UntrimmedOwn {
  readonly owner: number;
  /** Infinity if there are none. */
  readonly oldestRevision: number;
}

/** Drops rows of deleted paths once no untrimmed transaction is older than the deletion. */
export function buryTombstones(
  batch: LogView & { delete(table: 'files' | 'meta', key: Uint8Array): void },
  folding: Folding,
  own?: UntrimmedOwn,
): void {
  const rows = batch.range('meta', { ...metaKeys.tombstones, limit: buryMax });
  if (rows.length === 0) return;
  const oldest = oldestUntrimmed(batch, own);
  for (const [key, value] of rows) {
    if (tombstoneRevision(key) >= oldest) return;
    const path = textRow.decode(key, value);
    const at = pathKey(path, folding);
    const row = batch.get('files', at);
    if (row !== undefined && fileRow.decode(at, row).image.type === 'absent') {
      if (fileRow.decode(at, row).revision === tombstoneRevision(key)) batch.delete('files', at);
    }
    batch.delete('meta', key);
  }
}

/** The revision below which nothing can be recovered any more. Of other owners' transactions any may be that old. */
function oldestUntrimmed(view: LogView, own: UntrimmedOwn | undefined): number {
  const isEmpty = (range: { start: Uint8Array; end?: Uint8Array }): boolean =>
    view.range('log', { ...range, limit: 1 }).length === 0;
  const first = new Uint8Array(0);
  if (own === undefined) return isEmpty({ start: first }) ? Infinity : 0;
  const { start, end } = ownerRange(own.owner);
  return isEmpty({ start: first, end: start }) && isEmpty({ start: end }) ? own.oldestRevision : 0;
}

interface Saved {
  readonly path: string;
  readonly savedAs: string;
}

/** Before anything is let go: content that somebody wrote into a before-image since is not ours to drop. */
function saveEdited(context: CheckpointContext, set: readonly AppliedTransaction[]): Saved[] {
  const saved: Saved[] = [];
  for (const applied of set) {
    for (const staged of applied.staged.targets) {
      saved.push(...saveEditedBefore(context.fileSystem, staged, applied.staged.id));
    }
  }
  return saved;
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

/** Removes the names that a checkpointed transaction still has in the staging areas. */
function forget(fileSystem: FileSystem, staged: StagedTarget): void {
  const { target, volume } = staged;
  if (target.staged !== undefined) unlinkIfThere(fileSystem, stagedPath(volume, target.staged));
  if (target.beforeName === undefined) return;
  const before = beforePath(volume, target.beforeName);
  if (target.action === 'remove-directory') removeTree(fileSystem, before);
  else unlinkIfThere(fileSystem, before);
}

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

/** Whether a newer applied transaction answers for this path. */
export function isSupersededInLog(
  view: LogView,
  applied: AppliedTransaction,
  staged: StagedTarget,
  folding: Folding,
): boolean {
  const row = rowOf(view, staged.target.path, folding);
  if (row === undefined || row.revision <= applied.revision) return false;
  return view.get('locks', pathKey(staged.target.path, folding)) === undefined;
}
