/** The checkpoint over what this owner has applied: what it takes, and what becomes of that when it fails. */

import { historyDefaults, retain } from '../history/retention.js';
import type { Owner } from '../owner/owner.js';
import type { StoreContext } from '../store/store-context.js';
import { checkpoint, type CheckpointReport, isSupersededInLog } from './checkpoint.js';
import { assertRegistered } from './guard.js';
import type { OwnRecords } from './own-records.js';
import type { Poison } from './poison.js';
import { isWorthAnotherTry } from './refusal.js';
import type { Rewrite } from './rewrite.js';
import type { Uncheckpointed } from './uncheckpointed.js';

export class OwnCheckpoint {
  readonly #context: StoreContext;
  readonly #owner: Owner;
  readonly #poison: Poison;
  readonly #records: OwnRecords;
  readonly #uncheckpointed: Uncheckpointed;
  readonly #rewrite: Rewrite;
  #underWay = false;

  constructor(parts: {
    readonly context: StoreContext;
    readonly owner: Owner;
    readonly poison: Poison;
    readonly records: OwnRecords;
    readonly uncheckpointed: Uncheckpointed;
    readonly rewrite: Rewrite;
  }) {
    this.#context = parts.context;
    this.#owner = parts.owner;
    this.#poison = parts.poison;
    this.#records = parts.records;
    this.#uncheckpointed = parts.uncheckpointed;
    this.#rewrite = parts.rewrite;
  }

  get underWay(): boolean {
    return this.#underWay;
  }

  /** Only one at a time. */
  *steps(): Generator<void, CheckpointReport> {
    const set = this.#uncheckpointed.take();
    const { fileSystem, log, roots, folding, clock, failpoints, logger, options, volumes } = this.#context;
    const { history } = options;
    this.#underWay = true;
    try {
      const report = yield* checkpoint(
        {
          fileSystem,
          log,
          logger,
          roots,
          folding,
          nowMs: () => clock.monotonicMs(),
          commitOptions: () => this.#records.essential(),
          thinOutMarks: () => this.#records.thinOut(),
          writeMarks: (batch) => {
            assertRegistered(batch, this.#owner.number);
            this.#records.write(batch);
          },
          trimmed: (trimmed) => {
            this.#records.forget();
            this.#records.forgetTrimmed(trimmed);
          },
          untrimmedOwn: (beside) => this.#records.untrimmedBeside(beside),
          release: (target) => this.#uncheckpointed.release(target),
          rewrite: (applied, target, cause) => this.#rewrite.run(applied, target, cause),
          isSuperseded: (applied, target) =>
            log.view((view) => isSupersededInLog(view, applied, target, folding)),
          isUnflushed: (target) => this.#rewrite.isUnflushed(target.before),
          onStep: (step) => failpoints.hit(`checkpoint.${step}`),
        },
        set.transactions,
      );
      if (history === undefined) return report;
      const conflicts = yield* retain(
        { fileSystem, log, logger, volumes, commitOptions: () => this.#records.essential() },
        {
          maxAgeMs: history.maxAgeMs ?? historyDefaults.maxAgeMs,
          maxBytes: history.maxBytes ?? historyDefaults.maxBytes,
          nowMs: clock.nowMs(),
        },
      );
      return { ...report, conflicts: [...report.conflicts, ...conflicts] };
    } catch (error) {
      if (this.#poison.cause === undefined && isWorthAnotherTry(error)) {
        // Nothing was forgotten: the next checkpoint does it all again.
        this.#uncheckpointed.putBack(set);
        throw error;
      }
      // What is applied stays applied, and in the log; only a reopened store knows what is durable.
      this.#poison.take(error);
      throw this.#poison.error();
    } finally {
      this.#underWay = false;
    }
  }

  now(): CheckpointReport {
    const steps = this.steps();
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }
}
