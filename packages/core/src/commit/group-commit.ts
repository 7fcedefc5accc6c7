/** The one flushed batch of a group: inside it each transaction is judged, and those that are not refused are committed. */

import type { Owner } from '../owner/owner.js';
import type { StorePath } from '../path/path.js';
import type { StoreContext } from '../store/store-context.js';
import { commitProposal } from './commit.js';
import { type Deferred, DeferredBatch } from './deferred.js';
import { assertFormat, assertRegistered } from './guard.js';
import { isExpired, keepsHistory, type Live } from './job.js';
import type { OwnRecords } from './own-records.js';
import { expired } from './refusal.js';

export interface GroupCommitParts {
  readonly context: StoreContext;
  readonly owner: Owner;
  readonly records: OwnRecords;
  readonly deferred: Deferred;
}

export class GroupCommit {
  readonly #parts: GroupCommitParts;

  constructor(parts: GroupCommitParts) {
    this.#parts = parts;
  }

  /** On return each has its verdict, and what was committed is durable. Throws where nothing was, or nobody knows. */
  run(live: readonly Live[]): void {
    const { context, owner, records, deferred } = this.#parts;
    const { log, failpoints, clock, mount, processTable, volumes, folding } = context;
    const identity = {
      owner: owner.number,
      bootId: processTable.identity().bootId,
      mount,
      mountOf: (place: StorePath) => volumes.get(place)?.mount ?? '',
      nowMs: clock.nowMs(),
    };
    const sizeBytes = live.reduce((sum, { prepared }) => sum + prepared.logBytes, 0);
    const startedMs = clock.monotonicMs();
    let saves: DeferredBatch | undefined;
    records.thinOut();
    log.commit(
      (batch) => {
        failpoints.hit('log.inside');
        assertRegistered(batch, owner.number);
        assertFormat(batch, context.format);
        records.write(batch);
        const ofDeferred = { ...identity, keeps: context.options.history !== undefined };
        saves = new DeferredBatch(deferred, { folding, identity: ofDeferred, nowMs: startedMs });
        for (const each of live) {
          each.verdict = isExpired(each.job, clock.monotonicMs())
            ? { kind: 'conflict', error: expired(each.job) }
            : each.prepared.saves === undefined
              ? commitProposal(batch, each.prepared.proposal, folding, {
                  ...identity,
                  keeps: keepsHistory(context, each.job),
                })
              : saves.commit(batch, each.prepared.proposal, each.prepared.saves);
          each.committedAtMs = identity.nowMs;
          if (each.verdict.kind === 'committed' && each.job.request.relaxed) {
            each.job.accepted(each.verdict.revision);
          }
        }
        saves.write(batch);
      },
      { sizeBytes, ...records.timeout() },
    );
    records.forget();
    const { gone, made } = saves!.take();
    for (const { number } of gone) records.drop(number);
    for (const { number, revision } of made) records.add(number, revision);
    for (const { prepared, verdict } of live) {
      if (verdict?.kind !== 'committed' || prepared.staged.targets.length === 0) continue;
      records.add(prepared.proposal.number, verdict.revision);
    }
  }
}
