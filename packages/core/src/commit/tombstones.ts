/** Tombstones: which rows of `files` are of paths that are gone, so that somebody drops them when nothing can ask for them any more. */

import type { LogBatch } from '../log/log.js';
import type { StorePath } from '../path/path.js';
import { metaKeys, tombstoneRow } from '../record/rows.js';

/** One value is noted for so many: a change of the log each would be as dear as its row. */
export const pathsPerTombstone = 32;

/** Once for each revision. */
export function putTombstones(batch: LogBatch, revision: number, paths: readonly StorePath[]): void {
  for (let start = 0; start < paths.length; start += pathsPerTombstone) {
    const key = metaKeys.tombstone(revision, start / pathsPerTombstone);
    batch.put('meta', key, tombstoneRow.encode(key, paths.slice(start, start + pathsPerTombstone)));
  }
}
