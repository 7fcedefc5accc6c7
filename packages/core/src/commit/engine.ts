/**
 * The engine: plan, stage, commit, apply, for a group of transactions at once, in straight synchronous code. It runs in
 * the committer's thread, or in line; whoever drives it (`committer-loop.ts`) owns the timers and the waiting.
 *
 * One group is one flush of the log. Transactions of a group touch nothing in common; those that would are deferred to
 * the next group.
 */

import { applyTransaction, ApplyFailed, rollBack, type RollBackReport } from './apply.js';
import {
  type AppliedTransaction,
  checkpoint,
  type CheckpointReport,
  isSupersededInLog,
  unlinkIfThere,
  type UntrimmedOwn,
} from './checkpoint.js';
import {
  type AppliedMark,
  assertFormat,
  assertNotApplied,
  assertRegistered,
  commitProposal,
  isLocking,
  markKeysMax,
  trimRecords,
  type Verdict,
  writeAbort,
  writeApplied,
} from './commit.js';
import { Counters } from '../committer/committer.js';
import { isStoreError, StoreError, systemCode, withStoreCode } from '../errors.js';
import { FlushError, type LogBatch } from '../log/log.js';
import type { Owner } from '../owner/owner.js';
import { showsImage } from '../record/image.js';
import type { StorePath } from '../path/path.js';
import { Planner, type Prepared } from '../plan/planner.js';
import { type TransactionId, type TransactionNumber, transactionId } from '../record/record.js';
import { lockRow, type LockRow, metaKeys, textRow } from '../record/rows.js';
import { PlanOutdated, type StagedTarget, type StagedTransaction, stagedPath } from './staging-area.js';
import type { StoreContext } from '../store/store-context.js';
import type { CommitRequest } from '../plan/request.js';

/** What a commit left behind. Durability: as the store's `durability` says. */
export interface Commit {
  readonly transaction: TransactionId;
  readonly revision: number;
  /** What changed, by store path. */
  readonly paths: readonly StorePath[];
  /** Content written. */
  readonly bytes: number;
}

export interface Job {
  readonly request: CommitRequest;
  /** On the committer's monotonic clock. */
  deadlineMs: number;
  attempts: number;
  forcedAttempts: number;
  /** When the owner of the lock that it waits for is next asked whether it lives. */
  nextProbeMs: number;
  readonly accepted: (revision: number) => void;
  readonly resolve: (commit: Commit) => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupResult {
  /** To be run again at once. */
  readonly deferred: Job[];
  /** To be run again when another owner has moved on. */
  readonly waiting: { readonly job: Job; readonly lock: LockRow }[];
  /** What is deferred needs the checkpoint that is under way, and one more. */
  checkpointWanted?: boolean;
}

const planAttemptsMax = 50;
const forcedAttemptsMax = 5;

interface Live {
  readonly job: Job;
  readonly prepared: Prepared;
  verdict?: Verdict;
}

export class Engine {
  readonly context: StoreContext;
  readonly owner: Owner;
  /** How long a batch may queue for the one writer's place. Short while closing. */
  commitTimeoutMs: number | undefined;
  readonly #planner: Planner;
  #marks: AppliedMark[] = [];
  /** Rolled back, to be trimmed with the next batch. */
  #trims: TransactionNumber[] = [];
  #applied: AppliedTransaction[] = [];
  /** Newest applied target of each path, by whose descriptor it will be fsynced. */
  readonly #newest = new Map<StorePath, { readonly revision: number; readonly staged: StagedTarget }>();
  #openDescriptors = 0;
  #appliedBytes = 0;
  /** Revisions of our transactions that have a record in the log, by counter. */
  readonly #untrimmed = new Map<number, number>();
  #poison: unknown;
  #internalCounter = 0xc000_0000;
  /** A checkpoint is under way. */
  #checkpointing = false;
  readonly #counters: Counters;

  constructor(context: StoreContext, owner: Owner, counters = new Counters()) {
    this.context = context;
    this.owner = owner;
    this.#counters = counters;
    this.#planner = new Planner(context, owner.number, (transaction) => this.#isMarked(transaction));
  }

  get poison(): unknown {
    return this.#poison;
  }

