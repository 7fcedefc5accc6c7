/**
 * The table of history: one row for each transaction whose before-images are kept, under its revision, and beside it in
 * `meta` where to find it by its transaction, and the sums that retention goes by. All of it changes in one batch.
 *
 * Whatever a row names in `before/` was made durable before the row: a row is never without its content. And what is in
 * `before/` is named by a record, a row, or its owner lives; so a row goes first, and then what it names.
 */

import { assert } from '../assert.js';
import type { LogBatch, LogView, Row } from '../log/log.js';
import { type HistoryRow, historyRow } from '../record/history-row.js';
import { parseRevisionKey, revisionKey } from '../record/key.js';
import type { TransactionNumber } from '../record/record.js';
import { metaKeys, numberRow } from '../record/rows.js';

export interface HistoryTotals {
  /** Of the content in `before/`. */
  readonly keptBytes: number;
  /** Of the rows in the log. */
  readonly rowBytes: number;
}

export function encodeHistory(row: HistoryRow): Row {
  const key = revisionKey(row.revision);
  return [key, historyRow.encode(key, row)];
}

export function historyTotals(view: LogView): HistoryTotals {
  return { keptBytes: total(view, metaKeys.keptBytes), rowBytes: total(view, metaKeys.historyRowBytes) };
}

export function putHistory(batch: LogBatch, row: HistoryRow, [key, value]: Row): void {
  assert(batch.get('history', key) === undefined, 'a transaction comes into history once');
  batch.put('history', key, value);
  const index = metaKeys.kept(row.number);
  batch.put('meta', index, numberRow.encode(index, row.revision));
  add(batch, metaKeys.keptBytes, row.keptBytes);
  add(batch, metaKeys.historyRowBytes, value.byteLength);
}

/** `false` if somebody else has dropped it already. */
export function dropHistory(batch: LogBatch, revision: number): boolean {
  const key = revisionKey(revision);
  const value = batch.get('history', key);
  if (value === undefined) return false;
  const row = historyRow.decode(key, value);
  batch.delete('history', key);
  batch.delete('meta', metaKeys.kept(row.number));
  add(batch, metaKeys.keptBytes, -row.keptBytes);
  add(batch, metaKeys.historyRowBytes, -value.byteLength);
  return true;
}

export function findHistory(view: LogView, number: TransactionNumber): HistoryRow | undefined {
  const index = metaKeys.kept(number);
  const value = view.get('meta', index);
  if (value === undefined) return undefined;
  const key = revisionKey(numberRow.decode(index, value));
  const row = view.get('history', key);
  return row === undefined ? undefined : historyRow.decode(key, row);
}

export function hasHistoryOf(view: LogView, revision: number): boolean {
  return view.get('history', revisionKey(revision)) !== undefined;
}

export function oldestHistory(view: LogView, limit: number): { row: HistoryRow; rowBytes: number }[] {
  return view
    .range('history', { start: new Uint8Array(0), limit })
    .map(([key, value]) => ({ row: historyRow.decode(key, value), rowBytes: value.byteLength }));
}

/** The newest first, of those before a revision. */
export function newestHistory(
  view: LogView,
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
): HistoryRow[] {
  const start = new Uint8Array(0);
  const end = before === undefined ? undefined : revisionKey(before);
  return view
    .range('history', { start, end, limit, reverse: true })
    .map(([key, value]) => historyRow.decode(key, value));
}

/** All that history keeps in `before/`, as `<volume> <name>`. */
export function keptNamesOf(row: HistoryRow): { readonly volume: string; readonly name: string }[] {
  return row.targets.flatMap(({ volume, kept }) => (kept === undefined ? [] : [{ volume, name: kept }]));
}

export function revisionOfKey(key: Uint8Array): number {
  return parseRevisionKey(key);
}

function total(view: LogView, key: Uint8Array): number {
  const value = view.get('meta', key);
  return value === undefined ? 0 : numberRow.decode(key, value);
}

function add(batch: LogBatch, key: Uint8Array, bytes: number): void {
  if (bytes === 0) return;
  const sum = total(batch, key) + bytes;
  if (sum === 0) batch.delete('meta', key);
  else batch.put('meta', key, numberRow.encode(key, sum));
}
