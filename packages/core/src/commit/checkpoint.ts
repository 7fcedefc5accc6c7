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
 * With history before-images stay: they are fsynced, and then `before/`, and the batch that trims their records writes their
 * rows. So whatever lies in `before/` is named by a record, a row, or is of an owner that lives.
 *
 * A generator, so that whoever drives it can commit between two steps.
 */

import { rowOf } from './file-row.js';
import { forgetUnflushed, trimRecords } from './mark.js';
import { systemCode } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import { isNoRoom, Keeping } from '../history/keeping.js';
import type { HistoryRow } from '../record/history-row.js';
import type { CommitOptions, Log, LogBatch, LogView } from '../log/log.js';
import type { Logger } from '../store/options.js';
import { absolutePath, ancestors, type Roots } from '../path/path.js';
import type { Target, TransactionNumber } from '../record/record.js';
import { fileRow, metaKeys, tombstoneRevision, tombstoneRow } from '../record/rows.js';
import { pathsPerTombstone } from './tombstones.js';
import { saveEditedBefore, type Saved } from './edited-before.js';
import { removeTree, unlinkIfThere } from './removal.js';
import { beforePath, type StagedTarget, type StagedTransaction, stagedPath } from './staged-target.js';
import { type Folding, ownerRange, pathKey } from '../record/key.js';

/** Transactions whose records one batch trims: three changes each, of the 40,000 that a batch may have. */
const trimMax = 4000;
/** Tombstones that one batch buries: two changes each. */
const buryMax = 4000;
/** Rows of history that one batch writes, unless one alone is longer. */
const rowBytesMax = 16 << 20;

export interface AppliedTransaction {
  readonly number: TransactionNumber;
  readonly revision: number;
  readonly staged: StagedTransaction;
  readonly lockKeys: readonly Uint8Array[];
  /** What history is told beside its before-images; absent where these are not kept. */
  readonly history?: Pick<HistoryRow, 'committedAtMs' | 'entries'>;
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
  /** A flush of what is the before-image of this target has failed, when it was still in its place. */
  readonly isUnflushed: (target: Target) => boolean;
  readonly onStep?: (step: 'sync' | 'sync-directory' | 'keep' | 'trim' | 'sweep') => void;
}

export function* checkpoint(
  context: CheckpointContext,
  set: readonly AppliedTransaction[],
): Generator<void, CheckpointReport> {
  const started = context.nowMs();
  const { fileSystem } = context;
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
  const conflicts: Saved[] = [];
  const keeping = new Keeping(fileSystem, context.isUnflushed);
  if (set.some(({ history }) => history !== undefined)) {
    context.onStep?.('keep');
    conflicts.push(...(yield* keeping.run(set)));
  }
  conflicts.push(...saveEdited(context, set, keeping));
  context.onStep?.('trim');
  context.thinOutMarks();
  for (const part of partsOf(set, keeping)) conflicts.push(...trim(context, part, keeping));
  context.onStep?.('sweep');
  for (const applied of set) {
    for (const staged of applied.staged.targets) {
      context.release(staged);
      sweep(context, staged, keeping.keeps(applied, staged));
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

/** Each is what one batch trims. There is always one, for marks and tombstones. */
function partsOf(set: readonly AppliedTransaction[], keeping: Keeping): AppliedTransaction[][] {
  const parts: AppliedTransaction[][] = [[]];
  let rowBytes = 0;
  for (const applied of set) {
    const bytes = keeping.rowBytes(applied);
    const last = parts.at(-1)!;
    if (last.length >= trimMax || (last.length > 0 && rowBytes + bytes > rowBytesMax)) {
      parts.push([applied]);
      rowBytes = bytes;
    } else {
      last.push(applied);
      rowBytes += bytes;
    }
  }
  return parts;
}

/** Where the log has no room for history, saves go before it: their before-images go as they would without. */
function trim(context: CheckpointContext, part: readonly AppliedTransaction[], keeping: Keeping): Saved[] {
  try {
    commitTrim(context, part, keeping);
    return [];
  } catch (error) {
    if (!isNoRoom(error) || part.every((applied) => keeping.rowBytes(applied) === 0)) throw error;
    context.logger.warn({ transactions: part.length, error }, 'there is no room to keep what they replaced');
    keeping.giveUp(part);
    const saved = saveEdited(context, part, keeping);
    commitTrim(context, part, keeping);
    return saved;
  }
}

function commitTrim(context: CheckpointContext, part: readonly AppliedTransaction[], keeping: Keeping): void {
  context.log.commit((batch) => {
    context.writeMarks(batch);
    keeping.write(batch, part);
    for (const { number } of part) trimRecords(batch, number);
    forgetUnflushed(
      batch,
      part.map(({ number }) => number),
    );
    buryTombstones(batch, context.folding, context.untrimmedOwn(part));
  }, context.commitOptions());
  context.trimmed(part);
}

/** What cannot be removed belongs to no record any more, and goes when the store is next opened. */
function sweep({ fileSystem, logger }: CheckpointContext, staged: StagedTarget, keepsBefore: boolean): void {
  try {
    forget(fileSystem, staged, keepsBefore);
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
  const rows = batch.range('meta', { ...metaKeys.tombstones, limit: buryMax / pathsPerTombstone });
  if (rows.length === 0) return;
  const oldest = oldestUntrimmed(batch, own);
  for (const [key, value] of rows) {
    if (tombstoneRevision(key) >= oldest) return;
    for (const path of tombstoneRow.decode(key, value)) {
      const at = pathKey(path, folding);
      const found = batch.get('files', at);
      if (found === undefined) continue;
      const row = fileRow.decode(at, found);
      const isGone = row.image.type === 'absent' && row.revision === tombstoneRevision(key);
      if (isGone) batch.delete('files', at);
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

/** Before anything is let go: content that somebody wrote into a before-image since is not ours to drop. */
function saveEdited(
  context: CheckpointContext,
  set: readonly AppliedTransaction[],
  keeping: Keeping,
): Saved[] {
  const saved: Saved[] = [];
  for (const applied of set) {
    for (const staged of applied.staged.targets) {
      if (keeping.keeps(applied, staged)) continue;
      saved.push(...saveEditedBefore(context.fileSystem, staged, applied.staged.id));
    }
  }
  return saved;
}

/** Removes the names that a checkpointed transaction still has in the staging areas. */
function forget(fileSystem: FileSystem, staged: StagedTarget, keepsBefore: boolean): void {
  const { target, volume } = staged;
  if (target.staged !== undefined) unlinkIfThere(fileSystem, stagedPath(volume, target.staged));
  if (target.beforeName === undefined || keepsBefore) return;
  const before = beforePath(volume, target.beforeName);
  if (target.before.type === 'directory') removeTree(fileSystem, before);
  else unlinkIfThere(fileSystem, before);
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
