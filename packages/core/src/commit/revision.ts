/** The revision of the store: each commit that changes anything has the next one. */

import type { LogBatch, LogView } from '../log/log.js';
import { metaKeys, numberRow } from '../record/rows.js';

export function newestRevision(view: LogView): number {
  const value = view.get('meta', metaKeys.revision);
  return value === undefined ? 0 : numberRow.decode(metaKeys.revision, value);
}

export function nextRevision(batch: LogBatch): number {
  const revision = newestRevision(batch) + 1;
  batch.put('meta', metaKeys.revision, numberRow.encode(metaKeys.revision, revision));
  return revision;
}
