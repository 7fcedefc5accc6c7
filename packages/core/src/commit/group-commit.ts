/**
 * The one flushed batch of a group: inside it each transaction is judged, and those that are not refused are committed.
 *
 * Where the log has no room for what history would have of entries, they are committed without: saves come first.
 */

import { isStoreError } from '../errors.js';
import type { Owner } from '../owner/owner.js';
import type { StorePath } from '../path/path.js';
import type { StoreContext } from '../store/store-context.js';
import { commitProposal } from './commit.js';
import { type Deferred, DeferredBatch } from './deferred.js';
import { assertFormat, assertRegistered } from './guard.js';
import { isExpired, keepsHistory, type Live } from './job.js';
import type { OwnRecords } from './own-records.js';
import { expired, tooMuchAtOnce } from './refusal.js';

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
    try {
      this.#commit(live, { keepsEntries: true });
    } catch (error) {
      if (!this.#isForHistory(error, live)) throw error;
      const { logger } = this.#parts.context;
      logger.warn({ transactions: live.length, error }, 'there is no room to keep what entries were before');
      this.#commit(live, { keepsEntries: false });
    }
  }

  /** A group that is too much for one batch is tried one by one first: each may well fit with its history. */
  #isForHistory(error: unknown, live: readonly Live[]): boolean {
    if (!isStoreError(error)) return false;
    const isTooMuch = live.length === 1 && tooMuchAtOnce.has(error.code);
    if (error.code !== 'ERR_NO_SPACE' && !isTooMuch) return false;
    return live.some((each) => changesEntriesOnly(each) && keepsHistory(this.#parts.context, each.job));
  }

  #commit(live: readonly Live[], { keepsEntries }: { readonly keepsEntries: boolean }): void {
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
        saves = new DeferredBatch(deferred, { folding, identity, nowMs: startedMs });
        for (const each of live) {
          each.verdict = isExpired(each.job, clock.monotonicMs())
            ? { kind: 'conflict', error: expired(each.job) }
            : each.prepared.saves === undefined
              ? commitProposal(batch, each.prepared.proposal, folding, {
                  ...identity,
                  keeps: keepsHistory(context, each.job) && (keepsEntries || !changesEntriesOnly(each)),
                })
              : saves.commit(batch, each.prepared.proposal, {
                  saves: each.prepared.saves,
                  keeps: keepsHistory(context, each.job),
                });
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

function changesEntriesOnly({ prepared }: Live): boolean {
  const { targets, entries } = prepared.proposal;
  return prepared.saves === undefined && targets.length === 0 && entries.length > 0;
}
