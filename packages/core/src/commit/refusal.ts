/** What the engine answers when a request is not carried out, and which failures are worth another try. */

import { isStoreError, StoreError, systemCode, toError } from '../errors.js';
import { type TransactionId, transactionId } from '../record/record.js';
import type { LockRow } from '../record/rows.js';
import { isCancelled, type Job } from './job.js';

/** Of a group: each of its transactions may fit alone. */
export const tooMuchAtOnce: ReadonlySet<string> = new Set(['ERR_TOO_LARGE', 'ERR_TOO_MANY', 'ERR_LOG_FULL']);

/** The log was not written, and may be another time: another process is at it, or the disk is full. */
export function isWorthAnotherTry(error: unknown): boolean {
  return isStoreError(error) && ['ERR_STORE_LOCKED', 'ERR_NO_SPACE', 'ERR_LOG_FULL'].includes(error.code);
}

export function isOutOfDescriptors(error: unknown): boolean {
  const code = isStoreError(error) ? systemCode(error.cause) : undefined;
  return code === 'EMFILE' || code === 'ENFILE';
}

export function cancelled(): StoreError {
  return new StoreError('ERR_ABORTED', 'The transaction was aborted before it was committed', {
    op: 'commit',
  });
}

export function expired(job: Job): StoreError {
  return isCancelled(job) ? cancelled() : lockTimeout('a lock');
}

export function lockTimeout(what: string): StoreError {
  return new StoreError('ERR_STORE_LOCKED', `Waited too long for ${what}`, {
    op: 'commit',
    hint: 'Another process is writing, or is stopped while it holds the lock. `forewrit status` shows who.',
  });
}

export function unsteady(path: string): StoreError {
  return new StoreError('ERR_CONFLICT', `'${path}' keeps changing while it is planned`, {
    op: 'commit',
    path,
    hint: 'Another program writes the same files without pause. Try again.',
  });
}

export function blockedBy(lock: LockRow): StoreError {
  return blocked(transactionId(lock.transaction), undefined, lock.what);
}

export function blocked(transaction: TransactionId, cause: unknown, path?: string): StoreError {
  return new StoreError('ERR_APPLY_BLOCKED', `Transaction ${transaction} is blocked: it can go neither way`, {
    op: 'commit',
    path,
    transaction,
    hint: `Run: forewrit repair ${transaction} --forward (or --back, or --quarantine)`,
    cause,
  });
}

export function rolledBack(transaction: TransactionId, cause: unknown, left: readonly string[]): unknown {
  if (isStoreError(cause, 'ERR_EXTERNAL_EDIT') && left.length === 0) return cause;
  const stayed =
    left.length === 0 ? '' : ` These were changed meanwhile and stay as they are: ${left.join(', ')}.`;
  const why = toError(cause).message;
  return new StoreError(
    'ERR_APPLY_ROLLED_BACK',
    `Transaction ${transaction} was rolled back: ${why}.${stayed}`,
    {
      op: 'commit',
      transaction,
      path: isStoreError(cause) ? cause.path : undefined,
      hint: 'The files are as they were before. The cause says what stood in the way.',
      cause,
    },
  );
}
