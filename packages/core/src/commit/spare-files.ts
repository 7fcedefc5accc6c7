/**
 * Empty files in `.forewrit/spare/`, made while nobody waits. To create a file is the slowest part of staging a small one
 * (on some file systems by far); to give one that is there its staged name and write into it costs little.
 */

import { unlinkIfThere } from './removal.js';
import type { Descriptor, FileSystem } from '../files/file-system.js';
import { makeDirectoryIfMissing } from '../files/volume.js';

export interface SpareFile {
  /** Absolute. */
  readonly path: string;
  readonly descriptor: Descriptor;
}

export interface SpareFilesOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly mode: number;
  readonly countMax: number;
}

export class SpareFiles {
  readonly #options: SpareFilesOptions;
  readonly #spares: SpareFile[] = [];
  #owner: string | undefined;
  #next = 0;

  constructor(options: SpareFilesOptions) {
    this.#options = options;
  }

  /**
   * From now on spares can be made, in the name of this owner. Removes those of owners that are not registered any more;
   * the directory is listed before the owners are, since an owner registers before it makes its first.
   */
  begin(ownerId: string, registered: () => ReadonlySet<string>): void {
    const { fileSystem, directory } = this.#options;
    makeDirectoryIfMissing(fileSystem, directory);
    const names = fileSystem.list(directory);
    if (names.length > 0) {
      const owners = registered();
      for (const name of names)
        if (!owners.has(name.split('-')[0]!)) unlinkIfThere(fileSystem, `${directory}/${name}`);
    }
    this.#owner = ownerId;
  }

  take(): SpareFile | undefined {
    return this.#spares.pop();
  }

  /** Makes one more, if there are too few; `false` if there are enough or none can be made. */
  refill(): boolean {
    const { fileSystem, directory, mode, countMax } = this.#options;
    if (this.#owner === undefined || this.#spares.length >= countMax) return false;
    const path = `${directory}/${this.#owner}-${(this.#next++).toString(36)}`;
    try {
      this.#spares.push({ path, descriptor: fileSystem.create(path, mode) });
      return true;
    } catch {
      // A full disk, too many open files: staging meets the same and says so.
      return false;
    }
  }

  /** Removes them all; for good. */
  end(): void {
    const { fileSystem } = this.#options;
    this.#owner = undefined;
    for (const { path, descriptor } of this.#spares.splice(0)) {
      try {
        fileSystem.close(descriptor);
        fileSystem.unlink(path);
      } catch {
        // Swept when the store is next opened.
      }
    }
  }
}
