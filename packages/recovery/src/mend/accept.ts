/**
 * Records files as they are now: another program has written or removed them, or their bytes have rotted and nobody has
 * better ones. The files are not touched; they are made durable before the batch that writes their rows.
 */

import {
  absolutePath,
  ancestors,
  checksumOfFile,
  type FileRow,
  fileRow,
  formatChecksum,
  type Image,
  imageOf,
  isInLogOnly,
  type LogView,
  nextRevision,
  parsePath,
  pathKey,
  putRows,
  sameFingerprint,
  fingerprintOf,
  type StoreContext,
  StoreError,
  type StoreOptions,
  type StorePath,
  syncDirectoryIfThere,
  syncFile,
} from '@forewrit/core';
import { withRecovered } from '../recovered-store.js';

export interface AcceptReport {
  readonly revision: number;
  readonly paths: readonly {
    readonly path: StorePath;
    /** What is recorded now. */
    readonly is: Image['type'];
    readonly checksum?: string;
  }[];
}

/** All of them, or none.
 *
 * @throws StoreError ERR_NOT_FOUND for a path that the log does not know, ERR_CONFLICT if it is being saved meanwhile,
 * ERR_APPLY_BLOCKED if it is locked
 */
export async function accept(
  root: string | URL,
  paths: readonly string[],
  options: StoreOptions = {},
): Promise<AcceptReport> {
  return await withRecovered(root, { ...options, op: 'accept' }, ({ context }) => acceptAll(context, paths));
}

interface Accepted {
  readonly row: FileRow;
  readonly image: Image;
}

function acceptAll(context: StoreContext, paths: readonly string[]): AcceptReport {
  const { log, folding, roots } = context;
  const wanted = new Set(paths.map((path) => parsePath(path, roots, 'accept')));
  const accepted = [...wanted].map((path): Accepted => {
    const row = log.view((view) => rowAt(context, view, path));
    return { row, image: lookAt(context, row.path) };
  });
  const revision = log.commit((batch) => {
    const next = nextRevision(batch);
    for (const { row } of accepted) {
      if (rowAt(context, batch, row.path).revision !== row.revision) throw changing(row.path);
    }
    const rows = accepted.map(({ row, image }) => ({ ...row, image }));
    putRows(batch, next, rows, folding);
    return next;
  });
  return {
    revision,
    paths: accepted.map(({ row: { path }, image }) => ({
      path,
      is: image.type,
      ...(image.type === 'file' && image.checksum !== undefined
        ? { checksum: formatChecksum(image.checksum) }
        : {}),
    })),
  };
}

/** Its row, if nobody is about to write there. */
function rowAt({ folding }: StoreContext, view: LogView, path: StorePath): FileRow {
  const key = pathKey(path, folding);
  const value = view.get('files', key);
  if (value === undefined) {
    throw new StoreError('ERR_NOT_FOUND', `The log knows nothing of '${path}'`, {
      op: 'accept',
      path,
      hint: 'Only what was saved through the store has a record.',
    });
  }
  if (view.get('locks', key) !== undefined) {
    throw new StoreError('ERR_APPLY_BLOCKED', `'${path}' is locked by a transaction`, {
      op: 'accept',
      path,
      hint: '`forewrit check` says which, and how to settle it.',
    });
  }
  const row = fileRow.decode(key, value);
  if (isInLogOnly(row.image)) throw changing(path);
  return row;
}

function lookAt({ fileSystem, roots }: StoreContext, path: StorePath): Image {
  const absolute = absolutePath(path, roots);
  const stat = fileSystem.lstat(absolute);
  let checksum: bigint | undefined;
  if (stat?.type === 'file') {
    checksum = checksumOfFile(fileSystem, absolute);
    syncFile(fileSystem, absolute);
    const now = fileSystem.lstat(absolute);
    if (now?.type !== 'file' || !sameFingerprint(fingerprintOf(stat), fingerprintOf(now)))
      throw changing(path);
  }
  for (const above of ancestors(path)) syncDirectoryIfThere(fileSystem, absolutePath(above, roots));
  return imageOf(stat, checksum);
}

function changing(path: StorePath): StoreError {
  return new StoreError('ERR_CONFLICT', `'${path}' is being written just now`, {
    op: 'accept',
    path,
    hint: 'Nothing was recorded. Check again.',
  });
}
