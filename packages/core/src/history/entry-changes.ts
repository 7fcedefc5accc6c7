/** What a transaction did to entries, as history keeps it: what each was before, and by what it is known as it was left. */

import type { EntryOperation } from '../commit/proposal.js';
import { hash64 } from '../record/checksum.js';
import type { HistoryEntryChange } from '../record/history-row.js';
import { entryKey } from '../record/key.js';
import type { EntryChange } from '../record/record.js';
import { entryRow } from '../record/rows.js';
import type { LogView } from '../log/log.js';

/** Of an entry that was changed twice in one transaction, what it was before the first and after the last. */
export function changesForHistory(
  changes: readonly EntryChange[],
  operations: readonly EntryOperation[],
): HistoryEntryChange[] {
  const found = new Map<string, HistoryEntryChange>();
  for (const [index, change] of changes.entries()) {
    const { collection, key } = change;
    const name = `${collection}\0${key}`;
    const operation = operations[index];
    const after = operation?.type === 'put' ? hash64(operation.value) : 'absent';
    found.set(name, { ...(found.get(name) ?? change), after });
  }
  return [...found.values()];
}

/** The same of a transaction of which only the record is left: what it wrote is known as long as it is there. */
export function changesInLog(
  view: LogView,
  changes: readonly EntryChange[],
  revision: number,
): HistoryEntryChange[] {
  const found = new Map<string, HistoryEntryChange>();
  for (const change of changes) {
    const { collection, key } = change;
    const name = `${collection}\0${key}`;
    const at = entryKey(collection, key);
    const value = view.get('entries', at);
    const row = value === undefined ? undefined : entryRow.decode(at, value);
    const after = row === undefined ? 'absent' : row.revision === revision ? hash64(row.value) : 'unknown';
    if (!found.has(name)) found.set(name, { ...change, after });
  }
  return [...found.values()];
}
