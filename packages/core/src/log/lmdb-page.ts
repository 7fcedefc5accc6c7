/**
 * The pages of `data.mdb` other than its metas (`lmdb-file.ts`), as LMDB in lmdb-js 3 lays them out, in the byte order
 * of the machine. A tree is a record of 48 bytes:
 *
 *       0  u32  page size in the metas, else 0   4  u16  flags: 8 = keys are numbers   6  u16  depth
 *       8  u64  branch pages    16  u64  leaf pages    24  u64  overflow pages    32  u64  entries
 *      40  u64  root page; all bits set in an empty tree
 *
 * A page, and the run of overflow pages that holds one large value:
 *
 *       0  u64  page number                      18  u16  flags: 1 = branch, 2 = leaf, 4 = overflow
 *       8  u64  transaction that wrote it        20  u16  end of the offsets, 22 u16 begin of the nodes: from byte 24
 *      16  u16  unused                                    (overflow: 20 u32 pages of the run)
 *      24  u16  offset of each node from byte 24, in the order of keys … unused … nodes, without gaps, each at an even byte
 *
 * A node:
 *
 *      branch  0  u48  child page                                                6  u16  key size   8  key
 *      leaf    0  u32  value size    4  u16  flags: 1 = overflow, 2 = tree       6  u16  key size   8  key, value; or
 *                                                              u64 first page, u64 transaction, u64 pages of a run
 *
 * A branch has the least key of each child, but none for its first one. No page has a checksum: what is looked at here
 * is all that LMDB believes without looking.
 */
import { endianness } from 'node:os';
import { keyBytesMax } from './log-limits.js';

export const pageHeadBytes = 24;
export const treeBytes = 48;
const nodeHeadBytes = 8;
const runBytes = 24;

const pageFlags = { branch: 1, leaf: 2, overflow: 4 } as const;
const nodeFlags = { overflow: 1, tree: 2 } as const;

const littleEndian = endianness() === 'LE';
/** Of the two halves of a number of 64 bits. */
const [lowAt, highAt] = littleEndian ? [0, 4] : [4, 0];

export interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  /** `undefined`: the tree is empty. */
  readonly root: number | undefined;
}

export function readTree(view: DataView, at: number): Tree {
  const isEmpty = readU32(view, at + 40) === 0xffffffff && readU32(view, at + 44) === 0xffffffff;
  return {
    flags: readU16(view, at + 4),
    depth: readU16(view, at + 6),
    branchPages: readU64(view, at + 8),
    leafPages: readU64(view, at + 16),
    overflowPages: readU64(view, at + 24),
    entries: readU64(view, at + 32),
    root: isEmpty ? undefined : readU64(view, at + 40),
  };
}

/** Part of some bytes. */
export interface Slice {
  readonly bytes: Buffer;
  readonly begin: number;
  readonly end: number;
}

/** A large value, in pages of its own. */
export interface Run {
  readonly first: number;
  readonly transaction: number;
  readonly pages: number;
}

export interface PageWanted {
  readonly number: number;
  readonly isLeaf: boolean;
  readonly transactionMax: number;
}

/** A branch or leaf whose offsets, nodes and keys lie within it and do not overlap. */
export class TreePage {
  readonly number: number;
  readonly transaction: number;
  readonly isLeaf: boolean;
  readonly count: number;
  readonly #bytes: Buffer;
  readonly #view: DataView;

