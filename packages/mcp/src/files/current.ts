/** What a conflict needs to be resolved: how the file is now. */

import { isStoreError, type Store } from '@forewrit/core';

const conflicting: ReadonlySet<string> = new Set(['ERR_CONFLICT', 'ERR_EXTERNAL_EDIT', 'ERR_EXISTS']);

/** Of the path that the error is about; `undefined` if it is about none. */
export async function currentOf(store: Store, error: unknown): Promise<object | undefined> {
  if (!isStoreError(error) || !conflicting.has(error.code) || error.path === undefined) return undefined;
  try {
    const { type, size, revision = null, checksum = null, mtimeMs } = await store.stat(error.path);
    return { exists: true, type, size, revision, checksum, modified_at_ms: mtimeMs };
  } catch (cause) {
    return isStoreError(cause, 'ERR_NOT_FOUND') ? { exists: false } : undefined;
  }
}
