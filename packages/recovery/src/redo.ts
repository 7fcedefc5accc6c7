/**
 * Redo: puts the after-image of one target where it belongs.
 *
 * On the same boot the apply name still proves whether a target was applied, in recovery too: content made anew takes
 * over the apply name first, and one rename from there to the target is the apply. On another boot names prove nothing;
 * missing parents are made again, and the fresh file goes straight to its place.
 *
 * Content that is made anew is durable under its fresh name before it is renamed. The durable copy of large content and of a moved file
 * stays under its staged name until the completion is flushed.
 */

import {
  assert,
  absolutePath,
  ancestors,
  beforePath,
  type FileStat,
  inodeOf,
  isReservedPath,
  parentPath,
  showsImage,
  type StorePath,
  stagedPath,
} from '@forewrit/core';
import { type ConflictSubject, type SavedConflict, setAside } from './conflicts.js';
import { copyFresh, linkBefore, linkFresh, makeFresh, writeFresh } from './fresh-file.js';
import { directoryOf, type RecoveryContext, targetName } from './recovery-context.js';
import { readableChecksum } from './target-observation.js';

export interface RedoSubject extends ConflictSubject {
  readonly boot: 'same' | 'other';
  /** Where a directory that is moved or removed is now. */
  readonly directory: StorePath | undefined;
  /** Apply names of directories that newer transactions have made in the same place. */
  readonly madeSince: () => readonly string[];
  /** Before-images are kept for history. */
  readonly keeps: boolean;
  /** What is at the path, right before it is written; throws if that is not what was decided on. */
  readonly lookAgain: () => FileStat | undefined;
}

/** What a redo did besides: for the flush of directories, and for the report. */
export interface Effects {
  readonly touched: (directory: string) => void;
  readonly saved: (conflict: SavedConflict) => void;
}

const parentMode = 0o777;
const defaultDirectoryMode = 0o755;

export class Redo {
  readonly #context: RecoveryContext;
  readonly #subject: RedoSubject;
  readonly #effects: Effects;
  readonly #absolute: string;

  constructor(context: RecoveryContext, subject: RedoSubject, effects: Effects) {
    this.#context = context;
    this.#subject = subject;
    this.#effects = effects;
    this.#absolute = absolutePath(subject.target.path, context.roots);
  }

