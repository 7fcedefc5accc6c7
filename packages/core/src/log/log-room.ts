/**
 * Keeps LMDB away from a full disk: an ENOSPC inside it overwrites its heap. Whatever a commit may write is in the file
 * already, as zeros beyond the last used page, before LMDB begins to write: running out of space then happens here, with
 * nothing changed. Ordinary commits leave zeros for essential ones, beside the floor of free disk (`space-floor.ts`).
 *
 * The file grows only while the caller holds LMDB's writer lock, and only at its end, where LMDB looks at nothing.
 */
import { fromSystemError } from '../errors.js';
import type { Descriptor, FileSystem } from '../files/file-system.js';
import type { SpaceFloor } from './space-floor.js';

/** Zeros that ordinary commits leave for essential ones. */
export const essentialRoomBytes = 256 * 1024;
/** Of a new log. */
export const initialFileBytes = 1024 * 1024;
/** The file grows by a quarter of itself, within these bounds. */
const growthBytesMin = 1024 * 1024;
const growthBytesMax = 16 * 1024 * 1024;
const growthAlignmentBytes = 4096;

const zeros = new Uint8Array(256 * 1024);

export interface LogFileSystem extends FileSystem {
  /** Opens an existing file for reading and writing. */
  openUpdate(path: string): Descriptor;
  /** Throws as `openUpdate` would if we may not; opens nothing. */
  requireUpdate(path: string): void;
  /** Asks that files made in this directory from now on are overwritten in place. */
  overwriteInPlace(path: string): void;
}

export interface LogRoomOptions {
  readonly fileSystem: LogFileSystem;
  readonly path: string;
  readonly floor: SpaceFloor;
}

export class LogRoom {
  readonly #options: LogRoomOptions;
  readonly #descriptor: Descriptor;
  /** The file has at least so many; other processes lengthen it, nobody shortens it. */
  #fileBytes: number;

  constructor(options: LogRoomOptions) {
    this.#options = options;
    this.#descriptor = options.fileSystem.openUpdate(options.path);
    this.#fileBytes = this.fileBytes();
  }

  fileBytes(): number {
    return this.#options.fileSystem.stat(this.#descriptor).size;
  }

  /** Whether the file reaches so far, with the room left for essential commits. */
  has(endBytes: number, essential: boolean): boolean {
    const wantedBytes = withReserve(endBytes, essential);
    if (wantedBytes <= this.#fileBytes) return true;
    this.#fileBytes = this.fileBytes();
    return wantedBytes <= this.#fileBytes;
  }

  /** Makes the file reach so far. Throws `ERR_NO_SPACE` when it cannot; what it had grown meanwhile, it keeps. */
  grow(endBytes: number, essential: boolean): void {
    if (this.has(endBytes, essential)) return;
    const { floor } = this.#options;
    const wantedBytes = withReserve(endBytes, essential);
    const generousBytes = Math.max(wantedBytes, nextSize(this.#fileBytes));
    if (essential || floor.allows(generousBytes - this.#fileBytes)) {
      if (this.#fill(generousBytes) || this.#fileBytes >= wantedBytes) return;
    } else {
      if (!floor.allows(wantedBytes - this.#fileBytes)) throw floor.noSpace();
      if (this.#fill(wantedBytes)) return;
    }
    throw floor.noSpace();
  }

  /** On return everything that is in the file is durable. */
  sync(): void {
    this.#options.fileSystem.sync(this.#descriptor);
  }

  close(): void {
    this.#options.fileSystem.close(this.#descriptor);
  }

  /** Writes zeros to the end of the file; says whether the disk had space for all of them. */
  #fill(endBytes: number): boolean {
    const { fileSystem, path } = this.#options;
    const beginBytes = this.#fileBytes;
    let syncing = false;
    try {
      while (this.#fileBytes < endBytes) {
        const length = Math.min(zeros.length, endBytes - this.#fileBytes);
        const written = fileSystem.write(this.#descriptor, zeros.subarray(0, length), this.#fileBytes);
        if (written === 0) return false;
        this.#fileBytes += written;
      }
      // A file system may find out only now that there is no space: better here than in LMDB's own flush.
      syncing = true;
      fileSystem.sync(this.#descriptor);
      return true;
    } catch (error) {
      if (syncing) {
        // These zeros may have no place on the disk.
        fileSystem.truncate(this.#descriptor, beginBytes);
        this.#fileBytes = beginBytes;
      }
      const failure = fromSystemError(error, { op: 'commit', path });
      if (failure.code === 'ERR_NO_SPACE') return false;
      throw failure;
    }
  }
}

function withReserve(endBytes: number, essential: boolean): number {
  return essential ? endBytes : endBytes + essentialRoomBytes;
}

function nextSize(fileBytes: number): number {
  const step = Math.min(Math.max(fileBytes / 4, growthBytesMin), growthBytesMax);
  return Math.ceil((fileBytes + step) / growthAlignmentBytes) * growthAlignmentBytes;
}
