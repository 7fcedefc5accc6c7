/**
 * A directory that moves out of another one is durable where it has moved to before that one moves or is removed: of the two
 * renames a power cut may keep just the second, and it would be gone with the directory that it had left.
 */

import type { FileSystem } from '../files/file-system.js';
import { absolutePath, isBelow, parentPath, type Roots } from '../path/path.js';
import type { Target } from '../record/record.js';
import { syncDirectoryIfThere } from './checkpoint.js';

export class LeavingDirectories {
  readonly #fileSystem: FileSystem;
  readonly #roots: Roots;
  #moved: Pick<Target, 'path' | 'from'>[] = [];

  constructor(fileSystem: FileSystem, roots: Roots) {
    this.#fileSystem = fileSystem;
    this.#roots = roots;
  }

  /** To be called before each target of a transaction is applied, in their order. */
  before({ action, path, from, before }: Pick<Target, 'action' | 'path' | 'from' | 'before'>): void {
    const moves = action === 'move-directory';
    if (!moves && before.type !== 'directory') return;
    const going = [...(moves ? [from!] : []), ...(before.type === 'directory' ? [path] : [])];
    if (this.#moved.some((each) => going.some((goes) => isBelow(each.from!, goes)))) this.#flush();
    if (moves) this.#moved.push({ path, from });
  }

  #flush(): void {
    const places = new Set(this.#moved.map(({ path }) => parentPath(path)!));
    for (const place of places) syncDirectoryIfThere(this.#fileSystem, absolutePath(place, this.#roots));
    this.#moved = [];
  }
}
