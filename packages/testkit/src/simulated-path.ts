/**
 * Finding what a path names, as Linux does: every component but the last is followed through symbolic links and mount
 * points, the last one only where the call does.
 */
import type { DiskState, Place } from './disk-state.js';
import { absent, type InodeId, inodeAt } from './simulated-inode.js';
import { systemError } from './system-error.js';

const nameBytesMax = 255;
const pathBytesMax = 4095;
const symlinksMax = 40;

export interface Call {
  readonly syscall: string;
  readonly path: string;
  readonly dest?: string;
}

/** A path whose last component is no name in a directory: the root itself, `.` or `..`. */
export interface Nameless {
  readonly last: '/' | '.' | '..';
  readonly ancestors: readonly InodeId[];
}

/** The place that a path names, its parents resolved; nothing need be there. */
export function locate(state: DiskState, path: string, call: Call): Place | Nameless {
  const place = locateUnchecked(state, path, call);
  if (!('last' in place)) checkName(place.name, call);
  return place;
}

/** The same, except that the last name may be too long: for calls that look at something else before. */
export function locateUnchecked(state: DiskState, path: string, call: Call): Place | Nameless {
  return new Walk(state, call).locate(path);
}

export function checkName(name: string, call: Call): void {
  // Three bytes at most for each unit of UTF-16.
  if (name.length * 3 <= nameBytesMax) return;
  if (Buffer.byteLength(name) > nameBytesMax) throw systemError('ENAMETOOLONG', call);
}

/** What is at the end of a path, links followed to the last. */
export function follow(state: DiskState, path: string, call: Call): InodeId {
  return new Walk(state, call).follow(path);
}

/** What a path names itself; `absent` if there is nothing, though all its parents are there. */
export function find(state: DiskState, path: string, call: Call): InodeId {
  const place = locate(state, path, call);
  return 'last' in place ? lastOf(place.ancestors) : mounted(state, place.child);
}

/** What is to be seen at this directory: the root of what is mounted on it, if anything is. */
export function mounted(state: DiskState, id: InodeId): InodeId {
  const { mounts } = state.traits;
  return mounts.size === 0 ? id : (mounts.get(id) ?? id);
}

export function isMountPoint(state: DiskState, id: InodeId): boolean {
  return state.traits.mounts.has(id);
}

class Walk {
  readonly #state: DiskState;
  readonly #call: Call;
  #symlinksLeft = symlinksMax;

  constructor(state: DiskState, call: Call) {
    this.#state = state;
    this.#call = call;
  }

  locate(path: string): Place | Nameless {
    this.#checkWhole(path);
    return this.#locateFrom([this.#root], path);
  }

  follow(path: string): InodeId {
    this.#checkWhole(path);
    return lastOf(this.#enter([this.#root], path));
  }

  get #root(): InodeId {
    return this.#state.volumes[0]?.root ?? absent;
  }

  #locateFrom(start: InodeId[], path: string): Place | Nameless {
    const { names, last } = partsOf(path);
    const ancestors = this.#descend(path.startsWith('/') ? [this.#root] : start, names);
    if (last === undefined) return { last: '/', ancestors };
    if (last === '.') return { last, ancestors };
    if (last === '..') return { last, ancestors: ancestors.length > 1 ? ancestors.slice(0, -1) : ancestors };
    const directory = lastOf(ancestors);
    return { directory, name: last, child: this.#entry(directory, last), ancestors };
  }

  /** The directories on the way to what the path names, and that itself last. */
  #enter(start: InodeId[], path: string): InodeId[] {
    const place = this.#locateFrom(start, path);
    if ('last' in place) return [...place.ancestors];
    return this.#step([...place.ancestors], place.name);
  }

  #descend(start: InodeId[], names: readonly string[]): InodeId[] {
    let stack = start;
    for (const name of names) {
      if (name === '.') continue;
      if (name === '..') {
        if (stack.length > 1) stack.pop();
        continue;
      }
      stack = this.#step(stack, name);
      if (inodeAt(this.#state.live, lastOf(stack)).kind !== 'directory') this.#fail('ENOTDIR');
    }
    return stack;
  }

  #step(stack: InodeId[], name: string): InodeId[] {
    checkName(name, this.#call);
    const child = this.#entry(lastOf(stack), name);
    if (child === absent) this.#fail('ENOENT');
    const inode = inodeAt(this.#state.live, child);
    if (inode.kind !== 'symlink') {
      stack.push(mounted(this.#state, child));
      return stack;
    }
    if (this.#symlinksLeft === 0) this.#fail('ELOOP');
    this.#symlinksLeft -= 1;
    return this.#enter(stack, inode.target);
  }

  #entry(directory: InodeId, name: string): InodeId {
    return inodeAt(this.#state.live, directory).entries.get(name) ?? absent;
  }

  #checkWhole(path: string): void {
    // The real one would resolve these against a working directory, or cut the path short.
    if (!path.startsWith('/') || path.includes('\0') || (path.endsWith('/') && path !== '/')) {
      throw new TypeError(`${this.#call.syscall}: ${JSON.stringify(path)} is not an absolute, tidy path`);
    }
    if (path.length * 3 > pathBytesMax && Buffer.byteLength(path) > pathBytesMax) this.#fail('ENAMETOOLONG');
  }

  #fail(code: string): never {
    throw systemError(code, this.#call);
  }
}

interface PathParts {
  readonly names: readonly string[];
  /** `undefined` for the root. */
  readonly last: string | undefined;
}

/** The same few paths are asked for again and again. */
const knownParts = new Map<string, PathParts>();
const knownPartsMax = 10_000;

function partsOf(path: string): PathParts {
  let parts = knownParts.get(path);
  if (parts === undefined) {
    const names = path.split('/').filter((name) => name !== '');
    parts = { last: names.pop(), names };
    if (knownParts.size >= knownPartsMax) knownParts.clear();
    knownParts.set(path, parts);
  }
  return parts;
}

function lastOf(ids: readonly InodeId[]): InodeId {
  return ids[ids.length - 1] ?? absent;
}