  assertUsable(): void {
    if (this.#poison !== undefined) throw this.#poisoned();
  }

  get pendingMarks(): number {
    return this.#marks.length + this.#trims.length;
  }

  get uncheckpointed(): {
    readonly transactions: number;
    readonly bytes: number;
    readonly descriptors: number;
  } {
    return {
      transactions: this.#applied.length,
      bytes: this.#appliedBytes,
      descriptors: this.#openDescriptors,
    };
  }

  runGroup(jobs: readonly Job[]): GroupResult {
    const result: GroupResult = { deferred: [], waiting: [] };
    if (this.#poison !== undefined) {
      for (const job of jobs) job.reject(this.#poisoned());
      return result;
    }
    this.context.failpoints.hit('stage.before');
    const live = this.#prepare(jobs, result);
    this.context.failpoints.hit('stage.after');
    if (live.length > 0 && this.#commit(live, result)) {
      this.context.failpoints.hit('log.after');
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
    const { clock } = this.context;
    const startedMs = clock.monotonicMs();
    this.#planner.beginGroup();
    for (const job of jobs) {
      if (isCancelled(job)) {
        job.reject(cancelled());
        continue;
      }
      const before = result.deferred.length + result.waiting.length;
      try {
        const prepared = this.#planner.prepare(job.request);
        if (prepared.kind === 'overlaps') result.deferred.push(job);
        else if (prepared.kind === 'locked') this.#meetLock(job, prepared.lock, result);
        else live.push({ job, prepared });
      } catch (error) {
        this.#refusePlan(job, error, result);
      }
      if (result.deferred.length + result.waiting.length > before) this.#planner.putBack(job.request);
    }
    // Our own work is no waiting.
    const workedMs = clock.monotonicMs() - startedMs;
    for (const job of jobs) job.deadlineMs += workedMs;
    return live;
  }

  #refusePlan(job: Job, error: unknown, result: GroupResult): void {
    if (isOutOfDescriptors(error) && this.#openDescriptors > 0 && job.attempts++ === 0) {
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

  /** Applied, and let go of at the beginning of the next batch. */
  #isMarked({ owner, counter }: TransactionNumber): boolean {
    return owner === this.owner.number && this.#marks.some(({ number }) => number.counter === counter);
  }

  /** A lock of our own is either about to go with the next batch, or of a blocked transaction. */
  #meetLock(job: Job, lock: LockRow, result: GroupResult): void {
    if (lock.blocked) job.reject(blockedBy(lock));
    else if (lock.transaction.owner === this.owner.number) {
      // Applied, but not yet recorded as such.
      if (this.#marks.length > 0) this.flushMarks();
      if (job.attempts++ < planAttemptsMax) result.deferred.push(job);
      else job.reject(unsteady(lock.what));
    } else result.waiting.push({ job, lock });
  }

  /** The one flushed batch. `false` if nothing was committed. */
  #commit(live: Live[], result: GroupResult): boolean {
    const { log, failpoints, clock, mount, processTable, volumes } = this.context;
    const identity = {
      owner: this.owner.number,
      bootId: processTable.identity().bootId,
      mount,
      mountOf: (place: StorePath) => volumes.get(place)?.mount ?? '',
      nowMs: clock.nowMs(),
    };
    const sizeBytes = live.reduce((sum, { prepared }) => sum + prepared.logBytes, 0);
    try {
      this.#thinOutMarks();
      log.commit(
        (batch) => {
          failpoints.hit('log.inside');
          assertRegistered(batch, this.owner.number);
          assertFormat(batch, this.context.format);
          this.#writeMarks(batch);
          for (const each of live) {
            each.verdict = isExpired(each.job, clock.monotonicMs())
              ? { kind: 'conflict', error: expired(each.job) }
              : commitProposal(batch, each.prepared.proposal, this.context.folding, identity);
            if (each.verdict.kind === 'committed' && each.job.request.relaxed) {
              each.job.accepted(each.verdict.revision);
            }
          }
        },
        { sizeBytes, ...this.#timeout() },
      );
      this.#forgetMarks();
      for (const { prepared, verdict } of live) {
        if (verdict?.kind !== 'committed' || prepared.staged.targets.length === 0) continue;
        this.#untrimmed.set(prepared.proposal.number.counter, verdict.revision);
      }
      this.#counters.add('groups');
      return true;
    } catch (error) {
      this.#commitFailed(live, error, result);
      return false;
    }
  }

  #commitFailed(live: Live[], error: unknown, result: GroupResult): void {
    if (error instanceof FlushError || !isStoreError(error)) {
      // The outcome is unknown: nothing may be deleted, and reopening decides.
      this.poisonWith(error);
      for (const { job } of live) job.reject(this.#poisoned());
      return;
    }
    for (const { prepared } of live) this.context.stagingArea.discard(prepared.staged);
    if (error.code === 'ERR_STORE_POISONED') this.poisonWith(error);
    const together = live.length > 1 && tooMuchAtOnce.has(error.code);
    if (together) this.#planner.oneAtATime();
    // A checkpoint makes room in the log.
    const roomToMake = error.code === 'ERR_LOG_FULL' && this.#untrimmed.size > 0;
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
      each.job.reject(this.#poisoned());
    }
  }

  #finish(each: Live, result: GroupResult): void {
    const { job, prepared, verdict } = each;
    const { stagingArea } = this.context;
    if (verdict === undefined || verdict.kind !== 'committed') stagingArea.discard(prepared.staged);
    switch (verdict?.kind) {
      case undefined:
        job.reject(new StoreError('ERR_IO', 'The commit was not decided', { op: 'commit' }));
        break;
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
          if (this.#checkpointing) result.checkpointWanted = true;
          else this.checkpointNow();
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
        // Somebody may be recovering our transactions by now.
        if (this.#poison === undefined) this.#apply(job, prepared, verdict, result);
        else job.reject(this.#poisoned());
        break;
    }
  }

  #apply(
    job: Job,
    prepared: Prepared,
    verdict: Extract<Verdict, { kind: 'committed' }>,
    result: GroupResult,
  ): void {
    const { number } = prepared.proposal;
    const { staged } = prepared;
    if (staged.targets.length > 0) {
      try {
        this.context.resolver.forget();
        applyTransaction(this.#applyContext(), staged);
      } catch (error) {
        this.#rollBack(job, prepared, verdict, error, result);
        return;
      }
      this.context.failpoints.hit('apply.after');
      this.#marks.push({ number, lockKeys: verdict.lockKeys });
    }
    const replaced = this.#keepForCheckpoint(prepared, verdict);
    this.#counters.add('commits');
    this.#counters.add('bytesWritten', staged.contentBytes);
    job.resolve({
      transaction: staged.id,
      revision: verdict.revision,
      paths: staged.targets.filter(({ target }) => isLocking(target)).map(({ target }) => target.path),
      bytes: staged.contentBytes,
    });
    // The caller has the answer: what follows keeps nobody waiting.
    for (const older of replaced) this.#release(older);
    this.#dropUnusedParts(job, prepared);
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
      tolerate(() => unlinkIfThere(this.context.fileSystem, stagedPath(place, name)));
    }
  }

  #applyContext() {
    const { fileSystem, roots, resolver, failpoints } = this.context;
    return {
      fileSystem,
      roots,
      resolver,
      onStep: (step: 'apply' | 'roll-back') =>
        failpoints.hit(step === 'apply' ? 'apply.target' : 'roll-back.target'),
    };
  }

  /** Returns those that a newer transaction answers for now: their content needs no fsync. */
  #keepForCheckpoint(
    prepared: Prepared,
    verdict: Extract<Verdict, { kind: 'committed' }>,
  ): readonly StagedTarget[] {
    const { staged, proposal } = prepared;
    if (staged.targets.length === 0) return [];
    const replaced: StagedTarget[] = [];
    this.#applied.push({
      number: proposal.number,
      revision: verdict.revision,
      staged,
      lockKeys: verdict.lockKeys,
    });
    this.#appliedBytes += staged.contentBytes;
    for (const target of staged.targets) {
      const older = this.#newest.get(target.target.path);
      if (older !== undefined) replaced.push(older.staged);
      this.#newest.set(target.target.path, { revision: verdict.revision, staged: target });
      if (target.descriptor !== undefined) this.#openDescriptors += 1;
    }
    this.countUncheckpointed();
    return replaced;
  }

