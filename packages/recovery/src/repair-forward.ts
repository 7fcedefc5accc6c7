/**
 * Carries a blocked transaction out as far as that can be done: what blocks stays as it is. What it has replaced is kept
 * for history, if its owner kept that, of all paths that it was carried out for.
 */

import { type LoggedTransaction, type StoreContext, StoreError } from '@forewrit/core';
import { readTransactions } from './analysis.js';
import { type EncodedHistory, noteUnflushed, subjectOf } from './completion.js';
import { RecoveredHistory } from './history.js';
import { saveEdited } from './last-look.js';
import { PathHistory } from './path-history.js';
import type { RepairEffects } from './quarantine.js';
import type { RecoveryContext } from './recovery-context.js';
import { planTransaction, type TransactionPlan } from './transaction-plan.js';
import { type NewImages, Surprise, TransactionRedo } from './transaction-redo.js';

/** How often it is decided anew because somebody changes the files meanwhile. */
const decisionsMax = 10;

export interface CarriedOut {
  readonly paths: TransactionPlan['paths'];
  readonly images: NewImages;
  /** With the paths that it was carried out for. */
  readonly transaction: LoggedTransaction;
}

export function carryForward(
  store: StoreContext,
  { context, transaction }: { readonly context: RecoveryContext; readonly transaction: LoggedTransaction },
  effects: RepairEffects,
): CarriedOut {
  for (let attempt = 0; attempt < decisionsMax; attempt += 1) {
    const { plan, blocked } = planForward(store, context, transaction);
    try {
      const images = new TransactionRedo(context, plan, {
        ...effects,
        beforeTarget: () => undefined,
        lockAgain: () => true,
        unflushed: (target) => noteUnflushed(store.log, transaction, target),
      }).run();
      const targets = transaction.targets.filter(({ index }) => !blocked.has(index));
      return { paths: plan.paths, images, transaction: { ...transaction, targets } };
    } catch (error) {
      if (!(error instanceof Surprise)) throw error;
    }
  }
  throw new StoreError('ERR_CONFLICT', `The files of transaction ${transaction.id} keep changing`, {
    op: 'repair',
    transaction: transaction.id,
    hint: 'Another program writes them without pause. Try again.',
  });
}

/** What blocks stays as it is: that is what a person has decided. */
function planForward(
  { log, folding }: StoreContext,
  context: RecoveryContext,
  transaction: LoggedTransaction,
): { readonly plan: TransactionPlan; readonly blocked: ReadonlySet<number> } {
  const { subject, history } = log.view((view) => ({
    subject: subjectOf(view, { transaction, living: new Set(), folding }),
    history: new PathHistory(folding, readTransactions(view)),
  }));
  const plan = planTransaction(context, subject, history);
  const blocked = plan.paths.filter(({ decision }) => decision.verdict === 'block');
  const paths = plan.paths.map((path) =>
    path.decision.verdict === 'block'
      ? { ...path, decision: { ...path.decision, verdict: 'keep' as const, save: 'ours' as const } }
      : path,
  );
  return {
    plan: { ...plan, paths, blocked: false },
    blocked: new Set(blocked.map(({ target }) => target.index)),
  };
}

/** On return what is kept is durable; what somebody has written into the rest is put aside. */
export function keepForHistory(
  store: StoreContext,
  { context, carriedOut }: { readonly context: RecoveryContext; readonly carriedOut: CarriedOut },
  effects: RepairEffects,
): EncodedHistory | undefined {
  const { transaction } = carriedOut;
  const history = new RecoveredHistory(context, store);
  for (const conflict of saveEdited(context, transaction)) effects.saved(conflict);
  const isNothing = transaction.targets.length === 0 && transaction.commit?.entries.length === 0;
  const kept = isNothing ? undefined : history.keep(carriedOut);
  if (kept === undefined) return undefined;
  for (const conflict of saveEdited(context, transaction, kept.keeps)) effects.saved(conflict);
  history.flush();
  return kept;
}
