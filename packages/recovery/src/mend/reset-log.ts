/**
 * A new log for a store whose log is damaged, lost or of another store: the last resort. Nothing is deleted.
 *
 *     refuse what is whole, of another format, or in use
 *     → set-aside/<n>/unfinished → log/, staged/, before/, spare/ and id move in there, one rename each
 *     → a new store in their place; the files in the tree are not touched
 *     → from the old log, where its pages can still be read: entries go into the new one, and what was committed and is not
 *       in its place goes to conflicts/
 *     → the mark goes
 *
 * Killed anywhere, it is continued by the next run: each step finds what was done before it.
 */

import {
  type FileSystem,
  isStoreError,
  isTokenAlive,
  NodeFileSystem,
  openRoot,
  probeWitness,
  StoreError,
  type StoreLayout,
  storeLayout,
  type StoreOptions,
  systemProcessTable,
  unlinkIfThere,
  withStoreCode,
} from '@forewrit/core';
import { answeringWitnesses } from '../answering.js';
import { setAsideName, unfinishedName } from '../check/set-aside.js';
import { inspect } from '../inspect.js';
import { openStore } from '../open.js';
import { type Salvaged, salvage } from './salvage.js';

/** What moves, in this order: as long as the id is there, nobody makes a new store by opening this one. */
const moved = ['log', 'staged', 'before', 'spare', 'id'] as const;
/** What a new log mends. A disk that cannot be read is not mended by it, and another format is not damage. */
const mendable: ReadonlySet<string> = new Set(['ERR_LOG_CORRUPT', 'ERR_STORE_MISMATCH']);

export type ResetOptions = Pick<
  StoreOptions,
  'roots' | 'processTable' | 'probeWitness' | 'allowSharedFileSystem'
>;

export interface ResetReport extends Salvaged {
  /** The directory that holds what was set aside; absent if nothing had to be done. */
  readonly setAside?: string;
}

/**
 * @throws StoreError ERR_STORE_LOCKED while somebody has the store open, ERR_UNSUPPORTED_FORMAT for another format, and
 * whatever else keeps the log from being read
 */
export async function resetLog(root: string | URL, options: ResetOptions = {}): Promise<ResetReport> {
  try {
    return await reset(root, options);
  } catch (thrown) {
    const error = withStoreCode(thrown, { op: 'reset', path: String(root) });
    if (!isStoreError(error, 'ERR_NO_SPACE')) throw error;
    const hint = 'Free some space, then run it again: it goes on where it stopped.';
    throw new StoreError(error.code, error.message, { op: 'reset', path: error.path, hint, cause: error });
  }
}

async function reset(root: string | URL, options: ResetOptions): Promise<ResetReport> {
  const fileSystem = new NodeFileSystem();
  const { roots } = openRoot(root, { ...options, create: false }, 'open');
  const layout = storeLayout(roots.root);
  if (fileSystem.lstat(layout.directory)?.type !== 'directory') {
    throw new StoreError('ERR_NOT_FOUND', `There is no store at '${roots.root}'`, {
      op: 'open',
      path: roots.root,
    });
  }
  const begun = unfinishedReset(fileSystem, layout);
  if (begun === undefined || !begun.hasMoved) {
    const damage = await findDamage(roots.root, options);
    if (damage === undefined) {
      if (begun !== undefined) finish(fileSystem, begun.directory);
      return { entries: 0, contents: [] };
    }
    await refuseIfInUse(fileSystem, layout, options);
  }
  const aside = begun?.directory ?? begin(fileSystem, layout);
  moveAside(fileSystem, layout, aside);
  const store = await openStore(root, { ...options, committer: 'inline' });
  let salvaged: Salvaged;
  try {
    salvaged = await salvage(store, { fileSystem, roots, aside });
  } finally {
    await store.close();
  }
  finish(fileSystem, aside);
  return { setAside: aside, ...salvaged };
}

