/**
 * Looks at `data.mdb` before LMDB maps it: a file that is too short is a SIGBUS there, a zeroed one a SIGSEGV.
 *
 * The first two pages are the metas; a commit writes the one whose number its transaction id has modulo 2. In the
 * byte order of the machine, 64 bits, at offsets from the start of the page:
 *
 *       0  u64  page number              48  tree of free pages   (each tree, 48 bytes:
 *       8  u64  transaction of the page  96  tree of tables         0 u32 page size of the file / unused
 *      18  u16  flags: 8 = meta         144  u64  last page         4 u16 flags, 6 u16 depth
 *      24  u32  magic 0xBEEFC0DE        152  u64  transaction       8 u64 branch, leaf, overflow pages
 *      28  u32  version, low 16 bits    160  u64  boot              32 u64 entries, 40 u64 root page)
 *      40  u64  size of the map
 *
 * Every file of ours is longer than its last page says (room is made before it is used, see `log-room.ts`), and appears
 * under its name with both metas written (see `lmdb-log.ts`). So both must be whole, whatever happened.
 */
import { endianness } from 'node:os';
import { StoreError } from '../errors.js';
import type { Descriptor, FileSystem } from '../files/file-system.js';

const magic = 0xbeefc0de;
const magicSwapped = 0xdec0efbe;
/** Of the LMDB in lmdb-js 3; LMDB 0.9 has 1. */
const version = 2;
const metaBytes = 168;
const pageHeadBytes = 24;
const pageBytesMin = 4096;
const pageBytesMax = 65536;
const lastPageMax = 2n ** 40n;
const noPage = 2n ** 64n - 1n;

const flags = { branch: 0x01, leaf: 0x02, meta: 0x08 } as const;

export interface LogFileState {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly lastTransaction: number;
}

/** `ERR_LOG_CORRUPT` or `ERR_UNSUPPORTED_FORMAT` if LMDB could not open it safely. */
export function checkLogFile(fileSystem: FileSystem, path: string): LogFileState {
  return withLogFile(fileSystem, path, (file) => file.check());
}

/** What the newest meta page says; the rest of the file may not be there yet. */
export function readMetas(fileSystem: FileSystem, path: string): LogFileState {
  return withLogFile(fileSystem, path, (file) => file.newest());
}

function withLogFile<T>(fileSystem: FileSystem, path: string, body: (file: LogFile) => T): T {
  const descriptor = fileSystem.openRead(path);
  try {
    return body(new LogFile(fileSystem, descriptor, path));
  } finally {
    fileSystem.close(descriptor);
  }
}

interface Meta extends LogFileState {
  readonly roots: readonly bigint[];
}

class LogFile {
  readonly #fileSystem: FileSystem;
  readonly #descriptor: Descriptor;
  readonly #path: string;

  constructor(fileSystem: FileSystem, descriptor: Descriptor, path: string) {
    this.#fileSystem = fileSystem;
    this.#descriptor = descriptor;
    this.#path = path;
  }

  check(): LogFileState {
    const { size, type } = this.#fileSystem.stat(this.#descriptor);
    if (type !== 'file') throw this.#corrupt('it is no regular file');
    const newest = this.newest();
    const neededBytes = (newest.lastPage + 1) * newest.pageBytes;
    if (size < neededBytes) throw this.#corrupt(`it has ${size} bytes, and should have ${neededBytes}`);
    for (const root of newest.roots) this.#checkRoot(root, newest);
    return newest;
  }

  newest(): Meta {
    const first = this.#meta(0, pageBytesMin);
    const second = this.#meta(1, first.pageBytes);
    if (second.pageBytes !== first.pageBytes) throw this.#corrupt('its meta pages contradict each other');
    return second.lastTransaction > first.lastTransaction ? second : first;
  }

  #meta(number: number, pageBytes: number): Meta {
    const view = this.#read(number * pageBytes, metaBytes);
    const found = view.getUint32(24, littleEndian);
    if (found === magicSwapped) throw this.#unsupported('it was written on a machine of another byte order');
    if (found !== magic) throw this.#corrupt(`its meta page ${number} is overwritten`);
    const foundVersion = view.getUint32(28, littleEndian) & 0xffff;
    if (foundVersion !== version) throw this.#unsupported(`its version is ${foundVersion}, not ${version}`);
    const isMeta = (view.getUint16(18, littleEndian) & flags.meta) !== 0;
    if (!isMeta || view.getBigUint64(0, littleEndian) !== BigInt(number)) {
      throw this.#corrupt(`its page ${number} is no meta page`);
    }
    const pageBytesFound = view.getUint32(48, littleEndian);
    const lastPage = view.getBigUint64(144, littleEndian);
    const transaction = view.getBigUint64(152, littleEndian);
    if (!isPageSize(pageBytesFound)) throw this.#corrupt(`its pages have ${pageBytesFound} bytes`);
    if (lastPage < 1n || lastPage > lastPageMax) throw this.#corrupt(`its last page is ${lastPage}`);
    // Transaction 0 is in both when the file is new.
    if (transaction > 0n && transaction % 2n !== BigInt(number)) {
      throw this.#corrupt(`its meta page ${number} names transaction ${transaction}`);
    }
    return {
      pageBytes: pageBytesFound,
      roots: [view.getBigUint64(88, littleEndian), view.getBigUint64(136, littleEndian)],
      lastPage: Number(lastPage),
      lastTransaction: Number(transaction),
    };
  }

  #checkRoot(root: bigint, { lastPage, pageBytes }: Meta): void {
    if (root === noPage) return;
    if (root < 2n || root > BigInt(lastPage))
      throw this.#corrupt(`a tree begins at page ${root} of ${lastPage}`);
    const view = this.#read(Number(root) * pageBytes, pageHeadBytes);
    const isTree = (view.getUint16(18, littleEndian) & (flags.branch | flags.leaf)) !== 0;
    if (!isTree || view.getBigUint64(0, littleEndian) !== root)
      throw this.#corrupt(`its page ${root} is overwritten`);
  }

  #read(position: number, length: number): DataView {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = this.#fileSystem.read(this.#descriptor, bytes.subarray(filled), position + filled);
      if (count === 0) throw this.#corrupt(`it ends at byte ${position + filled}`);
      filled += count;
    }
    return new DataView(bytes.buffer);
  }

  #corrupt(reason: string): StoreError {
    return new StoreError('ERR_LOG_CORRUPT', `'${this.#path}' is damaged: ${reason}`, {
      op: 'open',
      path: this.#path,
      hint: 'The files of the store are untouched. `forewrit dump` shows what can still be read.',
    });
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

const littleEndian = endianness() === 'LE';
