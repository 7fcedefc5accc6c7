/**
 * How core asks for recovery without knowing how it is done: `@forewrit/recovery` implements this, and hands it in. A
 * store opened through core alone refuses a log that needs it (`ERR_RECOVERY_REQUIRED`).
 */

import type { Owner } from '../owner/owner.js';
import type { TransactionId } from '../record/record.js';
import type { StoreContext } from '../store/store-context.js';

export interface RecoveryReport {
  /** Committed transactions that were carried out, wholly or in part. */
  readonly redone: readonly TransactionId[];
  /** Transactions that never committed; what they had staged is gone. */
  readonly undone: readonly TransactionId[];
  /** Committed transactions of which at least one path was left as somebody has changed it since. */
  readonly kept: readonly TransactionId[];
  /** Transactions that can go neither way without a person. */
  readonly blocked: readonly TransactionId[];
  /** Content that was met and would have been destroyed, and where it is now. */
  readonly conflicts: readonly { readonly path: string; readonly savedAs: string }[];
  readonly sweptFiles: number;
  readonly durationMs: number;
}

export const emptyRecoveryReport: RecoveryReport = Object.freeze({
  redone: [],
  undone: [],
  kept: [],
  blocked: [],
  conflicts: [],
  sweptFiles: 0,
  durationMs: 0,
});

/** What recovery has put in place without flushing it. The log has it until then, and recovery can begin anew at any time. */
export interface RecoveryBacklog {
  /**
   * Makes the next few transactions durable, and their records go. With the last piece recovery is at its end: its report
   * says what it came upon since. Asks whether it is still wanted once others have let it.
   */
  next(isWanted: () => boolean): Promise<RecoveryReport | undefined>;
}

export interface Recovery {
  readonly report: RecoveryReport;
  /** There if so much was found that not all of it was flushed before the answer. */
  readonly backlog?: RecoveryBacklog;
}

export interface Recoverer {
  /**
   * Puts every committed transaction of the dead owners in its place; ends them, deregisters the owners, and sweeps what
   * belongs to nobody, now or with the backlog. Takes the recovery lock; leaves live owners alone. `self` is the owner on
   * whose behalf it runs.
   */
  recover(context: StoreContext, dead: readonly Owner[], self: Owner): Promise<Recovery>;
}
