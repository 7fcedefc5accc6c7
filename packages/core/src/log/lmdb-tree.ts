/** Walks through one tree of `data.mdb`: `lmdb-walk.ts` says what is looked at, `lmdb-page.ts` has the bytes. */
import type { LogFile, Meta } from './lmdb-file.js';
import {
  checkRun,
  compareBytes,
  compareNumbers,
  type Damaged,
  pageHeadBytes,
  type Run,
  type Slice,
  type Tree,
  TreePage,
} from './lmdb-page.js';

/** Up to this size the file is read in one go. */
const readAtOnceBytesMax = 4 * 1024 * 1024;
/** LMDB's own limit. */
const depthMax = 32;

/** The pages of the newest commit. */
export class LogPages {
  readonly transaction: number;
  readonly pageBytes: number;
  readonly #file: LogFile;
  readonly #lastPage: number;
  readonly #all: Buffer | undefined;
  readonly #reached: Uint8Array;

  constructor(file: LogFile, { lastPage, lastTransaction, pageBytes }: Meta) {
    this.transaction = lastTransaction;
    this.pageBytes = pageBytes;
    this.#file = file;
    this.#lastPage = lastPage;
    const usedBytes = (lastPage + 1) * pageBytes;
    this.#all = usedBytes <= readAtOnceBytesMax ? file.read(0, usedBytes) : undefined;
    // The metas are in no tree.
    this.#reached = new Uint8Array(lastPage + 1).fill(1, 0, 2);
  }