  /** `false` if what is in its place now has never been flushed. */
  run(): boolean {
    const { action } = this.#subject.target;
    let durable = true;
    if (this.#subject.boot === 'other' && action !== 'remove' && action !== 'remove-directory')
      this.#makeParents();
    this.#verifyParents();
    switch (action) {
      case 'write':
      case 'move':
        durable = this.#putFile();
        break;
      case 'make-directory':
      case 'make-parent':
        this.#putDirectory();
        break;
      case 'move-directory':
        this.#moveDirectory();
        break;
      case 'remove':
        this.#remove(this.#absolute, this.#subject.lookAgain);
        break;
      case 'remove-directory': {
        const { directory } = this.#subject;
        const { fileSystem, roots } = this.#context;
        const absolute = directory === undefined ? this.#absolute : absolutePath(directory, roots);
        this.#remove(absolute, () => fileSystem.lstat(absolute));
        break;
      }
    }
    this.#effects.touched(directoryOf(this.#absolute));
    this.#context.resolver.forget();
    return durable;
  }

  /**
   * The content once more, as a new inode in the place of what is there, after a flush of that has failed: its pages
   * are marked clean, and nobody knows what is on the disk. `lookAgain`: throws if that is something else by now.
   */
  rewrite(lookAgain: () => void): void {
    const fresh = this.#freshPath;
    this.#writeAnew(fresh, true);
    lookAgain();
    this.#context.fileSystem.rename(fresh, this.#absolute);
    this.#effects.touched(directoryOf(this.#absolute));
  }

  #putFile(): boolean {
    const { fileSystem } = this.#context;
    this.#keepDurable();
    const { path, durable } = this.#stagePut();
    if (this.#subject.keeps) this.#linkBefore();
    this.#clear('file', this.#subject.lookAgain());
    fileSystem.rename(path, this.#absolute);
    return durable;
  }

  #stagePut(): { readonly path: string; readonly durable: boolean } {
    if (this.#subject.boot === 'other') return { path: this.#stageFresh(), durable: true };
    const apply = this.#applyName;
    const { fileSystem } = this.#context;
    if (this.#isAsStaged(fileSystem.lstat(apply), apply)) return { path: apply, durable: false };
    this.#stageApplyName(apply);
    return { path: apply, durable: true };
  }

  /** Within one boot inline content is where it was staged, and is flushed in its place, as after any apply. */
  #isAsStaged(stat: FileStat | undefined, apply: string): boolean {
    const { content, after } = this.#subject.target;
    if (content === undefined || after.type !== 'file' || stat?.mode !== after.mode) return false;
    if (!showsImage(stat, after)) return false;
    // It was just seen to have no more.
    return readableChecksum(this.#context, apply, stat.size) === after.checksum;
  }

  /** A power cut may have taken the link of what is about to be replaced; history wants it. */
  #linkBefore(): void {
    const { fileSystem } = this.#context;
    const { target, volume } = this.#subject;
    if (target.beforeName === undefined || !showsImage(fileSystem.lstat(this.#absolute), target.before))
      return;
    const path = beforePath(volume, target.beforeName);
    if (fileSystem.lstat(path) === undefined) linkBefore(fileSystem, this.#absolute, path);
  }

  /**
   * Somebody has removed the durable copy of a file that moves. What stands at its source is all that there is, and is to
   * go from there: of the two renames a power cut may keep just the second.
   */
  #keepDurable(): void {
    const { fileSystem, roots } = this.#context;
    const { target, volume } = this.#subject;
    const { staged, from, after } = target;
    if (target.action !== 'move' || staged === undefined || from === undefined) return;
    const durable = stagedPath(volume, staged);
    if (this.#ino(durable) !== undefined) return;
    const source = absolutePath(from, roots);
    const mode = after.type === 'file' ? after.mode : 0o600;
    linkFresh(fileSystem, { path: this.#freshPath, mode, like: this.#like() }, source);
    fileSystem.rename(this.#freshPath, durable);
    fileSystem.syncDirectory(volume.staged);
  }

  #stageFresh(): string {
    const fresh = this.#freshPath;
    this.#writeAnew(fresh, false);
    return fresh;
  }

  get #applyName(): string {
    const { target, volume } = this.#subject;
    assert(target.applyName !== undefined, 'what is put in place has an apply name');
    return stagedPath(volume, target.applyName);
  }

  #stageApplyName(apply: string): void {
    const { fileSystem } = this.#context;
    const { target, volume } = this.#subject;
    const there = this.#ino(apply);
    // It is a link of the durable copy already.
    if (target.staged !== undefined && there !== undefined) {
      if (this.#ino(stagedPath(volume, target.staged)) === there) return;
    }
    fileSystem.rename(this.#stageFresh(), apply);
  }

  /** `copied`: never a link, as the inode that there is cannot be trusted. */
  #writeAnew(path: string, copied: boolean): void {
    const { fileSystem, roots } = this.#context;
    const { target, volume } = this.#subject;
    const { content, staged, after, from } = target;
    const file = { path, mode: after.type === 'file' ? after.mode : 0o600, like: this.#like() };
    if (content !== undefined) {
      writeFresh(fileSystem, file, content);
      return;
    }
    const durable = staged === undefined ? undefined : stagedPath(volume, staged);
    const source =
      durable !== undefined && (from === undefined || this.#ino(durable) !== undefined)
        ? durable
        : absolutePath(from ?? target.path, roots);
    if (copied) copyFresh(fileSystem, file, source);
    else linkFresh(fileSystem, file, source);
  }

  /** The file that is replaced lends its owner: the log does not know it. */
  #like(): FileStat | undefined {
    const { fileSystem } = this.#context;
    const { target, volume } = this.#subject;
    const there = fileSystem.lstat(this.#absolute);
    if (there?.type === 'file') return there;
    if (target.beforeName === undefined) return undefined;
    const before = fileSystem.lstat(beforePath(volume, target.beforeName));
    return before?.type === 'file' ? before : undefined;
  }

  #putDirectory(look = this.#subject.lookAgain): void {
    const { fileSystem } = this.#context;
    const { target, volume } = this.#subject;
    const { after, applyName } = target;
    const mode = (after.type === 'directory' ? after.mode : undefined) ?? defaultDirectoryMode;
    const apply = applyName === undefined ? undefined : stagedPath(volume, applyName);
    // On another boot, too, if it is still there: it may hold what newer transactions have put into it.
    const made = this.#filledSince() ?? (this.#isDirectory(apply) ? apply : undefined);
    const source = made ?? this.#freshPath;
    if (made !== undefined) fileSystem.chmodPath(source, mode);
    else makeFresh(fileSystem, { path: source, mode });
    this.#clear('directory', look());
    fileSystem.rename(source, this.#absolute);
  }

  /**
   * Of two owners that made the same parent at a time it was the newer one's that stood here, if that has something in
   * it: its rename alone was lost.
   */
  #filledSince(): string | undefined {
    if (this.#subject.boot === 'same') return undefined;
    const { fileSystem } = this.#context;
    return this.#subject
      .madeSince()
      .find((path) => this.#isDirectory(path) && fileSystem.list(path).length > 0);
  }

  #isDirectory(path: string | undefined): path is string {
    return path !== undefined && this.#context.fileSystem.lstat(path)?.type === 'directory';
  }

  #moveDirectory(): void {
    const { directory } = this.#subject;
    const look = this.#displace();
    if (directory === undefined) {
      // It was made by a transaction whose work the power cut undid.
      this.#putDirectory(look);
      return;
    }
    const from = absolutePath(directory, this.#context.roots);
    this.#clear('directory', look());
    this.#context.fileSystem.rename(from, this.#absolute);
    this.#effects.touched(directoryOf(from));
  }

  /**
   * What the directory takes the place of goes into `before/`, as it does when that is applied. Returns how to look at what is
   * left: a rename finds out itself what comes to an empty place.
   */
  #displace(): () => FileStat | undefined {
    const { target, lookAgain } = this.#subject;
    const { before, beforeName } = target;
    const there = lookAgain();
    if (there === undefined || beforeName === undefined) return lookAgain;
    if (there.type === 'directory' && there.ino !== inodeOf(before)) return lookAgain;
    this.#remove(this.#absolute, lookAgain);
    return () => undefined;
  }

  #remove(absolute: string, look: () => FileStat | undefined): void {
    const { fileSystem } = this.#context;
    const { target, volume } = this.#subject;
    assert(target.beforeName !== undefined, 'what is removed has a name in before/');
    const to = beforePath(volume, target.beforeName);
    const isFree = fileSystem.lstat(to) === undefined;
    const stat = look();
    if (stat === undefined) return;
    this.#effects.touched(directoryOf(absolute));
    if (isFree) fileSystem.rename(absolute, to);
    else if (stat.type === 'directory') this.#setAside(absolute);
    // What was removed stands in `before/` already, and this is another link of it, or an older state that came back.
    else fileSystem.unlink(absolute);
  }

  /** No symbolic link has taken the place of a directory on the way. */
  #verifyParents(): void {
    const { resolver } = this.#context;
    const { target, directory } = this.#subject;
    resolver.forget();
    // What an undo brings back comes from a staging area.
    if (directory !== undefined && !isReservedPath(directory)) resolver.verifyParent(directory, 'recover');
    // A directory that came back elsewhere is taken away from there.
    if (target.action !== 'remove-directory' || directory === undefined)
      resolver.verifyParent(target.path, 'recover');
  }

  /** Makes way for something that a rename cannot replace. What was worth it has been saved by now. */
  #clear(kind: 'file' | 'directory', there: FileStat | undefined): void {
    const { fileSystem } = this.#context;
    if (there === undefined || (kind === 'file' && there.type !== 'directory')) return;
    if (there.type !== 'directory') fileSystem.unlink(this.#absolute);
    else if (fileSystem.list(this.#absolute).length === 0) fileSystem.removeDirectory(this.#absolute);
    else this.#setAside(this.#absolute);
  }

  #setAside(absolute: string): void {
    this.#effects.saved(setAside(this.#context.fileSystem, this.#subject, absolute));
  }

  /** Whatever held this path before the power cut may have been lost with it. */
  #makeParents(): void {
    const { fileSystem, roots } = this.#context;
    const { path } = this.#subject.target;
    const missing: string[] = [];
    for (const ancestor of ancestors(path)) {
      const absolute = absolutePath(ancestor, roots);
      if (parentPath(ancestor) === undefined || fileSystem.lstat(absolute) !== undefined) break;
      missing.push(absolute);
    }
    for (const directory of missing.toReversed()) {
      // The system takes the umask off.
      fileSystem.makeDirectory(directory, parentMode);
      this.#effects.touched(directoryOf(directory));
    }
  }

  #ino(path: string): bigint | undefined {
    return this.#context.fileSystem.lstat(path)?.ino;
  }

  get #freshPath(): string {
    return stagedPath(this.#subject.volume, freshName(this.#subject.transaction, this.#subject.target));
  }
}

/** The name under which a redo makes its content; swept with the others if a crash leaves it. */
export function freshName(transaction: string, target: ConflictSubject['target']): string {
  return `${targetName(transaction, target)}.redo`;
}
