/**
 * A transaction that changes entries only replaces no file: what its undo needs is known when it commits. So its row is
 * part of the batch that commits it, and no checkpoint has to come to it.
 */

import type { LogBatch } from '../log/log.js';
import type { HistoryRow } from '../record/history-row.js';
import { encodeHistory, putHistory } from './history-table.js';

/** Returns the size of the row. */
export function keepEntries(
  batch: LogBatch,
  transaction: Pick<HistoryRow, 'number' | 'revision' | 'committedAtMs' | 'entries'>,
): number {
  const row = { ...transaction, keptBytes: 0, targets: [] };
  const encoded = encodeHistory(row);
  putHistory(batch, row, encoded);
  return encoded[1].byteLength;
}
