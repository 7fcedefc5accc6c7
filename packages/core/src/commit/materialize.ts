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
import { checksumOfFile } from '../files/content.js';
import type { FileStat } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import { FlushError } from '../log/log.js';
import type { Owner } from '../owner/owner.js';
import { absolutePath, type StorePath } from '../path/path.js';
import type { PlannedTarget } from '../plan/plan.js';
import { encodeCommitBatch } from '../record/codec.js';
import { type Image, sameFingerprint, showsImage } from '../record/image.js';
import { pathKey } from '../record/key.js';
import type { Target, TransactionId } from '../record/record.js';
import type { StoreContext } from '../store/store-context.js';
import { type ApplyContext, applyTransaction, type RollBackReport } from './apply.js';
import { unlinkIfThere } from './checkpoint.js';
import {
  assertStill,
  type Deferred,
  type DeferredRecord,
  type DeferredTarget,
  recordOf,
} from './deferred.js';
import { putFileRow } from './file-row.js';
import { assertFormat, assertRegistered } from './guard.js';
import { keepOurs } from './keep-ours.js';
import type { OwnRecords } from './own-records.js';
import { PlanOutdated } from './plan-outdated.js';
import type { Poison } from './poison.js';
import { isOutOfDescriptors, isWorthAnotherTry, unsteady } from './refusal.js';
import type { RollBack } from './roll-back.js';
import { beforePath, type StagedTransaction, stagedPath } from './staged-target.js';
import type { Uncheckpointed } from './uncheckpointed.js';

/** How often a transaction is looked at anew because somebody changes its files meanwhile. */
const looksMax = 10;
/** Longer than a file system's clock stands still. */
const clockGrainNs = 50_000_000n;
const retryFirstMs = 50;
const retryMaxMs = 5000;

export interface MaterializeReport {
  /** Whose files are in place now. */
  readonly transactions: number;
  /** Content of ours that has given way to what another program has put in its place, and where it is now. */
  readonly conflicts: readonly { readonly path: StorePath; readonly savedAs: string }[];
  /** What is tried again later. */
  readonly failures: readonly { readonly transaction: TransactionId; readonly error: Error }[];
}

interface Ready {
  readonly record: DeferredRecord;
  /** Of the paths that still are as they were found. */
  readonly staged: StagedTransaction;
  readonly stays: ReadonlyMap<string, DeferredTarget>;
  /** Paths where something else is by now. */
  readonly given: readonly DeferredTarget[];
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
  readonly #retries = new Map<TransactionId, Retry>();

  constructor(parts: MaterializerParts) {
    this.#parts = parts;
  }

