/**
 * The staging areas of a store. The last step of every change is a rename within one file system, so each file system
 * that holds targets has an area of its own: `.forewrit/` in the root, `.forewrit-staged/` at the top of any other. A
 * further area is registered in the log, flushed, before its first use, so nothing in it is ever orphaned unseen.
 */

import { systemCode } from '../errors.js';
import type { FileSystem } from './file-system.js';
import { stagedDirectoryName, storeDirectoryName } from '../path/path-name.js';
import {
  absolutePath,
  ancestors,
  joinPath,
  rootDirectory,
  type Roots,
  splitRoot,
  type StorePath,
} from '../path/path.js';

export interface Volume {
  /** '' for the store's own, otherwise the directory that holds `.forewrit-staged`. */
  readonly path: StorePath;
  readonly device: bigint;
  /** Changes when its file system is mounted again; '' where that cannot be known. */
  readonly mount: string;
  readonly staged: string;
  readonly before: string;
  readonly conflicts: string;
}

export interface StoreLayout {
  readonly directory: string;
  readonly log: string;
  readonly tasks: string;
  /** Empty files made ahead of need. */
  readonly spare: string;
  readonly gitignore: string;
  /** The store's id, to be compared with the log's. */
  readonly identity: string;
}

export function storeLayout(root: string): StoreLayout {
  const directory = `${root}/${storeDirectoryName}`;
  return {
    directory,
    log: `${directory}/log`,
    tasks: `${directory}/tasks`,
    spare: `${directory}/spare`,
    gitignore: `${directory}/.gitignore`,
    identity: `${directory}/id`,
  };
}

/** `false` if it is there already; another process may be making it at the same time. */
export function makeDirectoryIfMissing(fileSystem: FileSystem, directory: string): boolean {
  if (fileSystem.lstat(directory) !== undefined) return false;
  try {
    fileSystem.makeDirectory(directory, 0o700);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** A staging area as it is, for those who only look; `undefined` where there is none. */
export function lookVolume(fileSystem: FileSystem, roots: Roots, path: StorePath): Volume | undefined {
  const base = volumeDirectory(absolutePath(path, roots), path);
  const stat = fileSystem.lstat(base);
  if (stat?.type !== 'directory') return undefined;
  return {
    path,
    device: stat.dev,
    mount: fileSystem.mountId(base) ?? '',
    staged: `${base}/staged`,
    before: `${base}/before`,
    conflicts: `${base}/conflicts`,
  };
}

/**
 * What a transaction records of the mounts that it writes to: that of the root first, then for each other area its path
 * and its mount, all separated by NUL, which neither can hold.
 */
export function recordMounts(
  rootMount: string,
  areas: Iterable<{ readonly path: StorePath; readonly mount: string }>,
): string {
  return [rootMount, ...[...areas].flatMap(({ path, mount }) => [path, mount])].join('\0');
}

/** The mount of an area, as it was recorded; '' where it was not. */
export function recordedMount(recorded: string, path: StorePath): string {
  const [rootMount = '', ...others] = recorded.split('\0');
  if (path === '') return rootMount;
  const at = others.findIndex((each, index) => index % 2 === 0 && each === path);
  return at === -1 ? '' : (others[at + 1] ?? '');
}

/** The staging area of the volume `path`, whose directory is `top`. */
export function volumeDirectory(top: string, path: StorePath): string {
  return `${top}/${areaName(path)}`;
}

function areaName(volume: StorePath): string {
  return volume === '' ? storeDirectoryName : stagedDirectoryName;
}

/** What is staged, as a path that no user can name. */
export function stagedStorePath(volume: StorePath, name: string): StorePath {
  return joinPath(volume, `${areaName(volume)}/staged/${name}`);
}

/** What history keeps, likewise. */
export function beforeStorePath(volume: StorePath, name: string): StorePath {
  return joinPath(volume, `${areaName(volume)}/before/${name}`);
}

/** The topmost directory above (or the same as) this one that is on the same device: there its staging area is. */
export function placeOnDevice(
  fileSystem: FileSystem,
  roots: Roots,
  { directory, device }: { readonly directory: StorePath; readonly device: bigint },
): StorePath {
  let place = directory;
  for (const ancestor of ancestors(directory)) {
    if (fileSystem.lstat(absolutePath(ancestor, roots))?.dev !== device) break;
    place = ancestor;
  }
  return place;
}

export class Volumes {
  readonly #fileSystem: FileSystem;
  readonly #roots: Roots;
  readonly #known = new Map<StorePath, Volume>();

  constructor(fileSystem: FileSystem, roots: Roots) {
    this.#fileSystem = fileSystem;
    this.#roots = roots;
    this.#known.set('', this.#open(''));
  }

  get main(): Volume {
    return this.#known.get('')!;
  }

  get known(): readonly Volume[] {
    return [...this.#known.values()];
  }

  get(path: StorePath): Volume | undefined {
    return this.#known.get(path);
  }

  /** The place of the area that serves a file in the directory `parent`, which exists and is on `device`. */
  placeFor(parent: StorePath, device: bigint): StorePath {
    if (device === this.main.device) return '';
    return placeOnDevice(this.#fileSystem, this.#roots, { directory: parent, device });
  }

  /** Makes the area's directories and takes it into use. Registering it in the log comes first, and is the caller's. */
  add(path: StorePath): Volume {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const volume = this.#open(path);
    this.#known.set(path, volume);
    return volume;
  }

  /**
   * Takes an area of an earlier time into use, if it is there: its file system may not be mounted now, or the store may
   * have been opened without its root.
   */
  addIfThere(path: StorePath): void {
    const { root } = splitRoot(path);
    const directory = rootDirectory(root, this.#roots);
    if (directory === undefined) return;
    const base = volumeDirectory(absolutePath(path, this.#roots), path);
    if (this.#fileSystem.lstat(base)?.type === 'directory') this.add(path);
  }

  #open(path: StorePath): Volume {
    const top = absolutePath(path, this.#roots);
    const base = volumeDirectory(top, path);
    const volume = { staged: `${base}/staged`, before: `${base}/before`, conflicts: `${base}/conflicts` };
    let made = false;
    for (const directory of [base, volume.staged, volume.before, volume.conflicts]) {
      if (makeDirectoryIfMissing(this.#fileSystem, directory)) made = true;
    }
    if (made) {
      this.#fileSystem.syncDirectory(base);
      this.#fileSystem.syncDirectory(top);
    }
    const device = this.#fileSystem.lstat(base)!.dev;
    return { path, device, mount: this.#fileSystem.mountId(base) ?? '', ...volume };
  }
}