  countUncheckpointed(): void {
    const { transactions, bytes, descriptors } = this.uncheckpointed;
    this.#counters.set('uncheckpointedTransactions', transactions);
    this.#counters.set('uncheckpointedBytes', bytes);
    this.#counters.set('openDescriptors', descriptors);
  }

  #rollBack(
    job: Job,
    prepared: Prepared,
    verdict: Extract<Verdict, { kind: 'committed' }>,
    failure: unknown,
    result: GroupResult,
  ): void {
    const { log, failpoints, folding, resolver, stagingArea } = this.context;
    const { staged, proposal } = prepared;
    const mark: AppliedMark = { number: proposal.number, lockKeys: verdict.lockKeys };
    const cause = failure instanceof ApplyFailed ? failure.cause : failure;
    const tried = failure instanceof ApplyFailed ? failure.tried : [];
    let report: RollBackReport;
    try {
      log.view((view) => {
        assertRegistered(view, this.owner.number);
        assertNotApplied(view, proposal.number);
      });
    } catch (error) {
      this.poisonWith(error);
      job.reject(this.#poisoned());
      return;
    }
    try {
      resolver.forget();
      report = rollBack(this.#applyContext(), staged, tried);
    } catch (error) {
      this.#block(staged, mark, new AggregateError([cause, error], 'applying and rolling back both failed'));
      job.reject(this.#poison === undefined ? blocked(staged.id, error) : this.#poisoned());
      return;
    }
    failpoints.hit('roll-back.before-abort');
    try {
      log.commit(
        (batch) => {
          assertRegistered(batch, this.owner.number);
          this.#writeMarks(batch);
          const { entries, buried } = verdict;
          writeAbort(
            batch,
            { mark, targets: proposal.targets, entries, buried, images: report.images },
            folding,
          );
        },
        { essential: true, ...this.#timeout() },
      );
    } catch (error) {
      this.poisonWith(error);
      job.reject(this.#poisoned());
      return;
    }
    this.#forgetMarks();
    stagingArea.discard(staged);
    this.#trims.push(proposal.number);
    this.#counters.add('rollBacks');
    for (const each of report.saved)
      this.context.logger.warn(each, 'kept what a roll-back could not put back');
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

  /** Nothing more can be done for it here: its paths stay locked until somebody repairs it. */
  #block({ id, targets }: StagedTransaction, mark: AppliedMark, cause: unknown): void {
    this.context.logger.error({ transaction: id, cause }, 'a transaction is blocked');
    // Its content is in the log or under its staged names: whoever repairs it opens what it needs.
    for (const target of targets) this.#closeDescriptor(target);
    try {
      this.context.log.commit(
        (batch) => {
          for (const key of mark.lockKeys) {
            const value = batch.get('locks', key);
            if (value === undefined) continue;
            batch.put('locks', key, lockRow.encode(key, { ...lockRow.decode(key, value), blocked: true }));
          }
        },
        { essential: true, ...this.#timeout() },
      );
    } catch (error) {
      this.poisonWith(error);
    }
  }

  #timeout(): { readonly timeoutMs?: number } {
    return this.commitTimeoutMs === undefined ? {} : { timeoutMs: this.commitTimeoutMs };
  }

  #writeMarks(batch: LogBatch): void {
    writeApplied(batch, this.#marks, this.context.processTable.identity().bootId);
    for (const number of this.#trims) trimRecords(batch, number);
  }

  #forgetMarks(): void {
    for (const { counter } of this.#trims) this.#untrimmed.delete(counter);
    this.#marks = [];
    this.#trims = [];
  }

  #untrimmedBeside(beside: readonly AppliedTransaction[]): UntrimmedOwn {
    const leaving = new Set(
      [...this.#trims, ...beside.map(({ number }) => number)].map(({ counter }) => counter),
    );
    let oldestRevision = Number.POSITIVE_INFINITY;
    for (const [counter, revision] of this.#untrimmed) {
      if (!leaving.has(counter)) oldestRevision = Math.min(oldestRevision, revision);
    }
    return { owner: this.owner.number, oldestRevision };
  }

  /** One batch takes only so many changes: where many locks have gathered, they go before it. */
  #thinOutMarks(): void {
    for (let keys = keyCount(this.#marks); keys > markKeysMax; keys = keyCount(this.#marks)) {
      let count = 1;
      while (keyCount(this.#marks.slice(0, count + 1)) <= markKeysMax) count += 1;
      const first = this.#marks.slice(0, count);
      this.#commitMarks((batch) => writeApplied(batch, first, this.context.processTable.identity().bootId));
      this.#marks = this.#marks.slice(count);
    }
  }

  #commitMarks(write: (batch: LogBatch) => void): void {
    try {
      this.context.log.commit(
        (batch) => {
          assertRegistered(batch, this.owner.number);
          write(batch);
        },
        { essential: true, ...this.#timeout() },
      );
    } catch (error) {
      if (isWorthAnotherTry(error)) throw error;
      this.poisonWith(error);
      throw this.#poisoned();
    }
  }

  /** Records what is applied and lets go of its locks, when no commit came along to carry it. */
  flushMarks(): void {
    if (this.pendingMarks === 0 || this.#poison !== undefined) return;
    this.#thinOutMarks();
    this.#commitMarks((batch) => this.#writeMarks(batch));
    this.#forgetMarks();
    this.context.failpoints.hit('applied.after');
  }

  /** The steps of one checkpoint over what is applied now. Only one at a time. */
  *checkpoint(): Generator<void, CheckpointReport> {
    const set = this.#applied;
    const setBytes = this.#appliedBytes;
    this.#applied = [];
    this.#appliedBytes = 0;
    const { fileSystem, log, roots, folding, clock, failpoints, logger } = this.context;
    this.#checkpointing = true;
    try {
      return yield* checkpoint(
        {
          fileSystem,
          log,
          logger,
          roots,
          folding,
          nowMs: () => clock.monotonicMs(),
          commitOptions: () => ({ essential: true, ...this.#timeout() }),
          thinOutMarks: () => this.#thinOutMarks(),
          writeMarks: (batch) => {
            assertRegistered(batch, this.owner.number);
            this.#writeMarks(batch);
          },
          trimmed: (trimmed) => {
            this.#forgetMarks();
            for (const { number } of trimmed) this.#untrimmed.delete(number.counter);
          },
          untrimmedOwn: (beside) => this.#untrimmedBeside(beside),
          release: (target) => this.#release(target),
          rewrite: (applied, target, cause) => this.#rewrite(applied, target, cause),
          isSuperseded: (applied, target) =>
            log.view((view) => isSupersededInLog(view, applied, target, folding)),
          onStep: (step) => failpoints.hit(`checkpoint.${step}`),
        },
        set,
      );
    } catch (error) {
      if (this.#poison === undefined && isWorthAnotherTry(error)) {
        // Nothing was forgotten: the next checkpoint does it all again.
        this.#applied = [...set, ...this.#applied];
        this.#appliedBytes += setBytes;
        throw error;
      }
      // What is applied stays applied, and in the log; only a reopened store knows what is durable.
      this.poisonWith(error);
      throw this.#poisoned();
    } finally {
      this.#checkpointing = false;
    }
  }

  #release(target: StagedTarget): void {
    if (this.#newest.get(target.target.path)?.staged === target) this.#newest.delete(target.target.path);
    if (target.descriptor === undefined) return;
    this.#openDescriptors -= 1;
    this.#closeDescriptor(target);
  }

  /** A descriptor is gone whatever closing it answers; what it held is durable, or needed no more. */
  #closeDescriptor(target: StagedTarget): void {
    const { descriptor } = target;
    if (descriptor === undefined) return;
    target.descriptor = undefined;
    tolerate(() => this.context.fileSystem.close(descriptor));
  }

  checkpointNow(): CheckpointReport {
    const steps = this.checkpoint();
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** An fsync failed, so nobody knows what is on the disk: the content is written anew, from memory, and committed. */
  #rewrite({ number }: AppliedTransaction, target: StagedTarget, cause: unknown): void {
    const {
      target: { path, content, after },
      absolute,
    } = target;
    // What somebody has put there or written there since is not ours to make durable.
    if (!showsImage(this.context.fileSystem.lstat(absolute), after)) return;
    this.context.logger.warn({ path, cause }, 'fsync failed; writing the content again');
    try {
      if (content === undefined) throw cause;
      this.#writeAgain(path, content, cause);
    } catch (error) {
      this.#noteUnflushed(number, target);
      this.poisonWith(error);
      throw error;
    }
  }

  /** The pages are marked clean: on the same boot recovery could not tell that another flush would do nothing. */
  #noteUnflushed(number: TransactionNumber, { target }: StagedTarget): void {
    const key = metaKeys.unflushed(number, target.index);
    const note = (batch: LogBatch): void => batch.put('meta', key, textRow.encode(key, target.path));
    tolerate(() => this.context.log.commit(note, { essential: true, ...this.#timeout() }));
  }

  #writeAgain(path: StorePath, content: Uint8Array, cause: unknown): void {
    const outcome: { failure?: unknown } = {};
    const job: Job = {
      request: {
        counter: this.#internalCounter++,
        operations: [{ type: 'write', path, content: { kind: 'bytes', bytes: content }, options: {} }],
        reads: [],
        relaxed: false,
        neverInline: true,
      },
      deadlineMs: Number.POSITIVE_INFINITY,
      attempts: 0,
      forcedAttempts: 0,
      nextProbeMs: 0,
      accepted: () => undefined,
      resolve: () => undefined,
      reject: (error) => {
        outcome.failure = error;
      },
    };
    for (let again = true; again && outcome.failure === undefined; ) {
      const { deferred, waiting } = this.runGroup([job]);
      if (waiting.length > 0) throw toError(cause);
      again = deferred.length > 0;
    }
    if (outcome.failure !== undefined) throw toError(outcome.failure);
  }

  /** From now on every request is refused. What is on the disk is left exactly as it is. */
  poisonWith(cause: unknown): void {
    if (this.#poison !== undefined) return;
    this.#poison = cause;
    this.context.logger.error({ cause }, 'the store is poisoned');
  }

  #poisoned(): StoreError {
    return new StoreError('ERR_STORE_POISONED', 'The store is poisoned: the outcome of a write is unknown', {
      op: 'commit',
      hint: 'Close the store and open it again: recovery decides what was committed.',
      cause: this.#poison,
    });
  }
}

const tooMuchAtOnce: ReadonlySet<string> = new Set(['ERR_TOO_LARGE', 'ERR_TOO_MANY', 'ERR_LOG_FULL']);

/** The log was not written, and may be another time: another process is at it, or the disk is full. */
function isWorthAnotherTry(error: unknown): boolean {
  return isStoreError(error) && ['ERR_STORE_LOCKED', 'ERR_NO_SPACE', 'ERR_LOG_FULL'].includes(error.code);
}

function isOutOfDescriptors(error: unknown): boolean {
  const code = isStoreError(error) ? systemCode(error.cause) : undefined;
  return code === 'EMFILE' || code === 'ENFILE';
}

function keyCount(marks: readonly AppliedMark[]): number {
  return marks.reduce((sum, { lockKeys }) => sum + lockKeys.length, 0);
}

function tolerate(action: () => void): void {
  try {
    action();
  } catch {
    // Each caller says why it does not matter.
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function isCancelled(job: Job): boolean {
  return job.request.cancel !== undefined && Atomics.load(job.request.cancel, 0) !== 0;
}

function isExpired(job: Job, nowMs: number): boolean {
  return isCancelled(job) || nowMs > job.deadlineMs;
}

function cancelled(): StoreError {
  return new StoreError('ERR_ABORTED', 'The transaction was aborted before it was committed', {
    op: 'commit',
  });
}

function expired(job: Job): StoreError {
  return isCancelled(job) ? cancelled() : lockTimeout('a lock');
}

export function lockTimeout(what: string): StoreError {
  return new StoreError('ERR_STORE_LOCKED', `Waited too long for ${what}`, {
    op: 'commit',
    hint: 'Another process is writing, or is stopped while it holds the lock. `forewrit status` shows who.',
  });
}

function unsteady(path: string): StoreError {
  return new StoreError('ERR_CONFLICT', `'${path}' keeps changing while it is planned`, {
    op: 'commit',
    path,
    hint: 'Another program writes the same files without pause. Try again.',
  });
}

function blockedBy(lock: LockRow): StoreError {
  return blocked(transactionId(lock.transaction), undefined, lock.what);
}

function blocked(transaction: TransactionId, cause: unknown, path?: string): StoreError {
  return new StoreError('ERR_APPLY_BLOCKED', `Transaction ${transaction} is blocked: it can go neither way`, {
    op: 'commit',
    path,
    transaction,
    hint: `Run: forewrit repair ${transaction} --forward (or --back, or --quarantine)`,
    cause,
  });
}

function rolledBack(transaction: TransactionId, cause: unknown, left: readonly string[]): unknown {
  if (isStoreError(cause, 'ERR_EXTERNAL_EDIT') && left.length === 0) return cause;
  const stayed =
    left.length === 0 ? '' : ` These were changed meanwhile and stay as they are: ${left.join(', ')}.`;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StoreError(
    'ERR_APPLY_ROLLED_BACK',
    `Transaction ${transaction} was rolled back: ${why}.${stayed}`,
    {
      op: 'commit',
      transaction,
      path: isStoreError(cause) ? cause.path : undefined,
      hint: 'The files are as they were before. The cause says what stood in the way.',
      cause,
    },
  );
}
