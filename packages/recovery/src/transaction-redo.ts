/**
 * Carries out what was decided for one transaction, up to where only its completion is missing: conflicts are saved
 * first, then the targets follow in their order, then every after-image is durable. Directories are flushed later, once
 * for all transactions.
 *
 * Right before a path is written it is looked at once more. If it is not as it was when it was decided, everything that
 * is not done yet is decided anew: what is done shows its after-image by then.
 */

import {
  absolutePath,
  ancestors,
  type FileStat,
  hasCode,
  type Image,
  imageOf,
  inodeOf,
  isStoreError,
  LeavingDirectories,
  sameFingerprint,
  StoreError,
  syncFile,
  systemCode,
  type StorePath,
  type Target,
  toError,
} from '@forewrit/core';
import type { Decision } from './decision.js';
import { inodeOfDirectory } from './directory-trace.js';
import { saveOurs, saveTheirs, type SavedConflict } from './conflicts.js';
import { type ObservedTarget, readableChecksum } from './target-observation.js';
import type { RecoveryContext } from './recovery-context.js';
import { type Effects, Redo } from './redo.js';
import type { PlannedPath, TransactionPlan } from './transaction-plan.js';

/** What was decided on is not there any more. */
export class Surprise extends Error {
  override readonly name = 'Surprise';
}

export interface RedoHooks {
  /** Directories whose entries have to be durable before the transaction's records go. */
  readonly touched: (directory: string) => void;
  readonly saved: (conflict: SavedConflict) => void;
  readonly beforeTarget: () => void;
  /**
   * Locks a path that was applied and unlocked before, if nobody has committed to it since: it may then be written
   * again.
   */
  readonly lockAgain: (path: PlannedPath) => boolean;
  /** Notes that a flush has failed, before the content is written anew. */
  readonly unflushed: (target: Target) => void;
}

/**
 * `later`: content that stands in its place as its transaction has staged it is not flushed. Whoever goes on finds it by its
 * inode.
 */
export type Flushes = 'now' | 'later';

/** What the rows of files are to say, by position of the target: a redo makes new inodes. */
export type NewImages = ReadonlyMap<number, Image>;

export const noImages: NewImages = new Map();

export class TransactionRedo {
  readonly #context: RecoveryContext;
  readonly #plan: TransactionPlan;
  readonly #hooks: RedoHooks;
  readonly #flushes: Flushes;
  readonly #images = new Map<number, Image>();
  /** What was put in its place as the dead owner had staged it, by position of the target. */
  readonly #neverFlushed = new Set<number>();

  constructor(context: RecoveryContext, plan: TransactionPlan, hooks: RedoHooks, flushes: Flushes = 'now') {
    this.#context = context;
    this.#plan = plan;
    this.#hooks = hooks;
    this.#flushes = flushes;
  }

