/**
 * The table of recovery: from what was observed of one path of one transaction to what is done there. The first row
 * that matches decides. It is pure, and total over everything that can be observed: its test goes through all of it.
 *
 * What it protects: a committed change is never lost, a file that somebody has edited since is never overwritten on
 * the same boot, and nothing that is not ours is destroyed without a copy. `docs/recovery.md` explains each row.
 *
 * A path whose row says `redo` and which cannot be redone blocks its whole transaction (row 14).
 */

import { assert } from '@forewrit/core';

/**
 * What is known of one path of a transaction whose owner is dead. Recovery hands in an object that looks only when it
 * is asked, so that nothing is read that no row needs; here it does not matter.
 */
export interface Observation {
  /**
   * `refused`: damaged, of an unknown version, or not whole. `uncommitted`: nothing after `begin` and `stage`.
   * `aborted`: rolled back, and the abort is flushed.
   */
  readonly records: 'refused' | 'uncommitted' | 'aborted' | 'committed';
  /** An uncommitted operation that may still be continued. */
  readonly resumable: boolean;
  /** A newer committed transaction has written this path: it decides there. */
  readonly superseded: boolean;
  /** Whether the page cache that the transaction wrote to is still there. Doubt is `other`. */
  readonly boot: 'same' | 'other';
  /** There is an `applied` record of this very boot. */
  readonly applied: boolean;
  /** A file: the content. A move: the inode, or a copy of it. A directory that is made: any directory. A removal: absence. */
  readonly showsAfter: boolean;
  /**
   * The name that the apply consumes is gone, the removed thing stands in `before/`, or the moved directory is not at
   * its source any more.
   */
  readonly provenApplied: boolean;
  /** By inode and mtime; a directory, and what a redo moves elsewhere with it, by inode. Or absent as before. */
  readonly showsBefore: boolean;
  /** The directory that should hold it is gone, and this transaction does not make it. */
  readonly parentGone: boolean;
  /** It is the inode of this target's staged name, whose content was durable before the commit (never inline). */
  readonly sharesStagedInode: boolean;
  /** What an older transaction that is still in the log found or left here. */
  readonly showsOlder: boolean;
  /** No regular file, an inode that no record in the log names, or an mtime newer than any recorded for this path. */
  readonly foreign: boolean;
  /** What a redo would take its content from. */
  readonly source: 'sound' | 'missing' | 'damaged';
  /** The way to the path leads out of the store, or through something that is no directory. */
  readonly escapes: boolean;
}

/**
 * - `refuse`: the store is not opened, and nothing is deleted.
 * - `wait`: an operation that may be continued stays as it is.
 * - `sweep`: what the transaction holds goes; no target of it is touched.
 * - `skip`: nothing but the flush of its directory. The transaction stays in the log as long as the newer one is blocked.
 * - `leave`: nothing is touched; flushed if it still is our inode.
 * - `keep`: what is there stays; flushed if it still is our inode, whoever has written into it.
 * - `redo`: the after-image is put there.
 * - `block`: none of the transaction's paths is touched, and all stay locked.
 */
export type Verdict = 'refuse' | 'wait' | 'sweep' | 'skip' | 'leave' | 'keep' | 'redo' | 'block';

export interface Decision {
  readonly row: number;
  readonly verdict: Verdict;
  /** What goes into `conflicts/` first: what is there, or what the transaction would have put there. */
  readonly save: 'nothing' | 'theirs' | 'ours';
  /** A person should hear of it. */
  readonly report: boolean;
  /** The mode of the after-image is set again: the change of it may have been lost, or never made. */
  readonly restoreMode: boolean;
  readonly reason: string;
}

interface Row {
  readonly row: number;
  readonly when: (observed: Observation) => boolean;
  readonly verdict: Verdict;
  readonly save?: Decision['save'];
  readonly report?: true;
  readonly reason: string;
}

const same = ({ boot }: Observation): boolean => boot === 'same';

