/** Reads for which a missing file is an answer. */

import { isStoreError, type Snapshot, type Transaction } from '@forewrit/core';

/** Those files that are there, all of one moment. A transaction tracks the missing ones too. */
export async function readThere(
  view: Pick<Snapshot | Transaction, 'exists' | 'readFiles'>,
  paths: readonly string[],
): Promise<Map<string, Buffer>> {
  try {
    return await view.readFiles(paths);
  } catch (error) {
    if (!isStoreError(error, 'ERR_NOT_FOUND')) throw error;
  }
  const there: string[] = [];
  for (const path of paths) if (await view.exists(path)) there.push(path);
  return await view.readFiles(there);
}
