/**
 * Staging: everything of a save that can fail, done before the commit, under names that no program looks at.
 *
 * Small content (a transaction's total up to the inline limit) is written to its apply name and *not* fsynced: the same
 * bytes travel in the log, whose flush makes them durable. Its descriptor stays open until the checkpoint, which fsyncs
 * through it. Larger content is fsynced under its staged name and gets its apply name as a second link, so that a
 * durable copy outlasts the apply; so does a moved file. A before-image is a hard link, taken before its fingerprint is,
 * so that the fingerprint belongs to the inode that we hold.
 *
 * Whatever fails here leaves no trace: nothing outside the staging areas was touched.
 */

import { assert } from '../assert.js';
import { fromSystemError, isStoreError, StoreError, systemCode } from '../errors.js';
import type { Descriptor, FileStat, FileSystem } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import { inlineLimitBytesMax } from '../log/log-limits.js';
import { absolutePath, parentPath, type StorePath } from '../path/path.js';
import { partSize } from '../plan/operation.js';
import type { PlannedTarget } from '../plan/plan.js';
import type { Preimage } from '../plan/preimage.js';
import type { FileNode } from '../plan/working-tree.js';
import { absent, type Image } from '../record/image.js';
import type { Action, TransactionId } from '../record/record.js';
import { attempt } from './attempt.js';
import { lookBefore, takeBefore } from './before-image.js';
import { PlanOutdated } from './plan-outdated.js';
import { stageInline, stageLarge } from './staged-content.js';
import {
  imageOfMovedDirectory,
  linkMoved,
  refuseUnmovable,
  stageDirectory,
  stageKeptLink,
  stageMove,
} from './staged-move.js';
import { removalsOf, type StagedTarget, type StagedTransaction } from './staged-target.js';
import { StagingJob, type StagingOptions } from './staging-job.js';

const leftMax = 256;
const discardsMax = 4096;
/** Of many files, those travel in the log that have a quarter of its limit on average. */
const inlineShareOfFile = 4;
/** With the intents of more, one record would become too large. */
const inlineFilesMax = 4096;

export class StagingArea {
  readonly #options: StagingOptions;
  readonly #fileSystem: FileSystem;
  /** Of transactions that were not committed, what could not be removed: one that is tried again makes the same names. */
  readonly #left = new Map<TransactionId, readonly (() => void)[]>();
  /** How often a transaction has been staged in vain. */
  readonly #discards = new Map<TransactionId, number>();

  constructor(options: StagingOptions) {
    this.#options = options;
    this.#fileSystem = options.fileSystem;
  }

