/** Rows of the table `files`: what the newest committed transaction says of a path, and of all below a directory. */

import type { LogBatch, LogView } from '../log/log.js';
import { isBelow, joinPath, pathNames, type StorePath } from '../path/path.js';
import { type Folding, pathKey, pathKeyBytesMax, subtreeRange } from '../record/key.js';
import { type FileRow, fileRow } from '../record/rows.js';

export function rowOf(view: LogView, path: StorePath, folding: Folding): FileRow | undefined {
  const key = pathKey(path, folding);
  const value = view.get('files', key);
  return value === undefined ? undefined : fileRow.decode(key, value);
}

export function rowsBelow(view: LogView, directory: StorePath, folding: Folding): FileRow[] {
  const rows = view
    .range('files', subtreeRange(directory, folding))
    .map(([key, value]) => fileRow.decode(key, value));
  // The range of a very long directory holds others as well.
  return pathKey(directory, folding).length < pathKeyBytesMax
    ? rows
    : rows.filter(({ path }) => isBelow(path, directory));
}

export function putFileRow(batch: LogBatch, row: FileRow, folding: Folding): void {
  const key = pathKey(row.path, folding);
  batch.put('files', key, fileRow.encode(key, row));
}

/** Where a row's path is after a directory above it, however its path spells that, was moved to `to`. */
export function moved(path: StorePath, directory: StorePath, to: StorePath): StorePath {
  return joinPath(to, pathNames(path).slice(pathNames(directory).length).join('/'));
}

/** 0 if there is none. */
export function newestRevisionBelow(view: LogView, directory: StorePath, folding: Folding): number {
  return rowsBelow(view, directory, folding).reduce((newest, { revision }) => Math.max(newest, revision), 0);
}
