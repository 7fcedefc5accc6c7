/**
 * One path of one transaction, observed: it looks at the disk when a row of the table asks, and remembers the answer.
 * Contents are only read where a row needs them, and nothing but a regular file is ever opened.
 */

import {
  absolutePath,
  ancestors,
  checksumOfFile,
  type FileStat,
  hash64,
  type Image,
  inodeOf,
  isReservedPath,
  isStoreError,
  type LoggedTransaction,
  parentPath,
  sameFingerprint,
  showsImage,
  fingerprintOf,
  type StorePath,
  stagedPath,
  beforePath,
  systemCode,
  type Target,
  type Volume,
} from '@forewrit/core';
import { appliedHere, bootOf, revisionOf } from './analysis.js';
import type { Observation } from './decision.js';
import { type DirectoryTrace, inodeOfDirectory, traceDirectory } from './directory-trace.js';
import type { PathHistory } from './path-history.js';
import type { RecoveryContext } from './recovery-context.js';

export interface Subject {
  readonly transaction: LoggedTransaction;
  /** Positions of targets on whose paths newer transactions have committed. */
  readonly superseded: ReadonlySet<number>;
  /** Those of them where the newer one belongs to an owner that lives. */
  readonly heldByLiving: ReadonlySet<number>;
  /** Those whose flush has failed before: the next one says that all is well, and does nothing. */
  readonly unflushed: ReadonlySet<StorePath>;
}

/** A target whose file system and root are there. */
export interface ObservedTarget extends Observation {
  readonly target: Target;
  readonly volume: Volume;
  /** Where it is looked for: below a directory that is yet to move, that is another place than the path. */
  readonly location: StorePath | undefined;
  /** What is there now. */
  readonly stat: FileStat | undefined;
  /** Where the directory is that is to be moved or removed, if it is anywhere. */
  readonly directory: StorePath | undefined;
  /** Apply names of directories that newer transactions have made here, too. */
  madeSince(): readonly string[];
}

const escapeCodes = new Set(['ERR_PATH_ESCAPE', 'ERR_NOT_DIRECTORY', 'ERR_PATH_RESERVED']);

export interface ObservationParts {
  readonly context: RecoveryContext;
  readonly subject: Subject;
  readonly history: PathHistory;
  readonly movedInodes: ReadonlySet<bigint>;
  readonly target: Target;
  readonly volume: Volume;
  readonly locate: (path: StorePath) => StorePath | undefined;
  readonly willBeDirectory: (path: StorePath) => boolean;
}

export class TargetObservation implements ObservedTarget {
  readonly target: Target;
  readonly volume: Volume;
  readonly resumable = false;
  readonly boot: 'same' | 'other';
  readonly #parts: ObservationParts;
  readonly #known = new Map<string, unknown>();

  constructor(parts: ObservationParts) {
    this.#parts = parts;
    this.target = parts.target;
    this.volume = parts.volume;
    this.boot = bootOf(parts.context, parts.subject.transaction, parts.target);
  }

  get records(): Observation['records'] {
    const { commit, abort } = this.#parts.subject.transaction;
    if (commit === undefined) return 'uncommitted';
    return abort === undefined ? 'committed' : 'aborted';
  }

  get superseded(): boolean {
    const { superseded, heldByLiving } = this.#parts.subject;
    const { index } = this.target;
    if (!superseded.has(index)) return false;
    return heldByLiving.has(index) || !this.#directoryCameBack;
  }

