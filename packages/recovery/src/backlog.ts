/**
 * What recovery has put in its place, made durable in portions, each under the recovery lock: so a store that comes after
 * ten thousand unfinished transactions is open before ten thousand files are flushed. The newest come first, as in any
 * completion. Whoever else recovers meanwhile takes a part of it; what is done is not there any more.
 */

import {
  type Owner,
  type RecoveryBacklog,
  type RecoveryReport,
  type StoreContext,
  type TransactionNumber,
  withStoreCode,
} from '@forewrit/core';
import { acquireRecoveryLock, releaseRecoveryLock } from './recovery-lock.js';

/** Transactions of a portion: others wait for it no longer than for a group of saves. */
const portionMax = 32;

export interface BacklogParts {
  readonly context: StoreContext;
  readonly dead: ReadonlySet<number>;
  readonly self: Owner;
  /** The oldest first. */
  readonly inPlace: readonly TransactionNumber[];
  /** Under the recovery lock, which it lets go of. */
  readonly finish: (portion: readonly TransactionNumber[]) => void;
  /** Whatever is left after all portions. */
  readonly end: () => Promise<RecoveryReport>;
}

export class Backlog implements RecoveryBacklog {
  readonly #parts: BacklogParts;
  readonly #left: TransactionNumber[];

  constructor(parts: BacklogParts) {
    this.#parts = parts;
    this.#left = [...parts.inPlace];
  }

  async next(isWanted: () => boolean): Promise<RecoveryReport | undefined> {
    try {
      return await this.#next(isWanted);
    } catch (error) {
      throw withStoreCode(error, { op: 'recover', path: this.#parts.context.roots.root });
    }
  }

  async #next(isWanted: () => boolean): Promise<RecoveryReport | undefined> {
    const { context, dead, self, finish, end } = this.#parts;
    if (this.#left.length === 0) return await end();
    await acquireRecoveryLock(context, self, dead);
    if (isWanted()) finish(this.#left.splice(-portionMax));
    else releaseRecoveryLock(context, self);
    return undefined;
  }
}
