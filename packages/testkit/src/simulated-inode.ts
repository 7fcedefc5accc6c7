/**
 * One file, directory or symbolic link of a simulated disk, and the table that holds them.
 *
 * Tables share their inodes: an inode may be changed only by the one whose `owner` token it carries, everyone else
 * copies it first (`ownInode` does both). Who hands a table on takes a new token, and so disowns all it held, at no
 * cost. Content is shared one level deeper, by `ownsBytes`.
 *
 * A table's index is the identity of an inode in the simulation; `number` is what programs see. They differ because a
 * number may be given out again while the old inode still is on the medium.
 */
import type { FileType } from '@forewrit/core';
import { mix32 } from './random.js';

export type InodeId = number;
export type InodeTable = (Inode | undefined)[];

/** No child: the entry is absent. */
export const absent: InodeId = -1;

export interface InodeOrigin {
  readonly kind: FileType;
  readonly number: number;
  /** Index of the volume that holds it. */
  readonly volume: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly timeNs: bigint;
  /** Of a symbolic link. */
  readonly target?: string | undefined;
}

const noBytes = new Uint8Array(0);
const noEntries: ReadonlyMap<string, InodeId> = new Map();
const kinds: readonly FileType[] = ['file', 'directory', 'symlink', 'other'];

export class Inode {
  owner: object | undefined;
  readonly kind: FileType;
  readonly number: number;
  readonly volume: number;
  readonly birthtimeNs: bigint;
  readonly target: string;
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  size = 0;
  /** At least `size` long, zero beyond it. */
  bytes: Uint8Array = noBytes;
  /** `false` as long as somebody else may hold `bytes` too. */
  ownsBytes = false;
  entries: Map<string, InodeId>;
  #digested = false;
  #digestHigh = 0;
  #digestLow = 0;

  constructor(origin: InodeOrigin, entries: Map<string, InodeId>) {
    this.kind = origin.kind;
    this.number = origin.number;
    this.volume = origin.volume;
    this.birthtimeNs = origin.timeNs;
    this.target = origin.target ?? '';
    this.mode = origin.mode;
    this.uid = origin.uid;
    this.gid = origin.gid;
    this.mtimeNs = origin.timeNs;
    this.entries = entries;
  }

  static create(origin: InodeOrigin): Inode {
    return new Inode(origin, origin.kind === 'directory' ? new Map() : (noEntries as Map<string, InodeId>));
  }

  copyFor(owner: object): Inode {
    const { kind, number, volume, mode, uid, gid, birthtimeNs, target } = this;
    const entries = kind === 'directory' ? new Map(this.entries) : this.entries;
    const copy = new Inode({ kind, number, volume, mode, uid, gid, timeNs: birthtimeNs, target }, entries);
    copy.mtimeNs = this.mtimeNs;
    copy.size = this.size;
    copy.bytes = this.bytes;
    copy.owner = owner;
    return copy;
  }

  /** To be called before every change: what was computed from the content no longer holds. */
  touch(): void {
    this.#digested = false;
  }

  /** Two hashes of all that a program can see of this inode alone. Their sum over all inodes describes a tree. */
  get digestHigh(): number {
    if (!this.#digested) this.#digest();
    return this.#digestHigh;
  }

  get digestLow(): number {
    if (!this.#digested) this.#digest();
    return this.#digestLow;
  }

  #digest(): void {
    let high = mix32(this.number * 4 + kinds.indexOf(this.kind));
    let low = mix32(high ^ (this.mode | (this.volume << 16)));
    const add = (value: number): void => {
      high = mix32(high + value);
      low = mix32(low ^ Math.imul(value, 0x9e3779b1));
    };
    add(this.uid);
    add(this.gid);
    add(Number(this.mtimeNs & 0xffffffffn));
    add(Number(this.mtimeNs >> 32n));
    add(this.size);
    if (this.kind === 'file') {
      high = hashBytes(this.bytes, this.size, high);
      low = hashBytes(this.bytes, this.size, mix32(low + 0x51ed270b));
    } else if (this.kind === 'symlink') {
      add(hashText(this.target));
    }
    // Entries are a set: whatever their order in memory, the digest is the same.
    let sumHigh = 0;
    let sumLow = 0;
    for (const [name, child] of this.entries) {
      const hash = hashText(name);
      sumHigh = (sumHigh + mix32(hash + child * 31)) | 0;
      sumLow = (sumLow + mix32(Math.imul(hash, 0x2545f491) ^ mix32(child))) | 0;
    }
    add(sumHigh);
    add(sumLow);
    this.#digestHigh = high;
    this.#digestLow = low;
    this.#digested = true;
  }
}

export function inodeAt(table: InodeTable, id: InodeId): Inode {
  const inode = table[id];
  if (inode === undefined) throw new Error(`Simulated disk: there is no inode ${id}`);
  return inode;
}

/** The inode, ready to be changed by `owner`. */
export function ownInode(table: InodeTable, id: InodeId, owner: object): Inode {
  const inode = inodeAt(table, id);
  if (inode.owner === owner) {
    inode.touch();
    return inode;
  }
  const copy = inode.copyFor(owner);
  table[id] = copy;
  return copy;
}

function hashBytes(bytes: Uint8Array, size: number, seed: number): number {
  let hash = seed;
  const words = size >>> 2;
  if (bytes.byteOffset % 4 === 0) {
    const view = new Uint32Array(bytes.buffer, bytes.byteOffset, words);
    for (let index = 0; index < words; index += 1) hash = mixWord(hash, view[index] as number);
  } else {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let index = 0; index < words; index += 1) hash = mixWord(hash, view.getUint32(index * 4, true));
  }
  for (let index = words * 4; index < size; index += 1) hash = mixWord(hash, bytes[index] as number);
  return mix32(hash);
}

function mixWord(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function hashText(text: string): number {
  let hash = text.length;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mix32(hash);
}