/** `undefined` if the log is whole. */
async function findDamage(root: string, options: ResetOptions): Promise<string | undefined> {
  let codes: string[];
  try {
    const { problems, owners } = await inspect(root, options);
    const [first] = problems;
    if (first === undefined) return undefined;
    codes = problems.map(({ code }) => code);
    const refused = problems.find(({ code }) => !mendable.has(code));
    if (refused !== undefined && !codes.some((code) => mendable.has(code)))
      throw new StoreError(refused.code as StoreError['code'], refused.message, { op: 'reset', path: root });
    const unsupported = problems.find(({ code }) => code === 'ERR_UNSUPPORTED_FORMAT');
    if (unsupported !== undefined)
      throw new StoreError('ERR_UNSUPPORTED_FORMAT', unsupported.message, { op: 'reset', path: root });
    // Of another store they have another one open.
    const living = codes.includes('ERR_STORE_MISMATCH') ? undefined : owners.find(({ alive }) => alive);
    if (living !== undefined) throw inUse(root, `process ${living.pid}`);
    return first.message;
  } catch (error) {
    // Neither a log nor an id: the store was never made, and opening it makes it.
    if (isStoreError(error, 'ERR_NOT_FOUND')) return error.message;
    throw error;
  }
}

/** What can be seen without the log: sockets that answer, and whoever is writing. */
async function refuseIfInUse(
  fileSystem: FileSystem,
  { log, directory }: StoreLayout,
  { probeWitness: ask = probeWitness, processTable = systemProcessTable() }: ResetOptions,
): Promise<void> {
  if ((await answeringWitnesses(fileSystem, log, ask)).length > 0)
    throw inUse(directory, 'a process that answers');
  if (fileSystem.lstat(`${log}/queue`)?.type !== 'directory') return;
  const held = fileSystem.list(`${log}/queue`).filter((name) => name.startsWith(heldPrefix));
  if (held.some((name) => isTokenAlive(name.slice(heldPrefix.length), processTable)))
    throw inUse(directory, 'a process that writes');
}

const heldPrefix = 'held-';

function inUse(path: string, who: string): StoreError {
  return new StoreError('ERR_STORE_LOCKED', `The store is open: ${who} has it`, {
    op: 'reset',
    path,
    hint: 'Close it there first, or end that process. Nothing was changed.',
  });
}

function unfinishedReset(
  fileSystem: FileSystem,
  { directory }: StoreLayout,
): { readonly directory: string; readonly hasMoved: boolean } | undefined {
  const place = `${directory}/${setAsideName}`;
  if (fileSystem.lstat(place)?.type !== 'directory') return undefined;
  for (const name of fileSystem.list(place)) {
    const aside = `${place}/${name}`;
    if (fileSystem.lstat(`${aside}/${unfinishedName}`) === undefined) continue;
    return { directory: aside, hasMoved: fileSystem.list(aside).length > 1 };
  }
  return undefined;
}

function begin(fileSystem: FileSystem, { directory }: StoreLayout): string {
  const place = `${directory}/${setAsideName}`;
  const type = fileSystem.lstat(place)?.type;
  if (type === undefined) fileSystem.makeDirectory(place, 0o700);
  else if (type !== 'directory') {
    const hint = 'Move it away: the reset makes a directory there. `forewrit check` has the command.';
    const message = `'${place}' is a ${type}, and should be a directory`;
    throw new StoreError('ERR_NOT_DIRECTORY', message, { op: 'reset', path: place, hint });
  }
  let number = 1;
  while (fileSystem.lstat(`${place}/${number}`) !== undefined) number += 1;
  const aside = `${place}/${number}`;
  fileSystem.makeDirectory(aside, 0o700);
  fileSystem.close(fileSystem.create(`${aside}/${unfinishedName}`, 0o600));
  for (const each of [aside, place, directory]) fileSystem.syncDirectory(each);
  return aside;
}

function moveAside(fileSystem: FileSystem, { directory }: StoreLayout, aside: string): void {
  // A log that stands there beside one that has moved is new.
  const isNew =
    fileSystem.lstat(`${aside}/id`) !== undefined || fileSystem.lstat(`${aside}/log`) !== undefined;
  for (const name of moved) {
    const from = `${directory}/${name}`;
    const to = `${aside}/${name}`;
    if (fileSystem.lstat(to) !== undefined || fileSystem.lstat(from) === undefined) continue;
    if (isNew && name === 'log') continue;
    fileSystem.rename(from, to);
  }
  for (const each of [aside, directory]) fileSystem.syncDirectory(each);
}

function finish(fileSystem: FileSystem, aside: string): void {
  unlinkIfThere(fileSystem, `${aside}/${unfinishedName}`);
  if (fileSystem.list(aside).length === 0) fileSystem.removeDirectory(aside);
  else fileSystem.syncDirectory(aside);
}
