/**
 * The floor of free disk that ordinary commits leave to those that end transactions.
 *
 * Where overwriting needs space, too (btrfs, zfs, …), it guards more: there zeros in the log's file are no room, and LMDB
 * writes to its reader table through a map, where no space is a SIGBUS. On those the floor is looked at before each
 * commit, and essential commits and readers stop at a quarter of it. What other programs use up between the look and
 * the write is a risk that stays (`docs/assumptions.md`); on btrfs only where `chattr` is missing, because the log's
 * files are marked to be overwritten in place.
 */
import { StoreError } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';

/** A smaller disk keeps this part of itself free instead of `reserveBytes`. */
const reservePart = 1 / 16;
/** Left to essential commits and readers, where overwriting needs space. */
const essentialPart = 1 / 4;
/** How old the answer may be to how much of the disk is free. */
const ageMsMax = 50;

/** `f_type` of file systems that write elsewhere what is overwritten; what lies below an overlay is not known. */
const copyOnWriteTypes: ReadonlySet<number> = new Set([
  0x9123683e, // btrfs
  0x2fc12fc1, // zfs
  0xca451a4e, // bcachefs
  0x3434, // nilfs2
  0x794c7630, // overlayfs
]);

export interface SpaceFloorOptions {
  readonly fileSystem: FileSystem;
  /** A path on the file system in question. */
  readonly path: string;
  readonly reserveBytes: number;
  /** Milliseconds that only go forward. */
  readonly clock: () => number;
}

export class SpaceFloor {
  readonly #options: SpaceFloorOptions;
  readonly #copiesOnWrite: boolean;
  #roomyUntilMs = Number.NEGATIVE_INFINITY;
  #readableUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: SpaceFloorOptions) {
    this.#options = options;
    this.#copiesOnWrite = copyOnWriteTypes.has(options.fileSystem.space(options.path).type);
  }

  /** Before anything of a commit is done. */
  requireForCommit(essential: boolean): void {
    if (this.#copiesOnWrite) {
      this.#assertFree(0, essential ? essentialPart : 1);
    } else if (!essential) {
      const now = this.#options.clock();
      if (now < this.#roomyUntilMs) return;
      this.#assertFree(0, 1);
      this.#roomyUntilMs = now + ageMsMax;
    }
  }

  /** Before so much of the file is overwritten. */
  requireForWrite(bytes: number, essential: boolean): void {
    if (this.#copiesOnWrite) this.#assertFree(bytes, essential ? essentialPart : 1);
  }

  requireForRead(): void {
    if (!this.#copiesOnWrite) return;
    const now = this.#options.clock();
    if (now < this.#readableUntilMs) return;
    this.#assertFree(0, essentialPart);
    this.#readableUntilMs = now + ageMsMax;
  }

  /** Whether the whole floor stays free when so many bytes are used. */
  allows(bytes: number): boolean {
    return this.#allows(bytes, 1);
  }

  noSpace(): StoreError {
    return new StoreError('ERR_NO_SPACE', 'The disk is too full to use the log safely', {
      op: 'commit',
      path: this.#options.path,
      hint: 'Free some space, then try again: nothing was changed.',
    });
  }

  #assertFree(bytes: number, part: number): void {
    if (!this.#allows(bytes, part)) throw this.noSpace();
  }

  #allows(bytes: number, part: number): boolean {
    const { fileSystem, path, reserveBytes } = this.#options;
    const { availableBytes, totalBytes } = fileSystem.space(path);
    return availableBytes - bytes >= Math.min(reserveBytes, totalBytes * reservePart) * part;
  }
}
