/**
 * The engine: plan, stage, commit, apply, for a group of transactions at once, in straight synchronous code. It runs in
 * the committer's thread, or in line; whoever drives it (`committer-loop.ts`) owns the timers and the waiting.
 *
 * One group is one flush of the log. Transactions of a group touch nothing in common; those that would are deferred to
 * the next group.
 */

import { assert } from '../assert.js';
import { Counters } from '../committer/committer.js';
import { isStoreError, withStoreCode } from '../errors.js';
import { changesForHistory } from '../history/entry-changes.js';
import { FlushError } from '../log/log.js';
import type { Owner } from '../owner/owner.js';
import { Planner, type Preparation, type Prepared } from '../plan/planner.js';
import type { CommitRequest } from '../plan/request.js';
import type { LockRow } from '../record/rows.js';
import type { StoreContext } from '../store/store-context.js';
import { type ApplyContext, applyTransaction } from './apply.js';
import { attempt } from './attempt.js';
import type { CheckpointReport } from './checkpoint.js';
import { Deferred, type DeferredRecord } from './deferred.js';
import { GroupCommit } from './group-commit.js';
import { type Committed, type GroupResult, isCancelled, type Job, keepsHistory, type Live } from './job.js';
import { isLocking } from './lock.js';
import { type MaterializeReport, Materializer } from './materialize.js';
import { OwnCheckpoint } from './own-checkpoint.js';
import { OwnRecords } from './own-records.js';
import { PlanOutdated } from './plan-outdated.js';
import { Poison } from './poison.js';
import { blockedBy, cancelled, isOutOfDescriptors, tooMuchAtOnce, unsteady } from './refusal.js';
import { unlinkIfThere } from './removal.js';
import { ResumableRecords } from './resumable-records.js';
import { Rewrite } from './rewrite.js';
import { RollBack } from './roll-back.js';
import { type StagedTarget, stagedPath } from './staged-target.js';
import { Uncheckpointed } from './uncheckpointed.js';

const planAttemptsMax = 50;

export class Engine {
  readonly context: StoreContext;
  readonly owner: Owner;
  readonly #planner: Planner;
  readonly #poison: Poison;
  readonly #records: OwnRecords;
  readonly #uncheckpointed: Uncheckpointed;
  readonly #rollBack: RollBack;
  readonly #ownCheckpoint: OwnCheckpoint;
  readonly #applyContext: ApplyContext;
  readonly #deferred = new Deferred();
  readonly #materializer: Materializer;
  readonly #groupCommit: GroupCommit;
  readonly #counters: Counters;
  /** What the log knows of content that is not committed yet. */
  readonly resumables: ResumableRecords;