  /** Those whose turn it is: what has failed a moment ago waits, unless everything is wanted. */
  due({ all }: { readonly all: boolean }): DeferredRecord[] {
    const nowMs = this.#parts.context.clock.monotonicMs();
    return this.#parts.deferred.records.filter(
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
    const left = this.#parts.deferred.records.filter(({ id }) => ids.has(id));
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
        ready.push(this.#prepare(record, report));
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

  #prepare(record: DeferredRecord, report: Mutable<MaterializeReport>): Ready {
    if (this.#retries.has(record.id)) this.#removeLeftovers(record);
    for (let look = 0; look < looksMax; look += 1) {
      this.#parts.context.resolver.forget();
      const stays = new Map<string, DeferredTarget>();
      const given: DeferredTarget[] = [];
      for (const [name, each] of record.targets) {
        if (this.#isAsFound(each.target, record)) stays.set(name, each);
        else given.push(each);
      }
      const staged = this.#stage(record, [...stays.values()]);
      if (staged === undefined) continue;
      try {
        for (const { target } of given) this.#keepOurs(record, target, report);
      } catch (error) {
        this.#parts.context.stagingArea.discard(staged);
        throw error;
      }
      return { record, staged, stays, given };
    }
    throw unsteady([...record.targets.values()][0]!.target.path);
  }

  /** What a roll-back before could not remove. */
  #removeLeftovers({ id, targets }: DeferredRecord): void {
    const { fileSystem } = this.#parts.context;
    for (const { target } of targets.values()) {
      const name = `${id}-${target.index.toString(36)}`;
      const volume = this.#volumeOf(target);
      unlinkIfThere(fileSystem, stagedPath(volume, `${name}.apply`));
      unlinkIfThere(fileSystem, beforePath(volume, name));
    }
  }

  /** Whether the path holds what the save has found there, and is below the same directories. */
  #isAsFound({ path, before }: Target, { begin }: DeferredRecord): boolean {
    const { fileSystem, roots, resolver } = this.#parts.context;
    try {
      resolver.verifyParent(path, 'materialize');
    } catch (error) {
      if (isStoreError(error) && wayLost.has(error.code)) return false;
      throw error;
    }
    const absolute = absolutePath(path, roots);
    if (!showsImage(fileSystem.lstat(absolute), before)) return false;
    if (before.type !== 'file' || before.checksum === undefined) return true;
    // Changed so shortly before it was found that another change may have left the same times: its content decides.
    const foundNs = BigInt(Math.floor(begin.startedAtMs)) * 1_000_000n;
    if (before.fingerprint.mtimeNs < foundNs - clockGrainNs) return true;
    return checksumOfFile(fileSystem, absolute) === before.checksum;
  }

  /** `undefined` if a path has changed since it was looked at. */
  #stage({ id }: DeferredRecord, stays: readonly DeferredTarget[]): StagedTransaction | undefined {
    const { stagingArea, fileSystem, roots } = this.#parts.context;
    const targets = stays.map(({ target }) => target);
    const byPath = new Map(targets.map((target) => [target.path, target]));
    let staged: StagedTransaction;
    try {
      const planned = targets.map((target) =>
        plannedOf(target, fileSystem.lstat(absolutePath(target.path, roots))),
      );
      staged = stagingArea.stage(id, planned, {
        volume: ({ path }) => this.#volumeOf(byPath.get(path)!),
        checksum: (path, stat) => knownChecksum(byPath.get(path)!.before, stat),
        inlineLimitBytes: Number.POSITIVE_INFINITY,
      });
    } catch (error) {
      if (error instanceof PlanOutdated) return undefined;
      throw error;
    }
    if (staged.targets.every(({ target }, index) => isSame(target.before, targets[index]!.before)))
      return staged;
    stagingArea.discard(staged);
    return undefined;
  }

  #volumeOf({ volume }: Target): Volume {
    const { volumes } = this.#parts.context;
    return volumes.get(volume) ?? volumes.add(volume);
  }

  #keepOurs({ id }: DeferredRecord, target: Target, report: Mutable<MaterializeReport>): void {
    const { fileSystem, logger } = this.#parts.context;
    const conflict = {
      path: target.path,
      savedAs: keepOurs(fileSystem, { target, volume: this.#volumeOf(target) }, id),
    };
    report.conflicts.push(conflict);
    logger.warn(conflict, 'another program has changed the file of a deferred save: ours is kept beside it');
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
      const replaced = uncheckpointed.keep({ number, revision, staged, lockKeys });
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

/** The way to the path is not what it was: somebody has removed a directory, or put something else in its place. */
const wayLost: ReadonlySet<string> = new Set([
  'ERR_PATH_ESCAPE',
  'ERR_NOT_FOUND',
  'ERR_NOT_DIRECTORY',
  'ERR_PATH_RESERVED',
]);

function plannedOf({ path, content, after }: Target, stat: FileStat | undefined): PlannedTarget {
  const mode = after.type === 'file' ? after.mode : 0o600;
  const parts = [{ kind: 'bytes', bytes: content! } as const];
  if (stat === undefined) {
    return { action: 'write', path, mustBeAbsent: true, file: { type: 'file', parts, mode } };
  }
  const like = { ...stat, mode };
  return { action: 'write', path, basePath: path, stat, file: { type: 'file', parts, like } };
}

function knownChecksum(before: Image, stat: FileStat): bigint | undefined {
  return before.type === 'file' && showsImage(stat, before) ? before.checksum : undefined;
}

function isSame(one: Image, other: Image): boolean {
  if (one.type !== 'file' || other.type !== 'file') return one.type === other.type;
  return sameFingerprint(one.fingerprint, other.fingerprint);
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
