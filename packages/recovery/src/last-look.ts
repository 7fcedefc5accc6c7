/**
 * The last look at what is let go of, before the batch that forgets it: content that somebody wrote into a before-image
 * is not ours to drop.
 */

import {
  absolutePath,
  beforePath,
  type LoggedTransaction,
  saveEditedBefore,
  type Target,
  type Volume,
} from '@forewrit/core';
import { bootOf } from './analysis.js';
import type { SavedConflict } from './conflicts.js';
import type { RecoveryContext } from './recovery-context.js';

/** `keeps`: positions of the targets whose before-images stay. */
export function saveEdited(
  context: RecoveryContext,
  transaction: LoggedTransaction,
  keeps?: ReadonlySet<number>,
): SavedConflict[] {
  return transaction.targets.flatMap((target) => {
    if (keeps?.has(target.index) === true) return [];
    const volume = context.volume(target.volume);
    if (volume === undefined || isTornBefore(context, { transaction, target, volume })) return [];
    const absolute = absolutePath(target.path, context.roots);
    return saveEditedBefore(context.fileSystem, { target, volume, absolute }, transaction.id);
  });
}

/** After a power cut a before-image may have lost its last writes. Only a newer mtime is a sign of somebody. */
function isTornBefore(
  context: RecoveryContext,
  {
    transaction,
    target,
    volume,
  }: { readonly transaction: LoggedTransaction; readonly target: Target; readonly volume: Volume },
): boolean {
  const { before, beforeName } = target;
  if (before.type !== 'file' || beforeName === undefined) return false;
  if (bootOf(context, transaction, target) === 'same') return false;
  const stat = context.fileSystem.lstat(beforePath(volume, beforeName));
  return stat?.type === 'file' && stat.mtimeNs <= before.fingerprint.mtimeNs;
}
