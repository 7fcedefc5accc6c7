/**
 * What this owner has in the log: transactions that are not trimmed yet, those of them that are applied and not yet
 * recorded as such, and those that a roll-back is done with. The latter two are written with the next batch.
 */

import type { CommitOptions, LogBatch } from '../log/log.js';
import type { TransactionNumber } from '../record/record.js';
import type { StoreContext } from '../store/store-context.js';
import type { AppliedTransaction, UntrimmedOwn } from './checkpoint.js';
import { type AppliedMark, markKeysMax, trimRecords, writeApplied } from './mark.js';
import { assertRegistered } from './guard.js';
import type { Poison } from './poison.js';
import { isWorthAnotherTry } from './refusal.js';

export class OwnRecords {
  /** How long a batch may queue for the one writer's place. Short while closing. */
  commitTimeoutMs: number | undefined;
  readonly #context: StoreContext;
  readonly #owner: number;
  readonly #poison: Poison;
  #marks: AppliedMark[] = [];
  /** Their counters. */
  readonly #marked = new Set<number>();
  /** Rolled back, to be trimmed with the next batch. */
  #trims: TransactionNumber[] = [];
  /** Revisions of our transactions that have a record in the log, by counter. */
  readonly #untrimmed = new Map<number, number>();

  constructor(context: StoreContext, owner: number, poison: Poison) {
    this.#context = context;
    this.#owner = owner;
    this.#poison = poison;
  }

  /** What waits for the next batch. */
  get pending(): number {
    return this.#marks.length + this.#trims.length;
  }

  get haveMarks(): boolean {
    return this.#marks.length > 0;
  }

  get haveUntrimmed(): boolean {
    return this.#untrimmed.size > 0;
  }

  timeout(): { readonly timeoutMs?: number } {
    return this.commitTimeoutMs === undefined ? {} : { timeoutMs: this.commitTimeoutMs };
  }

  essential(): CommitOptions {
    return { essential: true, ...this.timeout() };
  }

  /** Committed: it has a record now. */
  add({ counter }: TransactionNumber, revision: number): void {
    this.#untrimmed.set(counter, revision);
  }

  /** Its record is gone, or is part of another one. */
  drop({ counter }: TransactionNumber): void {
    this.#untrimmed.delete(counter);
  }

  mark(mark: AppliedMark): void {
    this.#marks.push(mark);
    this.#marked.add(mark.number.counter);
  }

  trim(number: TransactionNumber): void {
    this.#trims.push(number);
  }

  /** Applied, and let go of at the beginning of the next batch. */
  isMarked({ owner, counter }: TransactionNumber): boolean {
    return owner === this.#owner && this.#marked.has(counter);
  }

  write(batch: LogBatch): void {
    writeApplied(batch, this.#marks, this.#context.processTable.identity().bootId);
    for (const number of this.#trims) trimRecords(batch, number);
  }

  /** The batch is durable that they were written with. */
  forget(): void {
    for (const { counter } of this.#trims) this.#untrimmed.delete(counter);
    this.#marks = [];
    this.#marked.clear();
    this.#trims = [];
  }

  /** So is one that has trimmed these. */
  forgetTrimmed(set: readonly AppliedTransaction[]): void {
    for (const { number } of set) this.#untrimmed.delete(number.counter);
  }

  untrimmedBeside(beside: readonly AppliedTransaction[]): UntrimmedOwn {
    const leaving = new Set(
      [...this.#trims, ...beside.map(({ number }) => number)].map(({ counter }) => counter),
    );
    let oldestRevision = Number.POSITIVE_INFINITY;
    for (const [counter, revision] of this.#untrimmed) {
      if (!leaving.has(counter)) oldestRevision = Math.min(oldestRevision, revision);
    }
    return { owner: this.#owner, oldestRevision };
  }

  /** One batch takes only so many changes: where many locks have gathered, they go before it. */
  thinOut(): void {
    for (let keys = keyCount(this.#marks); keys > markKeysMax; keys = keyCount(this.#marks)) {
      let count = 1;
      while (keyCount(this.#marks.slice(0, count + 1)) <= markKeysMax) count += 1;
      const first = this.#marks.slice(0, count);
      this.#commit((batch) => writeApplied(batch, first, this.#context.processTable.identity().bootId));
      this.#marks = this.#marks.slice(count);
      for (const { number } of first) this.#marked.delete(number.counter);
    }
  }

  /** Records what is applied and lets go of its locks, when no commit came along to carry it. */
  flush(): void {
    if (this.pending === 0 || this.#poison.cause !== undefined) return;
    this.thinOut();
    this.#commit((batch) => this.write(batch));
    this.forget();
    this.#context.failpoints.hit('applied.after');
  }

  #commit(write: (batch: LogBatch) => void): void {
    try {
      this.#context.log.commit((batch) => {
        assertRegistered(batch, this.#owner);
        write(batch);
      }, this.essential());
    } catch (error) {
      if (isWorthAnotherTry(error)) throw error;
      this.#poison.take(error);
      throw this.#poison.error();
    }
  }
}

function keyCount(marks: readonly AppliedMark[]): number {
  return marks.reduce((sum, { lockKeys }) => sum + lockKeys.length, 0);
}
