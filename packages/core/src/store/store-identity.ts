/**
 * Binds log and tree: the store's id stands in the log and in `.forewrit/id`. A log that was put beside the tree of
 * another store would carry out saves that were never made there.
 */

import { readFileAt, writeFully } from '../files/content.js';
import { StoreError, systemCode } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import type { StoreLayout } from '../files/volume.js';

/**
 * Before the log is opened: a tree that knows its id, or holds what a transaction has staged or kept, has a log, or has
 * lost it; opening it with a new one would sweep all that. A log is made before any of them, so it is looked for last.
 */
export function refuseLostLog(fileSystem: FileSystem, layout: StoreLayout): void {
  const hadLog =
    fileSystem.lstat(layout.identity) !== undefined ||
    ['staged', 'before'].some((place) => holdsNames(fileSystem, `${layout.directory}/${place}`));
  if (!hadLog || fileSystem.lstat(`${layout.log}/data.mdb`) !== undefined) return;
  throw new StoreError('ERR_STORE_MISMATCH', `The log of this store is gone: ${layout.log}`, {
    op: 'open',
    path: layout.log,
    hint: 'Put it back. If it is lost for good: forewrit recover --reset-log, which leaves the files as they are.',
  });
}

function holdsNames(fileSystem: FileSystem, directory: string): boolean {
  return fileSystem.lstat(directory)?.type === 'directory' && fileSystem.list(directory).length > 0;
}

/** Compares the two, or writes the tree's where it is still missing. Nothing is written for a store that is only read. */
export function bindTree(
  fileSystem: FileSystem,
  layout: StoreLayout,
  storeId: string,
  options: { readonly readOnly: boolean /** Different for every open. */; readonly nonce: string },
): void {
  if (fileSystem.lstat(layout.identity) === undefined) {
    if (!options.readOnly) writeIdentity(fileSystem, layout, storeId, options.nonce);
    return;
  }
  const found = Buffer.from(readFileAt(fileSystem, layout.identity)).toString('latin1').trim();
  if (found === storeId) return;
  throw new StoreError('ERR_STORE_MISMATCH', `The log belongs to store ${storeId}, the tree to ${found}`, {
    op: 'open',
    path: layout.identity,
    hint: 'Put the right log back beside its tree. Nothing was changed.',
  });
}

/** Whole or not at all; two processes that make a store at once write the same. */
function writeIdentity(fileSystem: FileSystem, layout: StoreLayout, storeId: string, nonce: string): void {
  const temporary = `${layout.identity}.${nonce}`;
  const descriptor = fileSystem.create(temporary, 0o600);
  try {
    writeFully(fileSystem, descriptor, Buffer.from(`${storeId}\n`), 0);
    fileSystem.sync(descriptor);
  } finally {
    fileSystem.close(descriptor);
  }
  try {
    fileSystem.rename(temporary, layout.identity);
  } catch (error) {
    // Somebody has swept it as left over, when another process had written the same.
    if (systemCode(error) !== 'ENOENT' || fileSystem.lstat(layout.identity) === undefined) throw error;
  }
  fileSystem.syncDirectory(layout.directory);
}
