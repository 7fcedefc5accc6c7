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
import { attempt } from './attempt.js';
import { hash64, RunningChecksum } from '../record/checksum.js';
import { copyDurably, eachPiece, linkRefusals, readFileAt, syncFile, writeFully } from '../files/content.js';
import { fromSystemError, isStoreError, StoreError, systemCode } from '../errors.js';
import type { Descriptor, FileStat, FileSystem } from '../files/file-system.js';
import { absent, type Image, imageOf } from '../record/image.js';
import type { Content } from '../plan/operation.js';
import { absolutePath, parentPath, type Roots, type StorePath } from '../path/path.js';
import { otherFileSystem, type PlannedTarget } from '../plan/plan.js';
import type { SpareFiles } from './spare-files.js';
import type { Action, Target, TransactionId } from '../record/record.js';
import { type Volume, volumeDirectory } from '../files/volume.js';
import type { FileNode } from '../plan/working-tree.js';

/** A target with what this process holds of it. */
export interface StagedTarget {
  readonly target: Target;
  readonly volume: Volume;
  /** Absolute paths. */
  readonly absolute: string;
  readonly parent: string;
  /** Open on the staged file of inline content; closed by the checkpoint, or once a newer transaction has replaced it. */
  descriptor: Descriptor | undefined;
  /** A before-image link or copy was made by staging. */
  readonly beforeLinked: boolean;
  /** The staged name is the caller's: it outlives a plan that has to be made again. */
  readonly adopted: boolean;
}

export interface StagedTransaction {
  readonly id: TransactionId;
  readonly targets: readonly StagedTarget[];
  readonly contentBytes: number;
}

/** What was planned on is not there any more: plan again. */
export class PlanOutdated extends Error {
  override readonly name = 'PlanOutdated';
  readonly path: StorePath;
  constructor(path: StorePath) {
    super(`'${path}' changed since the plan was made`);
    this.path = path;
  }
}

export interface StagingOptions {
  readonly fileSystem: FileSystem;
  readonly roots: Roots;
  readonly inlineLimitBytes: number;
  readonly umask: number;
  /** Whether owner and group of a replaced file can be given to the new one. */
  readonly privileged: boolean;
  readonly spares?: SpareFiles | undefined;
  /** Files that one transaction keeps open until its checkpoint; further ones are fsynced at once. */
  readonly descriptorsMax: number;
}

/** `OVERLAYFS_SUPER_MAGIC` of linux/magic.h. */
const overlayType = 0x794c7630;

