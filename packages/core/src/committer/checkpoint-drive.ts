/** Drives the engine's checkpoints, one at a time and step by step, and answers those who have asked for one. */

import type { CheckpointReport } from '../commit/checkpoint.js';
import type { Engine } from '../commit/engine.js';
import type { CommitterEvent, Counters } from './committer.js';

export interface CheckpointWaiter {
  readonly resolve: (report: CheckpointReport) => void;
  readonly reject: (error: unknown) => void;
}

export class CheckpointDrive {
  readonly #engine: Engine;
  readonly #counters: Counters;
  readonly #onEvent: (event: CommitterEvent) => void;
  #checkpoint: Generator<void, CheckpointReport> | undefined;
  #waiters: CheckpointWaiter[] = [];
  #failed = false;

  constructor(engine: Engine, counters: Counters, onEvent: (event: CommitterEvent) => void) {
    this.#engine = engine;
    this.#counters = counters;
    this.#onEvent = onEvent;
  }

  get underWay(): boolean {
    return this.#checkpoint !== undefined;
  }

  /** The last one did. */
  get failed(): boolean {
    return this.#failed;
  }

  begin(): void {
    this.#checkpoint ??= this.#engine.checkpoint();
  }

  /** Tells it how the checkpoint ends that is under way, or begins next. */
  answer(waiter: CheckpointWaiter): void {
    this.#waiters.push(waiter);
  }

  /** One step. Failures poison the engine and reach whoever asked for the checkpoint. */
  step(): boolean {
    if (this.#checkpoint === undefined) return false;
    let step: IteratorResult<void, CheckpointReport>;
    try {
      this.#engine.assertUsable();
      step = this.#checkpoint.next();
    } catch (error) {
      this.#failed = true;
      this.end((waiter) => waiter.reject(error));
      return false;
    }
    if (step.done !== true) return true;
    this.#failed = false;
    this.#counters.add('checkpoints');
    const report = step.value;
    this.#onEvent({ type: 'checkpoint', ...report });
    this.end((waiter) => waiter.resolve(report));
    return false;
  }

  end(settle: (waiter: CheckpointWaiter) => void): void {
    this.#checkpoint = undefined;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) settle(waiter);
  }

  /** `false` if it failed. */
  finish(onStep: () => void = () => undefined): boolean {
    this.begin();
    while (this.step()) onStep();
    return !this.#failed;
  }
}
