/** Finding owners that are proven dead, and having recovered what they left in the log. */

import { isUnfinished } from '../commit/resumable.js';
import { StoreError } from '../errors.js';
import type { LogView } from '../log/log.js';
import { type Owner, probeOwner } from '../owner/owner.js';
import type { ProcessIdentity } from '../owner/process-identity.js';
import { ownerRange } from '../record/key.js';
import { deregisterOwner, readOwners, type StoreContext } from '../store/store-context.js';
import { emptyRecoveryReport, type Recoverer, type Recovery } from './recoverer.js';

/** Owners that are proven dead. A live one in another pid namespace is refused: LMDB's reader table goes by pid. */
export async function findDead(context: StoreContext, self?: Owner): Promise<Owner[]> {
  const dead: Owner[] = [];
  const selfNumbers = new Set(self === undefined ? [] : [self.number]);
  const { probeWitness } = context.options;
  for (const owner of context.log.view(readOwners)) {
    const liveness = await probeOwner(owner, {
      processTable: context.processTable,
      witnessDirectory: context.layout.log,
      selfNumbers,
      ...(probeWitness === undefined ? {} : { probeWitness }),
    });
    const declaredDead =
      owner.number !== self?.number && context.options.ownersDead?.includes(owner.id) === true;
    if (!liveness.alive || declaredDead) dead.push(owner);
    else if (isElsewhere(owner, context.processTable.identity())) throw otherNamespace(owner);
  }
  return dead;
}

function isElsewhere(owner: Owner, identity: ProcessIdentity): boolean {
  const theirs = owner.identity.pidNamespace;
  return theirs !== '' && identity.pidNamespace !== '' && theirs !== identity.pidNamespace;
}

function otherNamespace(owner: Owner): StoreError {
  return new StoreError(
    'ERR_STORE_LOCKED',
    `The store is open in another pid namespace (owner ${owner.id})`,
    {
      op: 'open',
      hint:
        'Close it there first, or run both in one pid namespace. If that process is gone for certain: forewrit recover --owner-dead ' +
        owner.id,
    },
  );
}

export async function recoverOrRefuse(
  context: StoreContext,
  recoverer: Recoverer | undefined,
  dead: readonly Owner[],
  self: Owner,
): Promise<Recovery> {
  if (recoverer !== undefined) return await recoverer.recover(context, dead, self);
  const gone = new Set(dead.map(({ number }) => number));
  const left = context.log.view((view) => {
    const living = readOwners(view).filter(({ number }) => !gone.has(number) && number !== self.number);
    return belongsToOthers(view, living);
  });
  if (left) {
    throw new StoreError('ERR_RECOVERY_REQUIRED', 'The log holds transactions that nobody will finish', {
      op: 'open',
      path: context.roots.root,
      hint: 'Open the store with openStore of @forewrit/recovery (or forewrit), which recovers first.',
    });
  }
  for (const owner of dead) deregisterOwner(context, owner.number);
  return { report: emptyRecoveryReport };
}

/**
 * Whether the log has transactions of owners that are not among these: of such as were poisoned, and are gone. What was
 * staged to be continued later is no transaction yet.
 */
export function belongsToOthers(view: LogView, owners: readonly Owner[]): boolean {
  let start: Uint8Array = new Uint8Array(0);
  for (const { number } of owners.toSorted((a, b) => a.number - b.number)) {
    const range = ownerRange(number);
    if (view.range('log', { start, end: range.start }).some(([key]) => isUnfinished(key))) return true;
    start = range.end;
  }
  return view.range('log', { start }).some(([key]) => isUnfinished(key));
}
