/**
 * One process's view of a simulated disk. Results and error codes are those of Linux (`conformance.slow.test.ts` compares
 * them with the real ones). The caller is root: permissions are recorded and never refused.
 */
import type { Descriptor, FileStat, FileSystem, FileSystemSpace } from '@forewrit/core';
import { CrashSignal } from './crash-signal.js';
import type { DiskState, NewInode, Place } from './disk-state.js';
import { absent, type Inode, type InodeId, inodeAt } from './simulated-inode.js';
import {
  type Call,
  checkName,
  find,
  follow,
  isMountPoint,
  locate,
  locateUnchecked,
  mounted,
  type Nameless,
} from './simulated-path.js';
import { systemError } from './system-error.js';

export interface MountOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly umask?: number;
  /** More than this open at once are `EMFILE`. */
  readonly descriptorsMax?: number;
}

interface OpenFile {
  readonly id: InodeId;
  readonly path: string;
  readonly writable: boolean;
  /** Failed flushes of the file that this descriptor has been told of, or that came before it. */
  failuresKnown: number;
}

const firstDescriptor = 3;
const symlinkTargetBytesMax = 4095;

export class SimulatedFileSystem implements FileSystem {
  readonly #state: DiskState;
  readonly #options: Required<MountOptions>;
  readonly #open = new Map<Descriptor, OpenFile>();
  #alive = true;

  /** Use `SimulatedDisk.mount`. */
  constructor(
    state: DiskState,
    { uid = 0, gid = 0, umask = 0o022, descriptorsMax = 1024 }: MountOptions = {},
  ) {
    this.#state = state;
    this.#options = { uid, gid, umask, descriptorsMax };
  }