  run(): NewImages {
    for (const path of this.#plan.paths) this.#save(path);
    const leaving = new LeavingDirectories(this.#context.fileSystem, this.#context.roots);
    for (const path of this.#plan.paths) {
      // What was applied before the death need not be durable either.
      leaving.before(path.target);
      if (path.decision.verdict !== 'redo') continue;
      this.#hooks.beforeTarget();
      this.#surprised(() => {
        this.#lookAgain(path);
        if (!this.#redoOf(path).run()) this.#neverFlushed.add(path.target.index);
      });
    }
    for (const path of this.#plan.paths) this.#settle(path);
    return this.#images.size === 0 ? noImages : this.#images;
  }

  #save({ decision, observed, target }: PlannedPath): void {
    if (observed === undefined || decision.save === 'nothing') return;
    const subject = { transaction: this.#plan.transaction.id, target, volume: observed.volume };
    if (decision.save === 'ours') {
      const saved = saveOurs(this.#context, subject);
      if (saved !== undefined) this.#hooks.saved(saved);
      return;
    }
    const { stat, location } = observed;
    if (stat?.type !== 'file' || location === undefined) return;
    const absolute = this.#absolute(location);
    this.#surprised(() => this.#hooks.saved(saveTheirs(this.#context, subject, { absolute, stat })));
  }

  #lookAgain({ target, observed }: PlannedPath): FileStat | undefined {
    const directory = observed?.directory;
    if (directory !== undefined && directory !== target.path) {
      if (this.#lstat(directory)?.ino !== inodeOfDirectory(target)) throw new Surprise(directory);
    }
    const now = this.#lstat(target.path);
    if (!isSame(now, observed?.stat)) throw new Surprise(target.path);
    return now;
  }

  #redoOf(path: PlannedPath): Redo {
    const { target, observed } = path;
    const { volume, boot, directory } = observed!;
    const { id, begin } = this.#plan.transaction;
    const effects: Effects = { touched: this.#hooks.touched, saved: this.#hooks.saved };
    return new Redo(
      this.#context,
      {
        transaction: id,
        target,
        volume,
        boot,
        directory,
        madeSince: () => observed!.madeSince(),
        keeps: begin?.keeps === true,
        lookAgain: () => this.#lookAgain(path),
      },
      effects,
    );
  }

  /** Makes durable what is ours, and notes what is there. */
  #settle(path: PlannedPath): void {
    const { target, decision, observed } = path;
    // Through a way that leads out of the store nothing is written, not even a flush.
    if (observed === undefined || observed.escapes) return;
    // With all that is above it: a parent may have been made by a transaction that still is in the log, of an owner that
    // lives, and when ours is not in the log any more nobody would know what was in there.
    const paths =
      target.action === 'move-directory' && target.from !== undefined
        ? [target.path, target.from]
        : [target.path];
    for (const each of paths) for (const above of ancestors(each)) this.#hooks.touched(this.#absolute(above));
    // What somebody has written into our file since does not make what is ours in it durable.
    if (decision.verdict === 'leave' || isTheirs(decision)) {
      if (this.#isOurInline(target)) this.#makeDurable(path);
      return;
    }
    if (decision.verdict !== 'redo' && decision.row !== 6) return;
    let seen: FileStat | undefined;
    if (decision.verdict === 'keep') this.#settleKept(path, observed);
    else if (this.#neverFlushed.has(target.index)) seen = this.#makeDurable(path);
    this.#note(target, seen);
  }

  #isOurInline(target: Target, now = this.#lstat(target.path)): boolean {
    return target.content !== undefined && now?.type === 'file' && now.ino === inodeOf(target.after);
  }

  #isFoundLater(target: Target, now: FileStat | undefined): boolean {
    return !this.#plan.unflushed.has(target.path) && this.#isOurInline(target, now);
  }

  /** Our content may be another inode by now: no reader shall take it for somebody's edit. */
  #note({ action, path, index, after }: Target, seen?: FileStat): void {
    if ((action !== 'write' && action !== 'move') || after.type !== 'file') return;
    const stat = seen ?? this.#lstat(path);
    const image = imageOf(stat, after.checksum);
    if (stat === undefined || image.type !== 'file') return;
    const isTouched = !sameFingerprint(after.fingerprint, image.fingerprint);
    if (after.mode === image.mode && !isTouched) return;
    // What has moved is known by its inode: what somebody has written into it since is not what the record says.
    const isOther = action === 'move' && isTouched && this.#checksum(path) !== after.checksum;
    this.#images.set(index, isOther ? imageOf(stat) : image);
  }

  /** `undefined` for one that may not be read. */
  #checksum(path: StorePath): bigint | undefined {
    return readableChecksum(this.#context, this.#absolute(path));
  }

  #settleKept(path: PlannedPath, observed: ObservedTarget): void {
    const { target, decision } = path;
    const { after, action } = target;
    if (action !== 'write' && action !== 'make-directory' && action !== 'move') return;
    const now = this.#lstat(target.path);
    if (now === undefined || after.type === 'absent' || now.type !== after.type) return;
    // Of what moved nothing but a copy is to be made durable.
    if (action === 'move' && (now.type !== 'file' || now.ino === inodeOf(after))) return;
    const mode = after.type === 'file' || after.type === 'directory' ? after.mode : undefined;
    const restored = decision.restoreMode && mode !== undefined && this.#restoreMode(target.path, now, mode);
    if (action === 'make-directory') {
      if (restored) this.#hooks.touched(this.#absolute(target.path));
      return;
    }
    // Large content was durable before its commit, whatever names it has now.
    if (restored || !observed.sharesStagedInode) this.#makeDurable(path);
  }

