/** What is answered where there is nothing. */

import { isStoreError, StoreError } from '../errors.js';
import type { StorePath } from '../path/path.js';

/** Below a file there is nothing; for a question that is an answer, not an error. */
export async function falseBelowFile(look: () => Promise<boolean>): Promise<boolean> {
  try {
    return await look();
  } catch (error) {
    if (isStoreError(error, 'ERR_NOT_DIRECTORY')) return false;
    throw error;
  }
}

export function missing(op: string, path: StorePath): StoreError {
  return new StoreError('ERR_NOT_FOUND', `There is nothing at '${path}'`, { op, path });
}