export class StagingArea {
  readonly #options: StagingOptions;
  readonly #fileSystem: FileSystem;

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
    },
  ): StagedTransaction {
    const contentBytes = planned.reduce((sum, target) => sum + contentSize(target, this.#sizeOf), 0);
    const inline =
      find.neverInline !== true &&
      contentBytes <= this.#options.inlineLimitBytes &&
      !planned.some((target) => hasStagedPart(target.file));
    const targets: StagedTarget[] = [];
    try {
      const syncStaged = new Set<string>();
      let descriptors = 0;
      planned.forEach((target, index) => {
        const job = new StagingJob(this.#options, id, index, target, find.volume(target), inline);
        try {
          const staged = job.run(find.checksum);
          targets.push(staged);
          if (staged.descriptor !== undefined && ++descriptors > this.#options.descriptorsMax)
            this.#syncNow(staged);
        } catch (error) {
          job.undo();
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
    for (const staged of transaction.targets) discardTarget(this.#fileSystem, staged);
  }

  readonly #sizeOf = (path: StorePath): number =>
    this.#fileSystem.lstat(absolutePath(path, this.#options.roots))?.size ?? 0;
}

export function stagedPath(volume: Volume, name: string): string {
  return `${volume.staged}/${name}`;
}

export function beforePath(volume: Volume, name: string): string {
  return `${volume.before}/${name}`;
}

function discardTarget(fileSystem: FileSystem, staged: StagedTarget): void {
  const { target, volume } = staged;
  if (staged.descriptor !== undefined) attempt(() => fileSystem.close(staged.descriptor!));
  if (target.applyName !== undefined) {
    const path = stagedPath(volume, target.applyName);
    const makes = target.action === 'make-directory' || target.action === 'make-parent';
    attempt(() => (makes ? fileSystem.removeDirectory(path) : fileSystem.unlink(path)));
  }
  if (target.staged !== undefined && !staged.adopted) {
    attempt(() => fileSystem.unlink(stagedPath(volume, target.staged!)));
  }
  if (staged.beforeLinked && target.beforeName !== undefined) {
    attempt(() => fileSystem.unlink(beforePath(volume, target.beforeName!)));
  }
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

function hasStagedPart(file: FileNode | undefined): boolean {
  return file?.parts.some((part) => part.kind === 'staged') ?? false;
}

export function partSize(part: Content): number {
  return part.kind === 'bytes' ? part.bytes.byteLength : part.size;
}

function contentSize(target: PlannedTarget, sizeOf: (path: StorePath) => number): number {
  if (target.action !== 'write' || target.file === undefined) return 0;
  const begun = target.file.copyOf === undefined ? 0 : sizeOf(target.file.copyOf);
  return target.file.parts.reduce((sum, part) => sum + partSize(part), begun);
}

type Draft = { -readonly [K in keyof Target]?: Target[K] };

/** Stages one target and can take it back. */
class StagingJob {
  readonly volume: Volume;
  mustSyncDirectory = false;
  readonly #options: StagingOptions;
  readonly #fileSystem: FileSystem;
  readonly #planned: PlannedTarget;
  readonly #inline: boolean;
  readonly #name: string;
  readonly #made: (() => void)[] = [];
  readonly #index: number;

  constructor(
    options: StagingOptions,
    id: TransactionId,
    index: number,
    planned: PlannedTarget,
    volume: Volume,
    inline: boolean,
  ) {
    this.#options = options;
    this.#fileSystem = options.fileSystem;
    this.#planned = planned;
    this.volume = volume;
    this.#inline = inline;
    this.#index = index;
    this.#name = `${id}-${index.toString(36)}`;
  }

  undo(): void {
    for (const remove of this.#made.toReversed()) attempt(remove);
  }

  run(checksum: (path: StorePath, stat: FileStat) => bigint | undefined): StagedTarget {
    const planned = this.#planned;
    const draft: Draft = {};
    let beforeLinked = false;
    let before: Image = absent;
    if (planned.stat === undefined && planned.mustBeAbsent === true) {
      if (this.#fileSystem.lstat(this.#absolute(planned.path)) !== undefined)
        throw new PlanOutdated(planned.path);
    }
    if (planned.stat !== undefined && planned.basePath !== undefined && planned.action !== 'move-directory') {
      const known = checksum(planned.basePath, planned.stat);
      if (planned.action === 'write' || planned.action === 'move') {
        beforeLinked = true;
        before = this.#takeBefore(planned.basePath, draft, known);
      } else {
        before = this.#lookBefore(planned.basePath, known);
        draft.beforeName = this.#name;
      }
    }
    let after: Image = absent;
    let descriptor: Descriptor | undefined;
    let action: Action = planned.action;
    switch (planned.action) {
      case 'write': {
        const written = this.#inline ? this.#stageInline(draft) : this.#stageLarge(draft);
        after = written.image;
        descriptor = written.descriptor;
        break;
      }
      case 'move':
        if (this.#linkMoved(draft)) after = this.#stageMove(checksum);
        else {
          // No second link can be had: the move becomes a copy, and its source a plain removal.
          action = 'write';
          after = this.#stageLarge(draft).image;
        }
        break;
      case 'make-directory':
      case 'make-parent':
        after = this.#stageDirectory(draft);
        break;
      case 'move-directory':
        this.#refuseUnmovable(planned.basePath ?? planned.path);
        after = this.#imageOfMovedDirectory();
        break;
      case 'remove-directory':
        this.#refuseUnmovable(planned.basePath ?? planned.path);
        break;
      case 'remove':
        break;
    }
    if (planned.listing !== undefined) draft.listing = planned.listing;
    if (planned.movedAway !== undefined) draft.movedAway = planned.movedAway;
    if (planned.from !== undefined) draft.from = planned.from;
    const absolute = this.#absolute(planned.path);
    const parent = parentPath(planned.path);
    assert(parent !== undefined, 'a root is never a target');
    return {
      target: {
        ...draft,
        index: this.#index,
        action,
        path: planned.path,
        volume: this.volume.path,
        before,
        after,
      },
      volume: this.volume,
      absolute,
      parent: this.#absolute(parent),
      beforeLinked,
      adopted: draft.staged !== undefined && draft.staged !== this.#name,
      descriptor,
    };
  }

  #absolute(path: StorePath): string {
    return absolutePath(path, this.#options.roots);
  }

  #lookBefore(path: StorePath, checksum: bigint | undefined): Image {
    const stat = this.#fileSystem.lstat(this.#absolute(path));
    if (stat === undefined || stat.type !== this.#planned.stat?.type) throw new PlanOutdated(path);
    // What is moved and what goes from its old place must be the same file.
    if (this.#planned.movedAway === true && stat.ino !== this.#planned.stat.ino) throw new PlanOutdated(path);
    return imageOf(stat, stat.mtimeNs === this.#planned.stat.mtimeNs ? checksum : undefined);
  }

  /** Links (or copies) what will be replaced, then takes the fingerprint of what the link holds. */
  #takeBefore(path: StorePath, draft: Draft, checksum: bigint | undefined): Image {
    const from = this.#absolute(path);
    const to = beforePath(this.volume, this.#name);
    draft.beforeName = this.#name;
    try {
      this.#fileSystem.link(from, to);
    } catch (error) {
      const code = systemCode(error) ?? '';
      if (code === 'ENOENT') throw new PlanOutdated(path);
      if (!linkRefusals.has(code)) throw error;
      return this.#copyBefore(path, draft, checksum);
    }
    this.#made.push(() => this.#fileSystem.unlink(to));
    const stat = this.#fileSystem.lstat(to);
    if (stat === undefined || stat.type !== this.#planned.stat?.type) throw new PlanOutdated(path);
    if (stat.ino !== this.#planned.stat.ino && stat.ino !== this.#fileSystem.lstat(from)?.ino) {
      // An overlay of several file systems gives what comes from its lower layer another number with each name.
      this.#fileSystem.unlink(to);
      return this.#copyBefore(path, draft, checksum);
    }
    const same = stat.ino === this.#planned.stat.ino && stat.mtimeNs === this.#planned.stat.mtimeNs;
    return imageOf(stat, same ? checksum : undefined);
  }

  #copyBefore(path: StorePath, draft: Draft, checksum: bigint | undefined): Image {
    const from = this.#absolute(path);
    const stat = this.#fileSystem.lstat(from);
    if (stat?.type === 'symlink') {
      this.#fileSystem.symlink(this.#fileSystem.readlink(from), beforePath(this.volume, this.#name));
      this.#made.push(() => this.#fileSystem.unlink(beforePath(this.volume, this.#name)));
    } else {
      const target = this.#create(beforePath(this.volume, this.#name), 0o600);
      try {
        this.#copyFrom(path, target, new RunningChecksum(), 0);
        // A roll-back puts this copy in the place of the file.
        if (stat !== undefined && this.#options.privileged) this.#fileSystem.chown(target, stat);
        if (stat !== undefined) this.#fileSystem.chmod(target, stat.mode);
      } finally {
        this.#fileSystem.close(target);
      }
    }
    draft.beforeCopied = true;
    const again = this.#fileSystem.lstat(from);
    if (stat === undefined || again?.ino !== stat.ino || again.mtimeNs !== stat.mtimeNs) {
      throw new PlanOutdated(path);
    }
    return imageOf(stat, checksum);
  }

  #create(path: string, mode: number): Descriptor {
    const descriptor = this.#fileSystem.create(path, mode);
    this.#made.push(() => this.#fileSystem.unlink(path));
    return descriptor;
  }

  /** The content to write; for a move that cannot be linked, that of its source. */
  #file(): FileNode {
    const { file, inodePath } = this.#planned;
    if (file !== undefined) return file;
    assert(inodePath !== undefined, 'a write has content');
    const like = this.#fileSystem.lstat(this.#absolute(inodePath));
    return { type: 'file', copyOf: inodePath, parts: [], ...(like === undefined ? {} : { like }) };
  }

  #mode(): number {
    const asked = this.#planned.file?.mode;
    if (asked !== undefined) return asked & ~this.#options.umask;
    return this.#like()?.mode ?? 0o666 & ~this.#options.umask;
  }

  /** Whose mode and owner the new file gets. */
  #like(): FileStat | undefined {
    const { stat } = this.#planned;
    const file = this.#planned.action === 'move' ? this.#file() : this.#planned.file;
    return file?.like ?? (stat?.type === 'file' ? stat : undefined);
  }

  /** Gives the file the owner and mode that it is to have; returns what it then is. */
  #setOwnerAndMode(descriptor: Descriptor): FileStat {
    const stat = this.#fileSystem.stat(descriptor);
    const like = this.#like();
    const foreign =
      like !== undefined && this.#options.privileged && (stat.uid !== like.uid || stat.gid !== like.gid);
    if (foreign) this.#fileSystem.chown(descriptor, like);
    const mode = this.#mode();
    // After the owner: changing it may clear set-id bits.
    if (foreign || stat.mode !== mode) this.#fileSystem.chmod(descriptor, mode);
    return { ...stat, mode, ...(foreign ? { uid: like.uid, gid: like.gid } : {}) };
  }

  #stageInline(draft: Draft): { image: Image; descriptor: Descriptor } {
    const content = this.#wholeContent();
    draft.content = content;
    const descriptor = this.#takeSpare(draft) ?? this.#createApplyFile(draft);
    try {
      writeFully(this.#fileSystem, descriptor, content, 0);
      const stat = this.#setOwnerAndMode(descriptor);
      return { image: this.#checkedImage(stat, content.byteLength, hash64(content)), descriptor };
    } catch (error) {
      attempt(() => this.#fileSystem.close(descriptor));
      throw error;
    }
  }

  /** A file that was made ahead of need: creating one is the slow part of staging. */
  #takeSpare(draft: Draft): Descriptor | undefined {
    const spare = this.volume.path === '' ? this.#options.spares?.take() : undefined;
    if (spare === undefined) return undefined;
    const name = `${this.#name}.apply`;
    const path = stagedPath(this.volume, name);
    try {
      this.#fileSystem.rename(spare.path, path);
    } catch (error) {
      attempt(() => this.#fileSystem.close(spare.descriptor));
      // Somebody has removed the spare: make a file as if there had been none.
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    this.#made.push(() => this.#fileSystem.unlink(path));
    draft.applyName = name;
    return spare.descriptor;
  }

  #createApplyFile(draft: Draft): Descriptor {
    draft.applyName = `${this.#name}.apply`;
    // Nobody else can look into the staging area, so the file may have its mode from the start.
    return this.#create(stagedPath(this.volume, draft.applyName), this.#mode());
  }

  #wholeContent(): Uint8Array {
    const { path } = this.#planned;
    const file = this.#file();
    const parts = file.parts.map((part) => {
      assert(part.kind === 'bytes', 'inline content is bytes');
      return part.bytes;
    });
    if (file.copyOf !== undefined) {
      try {
        parts.unshift(readFileAt(this.#fileSystem, this.#absolute(file.copyOf)));
      } catch (error) {
        if (systemCode(error) === 'ENOENT') throw new PlanOutdated(path);
        throw error;
      }
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** Sizes are compared after every write: a file system may take fewer bytes than it said. */
  #checkedImage(stat: FileStat, size: number, checksum: bigint): Image {
    if (stat.size !== size) {
      throw new StoreError('ERR_IO', `Staged ${stat.size} bytes of ${size} for '${this.#planned.path}'`, {
        op: 'stage',
        path: this.#planned.path,
        hint: 'The file system lost bytes that it had accepted. Nothing was changed.',
      });
    }
    return imageOf(stat, checksum);
  }

  #stageLarge(draft: Draft): { image: Image; descriptor?: undefined } {
    const file = this.#file();
    const only = file.parts[0];
    this.mustSyncDirectory = true;
    if (
      file.copyOf === undefined &&
      file.parts.length === 1 &&
      only?.kind === 'staged' &&
      this.#isOurs(only)
    ) {
      draft.staged = only.name;
      return { image: this.#linkApplyName(draft, only.name, this.#adopt(only)) };
    }
    draft.staged = this.#name;
    const descriptor = this.#create(stagedPath(this.volume, this.#name), 0o600);
    try {
      const checksum = new RunningChecksum();
      let size = file.copyOf === undefined ? 0 : this.#copyFrom(file.copyOf, descriptor, checksum, 0);
      for (const part of file.parts) size += this.#writePart(part, descriptor, checksum, size);
      const stat = this.#setOwnerAndMode(descriptor);
      this.#fileSystem.sync(descriptor);
      const image = this.#checkedImage(stat, size, checksum.digest());
      return { image: this.#linkApplyName(draft, this.#name, image) };
    } finally {
      this.#fileSystem.close(descriptor);
    }
  }

  #isOurs(part: Extract<Content, { kind: 'staged' }>): boolean {
    return part.volume === this.volume.path;
  }

  /** Content that the caller's thread has staged and fsynced becomes the durable copy as it is. */
  #adopt(part: Extract<Content, { kind: 'staged' }>): Image {
    const descriptor = this.#fileSystem.openRead(stagedPath(this.volume, part.name));
    try {
      const stat = this.#setOwnerAndMode(descriptor);
      this.#fileSystem.sync(descriptor);
      return this.#checkedImage(stat, part.size, part.checksum);
    } finally {
      this.#fileSystem.close(descriptor);
    }
  }

  /** Returns the image of what the apply will put in place: that of the durable copy, or of a copy of it. */
  #linkApplyName(draft: Draft, name: string, durable: Image): Image {
    draft.applyName = `${this.#name}.apply`;
    const to = stagedPath(this.volume, draft.applyName);
    try {
      this.#fileSystem.link(stagedPath(this.volume, name), to);
    } catch (error) {
      if (!linkRefusals.has(systemCode(error) ?? '')) throw error;
      this.#made.push(() => this.#fileSystem.unlink(to));
      copyDurably(this.#fileSystem, stagedPath(this.volume, name), to);
      const checksum = durable.type === 'file' ? durable.checksum : undefined;
      return imageOf(this.#fileSystem.lstat(to), checksum);
    }
    this.#made.push(() => this.#fileSystem.unlink(to));
    return durable;
  }

  #writePart(part: Content, descriptor: Descriptor, checksum: RunningChecksum, position: number): number {
    if (part.kind === 'bytes') {
      checksum.update(part.bytes);
      writeFully(this.#fileSystem, descriptor, part.bytes, position);
      return part.bytes.byteLength;
    }
    return this.#copyAbsolute(`${this.#stagedDirectory(part)}/${part.name}`, descriptor, checksum, position);
  }

  #stagedDirectory(part: Extract<Content, { kind: 'staged' }>): string {
    const top = absolutePath(part.volume, this.#options.roots);
    return `${volumeDirectory(top, part.volume)}/staged`;
  }

  #copyFrom(path: StorePath, to: Descriptor, checksum: RunningChecksum, position: number): number {
    return this.#copyAbsolute(this.#absolute(path), to, checksum, position);
  }

  #copyAbsolute(from: string, to: Descriptor, checksum: RunningChecksum, position: number): number {
    let source: Descriptor;
    try {
      source = this.#fileSystem.openRead(from);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') throw new PlanOutdated(this.#planned.path);
      throw error;
    }
    try {
      return eachPiece(this.#fileSystem, source, (piece, at) => {
        checksum.update(piece);
        writeFully(this.#fileSystem, to, piece, position + at);
      });
    } finally {
      this.#fileSystem.close(source);
    }
  }

  /** Takes a second link of what is moved. `false` where that cannot be had. */
  #linkMoved(draft: Draft): boolean {
    const from = this.#planned.inodePath;
    assert(from !== undefined, 'a move has a source');
    const source = this.#absolute(from);
    const staged = stagedPath(this.volume, this.#name);
    const stat = this.#fileSystem.lstat(source);
    if (stat === undefined || stat.ino !== this.#planned.inode) throw new PlanOutdated(from);
    if (stat.dev !== this.volume.device) return false;
    try {
      this.#fileSystem.link(source, staged);
    } catch (error) {
      const code = systemCode(error) ?? '';
      if (code === 'ENOENT') throw new PlanOutdated(from);
      if (linkRefusals.has(code)) return false;
      throw error;
    }
    const apply = `${this.#name}.apply`;
    try {
      this.#fileSystem.link(staged, stagedPath(this.volume, apply));
    } catch (error) {
      this.#fileSystem.unlink(staged);
      if (linkRefusals.has(systemCode(error) ?? '')) return false;
      throw error;
    }
    this.#made.push(
      () => this.#fileSystem.unlink(staged),
      () => this.#fileSystem.unlink(stagedPath(this.volume, apply)),
    );
    draft.staged = this.#name;
    draft.applyName = apply;
    this.mustSyncDirectory = true;
    return true;
  }

  #stageMove(checksum: (path: StorePath, stat: FileStat) => bigint | undefined): Image {
    const staged = stagedPath(this.volume, this.#name);
    const stat = this.#fileSystem.lstat(staged);
    assert(stat !== undefined, 'a link that was just made is there');
    if (stat.ino !== this.#planned.inode) throw new PlanOutdated(this.#planned.path);
    if (stat.type === 'file') syncFile(this.#fileSystem, staged);
    return imageOf(stat, checksum(this.#planned.inodePath!, stat));
  }

  #stageDirectory(draft: Draft): Image {
    draft.applyName = `${this.#name}.apply`;
    const path = stagedPath(this.volume, draft.applyName);
    const mode = (this.#planned.mode ?? 0o777) & ~this.#options.umask;
    this.#fileSystem.makeDirectory(path, mode);
    this.#made.push(() => this.#fileSystem.removeDirectory(path));
    this.#fileSystem.chmodPath(path, mode);
    return { type: 'directory', mode };
  }

  /**
   * An overlay cannot rename a directory of a lower layer. To rename it over a directory that is not empty always fails,
   * and if it is for this reason, says so.
   */
  #refuseUnmovable(path: StorePath): void {
    const top = volumeDirectory(absolutePath(this.volume.path, this.#options.roots), this.volume.path);
    if (this.#fileSystem.space(top).type >>> 0 !== overlayType) return;
    try {
      this.#fileSystem.rename(this.#absolute(path), top);
    } catch (error) {
      if (systemCode(error) === 'EXDEV') throw otherFileSystem(path);
      return;
    }
    assert(false, 'nothing is ever renamed over the staging areas');
  }

  #imageOfMovedDirectory(): Image {
    const { basePath, stat } = this.#planned;
    const now = basePath === undefined ? undefined : this.#fileSystem.lstat(this.#absolute(basePath));
    if (now === undefined || now.ino !== stat?.ino) throw new PlanOutdated(this.#planned.path);
    return { type: 'directory', ino: now.ino, mode: now.mode };
  }
}
