/** Opening a store the usual way: recover, then open. */

import { openStoreWith, type Store, type StoreOptions } from '@forewrit/core';
import { createRecoverer } from './recovery.js';
import { verify } from './verify.js';

/**
 * Opens the store at `root`, creating it where there is none, after recovering what processes that died have left. What
 * that was is in `store.recovery`. On return the directories and the log are durable.
 *
 * @throws StoreError ERR_NOT_FOUND, ERR_NOT_DIRECTORY, ERR_PERMISSION, ERR_STORE_LOCKED, ERR_LOG_CORRUPT,
 * ERR_UNSUPPORTED_FORMAT, ERR_STORE_MISMATCH, ERR_NETWORK_FS, ERR_NO_SPACE
 */
export function openStore(root: string | URL, options: StoreOptions = {}): Promise<Store> {
  return openStoreWith(root, options, {
    recoverer: createRecoverer(),
    committerEntry: new URL('./committer-entry.js', import.meta.url),
    verify,
  });
}
