/**
 * Compares the files, what is staged to be continued, and what history keeps, with what the log says of them, after a look at all
 * of the log. Reads only.
 */

import {
  absolutePath,
  checksumOfFile,
  decodeTransaction,
  type FileRow,
  fileRow,
  findResumable,
  fingerprintOf,
  isInLogOnly,
  listResumables,
  parsePath,
  pathKey,
  type Resumable,
  sameFingerprint,
  showsImage,
  type StoreAccess,
  systemCode,
  type Target,
  transactionRange,
  type VerifyReport,
} from '@forewrit/core';

import { verifyHistory } from './verify-history.js';

type Finding = VerifyReport['findings'][number];

/**
 * `damaged`: the content is not what was written, though nobody has touched the file's time: bytes have rotted. `changed`:
 * another program has written it since, which is allowed.
 */
export function verify(access: StoreAccess, options: { readonly paths?: readonly string[] }): VerifyReport {
  if (options.paths === undefined) access.log.examine();
  const findings: Finding[] = [];
  const rows = rowsToCheck(access, options.paths);
  for (const row of rows) {
    const finding = verifyRow(access, row);
    if (finding !== undefined) findings.push(finding);
  }
  const staged = options.paths === undefined ? access.log.view(listResumables) : [];
  for (const { resumable } of staged) {
    const finding = checkStaged(access, resumable);
    if (finding !== undefined) findings.push(finding);
  }
  const kept = options.paths === undefined ? verifyHistory(access) : { checked: 0, findings: [] };
  findings.push(...kept.findings);
  return { checked: rows.length + staged.length + kept.checked, findings };
}

function rowsToCheck(access: StoreAccess, paths: readonly string[] | undefined): FileRow[] {
  return access.log.view((view) => {
    if (paths === undefined) {
      return view
        .range('files', { start: new Uint8Array(0) })
        .map(([key, value]) => fileRow.decode(key, value))
        .filter((row) => row.image.type === 'file');
    }
    const found: FileRow[] = [];
    for (const path of paths) {
      const key = pathKey(parsePath(path, access.roots, 'verify'), access.folding);
      const value = view.get('files', key);
      if (value !== undefined) found.push(fileRow.decode(key, value));
    }
    return found;
  });
}

/** One file against its row; `undefined` if it is as it should be. */
export function verifyRow(access: StoreAccess, row: FileRow): Finding | undefined {
  const { path, image } = row;
  if (image.type !== 'file') return undefined;
  const absolute = absolutePath(path, access.roots);
  try {
    const stat = access.fileSystem.lstat(absolute);
    const deferred = deferredTarget(access, row);
    if (deferred !== undefined) {
      if (showsImage(stat, deferred.before)) return undefined;
      return {
        path,
        problem: 'changed',
        detail: 'written by another program; a deferred save waits in the log',
      };
    }
    if (stat === undefined) return { path, problem: 'missing', detail: 'there is no such file any more' };
    if (stat.type !== 'file') return { path, problem: 'changed', detail: `it is a ${stat.type} now` };
    const touched = !sameFingerprint(image.fingerprint, fingerprintOf(stat));
    if (image.checksum === undefined) {
      return touched ? { path, problem: 'changed', detail: 'written by another program' } : undefined;
    }
    if (checksumOfFile(access.fileSystem, absolute) === image.checksum) return undefined;
    return touched
      ? { path, problem: 'changed', detail: 'written by another program' }
      : { path, problem: 'damaged', detail: 'the content is not what was written' };
  } catch (error) {
    return { path, problem: 'unreadable', detail: systemCode(error) ?? String(error) };
  }
}

/** What the log has of a file that is still to follow: looked at, with all its checksums, when it is decoded. */
function deferredTarget(access: StoreAccess, { path, transaction, image }: FileRow): Target | undefined {
  if (!isInLogOnly(image)) return undefined;
  const { owner, counter } = transaction;
  const rows = access.log.view((view) => view.range('log', transactionRange(owner, counter)));
  if (rows.length === 0) return undefined;
  const { begin, targets } = decodeTransaction(transaction, rows);
  return begin?.deferred === true ? targets.find((each) => each.path === path) : undefined;
}

/** What is durable of content that is staged over time; what follows means nothing yet. */
function checkStaged(access: StoreAccess, resumable: Resumable): Finding | undefined {
  const { id, volume, staged, offset, checksum } = resumable;
  const path = volume === '' ? `.forewrit/staged/${staged}` : `${volume}/.forewrit-staged/staged/${staged}`;
  const look = (): Finding | undefined => {
    const file = `${access.stagingPlaces.place(volume).directory}/${staged}`;
    const stat = access.fileSystem.lstat(file);
    if (stat === undefined && !access.stagingPlaces.isThere(volume))
      return {
        path,
        problem: 'unreadable',
        detail: `the file system of the staged content '${id}' is not there`,
      };
    if (stat === undefined) return { path, problem: 'missing', detail: `the staged content '${id}' is gone` };
    const found =
      stat.type === 'file' && stat.size >= offset
        ? checksumOfFile(access.fileSystem, file, offset)
        : undefined;
    if (found === checksum) return undefined;
    return { path, problem: 'damaged', detail: `the staged content '${id}' is not what was staged` };
  };
  try {
    const finding = look();
    // It may have been adopted or discarded meanwhile.
    return finding === undefined || !isStill(access, resumable) ? undefined : finding;
  } catch (error) {
    return { path, problem: 'unreadable', detail: systemCode(error) ?? String(error) };
  }
}

function isStill(access: StoreAccess, { id, staged }: Resumable): boolean {
  return access.log.view((view) => findResumable(view, id))?.resumable.staged === staged;
}
