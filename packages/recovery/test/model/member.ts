/**
 * An owner of the store: a simulated process with an engine, and the public `Store` over it. What is asked of the
 * committer waits until the run says that it is carried out, so that several owners can be interleaved.
 */

import {
  type CheckpointReport,
  type Commit,
  type CommitRequest,
  type Committer,
  deregisterOwner,
  emptyRecoveryReport,
  type Job,
  openAccess,
  Store,
  type StoreOptions,
} from '@forewrit/core';
import type { Fault, FileSystemCall } from '@forewrit/testkit';
import { verify } from '#src/verify.js';
import type { SimulatedProcess, World } from '../world.js';
import type { Attempt } from './attempt.js';
import { type ErrorCode, errorCodes } from './program.js';
import { Window } from './timeline.js';

export type Place = 'call' | 'before a commit of the log' | 'after a commit of the log';

/** Who runs the program. */
export interface Conductor {
  /** Before a call to the file system, and around each commit of the log. May throw. */
  reached(member: Member, place: Place, call: FileSystemCall | undefined): void;
  resolved(attempt: Attempt, commit: Commit): void;
  rejected(member: Member, attempt: Attempt, error: unknown): void;
  /** The guards of a transaction hold, and it has nothing to change, so that it has no revision of its own. */
  passed(attempt: Attempt): void;
  /** Of the last batch that was flushed. */
  readonly revision: number;
  /** A reader has come to the present. */
  timePasses(): void;
  /** A reader waits for the lock of somebody who may be dead. */
  recoverDead(member: Member): Promise<void>;
}

/** What the next call is to fail with. */
export type Armed =
  | { readonly error: ErrorCode; readonly after: boolean; readonly sticky: boolean }
  | { readonly shortWrite: number };

interface Asked {
  readonly job: Job;
  readonly attempt: Attempt;
}

const deferralsMax = 60;

export class Member implements Committer {
  readonly number: number;
  readonly process: SimulatedProcess;
  readonly store: Store;
  readonly window: Window;
  readonly state: Committer['state'];
  readonly counters: Committer['counters'];
  readonly #conductor: Conductor;
  readonly #faults: Faults;
  readonly #jobs = new Map<Job, Attempt>();
  #queue: Job[] = [];
  #alive = true;
  /** What is asked for next is for this transaction. */
  asking: Attempt | undefined;
  /** Its guards hold in the batch that is being written. */
  accepted: Asked[] = [];
  /** Committed, in their order, and not answered yet. */
  unanswered: Attempt[] = [];

  private constructor(number: number, process: SimulatedProcess, faults: Faults, conductor: Conductor) {
    this.number = number;
    this.process = process;
    this.#faults = faults;
    this.#conductor = conductor;
    const { context, owner } = process;
    this.state = { ownerNumber: owner.number, ownerId: owner.id, recovery: emptyRecoveryReport };
    this.counters = engineCounters();
    this.window = new Window(context, () => conductor.timePasses());
    const { fileSystem, log } = this.window;
    const options: StoreOptions = { ...context.options, committer: 'inline', fileSystem };
    const access = openAccess(
      { ...context, fileSystem, log, newStoreId: '', umask: 0o022, privileged: false },
      options,
      this,
    );
    this.store = new Store({
      access,
      committer: this,
      recovery: emptyRecoveryReport,
      options,
      verify,
      closeLog: () => undefined,
    });
  }

  static async start(
    world: World,
    { number, inlineLimitBytes }: { readonly number: number; readonly inlineLimitBytes: number },
    conductor: Conductor,
  ): Promise<Member> {
    const faults = new Faults();
    const made: { member?: Member } = {};
    const reached = (place: Place, call?: FileSystemCall): void => {
      if (made.member !== undefined) conductor.reached(made.member, place, call);
    };
    const process = await world.start({
      inlineLimitBytes,
      faults: faults.all,
      beforeCall: (call) => reached('call', call),
      beforeCommit: () => reached('before a commit of the log'),
      afterCommit: () => reached('after a commit of the log'),
    });
    made.member = new Member(number, process, faults, conductor);
    return made.member;
  }

  get name(): string {
    return `owner ${this.number} (${this.process.owner.id})`;
  }

  get lives(): boolean {
    return this.#alive;
  }

  get isPoisoned(): boolean {
    return this.process.engine.poison !== undefined;
  }

  kill(): void {
    this.#alive = false;
    this.process.kill();
  }

  arm(fault: Armed): void {
    this.#faults.armed = fault;
  }

  disarm(): void {
    this.#faults.armed = undefined;
  }

