/** What recovery would do with a transaction as things are now, and what a repair could. Looks, and changes nothing. */

import { absolutePath } from '@forewrit/core';
import type { InspectedPath } from './inspect.js';
import type { PathHistory } from './path-history.js';
import { isReachable, type RecoveryContext } from './recovery-context.js';
import { canGoBack } from './repair-back.js';
import type { Subject } from './target-observation.js';
import { type PlannedPath, planTransaction, type TransactionPlan } from './transaction-plan.js';

export interface Foresight {
  readonly paths: readonly InspectedPath[];
  /** Of what is blocked: whether all that was changed has a sound before-image. */
  readonly canGoBack?: boolean;
}

export function foresee(context: RecoveryContext, subject: Subject, history: PathHistory): Foresight {
  const plan = planTransaction(context, subject, history);
  return {
    paths: plan.paths.map((path) => ({
      path: path.target.path,
      action: path.target.action,
      verdict: path.decision.verdict,
      row: path.decision.row,
      reason: path.decision.reason,
      ...(path.decision.verdict === 'block' ? { blockedBy: blockedBy(path) } : {}),
    })),
    ...(plan.blocked ? { canGoBack: allCanGoBack(context, plan) } : {}),
  };
}

function allCanGoBack(
  context: RecoveryContext,
  { transaction, superseded, paths }: TransactionPlan,
): boolean {
  return paths.every(({ target }) => {
    if (superseded.has(target.index)) return true;
    const volume = context.volume(target.volume);
    if (volume === undefined || !isReachable(context, target)) return false;
    const absolute = absolutePath(target.path, context.roots);
    return canGoBack(context, { transaction: transaction.id, target, volume, absolute });
  });
}

function blockedBy({ observed }: PlannedPath): NonNullable<InspectedPath['blockedBy']> {
  if (observed === undefined) return 'unreachable';
  if (observed.escapes) return 'escapes';
  return observed.source === 'sound' ? 'unreachable' : observed.source;
}
