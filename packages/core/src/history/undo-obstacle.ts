/** What stands in the way of an undo, and what is looked at to find it. */

import type { ErrorCode } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import type { Log } from '../log/log.js';
import type { Roots } from '../path/path.js';
import type { Folding } from '../record/key.js';

export interface HistoryAccess {
  readonly fileSystem: FileSystem;
  readonly log: Log;
  readonly roots: Roots;
  readonly folding: Folding;
}

export interface UndoObstacle {
  readonly code: ErrorCode;
  /** The path, or collection and key, that it is about. */
  readonly path: string;
  readonly message: string;
}

export function changed(path: string): UndoObstacle {
  return { code: 'ERR_CONFLICT', path, message: `'${path}' has changed since` };
}

/** What a plan or a commit met there is nothing that the transaction has left. */
export const metCodes: ReadonlySet<ErrorCode> = new Set([
  'ERR_EXTERNAL_EDIT',
  'ERR_EXISTS',
  'ERR_NOT_EMPTY',
  'ERR_NOT_FOUND',
  'ERR_IS_DIRECTORY',
  'ERR_NOT_DIRECTORY',
]);
