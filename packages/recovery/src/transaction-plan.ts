/** What is to be done with each path of one transaction: all are decided before one is touched. Looks, and changes nothing. */

import type { LoggedTransaction, StorePath, Target } from '@forewrit/core';
import { blockedRow, decide, type Decision, toDecision } from './decision.js';
import { TransactionObserver } from './observe.js';
import type { PathHistory } from './path-history.js';
import { isReachable, type RecoveryContext } from './recovery-context.js';
import type { ObservedTarget, Subject } from './target-observation.js';

export interface PlannedPath {
  readonly target: Target;
  readonly decision: Decision;
  /** Absent where the file system or root of the path is not there. */
  readonly observed?: ObservedTarget;
}

export interface TransactionPlan {
  readonly transaction: LoggedTransaction;
  readonly superseded: ReadonlySet<number>;
  readonly unflushed: ReadonlySet<StorePath>;
  readonly paths: readonly PlannedPath[];
  readonly blocked: boolean;
}

export function planTransaction(
  context: RecoveryContext,
  subject: Subject,
  history: PathHistory,
): TransactionPlan {
  context.resolver.forget();
  const observer = new TransactionObserver(context, subject, history);
  const paths = subject.transaction.targets.map((target): PlannedPath => {
    const volume = context.volume(target.volume);
    if (volume === undefined || !isReachable(context, target)) {
      return {
        target,
        decision: { ...toDecision(blockedRow), reason: 'its root or file system is not there' },
      };
    }
    const observed = observer.observe(target, volume);
    const decision = decide(observed);
    observer.decided(observed, decision);
    return { target, decision, observed };
  });
  return {
    transaction: subject.transaction,
    superseded: subject.superseded,
    unflushed: subject.unflushed,
    paths,
    blocked: paths.some(({ decision }) => decision.verdict === 'block'),
  };
}
