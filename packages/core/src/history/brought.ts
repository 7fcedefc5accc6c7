/** A directory that an undo has brought back: whether it is as it was then, and what it holds now. */

import { changedCodes, hasCode } from '../errors.js';
import { checksumOfFile } from '../files/content.js';
import type { FileStat } from '../files/file-system.js';
import { absolutePath, isReservedPath, joinPath } from '../path/path.js';
import type { HistoryRow, HistoryTarget } from '../record/history-row.js';
import { fingerprintOf, sameFingerprint } from '../record/image.js';
import type { Listed } from '../record/record.js';
import type { HistoryAccess } from './undo-obstacle.js';

/**
 * All that it holds, as it is now; `undefined` if anything in it has changed, come or gone. What the same transaction has put
 * there is looked at as its own.
 */
export function lookAtBrought(
  access: HistoryAccess,
  row: HistoryRow,
  target: HistoryTarget,
): Listed[] | undefined {
  try {
    return look(access, row, target);
  } catch (error) {
    // Somebody takes it away while it is looked at.
    if (hasCode(error, changedCodes)) return undefined;
    throw error;
  }
}

function look(
  { fileSystem, roots }: HistoryAccess,
  row: HistoryRow,
  { path: top, brought = [] }: HistoryTarget,
): Listed[] | undefined {
  const others = new Set(row.targets.map(({ path }) => path));
  const expected = new Map(brought.map((each) => [each.name, each]));
  const found: Listed[] = [];
  const pending = [''];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const child of fileSystem.list(absolutePath(joinPath(top, next), roots))) {
      const name = next === '' ? child : `${next}/${child}`;
      const path = joinPath(top, name);
      const absolute = absolutePath(path, roots);
      const stat = isReservedPath(path) ? undefined : fileSystem.lstat(absolute);
      if (stat === undefined) continue;
      const isAnothers = others.has(path);
      // A directory that came here goes back first, with all that it holds.
      if (isAnothers && stat.type === 'directory') continue;
      found.push({ name, type: stat.type, fingerprint: fingerprintOf(stat) });
      if (isAnothers) continue;
      const listed = expected.get(name);
      if (listed === undefined || !isAsListed(stat, listed, () => checksumOfFile(fileSystem, absolute)))
        return undefined;
      expected.delete(name);
      if (stat.type === 'directory') pending.push(name);
    }
  }
  return expected.size > 0 ? undefined : found;
}

function isAsListed(stat: FileStat, listed: Listed, checksum: () => bigint): boolean {
  if (stat.type !== listed.type) return false;
  if (stat.type === 'directory' || sameFingerprint(listed.fingerprint, fingerprintOf(stat))) return true;
  if (stat.type !== 'file' || stat.size !== listed.fingerprint.size) return false;
  return checksum() === listed.checksum;
}
