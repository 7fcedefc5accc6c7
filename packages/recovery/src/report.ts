/** Collects what a recovery did, in the order in which it did it. */

import type { RecoveryReport, TransactionId } from '@forewrit/core';
import type { SavedConflict } from './conflicts.js';
import type { TransactionPlan } from './transaction-plan.js';

export class ReportWriter {
  readonly #redone = new Set<TransactionId>();
  readonly #undone = new Set<TransactionId>();
  readonly #kept = new Set<TransactionId>();
  readonly #blocked = new Set<TransactionId>();
  readonly #conflicts = new Map<string, SavedConflict>();
  #sweptFiles = 0;

  /** A plan that was carried out. */
  carriedOut({ transaction, paths }: TransactionPlan): void {
    if (paths.some(({ decision }) => decision.verdict === 'redo')) this.#redone.add(transaction.id);
    if (paths.some(({ decision }) => decision.verdict === 'keep' && decision.report))
      this.#kept.add(transaction.id);
  }

  blocked(transaction: TransactionId): void {
    this.#blocked.add(transaction);
  }

  undone(transaction: TransactionId): void {
    this.#undone.add(transaction);
  }

  saved(conflict: SavedConflict): void {
    this.#conflicts.set(conflict.savedAs, conflict);
  }

  swept(files: number): void {
    this.#sweptFiles += files;
  }

  finish(durationMs: number): RecoveryReport {
    return {
      redone: [...this.#redone],
      undone: [...this.#undone],
      kept: [...this.#kept],
      blocked: [...this.#blocked],
      conflicts: [...this.#conflicts.values()],
      sweptFiles: this.#sweptFiles,
      durationMs,
    };
  }
}
