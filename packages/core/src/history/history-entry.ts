/** A transaction as `history()` shows it. */

import { whatWasDone, type HistoryPath } from './history-path.js';
import { findObstacle } from './obstacle.js';
import type { HistoryAccess, UndoObstacle } from './undo-obstacle.js';
import type { HistoryRow } from '../record/history-row.js';
import { isBelow, type StorePath } from '../path/path.js';
import { transactionId, type TransactionId } from '../record/record.js';

export interface HistoryEntry {
  readonly transaction: TransactionId;
  readonly revision: number;
  /** Milliseconds since 1970, by the clock of the process that committed it. */
  readonly committedAtMs: number;
  readonly paths: readonly HistoryPath[];
  readonly entries: readonly {
    readonly collection: string;
    readonly key: string;
    readonly did: 'put' | 'deleted';
  }[];
  /** Content that is kept for its undo. */
  readonly keptBytes: number;
  /** Whether `undo` would be carried out as things are now. */
  readonly undoable: boolean;
  /** Why not: what `undo` would throw. */
  readonly obstacle?: UndoObstacle;
}

export function describe(access: HistoryAccess, row: HistoryRow): HistoryEntry {
  const obstacle = findObstacle(access, row);
  return {
    transaction: transactionId(row.number),
    revision: row.revision,
    committedAtMs: row.committedAtMs,
    paths: whatWasDone(row),
    entries: row.entries.map(({ collection, key, after }) => ({
      collection,
      key,
      did: after === 'absent' ? 'deleted' : 'put',
    })),
    keptBytes: row.keptBytes,
    undoable: obstacle === undefined,
    ...(obstacle === undefined ? {} : { obstacle }),
  };
}

/** Whether it is about a path, or something below it. */
export function isAbout(row: HistoryRow, asked: StorePath): boolean {
  return row.targets.some(({ path, from, below, brought }) =>
    [path, ...(from === undefined ? [] : [from])].some(
      (each) =>
        each === asked ||
        asked === '' ||
        isBelow(each, asked) ||
        [below, brought].some((names) => names?.some(({ name }) => `${each}/${name}` === asked)),
    ),
  );
}
