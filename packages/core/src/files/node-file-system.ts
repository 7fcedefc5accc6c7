/**
 * The real file system, through Node. The only file of this package that knows `node:fs`.
 *
 * Platform differences live here:
 * - macOS: Node's fsync is F_FULLFSYNC already (libuv asks for it), so `sync` reaches the platters there too; link(2)
 *   follows symbolic links there, so linking one is refused.
 * - Windows: a directory cannot be flushed. NTFS writes its metadata log in order, so what `syncDirectory` would make
 *   durable is durable with the next flush of any file of that volume, and not before. Renaming fails for a
 *   moment while a virus scanner has the file open, so it is tried again for about a second.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import type { AsyncFileSystem } from './async-file-system.js';
import { hasCode, systemCode } from '../errors.js';
import type { Descriptor, FileStat, FileSystem, FileSystemSpace, FileType } from './file-system.js';
import { type MountProbe, mountIdentity } from './mount-identity.js';

/** Windows only: 1 + 2 + 4 + … + 64 ms, then 64 ms each: about a second. */
export const renameAttemptsMax = 20;
const renameDelayMsMax = 64;

const renameBusyCodes = new Set(['EPERM', 'EACCES', 'EBUSY']);
const directorySyncCodesOfWindows = new Set(['EPERM', 'EISDIR', 'EACCES']);

// Windows has neither flag.
/* c8 ignore next 2 -- Windows has neither flag, and Node then no constant */
const noFollow = fs.constants.O_NOFOLLOW ?? 0;
const noBlock = fs.constants.O_NONBLOCK ?? 0;
const openReadFlags = fs.constants.O_RDONLY | noFollow | noBlock;
const openUpdateFlags = fs.constants.O_RDWR | noFollow | noBlock;
const createFlags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL | noFollow;

/** Nothing is there, or no directory. */
const noDirectoryCodes: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

const btrfsType = 0x9123683e;
const chattrTimeoutMs = 2000;

export interface NodeFileSystemOptions {
  readonly platform?: NodeJS.Platform;
  /** Blocks the thread. */
  readonly sleep?: (ms: number) => void;
  /** The calls that answer differently on each platform, so that each can be played on the others. */
  readonly system?: Partial<Pick<typeof fs, 'renameSync' | 'fsyncSync'>>;
}

export class NodeFileSystem implements FileSystem {
  readonly #platform: NodeJS.Platform;
  readonly #sleep: (ms: number) => void;
  readonly #system: Pick<typeof fs, 'renameSync' | 'fsyncSync'>;

  constructor({ platform = process.platform, sleep = sleepSync, system }: NodeFileSystemOptions = {}) {
    this.#platform = platform;
    this.#sleep = sleep;
    this.#system = { renameSync: fs.renameSync, fsyncSync: fs.fsyncSync, ...system };
  }

  openRead(path: string): Descriptor {
    this.#refuseSymlinkOnWindows(path);
    return fs.openSync(path, openReadFlags);
  }

  openUpdate(path: string): Descriptor {
    this.#refuseSymlinkOnWindows(path);
    return fs.openSync(path, openUpdateFlags);
  }

