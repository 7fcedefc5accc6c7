/** Trying again what may pass: exponential back-off with jitter, and only for errors that are about the moment. */

import { setTimeout as sleep } from 'node:timers/promises';
import { isStoreError } from '@forewrit/core';

const passing: ReadonlySet<string> = new Set(['EBUSY', 'EAGAIN', 'EMFILE', 'ENFILE', 'EINTR']);
/** A virus scanner that has the file open. */
const passingOnWindows: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'EBUSY']);
/** After these the outcome is unknown, or settled. */
const final: ReadonlySet<string> = new Set(['ERR_STORE_POISONED', 'ERR_APPLY_BLOCKED', 'ERR_ABORTED']);
const delayMsMax = 10_000;
const causesMax = 8;

export interface RetryOptions {
  /** Attempts after the first one. Default: 3. */
  readonly maxRetries?: number;
  /** Before the first of them; twice as long before each further one, less up to half of it by chance. Default: 100. */
  readonly retryDelayMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export const retryDefaults = { maxRetries: 3, retryDelayMs: 100 } as const;

/** Whether an error, or what has caused it, may be gone in a moment. */
export function isPassing(error: unknown, platform: NodeJS.Platform = process.platform): boolean {
  let at: unknown = error;
  for (let depth = 0; depth < causesMax && typeof at === 'object' && at !== null; depth += 1) {
    if (isStoreError(at) && final.has(at.code)) return false;
    const code = 'code' in at && typeof at.code === 'string' ? at.code : '';
    if (passing.has(code) || (platform === 'win32' && passingOnWindows.has(code))) return true;
    at = 'cause' in at ? at.cause : undefined;
  }
  return false;
}

/** `action` must leave nothing behind where it fails. */
export async function withRetries<T>(
  action: () => Promise<T>,
  { maxRetries = retryDefaults.maxRetries, retryDelayMs = retryDefaults.retryDelayMs, signal }: RetryOptions,
  random: () => number = Math.random,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      if (attempt >= maxRetries || !isPassing(error) || signal?.aborted === true) throw error;
      const fullMs = Math.min(delayMsMax, retryDelayMs * 2 ** attempt);
      await sleep(fullMs * (1 - random() / 2), undefined, signal === undefined ? {} : { signal });
    }
  }
}
