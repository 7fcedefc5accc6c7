/** Reads for which a missing file is an answer. */

import { isStoreError, type Snapshot, type Transaction } from '@forewrit/core';

/** Those files that are there, all of one moment. */
export async function readThere(view: Snapshot, paths: readonly string[]): Promise<Map<string, Buffer>> {
  try {
    return await view.readFiles(paths);
  } catch (error) {
    if (!isStoreError(error, 'ERR_NOT_FOUND')) throw error;
  }
  const there: string[] = [];
  for (const path of paths) if (await view.exists(path)) there.push(path);
  return await view.readFiles(there);
}

/** Tracked by the transaction, also where there is nothing. */
export async function readIfThere(tx: Transaction, path: string): Promise<Buffer | undefined> {
  try {
    return await tx.readFile(path);
  } catch (error) {
    if (isStoreError(error, 'ERR_NOT_FOUND')) return undefined;
    throw error;
  }
}