  /** Not part of the seam: only the log needs it. */
  requireUpdate(path: string): void {
    fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK);
  }

  create(path: string, mode: number): Descriptor {
    return fs.openSync(path, createFlags, mode);
  }

  read(descriptor: Descriptor, into: Uint8Array, position: number): number {
    return fs.readSync(descriptor, into, 0, into.length, position);
  }

  write(descriptor: Descriptor, bytes: Uint8Array, position: number): number {
    return fs.writeSync(descriptor, bytes, 0, bytes.length, position);
  }

  truncate(descriptor: Descriptor, size: number): void {
    fs.ftruncateSync(descriptor, size);
  }

  chmod(descriptor: Descriptor, mode: number): void {
    fs.fchmodSync(descriptor, mode);
  }

  chown(descriptor: Descriptor, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
    fs.fchownSync(descriptor, uid, gid);
  }

  stat(descriptor: Descriptor): FileStat {
    return toFileStat(fs.fstatSync(descriptor, { bigint: true }));
  }

  sync(descriptor: Descriptor): void {
    this.#system.fsyncSync(descriptor);
  }

  close(descriptor: Descriptor): void {
    fs.closeSync(descriptor);
  }

  syncDirectory(path: string): void {
    let descriptor: Descriptor | undefined;
    try {
      descriptor = fs.openSync(path, fs.constants.O_RDONLY | (fs.constants.O_DIRECTORY ?? 0));
      this.#system.fsyncSync(descriptor);
    } catch (error) {
      const expected = this.#platform === 'win32' && hasCode(error, directorySyncCodesOfWindows);
      if (!expected) throw error;
    } finally {
      if (descriptor !== undefined) fs.closeSync(descriptor);
    }
  }

  lstat(path: string): FileStat | undefined {
    try {
      const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
      return stats === undefined ? undefined : toFileStat(stats);
    } catch (error) {
      if (systemCode(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  }

  readlink(path: string): string {
    return fs.readlinkSync(path);
  }

  list(path: string): string[] {
    return fs.readdirSync(path);
  }

  link(from: string, to: string): void {
    if (this.#platform === 'darwin' && this.lstat(from)?.type === 'symlink') {
      throw systemError('ENOTSUP', 'link', 'a symbolic link cannot be linked on this platform', from);
    }
    fs.linkSync(from, to);
  }

  rename(from: string, to: string): void {
    if (this.#platform !== 'win32') {
      this.#system.renameSync(from, to);
      return;
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#system.renameSync(from, to);
        return;
      } catch (error) {
        if (attempt === renameAttemptsMax || !hasCode(error, renameBusyCodes)) throw error;
        this.#sleep(Math.min(2 ** (attempt - 1), renameDelayMsMax));
      }
    }
  }

  unlink(path: string): void {
    fs.unlinkSync(path);
  }

  makeDirectory(path: string, mode: number): void {
    fs.mkdirSync(path, { mode });
  }

  removeDirectory(path: string): void {
    fs.rmdirSync(path);
  }

  chmodPath(path: string, mode: number): void {
    // chmod(2) would follow the link, and no platform but macOS has a mode on the link itself.
    if (this.lstat(path)?.type === 'symlink') {
      throw systemError('ELOOP', 'chmod', 'symbolic links are not followed', path);
    }
    fs.chmodSync(path, mode);
  }

  symlink(target: string, path: string): void {
    fs.symlinkSync(target, path);
  }

  space(path: string): FileSystemSpace {
    const { bavail, blocks, bsize, type } = fs.statfsSync(path);
    return { availableBytes: bavail * bsize, totalBytes: blocks * bsize, type };
  }

  /**
   * Asks that files made in this directory from now on are overwritten in place, so that overwriting them needs no
   * space. Only btrfs has a choice, and only `chattr` can make it; where that is missing it stays as it is. Not part
   * of the seam: only the log needs it, once.
   */
  overwriteInPlace(path: string): void {
    if (this.#platform !== 'linux' || fs.statfsSync(path).type !== btrfsType) return;
    spawnSync('chattr', ['+C', path], { stdio: 'ignore', timeout: chattrTimeoutMs });
  }

  mayChange(directory: string): boolean {
    try {
      fs.accessSync(`${directory}/.`, fs.constants.W_OK | fs.constants.X_OK);
      return true;
    } catch (error) {
      return hasCode(error, noDirectoryCodes);
    }
  }

  mountId(path: string): string | undefined {
    const stats = this.#platform === 'linux' ? this.lstat(path) : undefined;
    return stats === undefined ? undefined : mountIdentity(mountProbe, path, stats.dev);
  }

  #refuseSymlinkOnWindows(path: string): void {
    if (this.#platform === 'win32' && this.lstat(path)?.type === 'symlink') {
      throw systemError('ELOOP', 'open', 'symbolic links are not followed', path);
    }
  }
}

const open = promisify(fs.open);
const close = promisify(fs.close);
const fsync = promisify(fs.fsync);
const fchmod = promisify(fs.fchmod);
const unlink = promisify(fs.unlink);
const read = promisify(fs.read);
const write = promisify(fs.write);
const fstat = promisify(fs.fstat);
const lstat = promisify(fs.lstat);
const ftruncate = promisify(fs.ftruncate);
const chmod = promisify(fs.chmod);

/** Plain descriptors, not FileHandles: those are closed behind one's back when they are collected. */
export class NodeAsyncFileSystem implements AsyncFileSystem {
  openRead(path: string): Promise<Descriptor> {
    return open(path, openReadFlags);
  }

  openUpdate(path: string): Promise<Descriptor> {
    return open(path, openUpdateFlags);
  }

  create(path: string, mode: number): Promise<Descriptor> {
    return open(path, createFlags, mode);
  }

  async read(descriptor: Descriptor, into: Uint8Array, position: number): Promise<number> {
    const { bytesRead } = await read(descriptor, into, 0, into.length, position);
    return bytesRead;
  }

  async write(descriptor: Descriptor, bytes: Uint8Array, position: number): Promise<number> {
    const { bytesWritten } = await write(descriptor, bytes, 0, bytes.length, position);
    return bytesWritten;
  }

  truncate(descriptor: Descriptor, size: number): Promise<void> {
    return ftruncate(descriptor, size);
  }

  async stat(descriptor: Descriptor): Promise<FileStat> {
    return toFileStat(await fstat(descriptor, { bigint: true }));
  }

  sync(descriptor: Descriptor): Promise<void> {
    return fsync(descriptor);
  }

  close(descriptor: Descriptor): Promise<void> {
    return close(descriptor);
  }

  chmod(descriptor: Descriptor, mode: number): Promise<void> {
    return fchmod(descriptor, mode);
  }

  async chmodPath(path: string, mode: number): Promise<void> {
    if ((await this.lstat(path))?.type === 'symlink') {
      throw systemError('ELOOP', 'chmod', 'symbolic links are not followed', path);
    }
    await chmod(path, mode);
  }

  async lstat(path: string): Promise<FileStat | undefined> {
    try {
      return toFileStat(await lstat(path, { bigint: true }));
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw error;
    }
  }

  async syncDirectory(path: string): Promise<void> {
    let descriptor: Descriptor | undefined;
    try {
      descriptor = await open(path, fs.constants.O_RDONLY | (fs.constants.O_DIRECTORY ?? 0));
      await fsync(descriptor);
    } catch (error) {
      const expected =
        process.platform === 'win32' && directorySyncCodesOfWindows.has(systemCode(error) ?? '');
      if (!expected) throw error;
    } finally {
      if (descriptor !== undefined) await close(descriptor);
    }
  }

  unlink(path: string): Promise<void> {
    return unlink(path);
  }
}

/**
 * Calls `listener` with the name of an entry that changed in a directory, or with null when the system does not
 * say; never keeps the process alive. Throws where watching is not possible; `onFailure` is called when it stops
 * being possible. Returns what ends it.
 */
export function watchDirectory(
  path: string,
  { listener, onFailure }: { listener: (name: string | null) => void; onFailure: (error: unknown) => void },
): () => void {
  const watcher = fs.watch(path, { persistent: false }, (_event, name) => listener(name));
  watcher.on('error', (error) => {
    watcher.close();
    onFailure(error);
  });
  return () => watcher.close();
}

function toFileStat(stats: fs.BigIntStats): FileStat {
  return {
    type: fileType(stats),
    ino: stats.ino,
    dev: stats.dev,
    size: Number(stats.size),
    mtimeNs: stats.mtimeNs,
    birthtimeNs: stats.birthtimeNs,
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    nlink: Number(stats.nlink),
  };
}

function fileType(stats: fs.BigIntStats): FileType {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'symlink' : 'other';
}

/** A small text file of the system (`/proc`, `/sys`); `undefined` if it cannot be read, for whatever reason. */
export function readTextFile(path: string): string | undefined {
  return orUndefined(() => fs.readFileSync(path, 'utf8'));
}

/** What a symbolic link of the system holds; `undefined` if it cannot be read, for whatever reason. */
export function readLinkText(path: string): string | undefined {
  return orUndefined(() => fs.readlinkSync(path));
}

const mountProbe: MountProbe = {
  readText: readTextFile,
  readLink: readLinkText,
  inodeOf: (path) => orUndefined(() => fs.statSync(path, { bigint: true }).ino),
  list: (path) => orUndefined(() => fs.readdirSync(path)) ?? [],
};

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function systemError(code: string, syscall: string, reason: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${reason}, ${syscall} '${path}'`), { code, syscall, path });
}

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** The path with every symbolic link resolved. Throws as realpath(3). */
export function realPath(path: string): string {
  return fs.realpathSync.native(path);
}
