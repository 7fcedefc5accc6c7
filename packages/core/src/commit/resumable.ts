/**
 * Resumable operations in the log: content that arrives slowly, and that may be continued after a crash by whoever comes
 * next. Pure over a view or batch: no file is looked at here.
 *
 * The order that makes it safe: bytes are fsynced *before* a record says that they are there; a file is removed *after*
 * the batch that forgets its record; and what lies beyond the recorded offset is cut off only by whoever has the record.
 * A record belongs to the owner in its key. Another owner may take it over, in one batch, once that one is not registered
 * any more. The file keeps its name.
 */

import type { LogBatch, LogView } from '../log/log.js';
import { encodeResumable, decodeTransaction } from '../record/codec.js';
import { corrupt } from '../record/frame.js';
import { parseTransactionKey, transactionKey, u32Key } from '../record/key.js';
import {
  type LogRecord,
  type Resumable,
  sameTransaction,
  sequences,
  type TransactionNumber,
  transactionId,
} from '../record/record.js';
import { metaKeys, transactionRow } from '../record/rows.js';

export interface FoundResumable {
  readonly number: TransactionNumber;
  readonly begin: Extract<LogRecord, { kind: 'begin' }>;
  readonly resumable: Resumable;
}

export function findResumable(view: LogView, id: string): FoundResumable | undefined {
  const key = metaKeys.staged(id);
  const value = view.get('meta', key);
  if (value === undefined) return undefined;
  const found = readResumable(view, transactionRow.decode(key, value));
  if (found === undefined) throw corrupt(`the staged content '${id}'`, 'its record is missing');
  return found;
}

/** By the order of their ids. */
export function listResumables(view: LogView): FoundResumable[] {
  return view.range('meta', metaKeys.stagings).map(([key, value]) => {
    const number = transactionRow.decode(key, value);
    const found = readResumable(view, number);
    if (found === undefined) throw corrupt(`transaction ${transactionId(number)}`, 'its record is missing');
    return found;
  });
}

export function readResumable(view: LogView, number: TransactionNumber): FoundResumable | undefined {
  const key = keyOf(number);
  const value = view.get('log', key);
  if (value === undefined) return undefined;
  const { begin, resumable } = decodeTransaction(number, [[key, value]]);
  if (begin === undefined || resumable === undefined)
    throw corrupt(`the record of transaction ${transactionId(number)}`, 'it is of another kind');
  return { number, begin, resumable };
}

export function putResumable(batch: LogBatch, { number, begin, resumable }: FoundResumable): void {
  batch.put('log', ...encodeResumable(number, begin, resumable));
  const key = metaKeys.staged(resumable.id);
  batch.put('meta', key, transactionRow.encode(key, number));
}

/** The id is let go of only where it still stands for this one: somebody may have taken it over. */
export function removeResumable(batch: LogBatch, number: TransactionNumber, id: string): void {
  batch.delete('log', keyOf(number));
  const key = metaKeys.staged(id);
  const value = batch.get('meta', key);
  if (value !== undefined && sameTransaction(transactionRow.decode(key, value), number))
    batch.delete('meta', key);
}

/** Whether an owner has anything in the log that is to be finished. What may be continued is not. */
export function isUnfinished(key: Uint8Array): boolean {
  return parseTransactionKey(key).sequence !== sequences.resumable;
}

export function isRegistered(view: LogView, { owner }: TransactionNumber): boolean {
  return view.get('owners', u32Key(owner)) !== undefined;
}

/** By the clock on the wall: nothing else tells of days. One that was put back keeps things longer. */
export function isOverdue({ advancedAtMs, ttlMs }: Resumable, nowMs: number): boolean {
  return nowMs - advancedAtMs > ttlMs;
}

function keyOf({ owner, counter }: TransactionNumber): Uint8Array {
  return transactionKey(owner, counter, sequences.resumable);
}
