/**
 * Store paths against the file system: component by component, with `lstat` and `readlink`, so that no step leaves the
 * jail (the roots). Node has no `openat2`, so a look is only as good as the moment: `resolve` at plan, `verifyParent`
 * again at apply and at replay.
 *
 * A symbolic link may say '..' and absolute paths, and may so pass above a root and come back. The only directories
 * outside that it may pass are those that lead to a root: they are real, because roots are, and need no look.
 * Everything else outside is an escape, even if a link over there would lead back in.
 */

import { type ErrorCode, fromSystemError, StoreError } from '../errors.js';
import type { FileStat, FileSystem } from '../files/file-system.js';
import { currentPathPlatform, type PathPlatform, separators, storeDirectoryName } from './path-name.js';
import {
  absolutePath,
  ancestors,
  componentsBelow,
  isReservedPath,
  joinPath,
  locate,
  pathNames,
  rootEntries,
  type Roots,
  splitAbsolute,
  splitRoot,
  type StorePath,
} from './path.js';

export interface ResolvedPath {
  /** Real: no component of its parent is a symbolic link; the last is none if `followLast`. */
  readonly path: StorePath;
  readonly absolute: string;
  /** `undefined` if there is nothing. */
  readonly stat: FileStat | undefined;
  /** The symbolic link, as the last component, that was followed to `path`; of a chain the first. */
  readonly via?: StorePath;
  /** Directories above `path` that do not exist, the nearest the root first. */
  readonly missingParents: readonly StorePath[];
  /** It is at, or below, what `isReplaced`. */
  readonly replaced?: true;
}

export interface PathResolverOptions {
  /** `refuse`: a symbolic link that would have to be followed is ERR_PATH_ESCAPE. */
  readonly symlinks: 'follow' | 'refuse';
  readonly platform?: PathPlatform;
}

export interface ResolveOptions {
  /** Whether a symbolic link as the last component stands for what it points to. */
  readonly followLast: boolean;
  readonly op: string;
  /** What is at this place now is not what counts, nor what is below it: as if there was nothing. */
  readonly isReplaced?: ((place: StorePath) => boolean) | undefined;
}

/** As in the kernel. */
export const symlinksFollowedMax = 40;

/** What is at an absolute path. */
interface Look {
  readonly stat: FileStat;
  /** Of a symbolic link. */
  readonly target?: string;
}

/** A walk towards one path. The place is `undefined` above and beside the roots. */
interface Walk {
  readonly op: string;
  readonly asked: StorePath;
  readonly followLast: boolean;
  readonly isReplaced: ResolveOptions['isReplaced'];
  replaced: boolean;
  components: readonly string[];
  place: StorePath | undefined;
  stat: FileStat | undefined;
  /** Names still to go, the next one last. */
  readonly pending: string[];
  readonly missing: StorePath[];
  via: StorePath | undefined;
  symlinksFollowed: number;
}

export class PathResolver {
  readonly #fileSystem: FileSystem;
  readonly #roots: Roots;
  readonly #symlinks: 'follow' | 'refuse';
  readonly #platform: PathPlatform;
  readonly #rootComponents: readonly (readonly string[])[];
  /** Directories, and links to them, on the way to what was asked for. What is missing is never kept. */
  #seen = new Map<StorePath, Look>();
  /** The store's own directory, which stays the same one as long as the store is open. */
  #own: FileStat | undefined;

  constructor(fileSystem: FileSystem, roots: Roots, options: PathResolverOptions) {
    this.#fileSystem = fileSystem;
    this.#roots = roots;
    this.#symlinks = options.symlinks;
    this.#platform = options.platform ?? currentPathPlatform;
    this.#rootComponents = rootEntries(roots).map(([, directory]) => this.#split(directory));
  }

