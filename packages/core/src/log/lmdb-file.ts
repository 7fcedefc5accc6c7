/**
 * Looks at `data.mdb` before LMDB maps it: a file that is too short is a SIGBUS there, a zeroed one a SIGSEGV. What
 * takes longer, the trees, is in `lmdb-walk.ts`.
 *
 * The first two pages are the metas; a commit writes the one whose number its transaction id has modulo 2. In the
 * byte order of the machine, 64 bits, at offsets from the start of the page:
 *
 *       0  u64  page number              48  tree of free pages   (each tree: `lmdb-page.ts`; the first one's
 *       8  u64  unused                   96  tree of tables        begins with the page size of the file)
 *      18  u16  flags: 8 = meta         144  u64  last page
 *      24  u32  magic 0xBEEFC0DE        152  u64  transaction
 *      28  u32  version, low 16 bits    160  u64  boot
 *      40  u64  size of the map
 *
 * Every file of ours is longer than its last page says (room is made before it is used, see `log-room.ts`), and appears
 * under its name with both metas written (see `lmdb-log.ts`). So both must be whole, whatever happened.
 */
import { StoreError } from '../errors.js';
import type { Descriptor, FileSystem } from '../files/file-system.js';
import { readTree, readU16, readU32, readU64, type Tree, viewOf } from './lmdb-page.js';

const magic = 0xbeefc0de;
const magicSwapped = 0xdec0efbe;
/** Of the LMDB in lmdb-js 3; LMDB 0.9 has 1. */
const version = 2;
const metaBytes = 168;
const metaFlag = 8;
const pageBytesMin = 4096;
const pageBytesMax = 65536;
const lastPageMax = 2 ** 40;
/** Its keys are numbers. */
const flagsOfFreePages = 8;
export const flagsOfTables = 0;

export interface LogFileState {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly lastTransaction: number;
}

export interface Meta extends LogFileState {
  readonly freePages: Tree;
  readonly tables: Tree;
}

/** The newest one, and that of the commit before. */
export interface Metas {
  readonly newest: Meta;
  readonly previous: Meta;
}

/** `ERR_LOG_CORRUPT` or `ERR_UNSUPPORTED_FORMAT` if it is no log, or cut short. */
export function checkLogFile(fileSystem: FileSystem, path: string): LogFileState {
  return withLogFile(fileSystem, path, (file) => file.check().newest);
}

/** What the newest meta page says; the rest of the file may not be there yet. */
export function readMetas(fileSystem: FileSystem, path: string): LogFileState {
  return withLogFile(fileSystem, path, (file) => file.metas().newest);
}

export function withLogFile<T>(fileSystem: FileSystem, path: string, body: (file: LogFile) => T): T {
  const descriptor = fileSystem.openRead(path);
  try {
    return body(new LogFile(fileSystem, descriptor, path));
  } finally {
    fileSystem.close(descriptor);
  }
}

export class LogFile {
  readonly #fileSystem: FileSystem;
  readonly #descriptor: Descriptor;
  readonly #path: string;

  constructor(fileSystem: FileSystem, descriptor: Descriptor, path: string) {
    this.#fileSystem = fileSystem;
    this.#descriptor = descriptor;
    this.#path = path;
  }

  check(): Metas {
    const { size, type } = this.#fileSystem.stat(this.#descriptor);
    if (type !== 'file') throw this.corrupt('it is no regular file');
    const metas = this.metas();
    const neededBytes = (metas.newest.lastPage + 1) * metas.newest.pageBytes;
    if (size < neededBytes) throw this.corrupt(`it has ${size} bytes, and should have ${neededBytes}`);
    return metas;
  }

  metas(): Metas {
    const first = this.#meta(0, pageBytesMin);
    const second = this.#meta(1, first.pageBytes);
    if (second.pageBytes !== first.pageBytes) throw this.corrupt('its meta pages contradict each other');
    return second.lastTransaction > first.lastTransaction
      ? { newest: second, previous: first }
      : { newest: first, previous: second };
  }

  read(position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const count = this.#fileSystem.read(this.#descriptor, bytes.subarray(filled), position + filled);
      if (count === 0) throw this.corrupt(`it ends at byte ${position + filled}`);
      filled += count;
    }
    return bytes;
  }

  /** Another flag is another order of keys, or several values to a key. Those of the metas are the environment's as well. */
  checkFlags(name: string, { flags }: Tree, expected: number): void {
    if (flags !== expected) throw this.corrupt(`${name}: the flags of the tree are ${flags}`);
  }

  corrupt(reason: string): StoreError {
    return new StoreError('ERR_LOG_CORRUPT', `'${this.#path}' is damaged: ${reason}`, {
      op: 'open',
      path: this.#path,
      hint: 'Nothing was changed, and your files can be read as ever. Keep a copy of the whole directory first.',
    });
  }

  #meta(number: number, pageBytes: number): Meta {
    const view = viewOf(this.read(number * pageBytes, metaBytes));
    const found = readU32(view, 24);
    if (found === magicSwapped) throw this.#unsupported('it was written on a machine of another byte order');
    if (found !== magic) throw this.corrupt(`its meta page ${number} is overwritten`);
    const foundVersion = readU16(view, 28);
    if (foundVersion !== version) throw this.#unsupported(`its version is ${foundVersion}, not ${version}`);
    const isMeta = (readU16(view, 18) & metaFlag) !== 0;
    if (!isMeta || readU64(view, 0) !== number) throw this.corrupt(`its page ${number} is no meta page`);
    const pageBytesFound = readU32(view, 48);
    const lastPage = readU64(view, 144);
    const lastTransaction = readU64(view, 152);
    if (!isPageSize(pageBytesFound)) throw this.corrupt(`its pages have ${pageBytesFound} bytes`);
    if (lastPage < 1 || lastPage > lastPageMax) throw this.corrupt(`its last page is ${lastPage}`);
    // Transaction 0 is in both when the file is new.
    if (lastTransaction > 0 && lastTransaction % 2 !== number) {
      throw this.corrupt(`its meta page ${number} names transaction ${lastTransaction}`);
    }
    const freePages = readTree(view, 48);
    const tables = readTree(view, 96);
    this.checkFlags('the free pages', freePages, flagsOfFreePages);
    this.checkFlags('the tables', tables, flagsOfTables);
    return { pageBytes: pageBytesFound, lastPage, lastTransaction, freePages, tables };
  }

  #unsupported(reason: string): StoreError {
    return new StoreError('ERR_UNSUPPORTED_FORMAT', `'${this.#path}' cannot be read: ${reason}`, {
      op: 'open',
      path: this.#path,
    });
  }
}

function isPageSize(bytes: number): boolean {
  return bytes >= pageBytesMin && bytes <= pageBytesMax && Number.isInteger(Math.log2(bytes));
}