  commit({ ...request }: CommitRequest): Promise<Commit> {
    const attempt = this.asking!;
    return new Promise((resolve, reject) => {
      const job: Job = {
        // So that the engine tells the revision inside the batch.
        request: { ...request, relaxed: true },
        deadlineMs: Number.POSITIVE_INFINITY,
        attempts: 0,
        forcedAttempts: 0,
        nextProbeMs: 0,
        accepted: (revision) => {
          attempt.revision = revision;
          const newest = this.accepted.at(-1)?.attempt.revision ?? this.#conductor.revision;
          if (revision === newest) this.#conductor.passed(attempt);
          else this.accepted.push({ job, attempt });
        },
        resolve: (commit) => {
          this.#answered(job, attempt);
          this.#conductor.resolved(attempt, commit);
          resolve(commit);
        },
        reject: (error) => {
          this.#answered(job, attempt);
          this.#conductor.rejected(this, attempt, error);
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      };
      attempt.stage = 'asked';
      this.#jobs.set(job, attempt);
      this.#queue.push(job);
    });
  }

  #answered(job: Job, attempt: Attempt): void {
    this.#jobs.delete(job);
    this.unanswered = this.unanswered.filter((each) => each !== attempt);
  }

  get hasWork(): boolean {
    return this.#queue.length > 0;
  }

  /** Carries out what has been asked for; what meets the lock of another owner stays. Returns who has it. */
  run(): number[] {
    const { engine } = this.process;
    const waitingFor: number[] = [];
    const left: Job[] = [];
    let jobs = this.#queue;
    this.#queue = [];
    try {
      for (let round = 0; jobs.length > 0; round += 1) {
        if (round === deferralsMax) throw new Error('the engine puts its work off for ever');
        const { deferred, waiting, checkpointWanted } = engine.runGroup(jobs);
        for (const { job, lock } of waiting) {
          left.push(job);
          waitingFor.push(lock.transaction.owner);
        }
        if (checkpointWanted === true) {
          engine.materialize({ all: true });
          engine.checkpointNow();
        }
        jobs = deferred;
      }
    } catch (error) {
      // As the committer does: nobody knows how far it has come.
      engine.poisonWith(error);
      engine.runGroup([...this.#jobs.keys()]);
      return [];
    }
    this.#queue.unshift(...left);
    return waitingFor;
  }

  /** What still waits for a lock is refused: it has waited too long. */
  giveUp(error: Error): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const job of queue) job.reject(error);
  }

  /** The programs stage nothing over time: `crash/staging.slow.test.ts` does. */
  stage(): Promise<void> {
    return Promise.reject(new Error('the model stages nothing over time'));
  }

  materialize(): Promise<void> {
    this.process.engine.materialize({ all: true });
    return Promise.resolve();
  }

  checkpoint(): Promise<CheckpointReport> {
    this.process.engine.materialize({ all: true });
    return Promise.resolve(this.process.engine.checkpointNow());
  }

  recoverDead(): Promise<void> {
    return this.window.isPlaying ? Promise.resolve() : this.#conductor.recoverDead(this);
  }

  /** As a committer closes. */
  close(): Promise<void> {
    const { engine, context, owner } = this.process;
    engine.materialize({ all: true });
    engine.checkpointNow();
    engine.flushMarks();
    deregisterOwner(context, owner.number);
    return Promise.resolve();
  }

  /** As a committer does that cannot go on. */
  deregister(): void {
    try {
      deregisterOwner(this.process.context, this.process.owner.number);
    } catch {
      // Whoever opens next finds it dead.
    }
  }
}

/** One that can be had, armed later: flushes do not fail, for the disk tells that to the first who asks alone. */
class Faults {
  armed: Armed | undefined;
  readonly all: readonly Fault[];

  constructor() {
    const errors = errorCodes.flatMap((error) =>
      [false, true].map(
        (after): Fault => ({ at: (call) => this.#isDue(call, error, after), error, after, sticky: true }),
      ),
    );
    const short = { at: (): boolean => this.#isShort(), sticky: true };
    const shorts = Array.from(
      { length: shortWriteMax + 1 },
      (_, shortWrite): Fault => ({
        at: () => this.#lengthDue === shortWrite && short.at(),
        shortWrite,
        sticky: true,
      }),
    );
    this.all = [...errors, ...shorts];
  }

  get #lengthDue(): number | undefined {
    return this.armed !== undefined && 'shortWrite' in this.armed ? this.armed.shortWrite : undefined;
  }

  #isShort(): boolean {
    this.armed = undefined;
    return true;
  }

  #isDue({ method }: FileSystemCall, error: ErrorCode, after: boolean): boolean {
    const { armed } = this;
    if (armed === undefined || 'shortWrite' in armed || method === 'sync') return false;
    if (armed.error !== error || armed.after !== after) return false;
    if (!armed.sticky) this.armed = undefined;
    return true;
  }
}

const shortWriteMax = 20;

function engineCounters(): Committer['counters'] {
  return { add: () => undefined, set: () => undefined, get: () => 0 } as unknown as Committer['counters'];
}
