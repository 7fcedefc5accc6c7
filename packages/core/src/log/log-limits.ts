/** What every implementation of the log asks of a batch, so that simulated worlds refuse what the real one would. */
import { assert } from '../assert.js';
import { StoreError } from '../errors.js';
import type { Range } from './log.js';

/** LMDB's limit on pages of 4 KiB, which is the smallest there is. */
export const keyBytesMax = 1978;
/** LMDB hands out larger values by other, riskier means. */
export const valueBytesMax = 16 * 1024 * 1024 - 4096;
/** All keys and values of one commit. More is refused, never split. */
export const batchBytesMax = 128 * 1024 * 1024;

/** Content of one transaction that travels in the log, at most: it is copied through memory, and kept until the checkpoint. */
export const inlineLimitBytesMax = 8 * 1024 * 1024;

/** Changes of one commit: each may dirty three pages, and LMDB keeps 131,071 before it writes some of them early. */
export const batchChangesMax = 40_000;

export const mapSizeBytesDefault = 2 ** 30;
export const reserveBytesDefault = 64 * 1024 * 1024;

/** How full the log may get before ordinary commits are refused; the rest is for what ends transactions. */
export const ordinaryFillMax = 0.9;

export function assertKey(key: Uint8Array): void {
  assert(key.length > 0, 'a log key is empty');
  assert(key.length <= keyBytesMax, `a log key has ${key.length} bytes, more than ${keyBytesMax}`);
}

export function assertRange({ start, end, limit }: Range): void {
  assert(start.length <= keyBytesMax, `a range begins at a key of ${start.length} bytes`);
  assert(end === undefined || end.length <= keyBytesMax, `a range ends at a key of ${end?.length} bytes`);
  assert(limit === undefined || limit >= 0, `a range is limited to ${limit} rows`);
}

/** Counts what one batch holds. */
export class BatchSize {
  #bytes = 0;
  #changes = 0;

  put(key: Uint8Array, value: Uint8Array): void {
    if (value.length > valueBytesMax)
      throw tooLarge('A value', { bytes: value.length, bytesMax: valueBytesMax });
    this.#bytes += key.length + value.length;
    if (this.#bytes > batchBytesMax)
      throw tooLarge('A commit', { bytes: this.#bytes, bytesMax: batchBytesMax });
    this.#change();
  }

  delete(): void {
    this.#change();
  }

  #change(): void {
    this.#changes += 1;
    if (this.#changes <= batchChangesMax) return;
    throw new StoreError(
      'ERR_TOO_MANY',
      `A commit of more than ${batchChangesMax} changes does not fit in the log`,
      {
        op: 'commit',
        hint: 'Make the transaction smaller.',
      },
    );
  }
}

function tooLarge(what: string, { bytes, bytesMax }: { bytes: number; bytesMax: number }): StoreError {
  return new StoreError(
    'ERR_TOO_LARGE',
    `${what} of ${bytes} bytes does not fit in the log (${bytesMax} at most)`,
    {
      op: 'commit',
      hint: 'Make the transaction smaller.',
    },
  );
}

export function logClosed(op: string): StoreError {
  return new StoreError('ERR_STORE_CLOSED', `${op}: the log is closed`, { op });
}

/** After a failed flush nobody knows what is on the disk: only a fresh open can look. */
export function logPoisoned(op: string, cause: unknown): StoreError {
  return new StoreError('ERR_STORE_POISONED', `${op}: an earlier flush of the log failed`, {
    op,
    cause,
    hint: 'Close the store and open it again: that finds out what was committed.',
  });
}

export function logFull(details: { readonly usedBytes: number; readonly capacityBytes: number }): StoreError {
  const { usedBytes, capacityBytes } = details;
  return new StoreError('ERR_LOG_FULL', `The log holds ${usedBytes} of ${capacityBytes} bytes`, {
    op: 'commit',
    hint: 'Checkpoints and the expiry of history and entries make room. Then try again: nothing was changed.',
  });
}
