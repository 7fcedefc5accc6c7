/** Forgets content that was staged over time and cannot be continued; what is left of it is kept aside first. */

import {
  checkStagedId,
  findResumable,
  freeName,
  isStoreError,
  removeResumable,
  stagedPath,
  type StoreContext,
  StoreError,
  type StoreOptions,
  syncFile,
  u32Key,
  unlinkIfThere,
} from '@forewrit/core';
import { linkFresh } from '../fresh-file.js';
import { withRecovered } from '../recovered-store.js';

export interface DiscardReport {
  readonly id: string;
  /** Where its bytes are now; absent where there were none. */
  readonly savedAs?: string;
}

/**
 * @throws StoreError ERR_NOT_FOUND if nothing is staged under this id, ERR_STORE_LOCKED while its owner lives
 */
export async function discardStaged(
  root: string | URL,
  id: string,
  options: StoreOptions = {},
): Promise<DiscardReport> {
  checkStagedId('discard', id);
  return await withRecovered(root, { ...options, op: 'discard' }, ({ context }) => discard(context, id));
}

function discard({ log, fileSystem, volumes }: StoreContext, id: string): DiscardReport {
  const found = log.view((view) => findResumable(view, id));
  if (found === undefined) throw notFound(id);
  const volume = volumes.get(found.resumable.volume);
  const file = volume === undefined ? undefined : stagedPath(volume, found.resumable.staged);
  let savedAs: string | undefined;
  if (volume !== undefined && file !== undefined && fileSystem.lstat(file)?.type === 'file') {
    const stat = fileSystem.lstat(file)!;
    savedAs = freeName(fileSystem, `${volume.conflicts}/${found.resumable.staged}`);
    linkFresh(fileSystem, { path: savedAs, mode: stat.mode, like: stat }, file);
    syncFile(fileSystem, savedAs);
    fileSystem.syncDirectory(volume.conflicts);
  }
  try {
    log.commit((batch) => {
      const now = findResumable(batch, id);
      if (now === undefined) throw notFound(id);
      if (batch.get('owners', u32Key(now.number.owner)) !== undefined) throw inUse(id);
      removeResumable(batch, now.number, id);
    });
  } catch (error) {
    // Refused: it stays where it is, and needs no second name.
    if (isStoreError(error) && savedAs !== undefined && error.op === 'discard')
      unlinkIfThere(fileSystem, savedAs);
    throw error;
  }
  if (file !== undefined) unlinkIfThere(fileSystem, file);
  return { id, ...(savedAs === undefined ? {} : { savedAs }) };
}

function notFound(id: string): StoreError {
  return new StoreError('ERR_NOT_FOUND', `Nothing is staged under '${id}'`, {
    op: 'discard',
    hint: '`forewrit status` lists what is staged.',
  });
}

function inUse(id: string): StoreError {
  return new StoreError(
    'ERR_STORE_LOCKED',
    `The content staged as '${id}' belongs to a process that is running`,
    {
      op: 'discard',
      hint: 'Let that process close the store first.',
    },
  );
}