  /**
   * Where a path leads. Parents that are looked at are remembered until `forget`; the last component never is.
   *
   * @throws StoreError ERR_PATH_ESCAPE through a link that leaves the roots, or any link under `refuse`;
   * ERR_PATH_RESERVED into the store's own directories; ERR_NOT_DIRECTORY below a file; ERR_NOT_FOUND if a root is
   * gone, or for '..' below nothing in a link; ERR_INVALID_PATH for a circle of links; and what `lstat` throws.
   */
  resolve(path: StorePath, options: ResolveOptions): ResolvedPath {
    const { root } = splitRoot(path);
    const walk: Walk = {
      op: options.op,
      asked: path,
      followLast: options.followLast,
      isReplaced: options.isReplaced,
      replaced: false,
      components: this.#split(absolutePath(root, this.#roots)),
      place: root,
      stat: undefined,
      pending: pathNames(path).toReversed(),
      missing: [],
      via: undefined,
      symlinksFollowed: 0,
    };
    this.#enterDirectory(walk);
    for (let name = walk.pending.pop(); name !== undefined; name = walk.pending.pop()) this.#step(walk, name);

    const place =
      walk.place ?? fail(walk, 'ERR_PATH_ESCAPE', 'a symbolic link leads out of the store', escapeHint);
    if (walk.missing.at(-1) === place) walk.missing.pop();
    return {
      path: place,
      absolute: absolutePath(place, this.#roots),
      stat: walk.stat,
      ...(walk.via === undefined ? {} : { via: walk.via }),
      missingParents: walk.missing,
      ...(walk.replaced ? { replaced: true } : {}),
    };
  }

  /**
   * Before a rename into it, at apply and at replay: every component from the root to the parent of a resolved path
   * must be a real directory. The last component is not looked at.
   *
   * @throws StoreError ERR_PATH_ESCAPE where a symbolic link has taken a directory's place; ERR_NOT_FOUND;
   * ERR_NOT_DIRECTORY; ERR_PATH_RESERVED
   */
  verifyParent(path: StorePath, op: string): void {
    const subject: Subject = { op, asked: path };
    if (isReservedPath(path)) throw reserved(subject);
    for (const directory of ancestors(path).toReversed()) {
      const stat = this.#look(directory, subject, true)?.stat;
      if (stat === undefined) throw gone(subject, directory);
      if (stat.type === 'symlink') {
        fail(subject, 'ERR_PATH_ESCAPE', `a symbolic link has taken the place of '${directory}'`, escapeHint);
      }
      this.#assertPassable(directory, stat, subject);
    }
  }

  /** What is at a path that others are below. A directory, or a link, is remembered as by a walk. */
  lookAtParent(path: StorePath, op: string): FileStat | undefined {
    return this.#look(path, { op, asked: path }, true)?.stat;
  }

  /** What a walk of this pass has seen of a directory on its way. */
  directory(path: StorePath): FileStat | undefined {
    const stat = this.#seen.get(path)?.stat;
    return stat?.type === 'directory' ? stat : undefined;
  }

  /** Ends a pass. Also to be called after directories were moved, removed, or replaced. */
  forget(): void {
    // Not `clear`: V8 then keeps what was in it, table after table, until the next full collection of garbage.
    if (this.#seen.size > 0) this.#seen = new Map();
  }

  #step(walk: Walk, name: string): void {
    if (name === '..') {
      if (walk.missing.length > 0) {
        fail(walk, 'ERR_NOT_FOUND', "a symbolic link runs through nothing, then '..'", 'Mend the link.');
      }
      this.#moveTo(walk, walk.components.slice(0, -1));
      return;
    }
    if (walk.place === undefined) {
      this.#moveTo(walk, [...walk.components, name]);
      return;
    }
    const place = joinPath(walk.place, name);
    if (isReservedPath(place)) throw reserved(walk);
    const last = walk.pending.length === 0;
    walk.replaced ||= walk.isReplaced?.(place) === true;
    const look = walk.replaced || walk.missing.length > 0 ? undefined : this.#look(place, walk, !last);

    if (look?.target !== undefined && (!last || walk.followLast)) {
      this.#follow(walk, place, look.target, last);
      return;
    }
    if (look === undefined) walk.missing.push(place);
    else if (!last || look.stat.type === 'directory') this.#assertPassable(place, look.stat, walk);
    walk.components = [...walk.components, name];
    walk.place = place;
    walk.stat = look?.stat;
  }

  #follow(walk: Walk, link: StorePath, target: string, last: boolean): void {
    if (this.#symlinks === 'refuse') {
      fail(walk, 'ERR_PATH_ESCAPE', `'${link}' is a symbolic link, and this store follows none`, refuseHint);
    }
    walk.symlinksFollowed += 1;
    if (walk.symlinksFollowed > symlinksFollowedMax) {
      const reason = `it runs through more than ${symlinksFollowedMax} symbolic links`;
      fail(walk, 'ERR_INVALID_PATH', reason, 'Look for a circle of links.');
    }
    // Of a chain at the end of the path the first is what the caller named.
    if (last) walk.via ??= link;
    const absolute = splitAbsolute(target, this.#platform);
    if (absolute === undefined && this.#platform === 'win32' && /^(?:[\\/]|[a-z]:)/i.test(target)) {
      fail(walk, 'ERR_PATH_ESCAPE', `'${link}' depends on the current drive`, escapeHint);
    }
    if (absolute !== undefined) this.#moveTo(walk, []);
    const names =
      absolute === undefined ? target.split(separators(this.#platform)) : this.#throughAlias(absolute);
    walk.pending.push(...names.filter((name) => name !== '' && name !== '.').toReversed());
  }

  /** An absolute target may begin as the caller of `openStore` spelled a root. */
  #throughAlias(names: readonly string[]): readonly string[] {
    for (const [spelling, root] of this.#roots.aliases ?? []) {
      const below = componentsBelow(names, splitAbsolute(spelling, this.#platform), this.#platform);
      if (below !== undefined) return [...this.#split(absolutePath(root, this.#roots)), ...below];
    }
    return names;
  }

  /** To a directory known to be real: a root, one that leads to a root, or one that the walk has come through. */
  #moveTo(walk: Walk, components: readonly string[]): void {
    walk.components = components;
    walk.place = locate(components, this.#roots, this.#platform);
    walk.stat = undefined;
    if (walk.place === undefined) {
      const leadsToRoot = this.#rootComponents.some(
        (root) => componentsBelow(root, components, this.#platform) !== undefined,
      );
      if (!leadsToRoot) fail(walk, 'ERR_PATH_ESCAPE', 'a symbolic link leads out of the store', escapeHint);
      return;
    }
    this.#enterDirectory(walk);
  }

  #enterDirectory(walk: Walk): void {
    const place = walk.place ?? '';
    const look = this.#look(place, walk, walk.pending.length > 0);
    if (look === undefined) throw gone(walk, place);
    this.#assertPassable(place, look.stat, walk);
    walk.stat = look.stat;
  }

  /** That a walk may go on below `path`. By inode too: a bind mount or another spelling can lead to the store. */
  #assertPassable(path: StorePath, stat: FileStat, subject: Subject): void {
    if (stat.type !== 'directory') {
      const hint = 'Give a path whose parents are directories.';
      fail(subject, 'ERR_NOT_DIRECTORY', `'${path}' is not a directory`, hint);
    }
    this.#own ??= this.#look(storeDirectoryName, subject, true)?.stat;
    const own = this.#own;
    if (own !== undefined && own.ino === stat.ino && own.dev === stat.dev) throw reserved(subject);
  }

  #look(path: StorePath, subject: Subject, remember: boolean): Look | undefined {
    const known = remember ? this.#seen.get(path) : undefined;
    if (known !== undefined) return known;
    const absolute = absolutePath(path, this.#roots);
    try {
      const stat = this.#fileSystem.lstat(absolute);
      if (stat === undefined) return undefined;
      const look = stat.type === 'symlink' ? { stat, target: this.#fileSystem.readlink(absolute) } : { stat };
      if (remember && (stat.type === 'directory' || stat.type === 'symlink')) this.#seen.set(path, look);
      return look;
    } catch (error) {
      throw fromSystemError(error, { op: subject.op, path: subject.asked });
    }
  }

  #split(directory: string): readonly string[] {
    return splitAbsolute(directory, this.#platform) ?? [];
  }
}

interface Subject {
  readonly op: string;
  readonly asked: StorePath;
}

const escapeHint =
  'Remove the link, let it point inside a root, or open the store with the directory as a further root.';
const refuseHint = "Give the path that the link points to, or open the store with { symlinks: 'follow' }.";

function fail({ op, asked }: Subject, code: ErrorCode, reason: string, hint: string): never {
  throw new StoreError(code, `${op} ${JSON.stringify(asked)}: ${reason}`, { op, path: asked, hint });
}

function reserved(subject: Subject): StoreError {
  const message = `${subject.op} ${JSON.stringify(subject.asked)}: it leads to where the store keeps its own files`;
  const hint = 'Choose another path; the store is read with `forewrit status` and `forewrit dump`.';
  return new StoreError('ERR_PATH_RESERVED', message, { op: subject.op, path: subject.asked, hint });
}

function gone({ op, asked }: Subject, directory: StorePath): StoreError {
  const message = `${op} ${JSON.stringify(asked)}: the directory '${directory}' is gone`;
  return new StoreError('ERR_NOT_FOUND', message, { op, path: asked, hint: 'Make the directory again.' });
}
