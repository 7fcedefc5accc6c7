/**
 * Walks through the trees of `data.mdb` before LMDB does: it has no checksums and believes its pages, so that one that
 * is damaged ends the process, leads it in circles, or hides rows. Found are:
 *
 * - a page of another number, kind or time, with bounds, entries or keys that cannot be (`lmdb-page.ts`);
 * - keys out of order, or under a branch that leads others elsewhere: LMDB would not find them;
 * - a tree with fewer or more pages and entries than its record says: so no row is missing;
 * - a page with two places, in trees or in the list of free ones; one with no place is harmless, and LMDB loses some;
 * - tables other than ours;
 * - metas that are not of two commits in a row: LMDB would take the older one for the newest. Each commit changes the
 *   record of a table, and so writes the root of the tree of tables, in a page that has its number. The one before the
 *   newest is untouched as long as nobody writes.
 *
 * Not found is what turns in values, which `checkRow` is for, and in bytes that nobody uses.
 *
 * A page takes some microseconds, and a row one. So when a log is opened less is looked at of large tables.
 */
import { isStoreError } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import { flagsOfTables, type LogFile, type Meta, type Metas, withLogFile } from './lmdb-file.js';
import { pageHeadBytes, readI64, readTree, readU64, type Tree, treeBytes, viewOf } from './lmdb-page.js';
import { LogPages, type TreeEntry, TreeWalk } from './lmdb-tree.js';
import { type Table, tables } from './log.js';

/** Somebody may have committed meanwhile, and used pages again, or be in the middle of a meta page. */
const attemptsMax = 20;
const attemptDelayMs = 2;
export interface WalkExtent {
  /** Of tables with more pages the leaves are not read, only the branches. */
  readonly leavesOfPagesMax: number;
  /** Of tables with more pages `checkRow` is not called. */
  readonly rowsOfPagesMax: number;
}

/** 4 MiB and 1 MiB in pages of the usual size: some milliseconds each, when their rows are small. */
export const extentAtOpen: WalkExtent = { leavesOfPagesMax: 1024, rowsOfPagesMax: 256 };
const everything: WalkExtent = { leavesOfPagesMax: Infinity, rowsOfPagesMax: Infinity };

/** Throws if the row is damaged. What it is given is only valid during the call. */
export type CheckRow = (table: Table, key: Uint8Array, value: Uint8Array) => void;

export interface WalkOptions {
  readonly checkRow?: CheckRow | undefined;
  /** By default all of it. */
  readonly extent?: WalkExtent;
  /** Whether the commit before the newest one must be as it was left. */
  readonly previous: 'whole' | 'ignored';
  /** Somebody may be writing: what is wrong is looked at again before it is believed. */
  readonly inUse?: boolean;
}

/** `ERR_LOG_CORRUPT` or `ERR_UNSUPPORTED_FORMAT`, or what `checkRow` throws. */
export function walkLogFile(fileSystem: FileSystem, path: string, options: WalkOptions): void {
  withLogFile(fileSystem, path, (file) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return walk(file, file.check(), options);
      } catch (error) {
        if (options.inUse !== true || attempt === attemptsMax || !isStoreError(error)) throw error;
        sleep(attemptDelayMs);
      }
    }
  });
}

/** Whether the commit before the newest one is as it was left. */
export function isPreviousWhole(fileSystem: FileSystem, path: string): boolean {
  return withLogFile(fileSystem, path, (file) => {
    try {
      checkPrevious(file, file.check());
      return true;
    } catch (error) {
      if (isStoreError(error, 'ERR_LOG_CORRUPT')) return false;
      throw error;
    }
  });
}

function walk(file: LogFile, metas: Metas, options: WalkOptions): void {
  const { newest } = metas;
  checkCommit(file, newest);
  if (options.previous === 'whole') checkPrevious(file, metas);
  new Walk(file, newest, options).run();
}

function checkPrevious(file: LogFile, { newest, previous }: Metas): void {
  if (previous.lastTransaction !== newest.lastTransaction - 1)
    throw file.corrupt('its meta pages are not of two commits in a row');
  checkCommit(file, previous);
}