  get applied(): boolean {
    return appliedHere(this.#parts.context, this.#parts.subject.transaction, this.target);
  }

  get stat(): FileStat | undefined {
    return this.#once('stat', () => this.#lstat(this.location));
  }

  get showsAfter(): boolean {
    return this.#once('showsAfter', () => this.#showsAfter());
  }

  get provenApplied(): boolean {
    return this.#once('provenApplied', () => {
      const { fileSystem } = this.#parts.context;
      const { action, from, applyName, beforeName, after } = this.target;
      if (action === 'move-directory') return from !== undefined && !this.#holds(from, inodeOf(after));
      if (action === 'remove' || action === 'remove-directory') {
        return (
          beforeName !== undefined && fileSystem.lstat(beforePath(this.volume, beforeName)) !== undefined
        );
      }
      return applyName !== undefined && fileSystem.lstat(stagedPath(this.volume, applyName)) === undefined;
    });
  }

  get showsBefore(): boolean {
    return this.#once('showsBefore', () => this.#showsBefore());
  }

  get parentGone(): boolean {
    return this.#once('parentGone', () => {
      const parent = parentPath(this.target.path);
      if (parent === undefined || this.#parts.willBeDirectory(parent)) return false;
      const { context, locate } = this.#parts;
      const located = locate(parent);
      const type =
        located === undefined ? undefined : context.resolver.lookAtParent(located, 'recover')?.type;
      // A symbolic link in its place is no absence: it leads elsewhere.
      return type !== 'directory' && type !== 'symlink';
    });
  }

  get sharesStagedInode(): boolean {
    return this.#once('sharesStagedInode', () => {
      const { staged } = this.target;
      if (staged === undefined || this.stat === undefined) return false;
      return this.#parts.context.fileSystem.lstat(stagedPath(this.volume, staged))?.ino === this.stat.ino;
    });
  }

  get showsOlder(): boolean {
    return this.#once('showsOlder', () => {
      const older = this.#parts.history.olderImages(this.target.path, this.#revision);
      return older.some((image) => this.#showsImageOfAnotherBoot(image) || this.#hasContentOf(image));
    });
  }

  /**
   * An inode that no record names proves nothing: after a power cut a file system may show an older file of ours once more,
   * whose records are trimmed (btrfs was seen to, and the file to be empty). When it was written does.
   */
  get foreign(): boolean {
    return this.#once('foreign', () => {
      const { stat } = this;
      if (stat === undefined) return false;
      if (stat.type !== 'file') return true;
      const newest = this.#parts.history.newestMtimeNs(this.target.path);
      return newest === undefined || stat.mtimeNs > newest;
    });
  }

  get source(): Observation['source'] {
    return this.#once('source', () => this.#findSource());
  }

  get escapes(): boolean {
    return this.#once('escapes', () => {
      const { location } = this;
      // Below a directory that is yet to go elsewhere there is nothing to look through; nor below one that is yet to be
      // made, whatever an older transaction's file may be doing there: the way to that directory was looked at.
      if (location === undefined || ancestors(location).some(this.#parts.willBeDirectory)) return false;
      // Below a directory that an undo is yet to bring out of a staging area.
      if (isReservedPath(location)) return false;
      try {
        this.#parts.context.resolver.verifyParent(location, 'recover');
        return false;
      } catch (error) {
        // A directory that is missing is made again, or its absence is part of the observation.
        if (isStoreError(error, 'ERR_NOT_FOUND')) return false;
        if (isStoreError(error) && escapeCodes.has(error.code)) return true;
        throw error;
      }
    });
  }

  get directory(): StorePath | undefined {
    return this.#trace.place;
  }

  madeSince(): string[] {
    const { context, history } = this.#parts;
    return history.madeSince(this.target.path, this.#revision).flatMap(({ applyName, volume }) => {
      const area = applyName === undefined ? undefined : context.volume(volume);
      return area === undefined ? [] : [stagedPath(area, applyName!)];
    });
  }

  get #revision(): number {
    return revisionOf(this.#parts.subject.transaction);
  }

  get location(): StorePath | undefined {
    return this.#once('location', () => this.#parts.locate(this.target.path));
  }

  #showsAfter(): boolean {
    const { stat } = this;
    const { action, after, path } = this.target;
    switch (action) {
      case 'write':
        return this.#hasContentOf(after);
      case 'move':
        if (stat === undefined || stat.type !== after.type) return false;
        return stat.ino === inodeOf(after) || this.#isCopyOfMoved(stat);
      case 'remove':
        return stat === undefined;
      case 'remove-directory':
        return stat === undefined && !this.#isStranded;
      case 'make-directory':
      case 'make-parent':
        return stat?.type === 'directory';
      case 'move-directory':
        if (this.#holds(path, inodeOf(after))) return true;
        if (this.boot === 'same' || this.directory !== undefined) return false;
        // A directory's rename is atomic on the disk: gone from its source it was moved, by us or since. But one that
        // was made only a moment before may never have reached the disk at all; and what it takes the place of is still there.
        return this.#mayNeverHaveBeen
          ? stat?.type === 'directory' && stat.ino !== inodeOf(this.target.before)
          : true;
    }
  }

  #showsBefore(): boolean {
    const { action } = this.target;
    if (action === 'move-directory')
      return (this.directory !== undefined || this.#mayNeverHaveBeen) && this.#showsDisplaced;
    if (action === 'remove-directory' && this.#isStranded) return true;
    if (this.#isRestoredCopy) return true;
    return this.#showsReplaced;
  }

  /** What the directory takes the place of; or that has made room already, and stands in `before/`. */
  get #showsDisplaced(): boolean {
    const { before, beforeName } = this.target;
    if (before.type === 'absent' || beforeName === undefined) return this.stat === undefined;
    if (this.stat !== undefined) return this.#showsReplaced;
    if (this.boot === 'other') return true;
    return this.#parts.context.fileSystem.lstat(beforePath(this.volume, beforeName)) !== undefined;
  }

  get #showsReplaced(): boolean {
    const { before } = this.target;
    if (this.boot === 'other') return this.#showsImageOfAnotherBoot(before);
    if (this.#isMovedElsewhere(before)) return this.stat !== undefined && this.stat.ino === inodeOf(before);
    if (!showsImage(this.stat, before)) return false;
    // Within one grain of the clock a file can change and show no sign of it but its content.
    if (before.type !== 'file' || before.checksum === undefined) return true;
    const checksum = this.#checksum;
    // One that we may not read is known by its fingerprint alone.
    return checksum === undefined || checksum === before.checksum;
  }

  /** A roll-back that did not come to its end has put back a copy, of another inode than the before-image had. */
  get #isRestoredCopy(): boolean {
    const { beforeCopied, beforeName, before, after } = this.target;
    const { stat } = this;
    if (beforeCopied !== true || beforeName === undefined || stat?.type !== before.type) return false;
    const copy = this.#parts.context.fileSystem.lstat(beforePath(this.volume, beforeName));
    if (copy !== undefined && copy.ino !== stat.ino) return false;
    if (before.type === 'file') return before.checksum !== undefined && this.#checksum === before.checksum;
    // Of a link nobody knows the content, but the copy was made before the new content was: somebody's is younger.
    return (
      before.type === 'symlink' &&
      after.type === 'file' &&
      stat.size === before.fingerprint.size &&
      stat.mtimeNs <= after.fingerprint.mtimeNs
    );
  }

  /** A redo could have no further link of what moves, and did not come to its end. What stood there before is no copy. */
  #isCopyOfMoved(stat: FileStat): boolean {
    const { after, before, staged, from } = this.target;
    const { context } = this.#parts;
    const { fileSystem, roots } = context;
    if (this.location === undefined || stat.ino === inodeOf(before)) return false;
    if (after.type === 'file' && after.checksum !== undefined) return this.#hasContentOf(after);
    const durable = staged === undefined ? undefined : stagedPath(this.volume, staged);
    const hasDurable = durable !== undefined && fileSystem.lstat(durable)?.type === after.type;
    if (!hasDurable && (from === undefined || !this.#holds(from, inodeOf(after)))) return false;
    const source = hasDurable ? durable : absolutePath(from!, roots);
    if (stat.type === 'symlink')
      return fileSystem.readlink(absolutePath(this.location, roots)) === fileSystem.readlink(source);
    return this.#checksum !== undefined && this.#checksum === readableChecksum(context, source);
  }

  /** Size says nothing of a file whose last write was lost; its inode and the time of that write do. */
  #showsImageOfAnotherBoot(image: Image): boolean {
    const { stat } = this;
    if (stat === undefined) return image.type === 'absent';
    if (image.type === 'absent' || image.type !== stat.type) return false;
    if (image.type === 'directory') return image.ino === undefined || image.ino === stat.ino;
    if (image.fingerprint.ino !== stat.ino) return false;
    return image.fingerprint.mtimeNs === stat.mtimeNs || this.#isMovedElsewhere(image);
  }

  #isMovedElsewhere(image: Image): boolean {
    const ino = inodeOf(image);
    return ino !== undefined && image.type !== 'directory' && this.#parts.movedInodes.has(ino);
  }

  #hasContentOf(image: Image): boolean {
    const { stat } = this;
    if (stat?.type !== 'file' || image.type !== 'file' || stat.size !== image.fingerprint.size) return false;
    if (image.checksum === undefined) return false;
    const checksum = this.#checksum;
    if (checksum !== undefined) return checksum === image.checksum;
    // One that we may not read is known by its fingerprint alone; but after a power cut that says nothing of content that
    // was not fsynced.
    const isDurable = this.boot === 'same' || this.sharesStagedInode;
    return isDurable && sameFingerprint(fingerprintOf(stat), image.fingerprint);
  }

  /** Of what is there; `undefined` if it is no regular file, or may not be read. */
  get #checksum(): bigint | undefined {
    return this.#once('checksum', () => {
      if (this.stat?.type !== 'file' || this.location === undefined) return undefined;
      return readableChecksum(this.#parts.context, absolutePath(this.location, this.#parts.context.roots));
    });
  }

  #findSource(): Observation['source'] {
    const { fileSystem } = this.#parts.context;
    const { action, content, staged, after, from } = this.target;
    switch (action) {
      case 'write': {
        if (after.type !== 'file') return 'damaged';
        if (content !== undefined) return hash64(content) === after.checksum ? 'sound' : 'damaged';
        if (staged === undefined) return 'missing';
        const path = stagedPath(this.volume, staged);
        const stat = fileSystem.lstat(path);
        if (stat?.type !== 'file') return 'missing';
        const checksum = readableChecksum(this.#parts.context, path);
        if (checksum !== undefined) return checksum === after.checksum ? 'sound' : 'damaged';
        return sameFingerprint(fingerprintOf(stat), after.fingerprint) ? 'sound' : 'damaged';
      }
      case 'move': {
        if (staged !== undefined && fileSystem.lstat(stagedPath(this.volume, staged)) !== undefined)
          return 'sound';
        return from !== undefined && this.#holds(from, inodeOf(after)) ? 'sound' : 'missing';
      }
      case 'move-directory':
        return this.directory !== undefined || this.#mayNeverHaveBeen ? 'sound' : 'missing';
      case 'remove':
      case 'remove-directory':
      case 'make-directory':
      case 'make-parent':
        return 'sound';
    }
  }

  /**
   * A directory has no second copy, and after a power cut it is where its last durable rename has put it. One that was
   * removed and is back goes away again, whatever has come to its path since. One that is back where it was moved from
   * leaves that place again: what newer transactions have put there is not to go on with it, nor to meet it. One that
   * still has its apply name was never put in its place: then nothing that later transactions did with it has lasted
   * either, and they count on finding it there, with all that was put into it and made durable.
   */
  get #directoryCameBack(): boolean {
    if (this.boot === 'same') return false;
    const { action, applyName } = this.target;
    if (action === 'remove-directory' || action === 'move-directory')
      return this.directory !== undefined && !this.#wasPutThere(this.directory);
    if (action !== 'make-directory' && action !== 'make-parent') return false;
    if (applyName === undefined) return false;
    return this.#parts.context.fileSystem.lstat(stagedPath(this.volume, applyName))?.type === 'directory';
  }

  /** A newer transaction has moved the directory there. It need not be in the log any more, but its row is. */
  #wasPutThere(place: StorePath): boolean {
    const row = this.#parts.context.rowAt(place);
    if (row === undefined || row.revision <= this.#revision || row.image.type !== 'directory') return false;
    return row.image.ino === inodeOfDirectory(this.target);
  }

  /** The directory that was to be removed has come back under an older name. */
  get #isStranded(): boolean {
    return this.directory !== undefined && this.directory !== this.target.path;
  }

  /** The directory to be moved was made by a transaction that is still in the log, or stood on such a one. */
  get #mayNeverHaveBeen(): boolean {
    return this.#trace.mayNeverHaveBeen;
  }

  get #trace(): DirectoryTrace {
    return this.#once('trace', () =>
      traceDirectory({
        target: this.target,
        boot: this.boot,
        revision: this.#revision,
        history: this.#parts.history,
        holds: (path, ino) => this.#holds(path, ino),
      }),
    );
  }

  #holds(path: StorePath, ino: bigint | undefined): boolean {
    const stat = this.#lstat(this.#parts.locate(path));
    return stat !== undefined && stat.ino === ino;
  }

  #lstat(path: StorePath | undefined): FileStat | undefined {
    if (path === undefined) return undefined;
    const { fileSystem, roots } = this.#parts.context;
    return fileSystem.lstat(absolutePath(path, roots));
  }

  #once<T>(name: string, look: () => T): T {
    if (!this.#known.has(name)) this.#known.set(name, look());
    return this.#known.get(name) as T;
  }
}

/** Of a file, or of its first bytes; `undefined` for one that we may not read. */
export function readableChecksum(
  { fileSystem }: RecoveryContext,
  absolute: string,
  bytesMax?: number,
): bigint | undefined {
  try {
    return checksumOfFile(fileSystem, absolute, bytesMax);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EACCES' || code === 'EPERM') return undefined;
    throw error;
  }
}
