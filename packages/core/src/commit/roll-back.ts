/** Taking back a committed transaction whose apply has failed; where that fails as well, its paths stay locked. */

import { assert } from '../assert.js';
import type { Counters } from '../committer/committer.js';
import { isStoreError } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import type { Owner } from '../owner/owner.js';
import type { StorePath } from '../path/path.js';
import { inodeOf } from '../record/image.js';
import { lockRow } from '../record/rows.js';
import type { StoreContext } from '../store/store-context.js';
import { type ApplyContext, ApplyFailed, rollBack, type RollBackReport } from './apply.js';
import { type AppliedMark, unflushedPaths, writeAbort } from './mark.js';
import { assertNotApplied, assertRegistered } from './guard.js';
import type { Committed, GroupResult, Live } from './job.js';
import type { OwnRecords } from './own-records.js';
import type { Poison } from './poison.js';
import { blocked, rolledBack } from './refusal.js';
import type { StagedTransaction } from './staged-target.js';
import { type FoundResumable, putResumable } from './resumable.js';
import { closeDescriptor } from './uncheckpointed.js';

const forcedAttemptsMax = 5;

export class RollBack {
  readonly #context: StoreContext;
  readonly #applyContext: ApplyContext;
  readonly #owner: Owner;
  readonly #poison: Poison;
  readonly #records: OwnRecords;
  readonly #counters: Counters;

  constructor(parts: {
    readonly context: StoreContext;
    readonly applyContext: ApplyContext;
    readonly owner: Owner;
    readonly poison: Poison;
    readonly records: OwnRecords;
    readonly counters: Counters;
  }) {
    this.#context = parts.context;
    this.#applyContext = parts.applyContext;
    this.#owner = parts.owner;
    this.#poison = parts.poison;
    this.#records = parts.records;
    this.#counters = parts.counters;
  }

  run({ job, prepared }: Live, verdict: Committed, failure: unknown, result: GroupResult): void {
    const { fileSystem, log, failpoints, folding, stagingArea } = this.#context;
    const { staged, proposal } = prepared;
    const mark: AppliedMark = { number: proposal.number, lockKeys: verdict.lockKeys };
    const reverted = this.revert(staged, mark, failure);
    if ('refusal' in reverted) {
      job.reject(reverted.refusal);
      return;
    }
    const { cause, report } = reverted;
    const givenBack = verdict.adopted.filter((each) => isGivenBack(fileSystem, each, staged, report));
    failpoints.hit('roll-back.before-abort');
    try {
      log.commit((batch) => {
        assertRegistered(batch, this.#owner.number);
        this.#records.write(batch);
        const { entries, buried } = verdict;
        writeAbort(
          batch,
          { mark, targets: proposal.targets, entries, buried, images: report.images },
          folding,
        );
        for (const each of givenBack) putResumable(batch, each);
      }, this.#records.essential());
    } catch (error) {
      this.#poison.take(error);
      job.reject(this.#poison.error());
      return;
    }
    this.#records.forget();
    stagingArea.discard(staged);
    this.#records.trim(proposal.number);
    this.#counters.add('rollBacks');
    if (
      prepared.forced &&
      isStoreError(cause, 'ERR_EXTERNAL_EDIT') &&
      job.forcedAttempts++ < forcedAttemptsMax
    ) {
      result.deferred.push(job);
      return;
    }
    job.reject(rolledBack(staged.id, cause, report.left));
  }

  /**
   * Puts every file back, durably; until a batch says what has become of the transaction, recovery goes forward. Or says
   * why there is no going back: then the store is poisoned, or the transaction is blocked.
   */
  revert(
    staged: StagedTransaction,
    mark: AppliedMark,
    failure: unknown,
  ): { readonly cause: unknown; readonly report: RollBackReport } | { readonly refusal: Error } {
    const { log, logger, resolver } = this.#context;
    assert(failure instanceof ApplyFailed, 'what is rolled back has failed to apply');
    const { cause, tried } = failure;
    let unflushed: ReadonlySet<StorePath>;
    try {
      unflushed = log.view((view) => {
        assertRegistered(view, this.#owner.number);
        assertNotApplied(view, mark.number);
        return unflushedPaths(view);
      });
    } catch (error) {
      this.#poison.take(error);
      return { refusal: this.#poison.error() };
    }
    try {
      resolver.forget();
      const report = rollBack(this.#applyContext, staged, { tried, unflushed });
      for (const each of report.saved) logger.warn(each, 'kept what a roll-back could not put back');
      return { cause, report };
    } catch (error) {
      this.#block(staged, mark, new AggregateError([cause, error], 'applying and rolling back both failed'));
      return { refusal: this.#poison.cause === undefined ? blocked(staged.id, error) : this.#poison.error() };
    }
  }

  /** Nothing more can be done for it here: its paths stay locked until somebody repairs it. */
  #block({ id, targets }: StagedTransaction, mark: AppliedMark, cause: unknown): void {
    const { fileSystem, log, logger } = this.#context;
    logger.error({ transaction: id, cause }, 'a transaction is blocked');
    // Its content is in the log or under its staged names: whoever repairs it opens what it needs.
    for (const target of targets) closeDescriptor(fileSystem, target);
    try {
      log.commit((batch) => {
        for (const key of mark.lockKeys) {
          const value = batch.get('locks', key);
          if (value === undefined) continue;
          batch.put('locks', key, lockRow.encode(key, { ...lockRow.decode(key, value), blocked: true }));
        }
      }, this.#records.essential());
    } catch (error) {
      this.#poison.take(error);
    }
  }
}

/** What came in stays to be continued, unless it is in the tree and somebody has written into it: that is theirs. */
function isGivenBack(
  fileSystem: FileSystem,
  { resumable }: FoundResumable,
  { targets }: StagedTransaction,
  { left }: RollBackReport,
): boolean {
  return !targets.some(
    ({ target, absolute }) =>
      target.staged === resumable.staged &&
      left.includes(target.path) &&
      fileSystem.lstat(absolute)?.ino === inodeOf(target.after),
  );
}
