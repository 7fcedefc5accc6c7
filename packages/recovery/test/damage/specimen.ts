/**
 * A reference store, and copies of it that nothing tells from it but the damage to their log. Files are hard links, so
 * they have the inode and times that the log knows; and a directory shows the inode of the one that it is a copy of.
 *
 * Nothing writes into a file that is in place: the links share what nobody changes. `lock.mdb` begins empty.
 */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { type FileStat, NodeFileSystem } from '@forewrit/core';
import type { Version } from './reference-stores.js';

const logFile = '.forewrit/log/data.mdb';
const lockFile = '.forewrit/log/lock.mdb';
const lockFileBytes = 64 * 1024;

/** Of the log's bytes in use: one bit the other way round, or all bits of some bytes, or only so many bytes left. */
export type Damage = BitDamage | BlockDamage | { readonly lengthBytes: number };
interface BitDamage {
  readonly bit: number;
}
interface BlockDamage {
  readonly begin: number;
  readonly end: number;
}

export class Specimen {
  /** Of the log, up to the last page in use. */
  readonly usedBytes: number;
  readonly pageBytes: number;
  readonly #reference: string;
  readonly #log: Buffer;
  readonly #logFileBytes: number;
  readonly #directories: { readonly path: string; readonly ino: bigint }[] = [];
  readonly #files: string[] = [];

  constructor(reference: string) {
    this.#reference = reference;
    this.#log = readFileSync(`${reference}/${logFile}`);
    this.#logFileBytes = this.#log.length;
    this.pageBytes = this.#log.readUInt32LE(48);
    this.usedBytes = usedBytes(this.#log, this.pageBytes);
    this.#log = this.#log.subarray(0, this.usedBytes);
    for (const entry of readdirSync(reference, { recursive: true, withFileTypes: true })) {
      const path = `${entry.parentPath}/${entry.name}`.slice(reference.length + 1);
      if (entry.isDirectory()) {
        const { ino } = lstatSync(`${reference}/${path}`, { bigint: true });
        this.#directories.push({ path, ino });
      } else if (entry.isFile() && path !== logFile && path !== lockFile) this.#files.push(path);
    }
    this.#directories.sort((a, b) => a.path.length - b.path.length);
  }

  /** Makes a copy with this damage, and a file system in which to open it. */
  copyTo(place: string, damage: Damage): CopyFileSystem {
    const root = `${place}.new`;
    mkdirSync(root);
    const inodes = new Map<bigint, bigint>();
    for (const { path, ino } of this.#directories) {
      mkdirSync(`${root}/${path}`, 0o700);
      inodes.set(statSync(`${root}/${path}`, { bigint: true }).ino, ino);
    }
    for (const path of this.#files) linkSync(`${this.#reference}/${path}`, `${root}/${path}`);
    this.#writeLog(`${root}/${logFile}`, damage);
    writeFile(`${root}/${lockFile}`, Buffer.alloc(0), lockFileBytes);
    renameSync(root, place);
    return new CopyFileSystem(inodes);
  }

  #writeLog(path: string, damage: Damage): void {
    if ('lengthBytes' in damage) {
      const { lengthBytes } = damage;
      writeFile(path, this.#log.subarray(0, lengthBytes), lengthBytes);
      return;
    }
    this.#flip(damage);
    writeFile(path, this.#log, this.#logFileBytes);
    this.#flip(damage);
  }

  #flip(damage: BitDamage | BlockDamage): void {
    if ('bit' in damage) this.#log[damage.bit >> 3]! ^= 1 << (damage.bit & 7);
    else for (let at = damage.begin; at < damage.end; at += 1) this.#log[at]! ^= 0xff;
  }
}

function writeFile(path: string, content: Uint8Array, lengthBytes: number): void {
  const descriptor = openSync(path, 'wx', 0o600);
  writeSync(descriptor, content);
  // Zeros from there on, which on a disk in memory take no space.
  ftruncateSync(descriptor, lengthBytes);
  closeSync(descriptor);
}

class CopyFileSystem extends NodeFileSystem {
  readonly #inodes: ReadonlyMap<bigint, bigint>;

  constructor(inodes: ReadonlyMap<bigint, bigint>) {
    super();
    this.#inodes = inodes;
  }

  override lstat(path: string): FileStat | undefined {
    const stat = super.lstat(path);
    const ino = stat?.type === 'directory' ? this.#inodes.get(stat.ino) : undefined;
    return stat === undefined || ino === undefined ? stat : { ...stat, ino };
  }

  /** Reading it takes longer than anything else here. */
  override mountId(): string {
    return 'one mount';
  }
}

/** By the newest of the two meta pages; their layout is in `lmdb-file.ts` of core. */
function usedBytes(log: Buffer, pageBytes: number): number {
  const [first, second] = [0, pageBytes].map((meta) => ({
    lastPage: Number(log.readBigUInt64LE(meta + 144)),
    transaction: Number(log.readBigUInt64LE(meta + 152)),
  }));
  const newest = first!.transaction > second!.transaction ? first! : second!;
  return (newest.lastPage + 1) * pageBytes;
}

/** The files of a store as any program sees them. */
export function filesAt(root: string): Version['files'] {
  const files: Record<string, string> = {};
  const read = (directory: string): void => {
    for (const entry of readdirSync(`${root}/${directory}`, { withFileTypes: true })) {
      const path = `${directory}${entry.name}`;
      if (path === '.forewrit') continue;
      if (entry.isDirectory()) read(`${path}/`);
      else files[path] = readFileSync(`${root}/${path}`, 'utf8');
    }
  };
  read('');
  return files;
}

/** Like `copyTo`, in a moment: what is found under its name is whole. */
export function removeCopy(place: string): void {
  if (existsSync(place)) renameSync(place, `${place}.old`);
  for (const part of ['old', 'new']) rmSync(`${place}.${part}`, { recursive: true, force: true });
}
