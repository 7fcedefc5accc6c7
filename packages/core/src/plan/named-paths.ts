/** The paths that operations name, and whether somebody is about to change what stands there. */

import { lockedBy } from '../commit/lock.js';
import { type ErrorCode, isStoreError } from '../errors.js';
import type { LogView } from '../log/log.js';
import type { StorePath } from '../path/path.js';
import type { Folding } from '../record/key.js';
import type { TransactionNumber } from '../record/record.js';
import type { LockRow } from '../record/rows.js';
import type { FileOperation } from './resolution.js';

/** What a plan says of what it finds. */
const ofTheTree: ReadonlySet<string> = new Set<ErrorCode>([
  'ERR_EXISTS',
  'ERR_IS_DIRECTORY',
  'ERR_NOT_DIRECTORY',
  'ERR_NOT_EMPTY',
  'ERR_NOT_FOUND',
]);

export function namedBy(operation: FileOperation): StorePath[] {
  switch (operation.type) {
    case 'write': {
      const { backup } = operation.options;
      return backup === undefined ? [operation.path] : [operation.path, backup];
    }
    case 'copy':
    case 'rename':
      return [operation.from, operation.path];
    default:
      return [operation.path];
  }
}

/** What is half applied refuses what can be done before and after it, and lets nobody know: the lock of whoever is at it. */
export function lockBehind(
  error: unknown,
  view: LogView,
  {
    operations,
    folding,
    isEnding,
  }: {
    readonly operations: readonly FileOperation[];
    readonly folding: Folding;
    readonly isEnding?: (transaction: TransactionNumber) => boolean;
  },
): LockRow | undefined {
  if (!isStoreError(error) || !ofTheTree.has(error.code)) return undefined;
  const paths = operations.flatMap((each) => namedBy(each));
  const targets = paths.map((path) => ({ action: 'make-directory', path }) as const);
  return lockedBy(view, { targets, entries: [] }, folding, isEnding)?.lock;
}