  constructor(context: StoreContext, owner: Owner, counters = new Counters()) {
    this.context = context;
    this.owner = owner;
    this.#counters = counters;
    const { fileSystem, roots, resolver, failpoints } = context;
    const poison = new Poison(context.logger);
    const records = new OwnRecords(context, owner.number, poison);
    const applyContext: ApplyContext = {
      fileSystem,
      roots,
      resolver,
      onStep: (step) => failpoints.hit(step === 'apply' ? 'apply.target' : 'roll-back.target'),
    };
    const uncheckpointed = new Uncheckpointed(fileSystem, counters);
    this.#poison = poison;
    this.#records = records;
    this.#uncheckpointed = uncheckpointed;
    this.#applyContext = applyContext;
    const deferred = this.#deferred;
    this.#planner = new Planner(context, {
      owner: owner.number,
      deferred,
      isEnding: (transaction) => records.isMarked(transaction),
    });
    this.resumables = new ResumableRecords({ context, owner, poison, records });
    this.#rollBack = new RollBack({ context, applyContext, owner, poison, records, counters });
    this.#groupCommit = new GroupCommit({ context, owner, records, deferred });
    this.#materializer = new Materializer({
      context,
      owner,
      poison,
      records,
      deferred,
      applyContext,
      rollBack: this.#rollBack,
      uncheckpointed,
      closeDescriptors: () => {
        if (this.#ownCheckpoint.underWay || uncheckpointed.descriptors === 0) return false;
        this.checkpointNow();
        return true;
      },
    });
    const rewrite = new Rewrite({
      context,
      poison,
      records,
      deferred,
      runGroup: (jobs) => this.runGroup(jobs),
    });
    this.#ownCheckpoint = new OwnCheckpoint({ context, owner, poison, records, uncheckpointed, rewrite });
  }

  get poison(): unknown {
    return this.#poison.cause;
  }

  assertUsable(): void {
    if (this.poison !== undefined) throw this.#poison.error();
  }

  /** From now on every request is refused. What is on the disk is left exactly as it is. */
  poisonWith(cause: unknown): void {
    this.#poison.take(cause);
  }

  /** How long a batch may queue for the one writer's place. Short while closing. */
  get commitTimeoutMs(): number | undefined {
    return this.#records.commitTimeoutMs;
  }

  set commitTimeoutMs(timeoutMs: number | undefined) {
    this.#records.commitTimeoutMs = timeoutMs;
  }

  get pendingMarks(): number {
    return this.#records.pending;
  }

  get uncheckpointed(): {
    readonly transactions: number;
    readonly bytes: number;
    readonly loggedBytes: number;
    readonly rowBytes: number;
    readonly descriptors: number;
  } {
    const { transactions, bytes, loggedBytes, rowBytes, descriptors } = this.#uncheckpointed;
    return { transactions, bytes, loggedBytes, rowBytes, descriptors };
  }

  countUncheckpointed(): void {
    this.#uncheckpointed.count();
    this.#counters.set('deferredTransactions', this.#deferred.transactions);
    this.#counters.set('deferredBytes', this.#deferred.bytes);
  }

  /** What is committed and in no file yet. */
  get deferred(): Pick<Deferred, 'transactions' | 'targets' | 'bytes'> {
    const { transactions, targets, bytes } = this.#deferred;
    return { transactions, targets, bytes };
  }

  /** When some of it is due, if files follow within this time after the save. */
  nextMaterializeMs(withinMs: number): number | undefined {
    return this.#materializer.nextMs(withinMs);
  }

  /**
   * The files of deferred transactions follow, of the oldest first: of so many at most, and of those that have failed a
   * moment ago only if `all` are wanted.
   */
  materialize({
    all = false,
    transactionsMax = Number.POSITIVE_INFINITY,
  }: {
    readonly all?: boolean;
    readonly transactionsMax?: number;
  } = {}): MaterializeReport {
    return this.#materializer.run(this.#materializer.due({ all }).slice(0, transactionsMax));
  }

  /** For a request that is about their paths; throws why one of them cannot follow. */
  #materializeFor(records: readonly DeferredRecord[]): void {
    const { failures } = this.#materializer.run(records);
    if (this.poison !== undefined) throw this.#poison.error();
    const [failure] = failures.filter(({ error }) => !isStoreError(error, 'ERR_EXTERNAL_EDIT'));
    if (failure !== undefined) throw failure.error;
  }

  /** Records what is applied and lets go of its locks, when no commit came along to carry it. */
  flushMarks(): void {
    this.#records.flush();
  }

  runGroup(jobs: readonly Job[]): GroupResult {
    const result: GroupResult = { deferred: [], waiting: [] };
    if (this.poison !== undefined) {
      for (const job of jobs) job.reject(this.#poison.error());
      return result;
    }
    this.context.failpoints.hit('stage.before');
    const live = this.#prepare(jobs, result);
    this.context.failpoints.hit('stage.after');
    if (live.length > 0 && this.#commit(live, result)) {
      if (live.some(({ verdict }) => verdict?.kind === 'committed')) this.context.failpoints.hit('log.after');
      for (const each of live) this.#finishSafely(each, result);
    }
    // Whoever was refused by the batch itself comes before those that were put back for its sake.
    if (result.deferred.length > 1) {
      const places = new Map(jobs.map((job, place) => [job, place]));
      result.deferred.sort((one, other) => places.get(one)! - places.get(other)!);
    }
    return result;
  }

  #prepare(jobs: readonly Job[], result: GroupResult): Live[] {
    const live: Live[] = [];
    const worked = this.#stopwatch();
    this.#planner.beginGroup();
    for (const job of jobs) {
      if (isCancelled(job)) {
        job.reject(cancelled());
        continue;
      }
      const before = result.deferred.length + result.waiting.length;
      try {
        const prepared = this.#plan(job.request);
        if (prepared.kind === 'overlaps') result.deferred.push(job);
        else if (prepared.kind === 'locked') this.#meetLock(job, prepared.lock, result);
        else live.push({ job, prepared });
      } catch (error) {
        this.#refusePlan(job, error, result);
      }
      if (result.deferred.length + result.waiting.length > before) this.#planner.putBack(job.request);
    }
    const workedMs = worked();
    for (const job of jobs) job.deadlineMs += workedMs;
    return live;
  }

  /** What the plan stands on must be in the files. */
  #plan(request: CommitRequest): Exclude<Preparation, { kind: 'deferred' }> {
    for (let attempt = 0; attempt < planAttemptsMax; attempt += 1) {
      const prepared = this.#planner.prepare(request);
      if (prepared.kind !== 'deferred') return prepared;
      this.#materializeFor(prepared.records);
    }
    throw unsteady('a deferred save');
  }

  /** Our own work is no waiting. */
  #stopwatch(): () => number {
    const { clock } = this.context;
    const startedMs = clock.monotonicMs();
    return () => clock.monotonicMs() - startedMs;
  }

  #refusePlan(job: Job, error: unknown, result: GroupResult): void {
    if (isOutOfDescriptors(error) && this.#uncheckpointed.descriptors > 0 && job.attempts++ === 0) {
      // A checkpoint closes those that wait for it.
      result.checkpointWanted = true;
      result.deferred.push(job);
    } else if (!(error instanceof PlanOutdated)) this.#reject(job, withStoreCode(error, { op: 'commit' }));
    else if (job.attempts++ < planAttemptsMax) result.deferred.push(job);
    else job.reject(unsteady(error.path));
  }

  #reject(job: Job, error: unknown): void {
    if (isStoreError(error, 'ERR_CONFLICT')) this.#counters.add('conflicts');
    job.reject(error);
  }

  /** A lock of our own is either about to go with the next batch, or of a blocked transaction. */
  #meetLock(job: Job, lock: LockRow, result: GroupResult): void {
    if (lock.blocked) job.reject(blockedBy(lock));
    else if (lock.transaction.owner === this.owner.number) {
      const record = this.#deferred.get(lock.transaction);
      if (record !== undefined) {
        try {
          this.#materializeFor([record]);
        } catch (error) {
          job.reject(withStoreCode(error, { op: 'commit' }));
          return;
        }
      }
      // Applied, but not yet recorded as such.
      if (this.#records.haveMarks) this.flushMarks();
      if (job.attempts++ < planAttemptsMax) result.deferred.push(job);
      else job.reject(unsteady(lock.what));
    } else result.waiting.push({ job, lock });
  }

  /** `false` if nothing was committed. */
  #commit(live: readonly Live[], result: GroupResult): boolean {
    try {
      this.#groupCommit.run(live);
      this.#counters.add('groups');
      return true;
    } catch (error) {
      this.#commitFailed(live, error, result);
      return false;
    }
  }

  #commitFailed(live: readonly Live[], error: unknown, result: GroupResult): void {
    if (error instanceof FlushError || !isStoreError(error)) {
      // The outcome is unknown: nothing may be deleted, and reopening decides.
      this.poisonWith(error);
      for (const { job } of live) job.reject(this.#poison.error());
      return;
    }
    for (const { prepared } of live) this.context.stagingArea.discard(prepared.staged);
    if (error.code === 'ERR_STORE_POISONED') this.poisonWith(error);
    const together = live.length > 1 && tooMuchAtOnce.has(error.code);
    if (together) this.#planner.oneAtATime();
    // A checkpoint makes room in the log.
    const roomToMake = error.code === 'ERR_LOG_FULL' && this.#records.haveUntrimmed;
    if (roomToMake) result.checkpointWanted = true;
    for (const { job } of live) {
      if (together || (roomToMake && job.attempts++ < 2)) result.deferred.push(job);
      else this.#reject(job, error);
    }
  }

  /** Whatever goes wrong with one transaction, the others of its group get their answers. */
  #finishSafely(each: Live, result: GroupResult): void {
    try {
      this.#finish(each, result);
    } catch (error) {
      this.poisonWith(error);
      each.job.reject(this.#poison.error());
    }
  }

  #finish(each: Live, result: GroupResult): void {
    const { job, prepared, verdict } = each;
    const { stagingArea } = this.context;
    if (verdict?.kind !== 'committed') stagingArea.discard(prepared.staged);
    assert(verdict !== undefined, 'a batch that was committed has decided each of its transactions');
    switch (verdict.kind) {
      case 'conflict':
        this.#reject(job, verdict.error);
        break;
      case 'outdated':
        this.#refusePlan(job, new PlanOutdated(prepared.proposal.targets[0]?.path ?? ''), result);
        break;
      case 'locked':
        this.#meetLock(job, verdict.lock, result);
        break;
      case 'untrimmed':
        if (verdict.transaction.owner === this.owner.number) {
          if (this.#ownCheckpoint.underWay) result.checkpointWanted = true;
          else {
            const worked = this.#stopwatch();
            this.checkpointNow();
            job.deadlineMs += worked();
          }
          if (job.attempts++ < planAttemptsMax) result.deferred.push(job);
          else job.reject(unsteady(verdict.path));
        } else {
          result.waiting.push({
            job,
            lock: { what: verdict.path, transaction: verdict.transaction, blocked: false },
          });
        }
        break;
      case 'committed':
        if (prepared.saves !== undefined) {
          this.#resolve(each, verdict);
          break;
        }
        // Somebody may be recovering our transactions by now.
        if (this.poison === undefined) this.#apply(each, verdict, result);
        else job.reject(this.#poison.error());
        break;
    }
  }

  #apply(each: Live, verdict: Committed, result: GroupResult): void {
    const { job, prepared } = each;
    const { number } = prepared.proposal;
    const { staged } = prepared;
    if (staged.targets.length > 0) {
      try {
        this.context.resolver.forget();
        applyTransaction(this.#applyContext, staged);
      } catch (error) {
        this.#rollBack.run(each, verdict, error, result);
        return;
      }
      this.context.failpoints.hit('apply.after');
      this.#records.mark({ number, lockKeys: verdict.lockKeys });
    }
    const replaced = this.#keepForCheckpoint(each, verdict);
    this.#resolve(each, verdict);
    // The caller has the answer: what follows keeps nobody waiting.
    for (const older of replaced) this.#uncheckpointed.release(older);
    this.#dropUnusedParts(job, prepared);
  }

  #resolve({ job, prepared: { staged, saves } }: Live, { revision }: Committed): void {
    this.#counters.add('commits');
    this.#counters.add('bytesWritten', staged.contentBytes);
    const targets = saves ?? staged.targets;
    job.resolve({
      transaction: staged.id,
      revision,
      paths: targets.filter(({ target }) => isLocking(target)).map(({ target }) => target.path),
      bytes: staged.contentBytes,
    });
  }

  /** Content that the caller had staged and that did not become a durable copy of its own (it was joined to other). */
  #dropUnusedParts(job: Job, { staged }: Prepared): void {
    const used = new Set(staged.targets.map(({ target }) => target.staged));
    for (const operation of job.request.operations) {
      if (!('content' in operation) || operation.content.kind !== 'staged') continue;
      const { name, volume } = operation.content;
      const place = this.context.volumes.get(volume);
      if (used.has(name) || place === undefined) continue;
      // What cannot be removed is swept when the store is next opened.
      attempt(() => unlinkIfThere(this.context.fileSystem, stagedPath(place, name)));
    }
  }

  /** Returns those that a newer transaction answers for now: their content needs no fsync. */
  #keepForCheckpoint(
    { job, prepared, committedAtMs = 0 }: Live,
    verdict: Committed,
  ): readonly StagedTarget[] {
    const { staged, proposal } = prepared;
    const { revision, lockKeys, rowBytes } = verdict;
    if (rowBytes !== undefined) this.#uncheckpointed.addRow(rowBytes);
    if (staged.targets.length === 0) return [];
    const { number } = proposal;
    const applied = { number, revision, staged, lockKeys };
    if (!keepsHistory(this.context, job)) return this.#uncheckpointed.keep(applied);
    const entries = changesForHistory(verdict.entries, proposal.entries);
    return this.#uncheckpointed.keep({ ...applied, history: { committedAtMs, entries } });
  }

  /** The steps of one checkpoint over what is applied now. Only one at a time. */
  checkpoint(): Generator<void, CheckpointReport> {
    return this.#ownCheckpoint.steps();
  }

  checkpointNow(): CheckpointReport {
    return this.#ownCheckpoint.now();
  }
}
