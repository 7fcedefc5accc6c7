/**
 * What the caller's own thread needs to stream large content to a staged file, without blocking its event loop. The
 * contract of each method is that of its namesake in `file-system.ts`.
 */
import type { Descriptor, FileStat, FileSystem } from './file-system.js';

export interface AsyncFileSystem {
  openRead(path: string): Promise<Descriptor>;
  openUpdate(path: string): Promise<Descriptor>;
  create(path: string, mode: number): Promise<Descriptor>;
  read(descriptor: Descriptor, into: Uint8Array, position: number): Promise<number>;
  write(descriptor: Descriptor, bytes: Uint8Array, position: number): Promise<number>;
  truncate(descriptor: Descriptor, size: number): Promise<void>;
  stat(descriptor: Descriptor): Promise<FileStat>;
  sync(descriptor: Descriptor): Promise<void>;
  close(descriptor: Descriptor): Promise<void>;
  chmod(descriptor: Descriptor, mode: number): Promise<void>;
  chmodPath(path: string, mode: number): Promise<void>;
  lstat(path: string): Promise<FileStat | undefined>;
  syncDirectory(path: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

/**
 * The same file system seen through promises: for simulated ones. Each call does its work before it returns, so
 * that a schedule of them is deterministic; only the answer comes later.
 */
export function asyncOver(fileSystem: FileSystem): AsyncFileSystem {
  return {
    openRead: async (path) => fileSystem.openRead(path),
    openUpdate: async (path) => fileSystem.openUpdate(path),
    create: async (path, mode) => fileSystem.create(path, mode),
    read: async (descriptor, into, position) => fileSystem.read(descriptor, into, position),
    write: async (descriptor, bytes, position) => fileSystem.write(descriptor, bytes, position),
    truncate: async (descriptor, size) => fileSystem.truncate(descriptor, size),
    stat: async (descriptor) => fileSystem.stat(descriptor),
    sync: async (descriptor) => fileSystem.sync(descriptor),
    close: async (descriptor) => fileSystem.close(descriptor),
    chmod: async (descriptor, mode) => fileSystem.chmod(descriptor, mode),
    chmodPath: async (path, mode) => fileSystem.chmodPath(path, mode),
    lstat: async (path) => fileSystem.lstat(path),
    syncDirectory: async (path) => fileSystem.syncDirectory(path),
    unlink: async (path) => fileSystem.unlink(path),
  };
}
