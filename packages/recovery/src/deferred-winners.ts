/**
 * Deferred transactions of dead owners: committed, and nothing of them is in the files, nor in the staging areas. Before
 * anything is decided about one its record is replaced by that of an ordinary transaction, whose targets have apply names:
 * so a missing one proves the apply for them as it does for all others, whoever recovers next. The names are empty files
 * until the redo puts the content there. For history what is replaced gets its name in `before/` at the same time.
 *
 * Names first, the batch after them: a recorded name that is missing would be taken for an apply.
 */

import {
  absolutePath,
  beforePath,
  encodeCommitBatch,
  type Log,
  type LoggedTransaction,
  removeTree,
  showsImage,
  stagedPath,
  type Target,
} from '@forewrit/core';
import { linkBefore } from './fresh-file.js';
import { inBatches } from './completion.js';
import { isReachable, type RecoveryContext, targetName } from './recovery-context.js';

/** The same transactions, those that were deferred as ordinary ones. */
export function nameDeferred(
  log: Log,
  context: RecoveryContext,
  winners: readonly LoggedTransaction[],
): LoggedTransaction[] {
  const named = winners.map((transaction) =>
    isToBeNamed(context, transaction) ? withNames(context, transaction) : transaction,
  );
  const changed = named.filter((transaction, index) => transaction !== winners[index]);
  for (const chunk of inBatches(changed.map((transaction) => ({ transaction, weight: 1 })))) {
    log.commit(
      (batch) => {
        for (const { transaction } of chunk) {
          const { number, begin, commit, targets } = transaction;
          const revision = commit!.revision;
          batch.put('log', ...encodeCommitBatch({ number, begin: begin!, targets, revision, entries: [] }));
        }
      },
      { essential: true },
    );
  }
  return named;
}

/** Where a file system or root is not there the transaction is blocked, and stays as it is. */
function isToBeNamed(context: RecoveryContext, { begin, targets }: LoggedTransaction): boolean {
  return begin?.deferred === true && targets.every((target) => isReachable(context, target));
}

function withNames(context: RecoveryContext, transaction: LoggedTransaction): LoggedTransaction {
  const { deferred: _deferred, ...begin } = transaction.begin!;
  const targets = transaction.targets.map((target): Target => {
    const applyName = `${targetName(transaction.id, target)}.apply`;
    makeEmpty(context, target, applyName);
    const beforeName = begin.keeps === true ? nameBefore(context, transaction, target) : undefined;
    return { ...target, applyName, ...(beforeName === undefined ? {} : { beforeName }) };
  });
  return { ...transaction, begin, targets };
}

/** For history: what the files had before the first of the saves. Where no link can be had it is not kept. */
function nameBefore(
  { fileSystem, roots, volume }: RecoveryContext,
  { id }: LoggedTransaction,
  target: Target,
): string | undefined {
  const absolute = absolutePath(target.path, roots);
  if (target.before.type === 'absent' || !showsImage(fileSystem.lstat(absolute), target.before))
    return undefined;
  const name = targetName(id, target);
  const path = beforePath(volume(target.volume)!, name);
  removeTree(fileSystem, path);
  return linkBefore(fileSystem, absolute, path) ? name : undefined;
}

/** What stands there already is of a recovery that has not come as far as the batch. */
function makeEmpty({ fileSystem, volume }: RecoveryContext, target: Target, name: string): void {
  const path = stagedPath(volume(target.volume)!, name);
  removeTree(fileSystem, path);
  fileSystem.close(fileSystem.create(path, 0o600));
}
