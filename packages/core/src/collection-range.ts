/** A range of a collection, and its digest: what a transaction that has read it stands on. */

import { hash64 } from './checksum.js';
import { entryKey, entryRange } from './key.js';
import type { LogView, Row } from './log.js';
import type { TrackedRead } from './operation.js';
import { entryRow } from './rows.js';

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
  for (const [key, value] of rows) digest = hash64(key, digest + BigInt(entryRow.decode(key, value).revision));
  return digest.toString(16);
}
