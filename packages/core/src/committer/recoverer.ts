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

export interface Recoverer {
  /**
   * Ends every transaction of the dead owners, deregisters them, and sweeps what belongs to nobody. Takes the recovery
   * lock; leaves live owners alone. `self` is the owner on whose behalf it runs.
   */
  recover(context: StoreContext, dead: readonly Owner[], self: Owner): Promise<RecoveryReport>;
}