  /** Each page has one place. */
  reach(page: number, from: string): void {
    if (!(page <= this.#lastPage))
      throw this.#file.corrupt(`${from} names page ${page} of ${this.#lastPage}`);
    if (this.#reached[page] !== 0)
      throw this.#file.corrupt(`${from} names page ${page}, which is in use elsewhere`);
    this.#reached[page] = 1;
  }

  read(page: number, length = this.pageBytes): Buffer {
    const begin = page * this.pageBytes;
    return this.#all?.subarray(begin, begin + length) ?? this.#file.read(begin, length);
  }

  /** The value that a run holds. */
  readRun(run: Run, valueBytes: number): Buffer {
    return this.read(run.first, pageHeadBytes + valueBytes).subarray(pageHeadBytes);
  }

  damaged(page: number): Damaged {
    return (reason) => this.#file.corrupt(`page ${page}: ${reason}`);
  }

  corrupt(reason: string): Error {
    return this.#file.corrupt(reason);
  }
}

export interface TreeVisit {
  readonly name: string;
  readonly keys: 'numbers' | 'bytes';
  /** Whether leaves are read, and `entry` called; else only the branches are. */
  readonly leaves: boolean;
  readonly entry: (entry: TreeEntry) => void;
}

export interface TreeEntry {
  readonly page: number;
  readonly key: Slice;
  readonly isTree: boolean;
  readonly value: () => Buffer;
}

interface Place {
  readonly depth: number;
  /** No key is less. */
  readonly from?: Slice | undefined;
  /** Every key is less. */
  readonly to?: Slice | undefined;
}

export class TreeWalk {
  readonly #pages: LogPages;
  readonly #tree: Tree;
  readonly #visit: TreeVisit;
  readonly #compare: (one: Slice, other: Slice) => number;
  #branchPages = 0;
  #leafPages = 0;
  #overflowPages = 0;
  #entries = 0;

  constructor(pages: LogPages, tree: Tree, visit: TreeVisit) {
    this.#pages = pages;
    this.#tree = tree;
    this.#visit = visit;
    this.#compare = visit.keys === 'numbers' ? compareNumbers : compareBytes;
  }

  run(): void {
    const { branchPages, depth, entries, leafPages, overflowPages, root } = this.#tree;
    if (depth > depthMax || (depth === 0) !== (root === undefined))
      throw this.#pages.corrupt(`${this.#visit.name}: the depth of the tree is ${depth}`);
    if (root !== undefined) this.#page(root, { depth: 1 });
    const { leaves } = this.#visit;
    this.#check('branches', this.#branchPages, branchPages);
    this.#check('leaves', this.#leafPages, leafPages);
    if (leaves) this.#check('pages of large values', this.#overflowPages, overflowPages);
    if (leaves) this.#check('entries', this.#entries, entries);
  }

  #check(what: string, found: number, recorded: number): void {
    if (found === recorded) return;
    throw this.#pages.corrupt(
      `${this.#visit.name}: the tree has ${found} ${what}, and should have ${recorded}`,
    );
  }

  #page(number: number, place: Place): void {
    this.#pages.reach(number, this.#visit.name);
    const isLeaf = place.depth === this.#tree.depth;
    if (isLeaf) this.#leafPages += 1;
    else this.#branchPages += 1;
    if (isLeaf && !this.#visit.leaves) return;
    const damaged = this.#pages.damaged(number);
    const transactionMax = this.#pages.transaction;
    const page = new TreePage(this.#pages.read(number), { number, isLeaf, transactionMax }, damaged);
    this.#checkKeys(page, place, damaged);
    if (isLeaf) this.#leaf(page, damaged);
    else this.#branch(page, place, damaged);
  }

  /** The first key of a branch says nothing, and is often empty. */
  #checkKeys(page: TreePage, { from, to }: Place, damaged: Damaged): void {
    let before = from;
    for (let index = page.isLeaf ? 0 : 1; index < page.count; index += 1) {
      const key = page.key(index);
      if (this.#visit.keys === 'numbers' && key.end - key.begin !== 8) throw damaged('a key is no number');
      const order = before === undefined ? -1 : this.#compare(before, key);
      // In a leaf, the first key may be the very one that its branch has.
      if (order > 0 || (order === 0 && before !== from)) throw damaged('its keys are out of order');
      before = key;
    }
    if (before !== undefined && to !== undefined && this.#compare(before, to) >= 0)
      throw damaged('its keys are not those that its branch says');
  }

  #branch(page: TreePage, { depth, from, to }: Place, damaged: Damaged): void {
    // LMDB gives up at fewer, but not in its own tree.
    if (page.count < 2 && this.#visit.keys === 'bytes') throw damaged('it is a branch of one');
    for (let index = 0; index < page.count; index += 1) {
      this.#page(page.child(index), {
        depth: depth + 1,
        from: index === 0 ? from : page.key(index),
        to: index + 1 === page.count ? to : page.key(index + 1),
      });
    }
  }

  #leaf(page: TreePage, damaged: Damaged): void {
    this.#entries += page.count;
    for (let index = 0; index < page.count; index += 1) {
      const key = page.key(index);
      if (key.begin === key.end) throw damaged('a key is empty');
      const run = page.run(index);
      if (run === undefined) {
        const { bytes, begin, end } = page.value(index);
        const value = (): Buffer => bytes.subarray(begin, end);
        this.#visit.entry({ page: page.number, key, isTree: page.isTree(index), value });
      } else {
        const valueBytes = page.valueBytes(index);
        this.#reachRun(run, valueBytes);
        const value = (): Buffer => this.#pages.readRun(run, valueBytes);
        this.#visit.entry({ page: page.number, key, isTree: false, value });
      }
    }
  }

  #reachRun(run: Run, valueBytes: number): void {
    const { pageBytes, transaction } = this.#pages;
    for (let page = 0; page < run.pages; page += 1) this.#pages.reach(run.first + page, this.#visit.name);
    this.#overflowPages += run.pages;
    const damaged = this.#pages.damaged(run.first);
    if (pageHeadBytes + valueBytes > run.pages * pageBytes) throw damaged('its value is too long');
    checkRun(this.#pages.read(run.first), { ...run, transactionMax: transaction }, damaged);
  }
}
