/** A range of a collection, and its digest: what a transaction that has read it stands on. */

import { checkCollection, checkEntry, checkFlags } from './check-arguments.js';
import { hash64 } from '../record/checksum.js';
import { InvalidArgumentError } from '../errors.js';
import { entryKey, entryRange } from '../record/key.js';
import type { LogView, Row } from '../log/log.js';
import type { TrackedRead } from '../plan/operation.js';
import { entryRow } from '../record/rows.js';

export interface RangeOptions {
  /** First key, included. */
  readonly start?: string;
  /** Last key, excluded. */
  readonly end?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
}

export type EntriesRead = Omit<Extract<TrackedRead, { kind: 'entries' }>, 'kind' | 'digest'>;

export function rowsInRange(view: LogView, range: EntriesRead): Row[] {
  const all = entryRange(range.collection);
  return view.range('entries', {
    start: range.start === undefined ? all.start : entryKey(range.collection, range.start),
    end: range.end === undefined ? all.end : entryKey(range.collection, range.end),
    reverse: range.reverse,
    ...(range.limit === undefined ? {} : { limit: range.limit }),
  });
}

export function entriesDigest(view: LogView, range: EntriesRead): string {
  return digestOf(rowsInRange(view, range));
}

export function digestOf(rows: readonly Row[]): string {
  let digest = 0n;
  for (const [key, value] of rows)
    digest = hash64(key, digest + BigInt(entryRow.decode(key, value).revision));
  return digest.toString(16);
}

export function checkRange(
  op: string,
  collection: string,
  options: RangeOptions | null | undefined,
): EntriesRead {
  checkCollection(op, collection);
  checkFlags(op, options, ['reverse']);
  const { start, end, limit, reverse = false } = options ?? {};
  for (const key of [start, end]) if (key !== undefined && key !== '') checkEntry(op, collection, key);
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new InvalidArgumentError(op, 'limit must be a whole number, not negative');
  }
  return { collection, start, end, limit, reverse };
}

export function isInRange(key: string, { start, end }: EntriesRead): boolean {
  const bytes = Buffer.from(key);
  if (start !== undefined && Buffer.compare(bytes, Buffer.from(start)) < 0) return false;
  return end === undefined || Buffer.compare(bytes, Buffer.from(end)) < 0;
}
