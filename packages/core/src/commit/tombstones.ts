/** Tombstones: which rows of `files` are of paths that are gone, so that somebody drops them when nothing can ask for them any more. */

import type { LogBatch } from '../log/log.js';
import type { StorePath } from '../path/path.js';
import type { Folding } from '../record/key.js';
import { type FileRow, metaKeys, tombstoneRow } from '../record/rows.js';
import { putFileRow } from './file-row.js';

/** One value is noted for so many: a change of the log each would be as dear as its row. */
export const pathsPerTombstone = 32;

/** Rows of one revision, with the tombstones of those that are gone. */
export function putRows(
  batch: LogBatch,
  revision: number,
  rows: Iterable<Omit<FileRow, 'revision'>>,
  folding: Folding,
): void {
  const gone: StorePath[] = [];
  for (const row of rows) {
    putFileRow(batch, { ...row, revision }, folding);
    if (row.image.type === 'absent') gone.push(row.path);
  }
  putTombstones(batch, revision, gone);
}

/** Once for each revision. */
export function putTombstones(batch: LogBatch, revision: number, paths: readonly StorePath[]): void {
  for (let start = 0; start < paths.length; start += pathsPerTombstone) {
    const key = metaKeys.tombstone(revision, start / pathsPerTombstone);
    batch.put('meta', key, tombstoneRow.encode(key, paths.slice(start, start + pathsPerTombstone)));
  }
}
