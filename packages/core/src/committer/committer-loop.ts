/**
 * Drives the engine: the queue, groups, timers, waiting for other owners' locks, and finding out that one has died.
 * Everything that decides is in the engine and synchronous; here is only when.
 *
 * - Requests that arrive together are one group, and one flush.
 * - `applied` marks ride with the next group, or go alone after `markDelayMs`.
 * - Checkpoints run one step between two groups, and in idle turns of the event loop.
 * - A request that meets another owner's lock waits, bounded (`lock-waits.ts`).
 */

import type { CheckpointReport } from '../commit/checkpoint.js';
import { Engine } from '../commit/engine.js';
import type { Commit, GroupResult, Job } from '../commit/job.js';
import { lockTimeout } from '../commit/refusal.js';
import type { StagingRequest } from '../commit/resumable-records.js';
import { StoreError, toError, withStoreCode } from '../errors.js';
import { descriptorBudget } from '../files/descriptor-budget.js';
import { FlushError } from '../log/log.js';
import type { CommitRequest } from '../plan/request.js';
import { defaults } from '../store/options.js';
import { readOwners, type StoreContext } from '../store/store-context.js';
import { BacklogDrive } from './backlog-drive.js';
import { CheckpointDrive } from './checkpoint-drive.js';
import { MaterializeDrive } from './materialize-drive.js';
import { type Committer, type CommitterState, Counters } from './committer.js';
import { belongsToOthers, findDead } from './dead-owner.js';
import { StagingQueue } from './staging-queue.js';
import { LockWaits, tolerate } from './lock-waits.js';
import { closeCommitTimeoutMs, Registration, type RegistrationOptions } from './registration.js';
import { standAsideMs } from './turn-taking.js';

const groupMax = 256;
/** Descriptors of content that is not fsynced yet: more start a checkpoint at once, and hurry it. */
const openDescriptorsMany = 512;
const stepsWhenManyOpen = 64;
const stepsBetweenGroupsMax = 256;
const transactionsMany = 64;
/** Each commit costs more the more pages the log has in use, and the more scattered they are. */
const loggedBytesMany = 2 * 1024 * 1024;
const markDelayMs = 5;
/** So long after it began to close, a store is still busy with what another one has left. */
const backlogUntilMs = 500;
const untried = -1;

export interface LoopOptions extends RegistrationOptions {
  readonly counters?: Counters;
  /** Called again and again while a store that is being closed has work of its own to do. */
  readonly onCloseStep?: () => void;
}

export class CommitterLoop implements Committer {
  readonly state: CommitterState;
  readonly context: StoreContext;
  readonly counters: Counters;
  readonly engine: Engine;
  readonly #options: LoopOptions;
  readonly #registration: Registration;
  readonly #lockWaits: LockWaits;
  readonly #checkpoints: CheckpointDrive;
  readonly #files: MaterializeDrive;
  readonly #stagings: StagingQueue;
  readonly #backlog: BacklogDrive;
  #queue: Job[] = [];
  #scheduled = false;
  #running = false;
  #markTimer: NodeJS.Timeout | undefined;
  #checkpointTimer: NodeJS.Timeout | undefined;
  #idleStep: NodeJS.Immediate | undefined;
  #nextRun: NodeJS.Immediate | undefined;
  #asideTimer: NodeJS.Timeout | undefined;
  #recovering: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #poisonReported = false;
  readonly #descriptorsMax = descriptorBudget() / 2;
  /** Steps of a checkpoint to be made before the next group. */
  #stepsOwed = 0;
  /** Spare files may be missing: made in idle turns. */
  #spareWanted = false;