  /** Throws what `damaged` makes of the reason. */
  constructor(bytes: Buffer, { number, isLeaf, transactionMax }: PageWanted, damaged: Damaged) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.isLeaf = isLeaf;
    this.number = number;
    this.transaction = readU64(this.#view, 8);
    this.count = readU16(this.#view, 20) / 2;
    const flags = readU16(this.#view, 18);
    if (readU64(this.#view, 0) !== number) throw damaged('it has the number of another page');
    if (flags !== (isLeaf ? pageFlags.leaf : pageFlags.branch)) throw damaged(`its kind is ${flags}`);
    if (this.transaction > transactionMax) throw damaged('a transaction wrote it that was never committed');
    this.#checkNodes(damaged);
  }

  key(index: number): Slice {
    const at = this.#nodeAt(index) + nodeHeadBytes;
    return { bytes: this.#bytes, begin: at, end: at + readU16(this.#view, at - 2) };
  }

  child(index: number): number {
    const at = this.#nodeAt(index);
    return readU32(this.#view, at) + readU16(this.#view, at + 4) * 2 ** 32;
  }

  valueBytes(index: number): number {
    return readU32(this.#view, this.#nodeAt(index));
  }

  /** Where the value is, if it has pages of its own. */
  run(index: number): Run | undefined {
    const at = this.#nodeAt(index);
    if (readU16(this.#view, at + 4) !== nodeFlags.overflow) return undefined;
    const { end } = this.key(index);
    return {
      first: readU64(this.#view, end),
      transaction: readU64(this.#view, end + 8),
      pages: readU64(this.#view, end + 16),
    };
  }

  /** The value, if it is in this page. */
  value(index: number): Slice {
    const { end } = this.key(index);
    return { bytes: this.#bytes, begin: end, end: end + this.valueBytes(index) };
  }

  isTree(index: number): boolean {
    return readU16(this.#view, this.#nodeAt(index) + 4) === nodeFlags.tree;
  }

  #checkNodes(damaged: Damaged): void {
    const view = this.#view;
    const offsetsEnd = readU16(view, 20) + pageHeadBytes;
    const nodesBegin = readU16(view, 22) + pageHeadBytes;
    if (offsetsEnd % 2 !== 0 || offsetsEnd > nodesBegin || nodesBegin > view.byteLength)
      throw damaged('its bounds are wrong');
    if (this.count === 0) throw damaged('it is empty');
    const offsets = new Uint16Array(this.count);
    for (let index = 0; index < this.count; index += 1) offsets[index] = this.#nodeAt(index) - pageHeadBytes;
    offsets.sort();
    let at = nodesBegin;
    for (const offset of offsets) {
      if (offset + pageHeadBytes !== at || at + nodeHeadBytes > view.byteLength)
        throw damaged('its entries lie wrong');
      at += this.#nodeBytes(at, damaged);
    }
    if (at !== view.byteLength) throw damaged('its entries do not fill it');
  }

  #nodeBytes(at: number, damaged: Damaged): number {
    const keyBytes = readU16(this.#view, at + 6);
    if (keyBytes > keyBytesMax) throw damaged('a key is too long');
    const bytes = nodeHeadBytes + keyBytes + (this.isLeaf ? this.#valueBytesAt(at, damaged) : 0);
    return bytes + (bytes % 2);
  }

  #valueBytesAt(at: number, damaged: Damaged): number {
    switch (readU16(this.#view, at + 4)) {
      case nodeFlags.overflow:
        return runBytes;
      case 0:
      case nodeFlags.tree:
        return readU32(this.#view, at);
      default:
        throw damaged('a value is of an unknown kind');
    }
  }

  #nodeAt(index: number): number {
    return pageHeadBytes + readU16(this.#view, pageHeadBytes + 2 * index);
  }
}

/** The first page of a run must be what the leaf says. */
export function checkRun(
  bytes: Buffer,
  wanted: Run & { readonly transactionMax: number },
  damaged: Damaged,
): void {
  const view = viewOf(bytes);
  if (readU64(view, 0) !== wanted.first) throw damaged('it has the number of another page');
  if (readU16(view, 18) !== pageFlags.overflow) throw damaged('it holds no large value');
  if (readU32(view, 20) !== wanted.pages) throw damaged('its value has another length');
  if (Math.max(readU64(view, 8), wanted.transaction) > wanted.transactionMax)
    throw damaged('a transaction wrote it that was never committed');
}

/** What to throw: an error that names the page, and this reason. */
export type Damaged = (reason: string) => Error;

export function compareBytes(one: Slice, other: Slice): number {
  return one.bytes.compare(other.bytes, other.begin, other.end, one.begin, one.end);
}

/** Of 64 bits each. */
export function compareNumbers(one: Slice, other: Slice): number {
  return readU64(viewOf(one.bytes), one.begin) - readU64(viewOf(other.bytes), other.begin);
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

export function readU16(view: DataView, at: number): number {
  return view.getUint16(at, littleEndian);
}

export function readU32(view: DataView, at: number): number {
  return view.getUint32(at, littleEndian);
}

/** Exact below 2^53; what is above is no page and no transaction. */
export function readU64(view: DataView, at: number): number {
  return readU32(view, at + lowAt) + readU32(view, at + highAt) * 2 ** 32;
}

/** Of a small one, positive or negative. */
export function readI64(view: DataView, at: number): number {
  return readU32(view, at + lowAt) + view.getInt32(at + highAt, littleEndian) * 2 ** 32;
}
