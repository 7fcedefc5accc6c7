/**
 * Where a directory is after a power cut. It has no second copy, and its renames are atomic on the disk: so it is at one
 * of the places that the log knows of, or somebody has taken it elsewhere, or it never reached the disk at all.
 */

import { ancestors, inodeOf, type StorePath, type Target } from '@forewrit/core';
import type { PathHistory } from './path-history.js';

export interface DirectoryTraceParts {
  readonly target: Target;
  readonly boot: 'same' | 'other';
  readonly revision: number;
  readonly history: PathHistory;
  /** Whether a path shows this inode. */
  readonly holds: (path: StorePath, ino: bigint) => boolean;
}

export interface DirectoryTrace {
  /** Where the directory to be moved or removed is, if it is anywhere. */
  readonly place: StorePath | undefined;
  /** It was made, or its parents were, by a transaction that is still in the log: it may never have been durable. */
  readonly mayNeverHaveBeen: boolean;
}

const nowhere: DirectoryTrace = { place: undefined, mayNeverHaveBeen: false };

/** Of the directory that a target moves or removes. */
export function inodeOfDirectory({ action, before, after }: Target): bigint | undefined {
  return inodeOf(action === 'move-directory' ? after : before);
}

/**
 * Within one boot a directory is where the target takes it from, or not at all. After a power cut it may also be where
 * an older transaction took it from, if somebody who lives has the last word where that one took it to.
 */
export function traceDirectory({
  target,
  boot,
  revision,
  history,
  holds,
}: DirectoryTraceParts): DirectoryTrace {
  const isMove = target.action === 'move-directory';
  if (!isMove && target.action !== 'remove-directory') return nowhere;
  const ino = inodeOfDirectory(target);
  const start = isMove ? target.from : target.path;
  if (ino === undefined || start === undefined) return nowhere;
  if (holds(start, ino)) return { place: start, mayNeverHaveBeen: false };
  if (boot === 'same') return nowhere;
  const earlier = history.movesOf(target.volume, ino, revision).map(({ from }) => from);
  const place = earlier.find((each) => holds(each, ino));
  if (place !== undefined || !isMove) return { place, mayNeverHaveBeen: false };
  const stoodOn = [start, ...earlier].flatMap((each) => [each, ...ancestors(each)]);
  return { place: undefined, mayNeverHaveBeen: stoodOn.some((each) => history.wasMade(each, revision)) };
}
