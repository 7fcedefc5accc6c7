/** What a plan must not exceed and must be allowed to change: found out before anything is staged. */

import { markKeysMax } from '../commit/mark.js';
import { pathsPerTombstone } from '../commit/tombstones.js';
import type { EntryOperation, Proposal } from '../commit/proposal.js';
import { StoreError } from '../errors.js';
import { requireSpace } from '../files/free-space.js';
import { batchChangesMax } from '../log/log-limits.js';
import { absolutePath, joinPath, parentPath, type StorePath } from '../path/path.js';
import type { Image } from '../record/image.js';
import type { Target } from '../record/record.js';
import type { StoreContext } from '../store/store-context.js';
import { baseTree } from './base-tree.js';
import { partSize } from './operation.js';
import type { PlannedTarget } from './plan.js';

/** Targets of one transaction, and files below a directory that it moves or removes. */
export const targetsMax = 100_000;

/** What a batch holds beside the changes of one transaction: locks that it lets go of, the revision, its records. */
const changesMax = batchChangesMax - markKeysMax - 100;

const broughtMax = 10_000;

/** The row of something below a directory that goes, and what is noted beside: many paths in one value. */
const changesOfGone = 1 + 1 / pathsPerTombstone;
/** With a lock. */
const changesOfPath = 1 + changesOfGone;

type Counted = Pick<PlannedTarget, 'action' | 'displaced' | 'tree'>;

/** `undone`: the undo, too, must fit into one commit. */
export function checkChanges(
  targets: readonly Counted[],
  entries: readonly unknown[],
  { undone }: { readonly undone: boolean },
): void {
  if (changesOf(targets, entries, undone) <= changesMax) return;
  throw new StoreError(
    'ERR_TOO_MANY',
    `The transaction changes more than fits into one commit (${targets.length} paths)`,
    {
      op: 'commit',
      hint: 'Split it into several transactions.',
    },
  );
}

/** Of a commit's batch; of that of its undo, where that needs more. */
function changesOf(targets: readonly Counted[], entries: readonly unknown[], undone: boolean): number {
  const paths = targets.reduce((sum, target) => sum + pathsChanged(target, undone), 0);
  return 2 * entries.length + paths * changesOfPath;
}

function pathsChanged({ action, displaced, tree }: Counted, undone: boolean): number {
  switch (action) {
    case 'make-parent':
      return undone ? 1 : 0;
    case 'move-directory':
      if (tree !== undefined) return 1;
      return undone && displaced !== undefined ? 3 : 2;
    default:
      return 1;
  }
}

/**
 * Of the files that come with directories from history each gets a row, unless they are too many for that. `rowsBelow`: how
 * many there are below a path, which are written as well.
 */
export function broughtFiles(
  targets: readonly PlannedTarget[],
  entries: readonly unknown[],
  rowsBelow: (path: StorePath) => number,
): Proposal['brought'] {
  const trees = targets.filter(({ tree }) => tree !== undefined);
  if (trees.length === 0) return [];
  const others = trees.reduce((sum, { path }) => sum + rowsBelow(path), changesOf(targets, entries, true));
  const room = Math.min((changesMax - others) / changesOfGone, broughtMax);
  const files: { path: StorePath; image: Image }[] = [];
  for (const { path, tree } of trees) {
    for (const { name, type, fingerprint, mode, checksum } of tree?.listing ?? []) {
      if (type !== 'file') continue;
      if (files.length >= room) return [];
      const image: Image = { type, fingerprint, mode, ...(checksum === undefined ? {} : { checksum }) };
      files.push({ path: joinPath(path, name), image });
    }
  }
  return files;
}

const spaceCheckBytes = 1 << 20;

export function checkSizes(context: StoreContext, targets: readonly PlannedTarget[]): void {
  const { maxFileBytes, maxTransactionBytes, reserveBytes } = context.options;
  let total = 0;
  let toWrite = 0;
  for (const target of targets) {
    if (target.action !== 'write' || target.file === undefined) continue;
    const base = target.file.copyOf;
    const begun = base === undefined ? 0 : (baseTree(context).stat(base)?.size ?? 0);
    const size = target.file.parts.reduce((sum, part) => sum + partSize(part), begun);
    total += size;
    const alone = base === undefined && target.file.parts.length === 1;
    if (!alone || target.file.parts[0]?.kind === 'bytes') toWrite += size;
    if (maxFileBytes !== undefined && size > maxFileBytes) throw tooLarge(target.path, size, maxFileBytes);
  }
  if (maxTransactionBytes !== undefined && total > maxTransactionBytes) {
    throw tooLarge('the transaction', total, maxTransactionBytes);
  }
  // Small saves are covered by the floor that the log keeps; only what could eat into it is worth a look here. What the
  // caller's thread has staged is on the disk already.
  if (toWrite < spaceCheckBytes) return;
  requireSpace(context.fileSystem, context.layout.directory, { op: 'commit', bytes: toWrite, reserveBytes });
}

function tooLarge(what: string, size: number, limit: number): StoreError {
  return new StoreError('ERR_TOO_LARGE', `'${what}' has ${size} bytes; the limit is ${limit}`, {
    op: 'commit',
    path: what,
    hint: 'Raise maxFileBytes or maxTransactionBytes when opening the store. Nothing was changed.',
  });
}

/** A directory that we may not change is found out here, before anything is staged. */
export function checkPermissions(
  { fileSystem, roots }: StoreContext,
  targets: readonly PlannedTarget[],
): void {
  if (fileSystem.mayChange === undefined) return;
  const asked = new Set<StorePath>();
  for (const target of targets) {
    for (const path of target.from === undefined ? [target.path] : [target.path, target.from]) {
      const parent = parentPath(path);
      if (parent === undefined || asked.has(parent)) continue;
      asked.add(parent);
      if (fileSystem.mayChange(absolutePath(parent, roots))) continue;
      throw new StoreError(
        'ERR_PERMISSION',
        `The directory '${parent === '' ? '.' : parent}' may not be changed`,
        {
          op: 'commit',
          path,
          hint: 'Check its owner and mode, and whether its file system is mounted read-only. Nothing was changed.',
        },
      );
    }
  }
}

export function estimateLogBytes(targets: readonly Target[], entries: readonly EntryOperation[]): number {
  let bytes = 4096;
  for (const target of targets) {
    bytes += 1024 + 6 * target.path.length + (target.content?.byteLength ?? 0);
    for (const listed of target.listing ?? []) bytes += 80 + 3 * listed.name.length;
  }
  for (const entry of entries)
    bytes += 256 + 3 * entry.key.length + (entry.type === 'put' ? entry.value.byteLength : 0);
  return bytes;
}