/** In the order in which they are tried. */
export const decisionTable: readonly Row[] = [
  {
    row: 1,
    when: ({ records }) => records === 'refused',
    verdict: 'refuse',
    reason: 'its records cannot be trusted',
  },
  {
    row: 2,
    when: ({ records, resumable }) => records === 'uncommitted' && resumable,
    verdict: 'wait',
    reason: 'it is not committed, and may still be continued',
  },
  {
    row: 2,
    when: ({ records }) => records === 'uncommitted',
    verdict: 'sweep',
    reason: 'it was never committed',
  },
  {
    row: 3,
    when: ({ records }) => records === 'aborted',
    verdict: 'sweep',
    reason: 'it was rolled back, and all its targets were made durable before that was recorded',
  },
  {
    row: 4,
    when: ({ superseded }) => superseded,
    verdict: 'skip',
    reason: 'a newer transaction decides here',
  },
  {
    row: 5,
    when: (observed) => same(observed) && observed.applied,
    verdict: 'leave',
    reason: 'it was applied in this boot: whatever is there now is there on purpose',
  },
  {
    row: 6,
    when: ({ showsAfter }) => showsAfter,
    verdict: 'keep',
    reason: 'it is as the transaction wants it',
  },
  {
    row: 7,
    when: (observed) => same(observed) && observed.provenApplied,
    verdict: 'keep',
    report: true,
    reason: 'it was applied, and somebody has changed it since',
  },
  {
    row: 8,
    when: (observed) => observed.showsBefore && !(same(observed) && observed.parentGone),
    verdict: 'redo',
    reason: 'it is as it was before the transaction',
  },
  {
    row: 9,
    when: ({ sharesStagedInode }) => sharesStagedInode,
    verdict: 'keep',
    report: true,
    reason: 'it is our file, which was durable, with the content that somebody has written into it since',
  },
  {
    row: 10,
    when: (observed) => !same(observed) && observed.showsOlder,
    verdict: 'redo',
    reason: 'an older state came back that the log still knows',
  },
  {
    row: 11,
    when: ({ foreign }) => foreign,
    verdict: 'keep',
    save: 'ours',
    report: true,
    reason: 'what is there is not ours',
  },
  {
    row: 12,
    when: same,
    verdict: 'keep',
    save: 'ours',
    report: true,
    reason: 'somebody has changed it: nothing is torn within one boot',
  },
  {
    row: 13,
    when: () => true,
    verdict: 'redo',
    save: 'theirs',
    report: true,
    reason: 'it is torn, or was lost',
  },
];

/** Not tried in turn: it takes the place of a `redo` that cannot be carried out. */
export const blockedRow: Omit<Row, 'when'> = {
  row: 14,
  verdict: 'block',
  report: true,
  reason: 'it would have to be redone, and cannot be',
};

export function decide(observed: Observation): Decision {
  const row = decisionTable.find(({ when }) => when(observed));
  assert(row !== undefined, 'the last row of the table matches everything');
  if (row.verdict === 'redo' && (observed.escapes || observed.source !== 'sound')) {
    return toDecision(blockedRow, false);
  }
  // What is still to be applied has never had its mode; what another boot left may have lost it.
  return toDecision(row, row.row === 6 && !(same(observed) && observed.provenApplied));
}

const unseen: Observation = {
  records: 'uncommitted',
  resumable: false,
  superseded: false,
  boot: 'other',
  applied: false,
  showsAfter: false,
  provenApplied: false,
  showsBefore: false,
  parentGone: false,
  sharesStagedInode: false,
  showsOlder: false,
  foreign: false,
  source: 'missing',
  escapes: false,
};

/** Of what was never committed no path is looked at. */
export function decideUncommitted({ resumable }: Pick<Observation, 'resumable'>): Decision {
  return decide({ ...unseen, resumable });
}

export function toDecision(
  {
    row,
    verdict,
    save = 'nothing',
    report = false,
    reason,
  }: Omit<Row, 'when' | 'report'> & { report?: boolean },
  restoreMode = false,
): Decision {
  return { row, verdict, save, report, restoreMode, reason };
}
