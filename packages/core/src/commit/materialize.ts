/**
 * Materializing: the files of deferred transactions follow. Each becomes an ordinary transaction of the same number and
 * revision: staged with apply names and before-images, its record replaced in one flushed batch by one that has them,
 * then applied, marked and checkpointed as every other. A crash leaves the one record or the other.
 *
 * Its saves were answered, so it is never taken back. Where another program has put something at a path since, that stays
 * and ours goes into `conflicts/`; whatever else fails is tried again later, and until then the record answers for the
 * paths. An apply that fails puts the files back, and the deferred record in the place of the ordinary one.
 */

import { isStoreError, toError } from '../errors.js';
import { FlushError } from '../log/log.js';
import type { Owner } from '../owner/owner.js';
import { encodeCommitBatch } from '../record/codec.js';
import { pathKey } from '../record/key.js';
import type { TransactionId } from '../record/record.js';
import type { StoreContext } from '../store/store-context.js';
import { type ApplyContext, applyTransaction, type RollBackReport } from './apply.js';
import {
  assertStill,
  type Deferred,
  type DeferredRecord,
  type DeferredTarget,
  recordOf,
} from './deferred.js';
import { putFileRow } from './file-row.js';
import { assertFormat, assertRegistered } from './guard.js';
import { type GivenWay, looksMax, MaterializePreparation, type Ready } from './materialize-preparation.js';
import type { OwnRecords } from './own-records.js';
import type { Poison } from './poison.js';
import { isOutOfDescriptors, isWorthAnotherTry } from './refusal.js';
import type { RollBack } from './roll-back.js';
import type { Uncheckpointed } from './uncheckpointed.js';

const retryFirstMs = 50;
const retryMaxMs = 5000;

export interface MaterializeReport {
  /** Whose files are in place now. */
  readonly transactions: number;
  /** Content of ours that has given way to what another program has put in its place, and where it is now. */
  readonly conflicts: readonly GivenWay[];
  /** What is tried again later. */
  readonly failures: readonly { readonly transaction: TransactionId; readonly error: Error }[];
}

interface Retry {
  readonly attempts: number;
  readonly atMs: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer U)[] ? U[] : T[K] };

export interface MaterializerParts {
  readonly context: StoreContext;
  readonly owner: Owner;
  readonly poison: Poison;
  readonly records: OwnRecords;
  readonly deferred: Deferred;
  readonly applyContext: ApplyContext;
  readonly rollBack: RollBack;
  readonly uncheckpointed: Uncheckpointed;
  /** A checkpoint closes the files that wait for it. `false` if there is none to be had. */
  readonly closeDescriptors: () => boolean;
}

export class Materializer {
  readonly #parts: MaterializerParts;
  readonly #preparation: MaterializePreparation;
  readonly #retries = new Map<TransactionId, Retry>();

  constructor(parts: MaterializerParts) {
    this.#parts = parts;
    this.#preparation = new MaterializePreparation(parts.context);
  }

  /** Those whose turn it is: what has failed a moment ago waits, unless everything is wanted. */
  due({ all }: { readonly all: boolean }): DeferredRecord[] {
    const nowMs = this.#parts.context.clock.monotonicMs();
    return this.#parts.deferred.oldestFirst.filter(
      ({ id }) => all || (this.#retries.get(id)?.atMs ?? 0) <= nowMs,
    );
  }

  /** When the next of them is due, if files follow within this time; what has failed waits for its own. */
  nextMs(withinMs: number): number | undefined {
    let next: number | undefined;
    for (const { id, sinceMs } of this.#parts.deferred.records) {
      const atMs = this.#retries.get(id)?.atMs ?? sinceMs + withinMs;
      if (next === undefined || atMs < next) next = atMs;
    }
    return next;
  }

