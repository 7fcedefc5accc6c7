/**
 * What the log still knows of each path: every image that an untrimmed transaction found or left there. After a power
 * cut any of them may be what a path shows.
 */

import {
  absent,
  type Folding,
  type Image,
  inodeOf,
  type LoggedTransaction,
  pathKey,
  type StorePath,
  type Target,
} from '@forewrit/core';

interface Known {
  readonly revision: number;
  readonly image: Image;
}

/** A directory that a transaction moved: it has no second copy, so it is at one end or the other. */
export interface DirectoryMove {
  readonly revision: number;
  readonly from: StorePath;
  readonly path: StorePath;
}

/** A directory that a transaction has made. */
export interface MadeDirectory {
  readonly revision: number;
  readonly volume: StorePath;
  readonly applyName: string | undefined;
}

export class PathHistory {
  readonly #folding: Folding;
  readonly #images = new Map<string, Known[]>();
  readonly #moves = new Map<string, DirectoryMove[]>();
  readonly #made = new Map<string, MadeDirectory[]>();

  constructor(folding: Folding, transactions: readonly LoggedTransaction[]) {
    this.#folding = folding;
    for (const transaction of transactions) this.#add(transaction);
  }

  /** What transactions older than `revision` found or left at a path. */
  olderImages(path: StorePath, revision: number): Image[] {
    const known = this.#images.get(this.#key(path)) ?? [];
    return known.filter((each) => each.revision < revision).map(({ image }) => image);
  }

  /** The newest mtime that any record has of a file at this path. */
  newestMtimeNs(path: StorePath): bigint | undefined {
    let newest: bigint | undefined;
    for (const { image } of this.#images.get(this.#key(path)) ?? []) {
      if (image.type === 'absent' || image.type === 'directory') continue;
      const { mtimeNs } = image.fingerprint;
      if (newest === undefined || mtimeNs > newest) newest = mtimeNs;
    }
    return newest;
  }

  /** How a directory has been moved by transactions older than `revision`, the newest move first. */
  movesOf(volume: StorePath, ino: bigint, revision: number): DirectoryMove[] {
    const moves = this.#moves.get(`${ino} ${volume}`) ?? [];
    return moves.filter((move) => move.revision < revision).sort((a, b) => b.revision - a.revision);
  }

  /** Whether a transaction older than `revision` made a directory here: it may never have become durable. */
  wasMade(path: StorePath, revision: number): boolean {
    return (this.#made.get(this.#key(path)) ?? []).some((made) => made.revision < revision);
  }

  /** Directories that transactions newer than `revision` made here. */
  madeSince(path: StorePath, revision: number): MadeDirectory[] {
    return (this.#made.get(this.#key(path)) ?? []).filter((made) => made.revision > revision);
  }

  #add(transaction: LoggedTransaction): void {
    const { commit, abort, targets } = transaction;
    if (commit === undefined || abort !== undefined) return;
    for (const target of targets) this.#addTarget(target, commit.revision);
  }

  #addTarget(target: Target, revision: number): void {
    const { action, path, from, before, after, volume, applyName } = target;
    this.#addImage(path, { revision, image: before });
    this.#addImage(path, { revision, image: after });
    if (action === 'make-directory' || action === 'make-parent') {
      const key = this.#key(path);
      const made = this.#made.get(key);
      if (made === undefined) this.#made.set(key, [{ revision, volume, applyName }]);
      else made.push({ revision, volume, applyName });
    }
    const ino = inodeOf(after);
    if (action !== 'move-directory' || from === undefined || ino === undefined) return;
    this.#addImage(from, { revision, image: after });
    this.#addImage(from, { revision, image: absent });
    const key = `${ino} ${volume}`;
    this.#moves.set(key, [...(this.#moves.get(key) ?? []), { revision, from, path }]);
  }

  #addImage(path: StorePath, known: Known): void {
    const key = this.#key(path);
    const list = this.#images.get(key);
    if (list === undefined) this.#images.set(key, [known]);
    else list.push(known);
  }

  #key(path: StorePath): string {
    return Buffer.from(pathKey(path, this.#folding)).toString('latin1');
  }
}