  private constructor(options: LoopOptions, registration: Registration) {
    const { context, owner, recovery } = registration;
    this.#options = options;
    this.context = context;
    this.#registration = registration;
    this.counters = options.counters ?? new Counters();
    this.engine = new Engine(context, owner, this.counters);
    this.#lockWaits = new LockWaits({
      log: context.log,
      owner: owner.number,
      nowMs: () => context.clock.monotonicMs(),
      onLook: (jobs, probe) => this.#tryAgain(jobs, probe),
    });
    this.#checkpoints = new CheckpointDrive(this.engine, this.counters, options.onEvent);
    this.#files = new MaterializeDrive({
      engine: this.engine,
      withinMs: context.options.materializeWithinMs ?? defaults.materializeWithinMs,
      nowMs: () => context.clock.monotonicMs(),
      othersWait: () => this.#othersWait(),
      onEvent: options.onEvent,
      afterRun: () => this.#afterRun(),
    });
    this.#stagings = new StagingQueue(this.engine.resumables, () => this.#reportPoison());
    this.#backlog = new BacklogDrive({
      run: (piece) => this.#recoverSafely(piece),
      onEnd: (report) => options.onEvent({ type: 'recover', report }),
      onError: (error) => context.logger.error({ error }, 'what was recovered could not be made durable'),
    });
    if (recovery.backlog !== undefined) this.#backlog.begin(recovery.backlog);
    this.state = { ownerNumber: owner.number, ownerId: owner.id, recovery: recovery.report };
  }

  static async start(options: LoopOptions): Promise<CommitterLoop> {
    return new CommitterLoop(options, await Registration.make(options));
  }

  commit(request: CommitRequest, accepted: (revision: number) => void = () => undefined): Promise<Commit> {
    return new Promise((resolve, reject) => {
      this.submit(request, { accepted, resolve, reject });
    });
  }

  /** The answer comes as soon as it is known: of a group's transactions the first need not wait for the last. */
  submit(request: CommitRequest, answer: Pick<Job, 'accepted' | 'resolve' | 'reject'>): void {
    if (this.#closing !== undefined) {
      answer.reject(closed());
      return;
    }
    this.#queue.push({
      request,
      deadlineMs: untried,
      attempts: 0,
      forcedAttempts: 0,
      nextProbeMs: 0,
      ...answer,
    });
    this.#schedule();
  }

  stage(request: StagingRequest): Promise<void> {
    return this.#closing === undefined ? this.#stagings.add(request) : Promise.reject(closed());
  }

  async checkpoint(): Promise<CheckpointReport> {
    const report = await this.#checkpoint();
    if (!(await this.#backlog.done())) throw closed();
    return report;
  }

  #checkpoint(): Promise<CheckpointReport> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      // One that is under way has its set already: what was applied since needs one more.
      const next = (): void => {
        if (this.#closing !== undefined) return reject(closed());
        // What cannot follow now stays in the log, which the checkpoint leaves as it is.
        this.#files.all();
        this.#checkpoints.answer({ resolve, reject });
        this.#startCheckpoint();
      };
      if (this.#checkpoints.underWay) this.#checkpoints.answer({ resolve: next, reject: next });
      else next();
    });
  }

  materialize(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    const failure = this.#files.all();
    this.#afterRun();
    if (this.engine.poison === undefined && failure === undefined) return Promise.resolve();
    const error = failure ?? this.engine.poison;
    return Promise.reject(
      toError(withStoreCode(error, { op: 'materialize', path: this.context.roots.root })),
    );
  }

  recoverDead(): Promise<void> {
    this.#recovering ??= this.#recoverDead().finally(() => {
      this.#recovering = undefined;
    });
    return this.#recovering;
  }

  async #recoverDead(): Promise<void> {
    const { recoverer, onEvent } = this.#options;
    if (recoverer === undefined || this.engine.poison !== undefined) return;
    const dead = await findDead(this.context, this.engine.owner);
    // Who has deregistered may recover nobody.
    if (this.#closing !== undefined) return;
    if (dead.length === 0 && !this.context.log.view((view) => belongsToOthers(view, readOwners(view))))
      return;
    this.flushQuietly();
    const { report, backlog } = await this.#recoverSafely(() =>
      recoverer.recover(this.context, dead, this.engine.owner),
    );
    onEvent({ type: 'recover', report });
    if (backlog !== undefined) this.#backlog.begin(backlog);
  }

  async #recoverSafely<T>(work: () => Promise<T>): Promise<T> {
    try {
      this.engine.assertUsable();
      return await work();
    } catch (error) {
      if (!(error instanceof FlushError)) throw error;
      // This log takes no further batch.
      this.engine.poisonWith(error);
      this.#afterRun();
      this.engine.assertUsable();
      throw error;
    } finally {
      this.context.resolver.forget();
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#running || this.#nextRun !== undefined || this.#asideTimer !== undefined)
      return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#run();
    });
  }

  /** One group; what is left takes the next turn of the event loop, so that answers and timers are not kept waiting. */
  #run(): void {
    if (this.#running || this.#queue.length === 0) return;
    this.#running = true;
    try {
      // Those that wait come first: nobody who wants the same may overtake them.
      const jobs = [...this.#lockWaits.take(), ...this.#queue.splice(0, groupMax)];
      this.#runGroup(jobs);
      this.#stepsOwed = this.context.options.history === undefined ? jobs.length : stepsWithHistory(jobs);
    } finally {
      this.#running = false;
      this.#afterRun();
      this.#planNextRun();
    }
  }

  #haveManyOpen(): boolean {
    return this.engine.uncheckpointed.descriptors > openDescriptorsMany;
  }

  /** At most one group a turn: whoever saves in a loop, in this thread, leaves room for everything else. */
  #planNextRun(): void {
    if (this.#nextRun !== undefined || this.#asideTimer !== undefined) return;
    this.#nextRun = setImmediate(() => {
      this.#nextRun = undefined;
      if (this.#closing !== undefined) return;
      this.#keepUp();
      if (this.#othersWait()) this.#standAside();
      else this.#run();
    });
  }

  #othersWait(): boolean {
    return this.engine.poison === undefined && this.#lockWaits.othersWait();
  }

  /** Another owner waits: the next group begins a little later. */
  #standAside(): void {
    this.#files.all();
    this.flushQuietly();
    this.#asideTimer = setTimeout(() => {
      this.#asideTimer = undefined;
      this.#run();
    }, standAsideMs);
  }

  /** As many steps as there were transactions: a checkpoint keeps up with any load, once the answers are on their way. */
  #keepUp(): void {
    const steps = this.#haveManyOpen() ? Math.max(this.#stepsOwed, stepsWhenManyOpen) : this.#stepsOwed;
    this.#stepsOwed = 0;
    const tooManyOpen = this.engine.uncheckpointed.descriptors > this.#descriptorsMax;
    if (!this.#checkpoints.underWay && !tooManyOpen) return;
    for (let step = 0; step < steps; step += 1) if (!this.#checkpoints.step()) break;
    if (this.engine.uncheckpointed.descriptors > this.#descriptorsMax) this.#checkpoints.finish();
    this.#afterRun();
  }

  #runGroup(jobs: Job[]): void {
    this.#spareWanted = true;
    this.#startWaiting(jobs);
    let result: GroupResult;
    try {
      result = this.engine.runGroup(jobs);
    } catch (error) {
      // Nobody knows how far it has come.
      this.engine.poisonWith(error);
      this.engine.runGroup(jobs);
      return;
    }
    const nowMs = this.context.clock.monotonicMs();
    const again: Job[] = [];
    for (const job of result.deferred) {
      if (nowMs > job.deadlineMs) job.reject(lockTimeout('other transactions on the same files'));
      else again.push(job);
    }
    // First come, first served.
    this.#queue.unshift(...again);
    this.#lockWaits.add(result.waiting);
    if (result.checkpointWanted === true) {
      // One that is under way has its set already.
      const { underWay } = this.#checkpoints;
      this.#files.all();
      if (this.#checkpoints.finish() && underWay) this.#checkpoints.finish();
      // Our own work is no waiting.
      const workedMs = this.context.clock.monotonicMs() - nowMs;
      for (const job of again) job.deadlineMs += workedMs;
    }
  }

  /** How long a transaction may wait counts from when it was first tried, not from when it had to queue for that. */
  #startWaiting(jobs: readonly Job[]): void {
    const { clock, options } = this.context;
    const deadlineMs = clock.monotonicMs() + (options.lockTimeoutMs ?? defaults.lockTimeoutMs);
    for (const job of jobs) if (job.deadlineMs === untried) job.deadlineMs = deadlineMs;
  }

  #afterRun(): void {
    const { uncheckpointed } = this.engine;
    this.engine.countUncheckpointed();
    this.counters.set('queued', this.#queue.length);
    this.counters.set('waiting', this.#lockWaits.count);
    this.#reportPoison();
    if (this.#closing !== undefined) return;
    if (this.engine.poison === undefined) {
      if (this.engine.pendingMarks > 0) this.#markTimer ??= unrefed(() => this.#flushMarks(), markDelayMs);
      if (isCheckpointDue(uncheckpointed)) this.#planCheckpoint(uncheckpointed);
      this.#files.plan();
    }
    if (this.#checkpoints.underWay || this.#spareWanted) this.#stepWhenIdle();
    if (this.#lockWaits.count > 0) this.#lockWaits.watch();
    else if (this.#queue.length === 0) this.#lockWaits.stop();
  }

  #reportPoison(): void {
    if (this.engine.poison === undefined || this.#poisonReported) return;
    this.#poisonReported = true;
    this.#registration.abandon();
    this.#options.onEvent({ type: 'poisoned', cause: this.engine.poison });
  }

  #flushMarks(): void {
    this.#markTimer = undefined;
    this.flushQuietly();
    this.#afterRun();
  }

  flushQuietly(): void {
    tolerate(() => this.engine.flushMarks());
  }

  #planCheckpoint(uncheckpointed: Engine['uncheckpointed']): void {
    const { checkpointIntervalMs, checkpointBytes } = this.context.options;
    const many =
      uncheckpointed.bytes >= (checkpointBytes ?? defaults.checkpointBytes) ||
      uncheckpointed.loggedBytes + uncheckpointed.rowBytes >= loggedBytesMany ||
      this.#haveManyOpen();
    // One that has failed is not tried again at once.
    if (many && !this.#checkpoints.failed) this.#startCheckpoint();
    else {
      this.#checkpointTimer ??= unrefed(() => {
        this.#checkpointTimer = undefined;
        this.#startCheckpoint();
      }, checkpointIntervalMs ?? defaults.checkpointIntervalMs);
    }
  }

  #startCheckpoint(): void {
    this.#checkpoints.begin();
    this.#stepWhenIdle();
  }

  #stepWhenIdle(): void {
    this.#idleStep ??= setImmediate(() => {
      this.#idleStep = undefined;
      if (this.#running || this.#queue.length > 0 || this.#closing !== undefined) return;
      this.#spareWanted = this.#spareWanted && this.context.spares.refill();
      if (!this.#spareWanted) this.#checkpoints.step();
      this.#afterRun();
    });
  }

  #tryAgain(jobs: readonly Job[], probe: boolean): void {
    this.#queue.unshift(...jobs);
    if (probe) this.#probeOwners();
    if (this.#queue.length > 0) this.#schedule();
    else if (this.#closing === undefined) this.#lockWaits.stop();
    else this.#lockWaits.end();
  }

  #probeOwners(): void {
    this.recoverDead().then(
      () => this.#schedule(),
      (error: unknown) => this.context.logger.error({ error }, 'recovering a dead owner failed'),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const beganMs = this.context.clock.monotonicMs();
    this.#stopTimers();
    this.context.spares.end();
    this.context.failpoints.hit('close.before');
    this.engine.commitTimeoutMs = closeCommitTimeoutMs;
    this.#stagings.run();
    while (this.#queue.length > 0) this.#run();
    for (const job of this.#lockWaits.take()) job.reject(closed());
    try {
      // What cannot follow now is in the log: the next open tries again.
      this.#files.all();
      // Others need not wait for our locks as long as that takes.
      if (this.engine.uncheckpointed.transactions > transactionsMany) this.engine.flushMarks();
      while (this.#isUnfinished() && this.#checkpoints.finish(this.#options.onCloseStep));
      this.engine.flushMarks();
    } catch (error) {
      this.context.logger.warn({ error }, 'the store could not be closed cleanly; the next open recovers');
    }
    this.#checkpoints.end((waiter) => waiter.reject(closed()));
    await this.#backlog.stopAfter(backlogUntilMs - (this.context.clock.monotonicMs() - beganMs));
    this.#stopTimers();
    await this.#registration.end();
    this.context.log.close();
  }

  #isUnfinished(): boolean {
    if (this.engine.poison !== undefined) return false;
    return isCheckpointDue(this.engine.uncheckpointed) || this.#checkpoints.underWay;
  }

  #stopTimers(): void {
    clearTimeout(this.#markTimer);
    clearTimeout(this.#checkpointTimer);
    this.#files.end();
    if (this.#idleStep !== undefined) clearImmediate(this.#idleStep);
    if (this.#nextRun !== undefined) clearImmediate(this.#nextRun);
    clearTimeout(this.#asideTimer);
    this.#asideTimer = undefined;
    this.#markTimer = undefined;
    this.#checkpointTimer = undefined;
    this.#idleStep = undefined;
    this.#nextRun = undefined;
    this.#lockWaits.end();
  }
}

/** Of a checkpoint over these: each file and each before-image is flushed, then they are swept, and older ones let go. */
function stepsWithHistory(jobs: readonly Job[]): number {
  const steps = jobs.reduce((sum, { request }) => sum + 2 + 2 * request.operations.length, 0);
  return Math.min(steps, stepsBetweenGroupsMax);
}

/** Rows of history that came with their commits have nothing to be made durable, and retention to pass. */
function isCheckpointDue({ transactions, rowBytes }: Engine['uncheckpointed']): boolean {
  return transactions > 0 || rowBytes > 0;
}

function closed(): StoreError {
  return new StoreError('ERR_STORE_CLOSED', 'The store is closed', { op: 'commit' });
}

function unrefed(action: () => void, delayMs: number): NodeJS.Timeout {
  return setTimeout(action, delayMs).unref();
}
