/** What a write is refused for. */

import { type Store, StoreError } from '@forewrit/core';
import type { WriteOptions } from './options.js';

/** Before anything is written. */
export function requireFit(store: Store, path: string, { totalBytes, maxBytes }: WriteOptions): void {
  if (totalBytes === undefined) return;
  if (maxBytes !== undefined && totalBytes > maxBytes) throw tooLarge(path, maxBytes);
  // It is staged on the file system that is to hold it.
  const { availableBytes, reserveBytes } = store.space(path);
  if (availableBytes - reserveBytes >= totalBytes) return;
  throw new StoreError(
    'ERR_NO_SPACE',
    `Not enough space for '${path}': ${totalBytes} bytes needed, ${availableBytes} free`,
    {
      op: 'open',
      path,
      hint: `Free some space; ${reserveBytes} bytes are kept in reserve. Nothing was changed.`,
    },
  );
}

export function requireNotAborted(path: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new StoreError('ERR_ABORTED', `writing '${path}' was aborted`, {
    op: 'write',
    path,
    cause: signal.reason,
  });
}

export function tooLarge(path: string, maxBytes: number): StoreError {
  return new StoreError('ERR_TOO_LARGE', `'${path}' is larger than ${maxBytes} bytes`, {
    op: 'write',
    path,
    hint: 'Raise the limit, or write less. Nothing was changed.',
  });
}

export function sizeDiffers(path: string, expected: number, found: number): StoreError {
  return new StoreError('ERR_INTEGRITY', `'${path}' has ${found} bytes, not ${expected}`, {
    op: 'commit',
    path,
    hint: 'What was written is not what was announced. Nothing was changed.',
  });
}