function checkCommit(file: LogFile, { lastTransaction, lastPage, pageBytes, tables: { root } }: Meta): void {
  // As it was made.
  if (lastTransaction === 0 && root === undefined) return;
  if (root === undefined || root < 2 || root > lastPage)
    throw file.corrupt(`the tree of tables begins at page ${root} of ${lastPage}`);
  const view = viewOf(file.read(root * pageBytes, pageHeadBytes));
  if (readU64(view, 0) !== root || readU64(view, 8) !== lastTransaction)
    throw file.corrupt(`page ${root} is not of transaction ${lastTransaction}, as its meta page says`);
}

class Walk {
  readonly #file: LogFile;
  readonly #pages: LogPages;
  readonly #meta: Meta;
  readonly #checkRow: CheckRow | undefined;
  readonly #extent: WalkExtent;
  readonly #tables = new Set<Table>();

  constructor(file: LogFile, meta: Meta, { checkRow, extent = everything }: WalkOptions) {
    this.#file = file;
    this.#pages = new LogPages(file, meta);
    this.#meta = meta;
    this.#checkRow = checkRow;
    this.#extent = extent;
  }

  run(): void {
    const { freePages, tables: tree } = this.#meta;
    new TreeWalk(this.#pages, freePages, {
      name: 'the free pages',
      keys: 'numbers',
      leaves: true,
      entry: (entry) => this.#freePages(entry),
    }).run();
    new TreeWalk(this.#pages, tree, {
      name: 'the tables',
      keys: 'bytes',
      leaves: true,
      entry: (entry) => this.#table(entry),
    }).run();
    const missing = tables.find((table) => !this.#tables.has(table));
    if (missing !== undefined) throw this.#pages.corrupt(`it has no table '${missing}'`);
  }

  /** A number, and so many numbers: a page; a negative one: so many pages from the next one on; 0: nothing. */
  #freePages({ page, key, isTree, value }: TreeEntry): void {
    const damaged = this.#pages.damaged(page);
    const transaction = readU64(viewOf(key.bytes), key.begin);
    const list = viewOf(value());
    const count = list.byteLength < 8 ? -1 : readU64(list, 0);
    const isOfCommit = transaction > 0 && transaction <= this.#pages.transaction;
    if (isTree || !isOfCommit || count < 0 || (count + 1) * 8 > list.byteLength)
      throw damaged('a list of free pages is not whole');
    for (let index = 1; index <= count; index += 1) {
      const number = readI64(list, index * 8);
      const isRun = number < 0;
      if (isRun && -number > this.#meta.lastPage)
        throw damaged('a run of free pages is longer than the file');
      // LMDB may have cut the last run from its page.
      if (number === 0 || (isRun && index === count)) continue;
      if (isRun) index += 1;
      const first = isRun ? readI64(list, index * 8) : number;
      const end = first + (isRun ? -number : 1);
      for (let free = first; free < end; free += 1) this.#pages.reach(free, 'the list of free pages');
    }
  }

  #table({ page, key, isTree, value }: TreeEntry): void {
    const damaged = this.#pages.damaged(page);
    const record = value();
    const text = key.bytes.toString('latin1', key.begin, key.end);
    const name = tables.find((table) => `${table}\0` === text);
    if (name === undefined || !isTree || record.byteLength !== treeBytes)
      throw damaged(`it has something else than a table`);
    const tree = readTree(viewOf(record), 0);
    this.#file.checkFlags(name, tree, flagsOfTables);
    this.#tables.add(name);
    this.#rows(name, tree);
  }

  #rows(name: Table, tree: Tree): void {
    const pages = tree.leafPages + tree.overflowPages;
    const checkRow = pages <= this.#extent.rowsOfPagesMax ? this.#checkRow : undefined;
    new TreeWalk(this.#pages, tree, {
      name: `the table '${name}'`,
      keys: 'bytes',
      leaves: pages <= this.#extent.leavesOfPagesMax,
      entry: ({ page, key, isTree, value }) => {
        if (isTree) throw this.#pages.damaged(page)('it has a table within a table');
        checkRow?.(name, key.bytes.subarray(key.begin, key.end), value());
      },
    }).run();
  }
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
