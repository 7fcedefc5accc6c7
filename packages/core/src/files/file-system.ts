/**
 * The seam to the file system: synchronous and narrow. `node-file-system.ts` is the real one; the testkit has a
 * simulated one that can lose what was not flushed. Every method throws an error with a system `code` (`ENOENT`,
 * `ENOSPC`, `EIO`, …) when it fails. Paths are absolute. Symbolic links in the last component are never followed.
 *
 * Durability: nothing is durable until `sync` (content and size of a file) or `syncDirectory` (its entries)
 * returns. A rename is atomic for whoever looks, and not durable by itself.
 */

export type FileType = 'file' | 'directory' | 'symlink' | 'other';

export interface FileStat {
  readonly type: FileType;
  readonly ino: bigint;
  readonly dev: bigint;
  readonly size: number;
  readonly mtimeNs: bigint;
  /** Zero where the file system does not record it. */
  readonly birthtimeNs: bigint;
  /** The permission bits (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
}

export type Descriptor = number;

export interface FileSystem {
  /** Opens a regular file for reading. `ELOOP` for a symbolic link. Never blocks on a FIFO. */
  openRead(path: string): Descriptor;
  /** Opens an existing regular file for reading and writing. `ELOOP` for a symbolic link. Never blocks on a FIFO. */
  openUpdate(path: string): Descriptor;
  /** Creates a file that must not exist (`EEXIST`), open for reading and writing. The mode is umasked. */
  create(path: string, mode: number): Descriptor;
  /** Reads up to `into.length` bytes at `position`; 0 at the end. */
  read(descriptor: Descriptor, into: Uint8Array, position: number): number;
  /** Writes *some* of the bytes at `position` and says how many: callers loop. */
  write(descriptor: Descriptor, bytes: Uint8Array, position: number): number;
  truncate(descriptor: Descriptor, size: number): void;
  /** Sets exactly this mode (no umask). */
  chmod(descriptor: Descriptor, mode: number): void;
  chown(descriptor: Descriptor, owner: { readonly uid: number; readonly gid: number }): void;
  stat(descriptor: Descriptor): FileStat;
  /** On return content, size and mode of the file are durable. A failure is final: never retried, never ignored. */
  sync(descriptor: Descriptor): void;
  close(descriptor: Descriptor): void;

  /** On return the directory's entries are durable. A platform without directory flushes says so in its docs. */
  syncDirectory(path: string): void;
  /** `undefined` when there is nothing (`ENOENT`, `ENOTDIR`). */
  lstat(path: string): FileStat | undefined;
  readlink(path: string): string;
  /** The names in a directory, in no order. */
  list(path: string): string[];
  /** A hard link to the file itself, never to what a symbolic link points to. `EEXIST` if `to` exists. */
  link(from: string, to: string): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  makeDirectory(path: string, mode: number): void;
  removeDirectory(path: string): void;
  /** Sets the mode of a directory or file by path, exactly. */
  chmodPath(path: string, mode: number): void;
  symlink(target: string, path: string): void;
  /** Bytes that an unprivileged writer may still use on the file system that holds `path`, and its type number. */
  space(path: string): FileSystemSpace;
  /** Whether this process may change the entries of a directory, if there is one. Absent: cannot be asked, the attempt will tell. */
  mayChange?(directory: string): boolean;
  /**
   * An identifier of the mount that holds `path`, which changes when it is mounted again; `undefined` where the
   * platform cannot tell.
   */
  mountId(path: string): string | undefined;
}

export interface FileSystemSpace {
  readonly availableBytes: number;
  readonly totalBytes: number;
  /** `f_type` of statfs(2). */
  readonly type: number;
}
