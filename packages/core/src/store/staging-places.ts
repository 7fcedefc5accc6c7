/**
 * Where content is staged that arrives before its commit: on the file system of the file that it is for, so that the
 * commit puts it in place by a rename. Which that is may turn out otherwise at the commit (a link that was turned, a parent
 * that is made by the same transaction); then the commit copies it.
 */

import type { FileSystem } from '../files/file-system.js';
import { lookVolume, placeOnDevice, volumeDirectory } from '../files/volume.js';
import { absolutePath, ancestors, parentPath, type Roots, type StorePath } from '../path/path.js';

export interface StagingPlace {
  /** The volume, as records name it. */
  readonly volume: StorePath;
  /** Absolute; for names of staged content. */
  readonly directory: string;
}

export class StagingPlaces {
  readonly #fileSystem: FileSystem;
  readonly #roots: Roots;
  readonly #resolve: (path: StorePath) => StorePath;
  readonly #openArea: (volume: StorePath) => Promise<void>;
  readonly #opened = new Set<StorePath>(['']);
  #device: bigint | undefined;

  constructor(parts: {
    readonly fileSystem: FileSystem;
    readonly roots: Roots;
    /** Where a path leads now. */
    readonly resolve: (path: StorePath) => StorePath;
    /** Resolves when the area is known to the log, flushed, and is there. */
    readonly openArea: (volume: StorePath) => Promise<void>;
  }) {
    this.#fileSystem = parts.fileSystem;
    this.#roots = parts.roots;
    this.#resolve = parts.resolve;
    this.#openArea = parts.openArea;
  }

  /** The place for content that is to become this file; its directory is there. */
  async forFile(path: StorePath): Promise<StagingPlace> {
    const volume = this.#guess(path);
    if (!this.#opened.has(volume)) {
      await this.#openArea(volume);
      this.#opened.add(volume);
    }
    return this.place(volume);
  }

  /** Where content is that was staged on this volume, whether or not that is there now. */
  place(volume: StorePath): StagingPlace {
    const area = volumeDirectory(absolutePath(volume, this.#roots), volume);
    return { volume, directory: `${area}/staged` };
  }

  /** Its file system may not be mounted now. */
  isThere(volume: StorePath): boolean {
    return lookVolume(this.#fileSystem, this.#roots, volume) !== undefined;
  }

  #guess(path: StorePath): StorePath {
    let parent: StorePath | undefined;
    try {
      parent = parentPath(this.#resolve(path));
    } catch {
      // What is wrong with the path is said by the commit.
      return '';
    }
    if (parent === undefined) return '';
    this.#device ??= lookVolume(this.#fileSystem, this.#roots, '')?.device;
    for (const directory of [parent, ...ancestors(parent)]) {
      const stat = this.#fileSystem.lstat(absolutePath(directory, this.#roots));
      if (stat === undefined) continue;
      if (stat.type !== 'directory' || stat.dev === this.#device) return '';
      return placeOnDevice(this.#fileSystem, this.#roots, { directory, device: stat.dev });
    }
    return '';
  }
}