  /** One batch for all of these, then each is applied. */
  run(records: readonly DeferredRecord[]): MaterializeReport {
    const report = this.#run(records);
    const starved = report.failures.filter(({ error }) => isOutOfDescriptors(error));
    const ids = new Set(starved.map(({ transaction }) => transaction));
    // One that is blocked is deferred no more.
    const left = this.#parts.deferred.oldestFirst.filter(({ id }) => ids.has(id));
    if (left.length === 0 || !this.#parts.closeDescriptors()) return report;
    const again = this.#run(left);
    return {
      transactions: report.transactions + again.transactions,
      conflicts: [...report.conflicts, ...again.conflicts],
      failures: [
        ...report.failures.filter(({ transaction }) => !left.some(({ id }) => id === transaction)),
        ...again.failures,
      ],
    };
  }

  #run(records: readonly DeferredRecord[]): MaterializeReport {
    const { context, poison } = this.#parts;
    const report: Mutable<MaterializeReport> = { transactions: 0, conflicts: [], failures: [] };
    if (records.length === 0 || poison.cause !== undefined) return report;
    context.failpoints.hit('materialize.before');
    const ready: Ready[] = [];
    for (const record of records) {
      try {
        const isRetry = this.#retries.has(record.id);
        ready.push(this.#preparation.prepare(record, { isRetry, conflicts: report.conflicts }));
      } catch (error) {
        this.#failed(record, error, report);
      }
    }
    context.failpoints.hit('materialize.staged');
    if (ready.length === 0 || !this.#commit(ready, report)) return report;
    context.failpoints.hit('materialize.after');
    for (const each of ready) {
      // Somebody may be recovering our transactions by now.
      if (poison.cause !== undefined) break;
      this.#apply(each, report);
    }
    return report;
  }

  /** The one flushed batch. `false` if nothing was committed. */
  #commit(ready: readonly Ready[], report: Mutable<MaterializeReport>): boolean {
    const { context, owner, records, deferred, poison } = this.#parts;
    const { log, folding, format, stagingArea } = context;
    try {
      records.thinOut();
      log.commit((batch) => {
        assertRegistered(batch, owner.number);
        assertFormat(batch, format);
        records.write(batch);
        for (const { record, staged, stays, given } of ready) {
          assertStill(batch, record);
          const { number, revision } = record;
          const [key] = record.row;
          for (const { target } of given) batch.delete('locks', pathKey(target.path, folding));
          if (stays.size === 0) {
            batch.delete('log', key);
            continue;
          }
          const { deferred: _deferred, ...begin } = record.begin;
          const targets = staged.targets.map(({ target }) => target);
          batch.put('log', ...encodeCommitBatch({ number, begin, targets, revision, entries: [] }));
          for (const [index, each] of [...stays.values()].entries()) {
            const { path, after } = targets[index]!;
            putFileRow(batch, { path, revision: each.revision, transaction: number, image: after }, folding);
          }
        }
      }, records.essential());
    } catch (error) {
      if (error instanceof FlushError || !isWorthAnotherTry(error)) {
        // The outcome is unknown, or this owner is no owner any more: nothing may be deleted.
        poison.take(error);
        return false;
      }
      for (const { record, staged } of ready) {
        stagingArea.discard(staged);
        this.#failed(record, error, report);
      }
      return false;
    }
    records.forget();
    for (const { record, stays } of ready) {
      deferred.remove(record);
      this.#retries.delete(record.id);
      if (stays.size === 0) records.drop(record.number);
    }
    return true;
  }

  #apply(ready: Ready, report: Mutable<MaterializeReport>): void {
    const { context, applyContext, records, uncheckpointed } = this.#parts;
    const { record, staged, stays } = ready;
    const { number, revision } = record;
    if (stays.size > 0) {
      const lockKeys = [...stays.values()].map(({ target }) => pathKey(target.path, context.folding));
      try {
        context.resolver.forget();
        applyTransaction(applyContext, staged);
      } catch (error) {
        this.#takeBack(ready, { lockKeys, failure: error }, report);
        return;
      }
      records.mark({ number, lockKeys });
      const { keeps, startedAtMs } = record.begin;
      const history = keeps === true ? { history: { committedAtMs: startedAtMs, entries: [] } } : {};
      const replaced = uncheckpointed.keep({ number, revision, staged, lockKeys, ...history });
      for (const older of replaced) uncheckpointed.release(older);
    }
    report.transactions += 1;
  }

  /** The files are as they were, and the log alone has the content again. */
  #takeBack(
    { record, staged, stays }: Ready,
    { lockKeys, failure }: { readonly lockKeys: readonly Uint8Array[]; readonly failure: unknown },
    report: Mutable<MaterializeReport>,
  ): void {
    const { context, owner, poison, records, rollBack, deferred } = this.#parts;
    const reverted = rollBack.revert(staged, { number: record.number, lockKeys }, failure);
    if ('refusal' in reverted) {
      report.failures.push({ transaction: record.id, error: reverted.refusal });
      return;
    }
    const again = recordOf({ ...record, targets: asFoundAgain(stays, reverted.report) });
    try {
      context.log.commit((batch) => {
        assertRegistered(batch, owner.number);
        records.write(batch);
        batch.put('log', ...again.row);
        for (const { target, revision } of again.targets.values()) {
          const row = { path: target.path, revision, transaction: record.number, image: target.after };
          putFileRow(batch, row, context.folding);
        }
      }, records.essential());
    } catch (error) {
      poison.take(error);
      return;
    }
    records.forget();
    context.stagingArea.discard(staged);
    deferred.add(again);
    this.#failed(again, reverted.cause, report);
  }

  #failed(record: DeferredRecord, error: unknown, report: Mutable<MaterializeReport>): void {
    const { clock, logger } = this.#parts.context;
    const attempts = (this.#retries.get(record.id)?.attempts ?? 0) + 1;
    // An edit that was met while applying is told from ours at the next look.
    const isEdit = isStoreError(error, 'ERR_EXTERNAL_EDIT') && attempts < looksMax;
    const delayMs = isEdit ? 0 : Math.min(retryFirstMs * 2 ** (attempts - 1), retryMaxMs);
    this.#retries.set(record.id, { attempts, atMs: clock.monotonicMs() + delayMs });
    report.failures.push({ transaction: record.id, error: toError(error) });
    if (isEdit) return;
    const paths = [...record.targets.values()].map(({ target }) => target.path);
    logger.error(
      { transaction: record.id, paths, attempts, error },
      'the files of a deferred save cannot be written yet; its content is in the log',
    );
  }
}

/** Before-images that were copies have come back as other files. Positions begin anew, as some may have gone. */
function asFoundAgain(
  stays: ReadonlyMap<string, DeferredTarget>,
  { images }: RollBackReport,
): Map<string, DeferredTarget> {
  return new Map(
    [...stays].map(([name, each], index) => {
      const before = images.get(each.target.path) ?? each.target.before;
      return [name, { ...each, target: { ...each.target, index, before } }];
    }),
  );
}
