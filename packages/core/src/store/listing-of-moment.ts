/**
 * Names in a directory as one moment of the log has them. What is committed and not carried out yet, or only in part, counts as
 * it will be, whoever is at it, and whether or not that one still lives; edits by programs that know nothing of us count
 * as they are.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { rowOf } from '../commit/file-row.js';
import { listingStands } from '../commit/guard.js';
import { locksBelow } from '../commit/lock.js';
import { newestRevision } from '../commit/revision.js';
import { changedCodes, hasCode, isStoreError } from '../errors.js';
import { listDirectory, type ReaddirOptions } from '../files/listing.js';
import { absolutePath, ancestors, baseName, joinPath, type StorePath } from '../path/path.js';
import { baseTree } from '../plan/base-tree.js';
import { isInLogOnly } from '../record/image.js';
import { pathKey } from '../record/key.js';
import { lockRow } from '../record/rows.js';
import type { StoreAccess } from './store-access.js';

export interface Listing {
  /** Of the directory, symbolic links followed. */
  readonly path: StorePath;
  readonly names: string[];
  /** The names in each directory that was looked into. */
  readonly directories: ReadonlyMap<StorePath, string>;
  /** The newest revision at the moment of which this is; `undefined` if the names kept changing, and it is of none. */
  readonly revision: number | undefined;
}

/** As often names that change meanwhile are listed again. */
const attemptsMax = 50;
const pauseMsMax = 10;

export async function listingOfMoment(
  access: StoreAccess,
  path: StorePath,
  options: ReaddirOptions,
): Promise<Listing> {
  for (let attempt = 0; ; attempt += 1) {
    const isLast = attempt === attemptsMax;
    const listing = await tryListing(access, path, { ...options, isLast });
    if (listing?.revision !== undefined || (listing !== undefined && isLast)) return listing;
    if (attempt > 0) await pause(Math.min(attempt, pauseMsMax));
  }
}

/** `undefined` if a directory went while it was looked into. */
async function tryListing(
  access: StoreAccess,
  path: StorePath,
  { isLast, ...options }: ReaddirOptions & { readonly isLast: boolean },
): Promise<Listing | undefined> {
  const { log, folding } = access;
  const target = access.resolve(path, 'readdir').path;
  const since = log.view(newestRevision);
  try {
    const onItsWay = isLast
      ? new Map<StorePath, string | undefined>()
      : await typesOnTheirWay(access, target);
    const { names, directories } = list(access, target, { options, onItsWay });
    const revision = log.view((view) => {
      const stand = [...directories].every(([at, listed]) =>
        listingStands(view, at, { names: listed, since }, folding),
      );
      return stand ? newestRevision(view) : undefined;
    });
    return { path: target, names, directories, revision };
  } catch (error) {
    const isGone = hasCode(error, changedCodes) || isStoreError(error, 'ERR_NOT_DIRECTORY');
    const stands = access.fileSystem.lstat(absolutePath(target, access.roots))?.type === 'directory';
    if (isGone && stands && !isLast) return undefined;
    throw error;
  }
}

/**
 * Of a directory and of what is below it, as far as it is locked: what it is, or will be. Of what waits for a person the
 * disk decides.
 */
async function typesOnTheirWay(
  { log, folding, reader }: StoreAccess,
  directory: StorePath,
): Promise<Map<StorePath, string | undefined>> {
  const paths = log.view((view) => {
    const key = pathKey(directory, folding);
    const own = view.get('locks', key);
    return [...(own === undefined ? [] : [lockRow.decode(key, own)]), ...locksBelow(view, directory, folding)]
      .filter(({ blocked }) => !blocked)
      .map(({ what }) => what)
      .filter((what) => {
        const row = rowOf(view, what, folding);
        // What is in the log alone is listed with what is on the disk.
        return row !== undefined && !isInLogOnly(row.image);
      });
  });
  if (paths.length === 0) return new Map();
  const reads = await reader.readSet(paths, { op: 'readdir', only: 'stat', followLast: false });
  return new Map(reads.map(({ stat }, index) => [paths[index]!, stat?.type]));
}

function list(
  access: StoreAccess,
  target: StorePath,
  {
    options,
    onItsWay,
  }: { readonly options: ReaddirOptions; readonly onItsWay: ReadonlyMap<StorePath, string | undefined> },
): Pick<Listing, 'names' | 'directories'> {
  const tree = baseTree(access);
  const { types, children } = treeOf(onItsWay, target);
  const directories = new Map<StorePath, string>();
  const goes = (at: StorePath): boolean => types.has(at) && types.get(at) === undefined;
  const names = listDirectory(
    {
      typeOf: (at) => (types.has(at) ? types.get(at) : tree.stat(at)?.type),
      children: (at) => {
        const onDisk = tree.stat(at)?.type === 'directory' ? tree.children(at) : [];
        const stay = onDisk.filter((name) => !goes(joinPath(at, name)));
        const listed = [...new Set([...stay, ...(children.get(at) ?? [])])].sort();
        directories.set(at, listed.join('\0'));
        return listed;
      },
    },
    target,
    options,
  );
  return { names, directories };
}

/** With the directories that come with what is below them. */
function treeOf(
  onItsWay: ReadonlyMap<StorePath, string | undefined>,
  top: StorePath,
): {
  readonly types: ReadonlyMap<StorePath, string | undefined>;
  readonly children: ReadonlyMap<StorePath, ReadonlySet<string>>;
} {
  const types = new Map(onItsWay);
  const children = new Map<StorePath, Set<string>>();
  for (const [path, type] of onItsWay) {
    if (type === undefined || path === top) continue;
    let at = path;
    for (const parent of ancestors(path)) {
      children.set(parent, (children.get(parent) ?? new Set()).add(baseName(at)));
      types.set(parent, 'directory');
      if (parent === top) break;
      at = parent;
    }
  }
  return { types, children };
}