  #restoreMode(path: string, now: FileStat, mode: number): boolean {
    if (now.mode === mode) return false;
    try {
      this.#context.fileSystem.chmodPath(this.#absolute(path), mode);
      return true;
    } catch (error) {
      // Somebody else's file by now, with our content: they decide on its mode.
      if (systemCode(error) === 'EPERM' || systemCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /**
   * A flush that has failed is never tried again: the content is written anew, from its durable copy. Returns what is there if it
   * is left for later.
   */
  #makeDurable(path: PlannedPath): FileStat | undefined {
    const { target, observed, decision } = path;
    const there = this.#lstat(target.path);
    if (this.#flushes === 'later' && this.#isFoundLater(target, there)) return there;
    const failure = this.#flush(target);
    if (failure === undefined) return undefined;
    // Whoever recovers next, should this one die, shall not believe the flush that he tries.
    if (!this.#plan.unflushed.has(target.path)) this.#hooks.unflushed(target);
    // What somebody has written into our file since cannot be written anew from our copy.
    if (isTheirs(decision)) return undefined;
    if (decision.verdict === 'leave' && !(observed!.showsAfter && this.#hooks.lockAgain(path)))
      return undefined;
    if (observed!.source !== 'sound') throw failure;
    this.#redoOf(path).rewrite(() => {
      if (!isSame(this.#lstat(target.path), there)) throw new Surprise(target.path);
    });
    this.#note(target);
    return undefined;
  }

  /** Returns why it is not durable. */
  #flush({ path }: Target): Error | undefined {
    if (this.#plan.unflushed.has(path)) return earlierFailure(path);
    try {
      syncFile(this.#context.fileSystem, this.#absolute(path));
      return undefined;
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      return systemCode(error) === 'ENOENT' ? undefined : toError(error);
    }
  }

  #surprised(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (hasCode(error, surprisingCodes)) throw new Surprise('the tree changed', { cause: error });
      if (isStoreError(error) && surprisingStoreCodes.has(error.code)) {
        throw new Surprise('the tree changed', { cause: error });
      }
      throw error;
    }
  }

  #lstat(path: string): FileStat | undefined {
    return this.#context.fileSystem.lstat(this.#absolute(path));
  }

  #absolute(path: string): string {
    return absolutePath(path, this.#context.roots);
  }
}

/** Somebody has changed the tree between the look and the change. */
const surprisingCodes = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY', 'ELOOP']);
const surprisingStoreCodes = new Set([
  'ERR_PATH_ESCAPE',
  'ERR_NOT_FOUND',
  'ERR_NOT_DIRECTORY',
  'ERR_PATH_RESERVED',
]);

/** Kept as somebody has made it. */
function isTheirs({ verdict, row }: Decision): boolean {
  return verdict === 'keep' && row !== 6;
}

function earlierFailure(path: string): StoreError {
  return new StoreError('ERR_IO', `An earlier flush of '${path}' failed`, {
    op: 'recover',
    path,
    hint: 'Check the disk. Opening the store again writes the content anew.',
  });
}

function isSame(one: FileStat | undefined, other: FileStat | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one.type !== other.type || one.ino !== other.ino) return false;
  // What is put into a directory changes it.
  return one.type === 'directory' || (one.size === other.size && one.mtimeNs === other.mtimeNs);
}