  /** What this process has open, for tests that look for leaks. */
  get openPaths(): readonly string[] {
    return [...this.#open.values()].map(({ path }) => path);
  }

  /** The process dies: its descriptors close, what it wrote stays, and every further call throws a `CrashSignal`. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const { id } of this.#open.values()) this.#state.release(id);
    this.#open.clear();
  }

  openRead(path: string): Descriptor {
    const call = this.#call('open', path);
    const id = this.#existing(path, call);
    if (this.#inode(id).kind === 'symlink') throw systemError('ELOOP', call);
    return this.#register({ id, path, writable: false, failuresKnown: this.#state.failedFlushes(id) }, call);
  }

  openUpdate(path: string): Descriptor {
    const call = this.#call('open', path);
    const id = this.#existing(path, call);
    const { kind } = this.#inode(id);
    if (kind === 'symlink') throw systemError('ELOOP', call);
    if (kind === 'directory') throw systemError('EISDIR', call);
    return this.#register({ id, path, writable: true, failuresKnown: this.#state.failedFlushes(id) }, call);
  }

  create(path: string, mode: number): Descriptor {
    const call = this.#call('open', path);
    const place = this.#vacant(path, call);
    this.#checkDescriptors(call);
    const id = this.#make(place, { path, kind: 'file', mode: this.#masked(mode) });
    return this.#register({ id, path, writable: true, failuresKnown: 0 }, call);
  }

  /** Opens a file that is there, to change it in place, as an editor may. Not part of the seam. */
  openWrite(path: string): Descriptor {
    const call = this.#call('open', path);
    const id = this.#existing(path, call);
    if (this.#inode(id).kind !== 'file') throw systemError('EISDIR', call);
    return this.#register({ id, path, writable: true, failuresKnown: this.#state.failedFlushes(id) }, call);
  }

  read(descriptor: Descriptor, into: Uint8Array, position: number): number {
    const { id } = this.#file(descriptor, 'read');
    // Node does not even ask.
    if (into.length === 0) return 0;
    const inode = this.#inode(id);
    if (inode.kind === 'directory') throw systemError('EISDIR', { syscall: 'read' });
    const available = Math.min(into.length, inode.size - position);
    if (available <= 0) return 0;
    into.set(inode.bytes.subarray(position, position + available));
    return available;
  }

  write(descriptor: Descriptor, bytes: Uint8Array, position: number): number {
    const { id, path } = this.#writable(descriptor, 'write', 'EBADF');
    if (bytes.length === 0) return 0;
    const length = Math.min(bytes.length, this.#roomFor(id, position));
    if (length <= 0) throw systemError('ENOSPC', { syscall: 'write' });
    this.#state.write(id, { position, bytes: new Uint8Array(bytes.subarray(0, length)), path });
    return length;
  }

  truncate(descriptor: Descriptor, size: number): void {
    const { id, path } = this.#writable(descriptor, 'ftruncate', 'EINVAL');
    this.#state.truncate(id, Math.max(0, size), path);
  }

  chmod(descriptor: Descriptor, mode: number): void {
    const { id, path } = this.#file(descriptor, 'fchmod');
    this.#state.setMode(id, mode & 0o7777, path);
  }

  chown(descriptor: Descriptor, owner: { readonly uid: number; readonly gid: number }): void {
    const { id, path } = this.#file(descriptor, 'fchown');
    this.#state.setOwner(id, owner, path);
  }

  stat(descriptor: Descriptor): FileStat {
    return this.#state.statOf(this.#file(descriptor, 'fstat').id);
  }

  sync(descriptor: Descriptor): void {
    const file = this.#file(descriptor, 'fsync');
    const failures = this.#state.failedFlushes(file.id);
    if (file.failuresKnown < failures) {
      file.failuresKnown = failures;
      throw systemError('EIO', { syscall: 'fsync' });
    }
    this.#state.sync(file.id);
  }

  /**
   * The flush of this file fails: what it was to write is marked clean, and no later flush will write it. As on Linux,
   * every other descriptor that is open on the file is told so once, too; one that is opened later is not.
   */
  failSync(descriptor: Descriptor): void {
    const file = this.#file(descriptor, 'fsync');
    this.#state.failFlush(file.id);
    file.failuresKnown = this.#state.failedFlushes(file.id);
  }

  close(descriptor: Descriptor): void {
    const { id } = this.#file(descriptor, 'close');
    this.#open.delete(descriptor);
    this.#state.release(id);
  }

  syncDirectory(path: string): void {
    const call = this.#call('open', path);
    const id = follow(this.#state, path, call);
    if (this.#inode(id).kind !== 'directory') throw systemError('ENOTDIR', call);
    this.#state.sync(id);
  }

  lstat(path: string): FileStat | undefined {
    const id = this.#existingOrAbsent(path, 'lstat');
    return id === absent ? undefined : this.#state.statOf(id);
  }

  readlink(path: string): string {
    const call = this.#call('readlink', path);
    const inode = this.#inode(this.#existing(path, call));
    if (inode.kind !== 'symlink') throw systemError('EINVAL', call);
    return inode.target;
  }

  list(path: string): string[] {
    const call = this.#call('scandir', path);
    const inode = this.#inode(follow(this.#state, path, call));
    if (inode.kind !== 'directory') throw systemError('ENOTDIR', call);
    return [...inode.entries.keys()];
  }

  link(from: string, to: string): void {
    const call = this.#call('link', from, to);
    const id = this.#existing(from, call);
    const place = this.#vacant(to, call);
    if (this.#state.volumeOf(id) !== this.#state.volumeOf(place.directory)) throw systemError('EXDEV', call);
    if (this.#inode(id).kind === 'directory') throw systemError('EPERM', call);
    this.#state.link(place, id, to);
  }

  rename(from: string, to: string): void {
    const call = this.#call('rename', from, to);
    const source = locateUnchecked(this.#state, from, call);
    const destination = locateUnchecked(this.#state, to, call);
    const fail = (code: string): never => {
      throw systemError(code, call);
    };
    if (this.#volumeOf(source) !== this.#volumeOf(destination)) fail('EXDEV');
    if ('last' in source || 'last' in destination) throw systemError('EBUSY', call);
    const { child } = source;
    const replaced = destination.child;
    checkName(source.name, call);
    if (child === absent) fail('ENOENT');
    checkName(destination.name, call);
    if (destination.ancestors.includes(child)) fail('EINVAL');
    if (source.ancestors.includes(replaced)) fail('ENOTEMPTY');
    // Two links of one inode: POSIX wants nothing to be done.
    if (child === replaced) return;
    const isDirectory = this.#inode(child).kind === 'directory';
    if (replaced !== absent) {
      const target = this.#inode(replaced);
      if (isDirectory && target.kind !== 'directory') fail('ENOTDIR');
      if (!isDirectory && target.kind === 'directory') fail('EISDIR');
    }
    if (isMountPoint(this.#state, child) || isMountPoint(this.#state, replaced)) fail('EBUSY');
    if (replaced !== absent && this.#inode(replaced).entries.size > 0) fail('ENOTEMPTY');
    this.#state.rename(source, destination, { from, to });
  }

  unlink(path: string): void {
    const call = this.#call('unlink', path);
    const place = locate(this.#state, path, call);
    if ('last' in place) throw systemError('EISDIR', call);
    if (place.child === absent) throw systemError('ENOENT', call);
    if (this.#inode(place.child).kind === 'directory') throw systemError('EISDIR', call);
    this.#state.remove(place, path);
  }

  makeDirectory(path: string, mode: number): void {
    const call = this.#call('mkdir', path);
    const place = this.#vacant(path, call);
    const { blockBytes } = this.#state.volumeOf(place.directory);
    if (this.#availableBytes(place.directory) < blockBytes) throw systemError('ENOSPC', call);
    this.#make(place, { path, kind: 'directory', mode: this.#masked(mode) & 0o1777 });
  }

  removeDirectory(path: string): void {
    const call = this.#call('rmdir', path);
    const place = locate(this.#state, path, call);
    const codes = { '/': 'EBUSY', '.': 'EINVAL', '..': 'ENOTEMPTY' } as const;
    if ('last' in place) throw systemError(codes[place.last], call);
    if (place.child === absent) throw systemError('ENOENT', call);
    const inode = this.#inode(place.child);
    if (inode.kind !== 'directory') throw systemError('ENOTDIR', call);
    if (isMountPoint(this.#state, place.child)) throw systemError('EBUSY', call);
    if (inode.entries.size > 0) throw systemError('ENOTEMPTY', call);
    this.#state.remove(place, path);
  }

  chmodPath(path: string, mode: number): void {
    const call = this.#call('chmod', path);
    const id = this.#existing(path, call);
    if (this.#inode(id).kind === 'symlink') throw systemError('ELOOP', call);
    this.#state.setMode(id, mode & 0o7777, path);
  }

  symlink(target: string, path: string): void {
    const call = this.#call('symlink', target, path);
    if (target === '') throw systemError('ENOENT', call);
    if (Buffer.byteLength(target) > symlinkTargetBytesMax) throw systemError('ENAMETOOLONG', call);
    this.#make(this.#vacant(path, call), { path, kind: 'symlink', mode: 0o777, target });
  }

  /** Makes what is neither file, directory nor link (a FIFO, say). Not part of the seam. */
  makeOther(path: string, mode: number): void {
    const place = this.#vacant(path, this.#call('mknod', path));
    this.#make(place, { path, kind: 'other', mode: this.#masked(mode) });
  }

  space(path: string): FileSystemSpace {
    const id = follow(this.#state, path, this.#call('statfs', path));
    const { capacityBytes, type } = this.#state.volumeOf(id);
    const totalBytes = Math.min(capacityBytes, Number.MAX_SAFE_INTEGER);
    return { availableBytes: Math.min(this.#availableBytes(id), totalBytes), totalBytes, type };
  }

  mountId(path: string): string | undefined {
    const id = this.#existingOrAbsent(path, 'stat');
    if (id === absent) return undefined;
    const { index, mountSerial } = this.#state.volumeOf(id);
    return `simulated-${index}-${mountSerial}`;
  }

  #call(syscall: string, path: string, dest?: string): Call {
    this.#assertAlive();
    return dest === undefined ? { syscall, path } : { syscall, path, dest };
  }

  #assertAlive(): void {
    if (!this.#alive) throw new CrashSignal('the simulated process is dead');
  }

  #inode(id: InodeId): Inode {
    return inodeAt(this.#state.live, id);
  }

  #masked(mode: number): number {
    return mode & 0o7777 & ~this.#options.umask;
  }

  #volumeOf(place: Place | Nameless): number {
    const directory = 'last' in place ? place.ancestors.at(-1) : place.directory;
    return this.#inode(directory ?? absent).volume;
  }

  #existing(path: string, call: Call): InodeId {
    const id = find(this.#state, path, call);
    if (id === absent) throw systemError('ENOENT', call);
    return id;
  }

  /** Absent also where a part of the path is missing, or is no directory. */
  #existingOrAbsent(path: string, syscall: string): InodeId {
    try {
      return find(this.#state, path, this.#call(syscall, path));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT' || code === 'ENOTDIR') return absent;
      throw error;
    }
  }

  /** A place with nothing in it. */
  #vacant(path: string, call: Call): Place {
    const place = locate(this.#state, path, call);
    if ('last' in place || mounted(this.#state, place.child) !== absent) throw systemError('EEXIST', call);
    return place;
  }

  #make(place: Place, inode: Omit<NewInode, 'uid' | 'gid'>): InodeId {
    const { uid, gid } = this.#options;
    return this.#state.create(place, { ...inode, uid, gid });
  }

  #availableBytes(id: InodeId): number {
    const volume = this.#state.volumeOf(id);
    return Number.isFinite(volume.capacityBytes)
      ? volume.availableBytes(this.#state.live)
      : Number.POSITIVE_INFINITY;
  }

  /** How many bytes fit from this position: those in blocks that the file has, and in those that are free. */
  #roomFor(id: InodeId, position: number): number {
    const available = this.#availableBytes(id);
    if (available === Number.POSITIVE_INFINITY) return available;
    const { blockBytes } = this.#state.volumeOf(id);
    const held = Math.ceil(this.#inode(id).size / blockBytes) * blockBytes;
    return held + Math.floor(available / blockBytes) * blockBytes - position;
  }

  #checkDescriptors(call: Call): void {
    if (this.#open.size >= this.#options.descriptorsMax) throw systemError('EMFILE', call);
  }

  #register(file: OpenFile, call: Call): Descriptor {
    this.#checkDescriptors(call);
    let descriptor = firstDescriptor;
    while (this.#open.has(descriptor)) descriptor += 1;
    this.#open.set(descriptor, file);
    this.#state.retain(file.id);
    return descriptor;
  }

  #file(descriptor: Descriptor, syscall: string): OpenFile {
    this.#assertAlive();
    const file = this.#open.get(descriptor);
    if (file === undefined) throw systemError('EBADF', { syscall });
    return file;
  }

  #writable(descriptor: Descriptor, syscall: string, code: string): OpenFile {
    const file = this.#file(descriptor, syscall);
    if (!file.writable) throw systemError(code, { syscall });
    return file;
  }
}