  stage(
    id: TransactionId,
    planned: readonly PlannedTarget[],
    find: {
      readonly volume: (target: PlannedTarget) => Volume;
      /** The checksum of what is at a path, if the log knows it. */
      readonly checksum: (path: StorePath, stat: FileStat) => bigint | undefined;
      /** Fsync even small content, and keep it out of the log. */
      readonly neverInline?: boolean;
      readonly inlineLimitBytes?: number | undefined;
    },
  ): StagedTransaction {
    const contentBytes = planned.reduce((sum, target) => sum + contentSize(target, this.#sizeOf), 0);
    const inline =
      find.neverInline !== true &&
      travelsInLog(planned, contentBytes, find.inlineLimitBytes ?? this.#options.inlineLimitBytes);
    const targets: StagedTarget[] = [];
    try {
      this.#removeLeft(id);
      const syncStaged = new Set<string>();
      let descriptors = 0;
      const attempt = this.#discards.get(id) ?? 0;
      planned.forEach((target, index) => {
        const volume = find.volume(target);
        const job = new StagingJob(this.#options, { id, attempt, index, planned: target, volume, inline });
        try {
          const staged = stageTarget(job, find.checksum);
          targets.push(staged);
          if (staged.descriptor !== undefined && ++descriptors > this.#options.descriptorsMax)
            this.#syncNow(staged);
        } catch (error) {
          this.#leave(id, job.undo());
          throw error;
        }
        if (job.mustSyncDirectory) syncStaged.add(job.volume.staged);
      });
      for (const directory of syncStaged) this.#fileSystem.syncDirectory(directory);
    } catch (error) {
      this.discard({ id, targets, contentBytes });
      if (error instanceof PlanOutdated || isStoreError(error)) throw error;
      throw stagingFailed(error, id);
    }
    return { id, targets, contentBytes };
  }

  #syncNow(staged: StagedTarget): void {
    const { descriptor } = staged;
    assert(descriptor !== undefined, 'what is fsynced is open');
    this.#fileSystem.sync(descriptor);
    staged.descriptor = undefined;
    this.#fileSystem.close(descriptor);
  }

  /** Removes every trace of a transaction that will not commit. Best effort: what stays is swept at the next open. */
  discard(transaction: StagedTransaction): void {
    this.#countDiscard(transaction.id);
    for (const staged of transaction.targets) {
      const { descriptor } = staged;
      if (descriptor !== undefined) attempt(() => this.#fileSystem.close(descriptor));
      this.#leave(
        transaction.id,
        removalsOf(this.#fileSystem, staged).filter((remove) => !attempt(remove)),
      );
    }
  }

  #countDiscard(id: TransactionId): void {
    const count = (this.#discards.get(id) ?? 0) + 1;
    // Whoever tries again does so soon: those that were tried last stay.
    this.#discards.delete(id);
    this.#discards.set(id, count);
    const [oldest] = this.#discards.keys();
    if (this.#discards.size > discardsMax) this.#discards.delete(oldest!);
  }

  #leave(id: TransactionId, removals: readonly (() => void)[]): void {
    if (removals.length === 0) return;
    // Whoever tries again does so soon.
    if (this.#left.size >= leftMax) this.#left.clear();
    this.#left.set(id, [...(this.#left.get(id) ?? []), ...removals]);
  }

  #removeLeft(id: TransactionId): void {
    const removals = this.#left.get(id);
    if (removals === undefined) return;
    for (const remove of removals) {
      try {
        remove();
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error;
      }
    }
    this.#left.delete(id);
  }

  readonly #sizeOf = (path: StorePath): number =>
    this.#fileSystem.lstat(absolutePath(path, this.#options.roots))?.size ?? 0;
}

/** Of the store's own directories "not found" or "exists" says nothing about what the caller has asked for. */
function stagingFailed(error: unknown, transaction: TransactionId): StoreError {
  const failure = fromSystemError(error, { op: 'stage', transaction });
  if (!['ERR_NOT_FOUND', 'ERR_EXISTS', 'ERR_NOT_DIRECTORY', 'ERR_IS_DIRECTORY'].includes(failure.code))
    return failure;
  return new StoreError('ERR_IO', failure.message, {
    op: 'stage',
    transaction,
    hint: "Something has interfered with the store's own directory. Nothing was changed; opening the store again mends it.",
    cause: error,
  });
}

/** Of many small files as well: each would cost a flush of its own, and a few bytes in the log cost nothing like that. */
function travelsInLog(planned: readonly PlannedTarget[], contentBytes: number, limitBytes: number): boolean {
  if (contentBytes > limitBytes) {
    const files = planned.filter(({ action }) => action === 'write').length;
    const bytesMax = Math.min((files * limitBytes) / inlineShareOfFile, inlineLimitBytesMax);
    if (files > inlineFilesMax || contentBytes > bytesMax) return false;
  }
  return !planned.some((target) => hasStagedPart(target.file));
}

function hasStagedPart(file: FileNode | undefined): boolean {
  return file?.parts.some((part) => part.kind === 'staged') ?? false;
}

function contentSize(target: PlannedTarget, sizeOf: (path: StorePath) => number): number {
  if (target.action !== 'write' || target.file === undefined) return 0;
  const begun = target.file.copyOf === undefined ? 0 : sizeOf(target.file.copyOf);
  return target.file.parts.reduce((sum, part) => sum + partSize(part), begun);
}

function replacedBy({ action, basePath, stat, displaced }: PlannedTarget): Preimage | undefined {
  if (action === 'move-directory') return displaced;
  return basePath === undefined || stat === undefined ? undefined : { basePath, stat };
}

function stageTarget(
  job: StagingJob,
  checksum: (path: StorePath, stat: FileStat) => bigint | undefined,
): StagedTarget {
  const { planned, draft } = job;
  let beforeLinked = false;
  let before: Image = absent;
  if (planned.stat === undefined && planned.mustBeAbsent === true) {
    if (job.fileSystem.lstat(job.absolute(planned.path)) !== undefined) throw new PlanOutdated(planned.path);
  }
  const replaced = replacedBy(planned);
  if (replaced !== undefined) {
    const known = checksum(replaced.basePath, replaced.stat);
    if (planned.action === 'write' || planned.action === 'move') {
      beforeLinked = true;
      before = takeBefore(job, replaced.basePath, known);
    } else before = lookBefore(job, replaced, known);
  }
  let after: Image = absent;
  let descriptor: Descriptor | undefined;
  let action: Action = planned.action;
  switch (planned.action) {
    case 'write': {
      const written = job.inline ? stageInline(job) : stageLarge(job);
      after = written.image;
      descriptor = written.descriptor;
      break;
    }
    case 'move':
      if (planned.kept !== undefined) after = stageKeptLink(job, planned.kept);
      else if (linkMoved(job)) after = stageMove(job, checksum);
      else {
        // No second link can be had: the move becomes a copy, and its source a plain removal.
        action = 'write';
        after = stageLarge(job).image;
      }
      break;
    case 'make-directory':
    case 'make-parent':
      after = stageDirectory(job);
      break;
    case 'move-directory':
      refuseUnmovable(job, planned.basePath);
      if (planned.displaced?.stat.type === 'directory') refuseUnmovable(job, planned.displaced.basePath);
      after = imageOfMovedDirectory(job);
      draft.staged = planned.tree?.name;
      break;
    case 'remove-directory':
      refuseUnmovable(job, planned.basePath);
      break;
    case 'remove':
      break;
  }
  const absolute = job.absolute(planned.path);
  const parent = parentPath(planned.path);
  assert(parent !== undefined, 'a root is never a target');
  return {
    // Whatever it is, with all its fields in one order: of objects of many shapes each look at a field is slow.
    target: {
      index: job.index,
      action,
      path: planned.path,
      volume: job.volume.path,
      before,
      after,
      from: planned.from,
      content: draft.content,
      staged: draft.staged,
      applyName: draft.applyName,
      beforeName: draft.beforeName,
      beforeCopied: draft.beforeCopied,
      listing: planned.listing,
      movedAway: planned.movedAway,
    },
    volume: job.volume,
    absolute,
    parent: job.absolute(parent),
    beforeLinked,
    adopted: draft.staged !== undefined && draft.staged !== job.name,
    descriptor,
  };
}
