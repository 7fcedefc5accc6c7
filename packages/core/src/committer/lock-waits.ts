/**
 * Requests that have met another owner's lock. They look again when the log changes and every `lockPollMs`, and ask every
 * `ownerProbeMs` whether that owner still lives; bounded by their deadlines.
 */

import { lockTimeout } from '../commit/refusal.js';
import type { Job } from '../commit/job.js';
import { isStoreError } from '../errors.js';
import type { Log } from '../log/log.js';
import type { LockRow } from '../record/rows.js';
import { TurnTaking } from './turn-taking.js';

const lockPollMs = 20;
const ownerProbeMs = 1000;

export interface LockWait {
  readonly job: Job;
  readonly lock: LockRow;
}

export interface LockWaitsOptions {
  readonly log: Log;
  readonly owner: number;
  readonly nowMs: () => number;
  /** These are to be tried again, before any other; `probe`: it is time to ask who lives. */
  readonly onLook: (jobs: readonly Job[], probe: boolean) => void;
}

export class LockWaits {
  readonly #options: LockWaitsOptions;
  readonly #turns: TurnTaking;
  #waits: LockWait[] = [];
  #pollTimer: NodeJS.Timeout | undefined;
  #unwatch: (() => void) | undefined;

  constructor(options: LockWaitsOptions) {
    this.#options = options;
    this.#turns = new TurnTaking(options.log, options.owner);
  }

  get count(): number {
    return this.#waits.length;
  }

  add(waits: readonly LockWait[]): void {
    this.#waits.push(...waits);
  }

  /** All of them, which wait no more. */
  take(): Job[] {
    return this.#waits.splice(0).map(({ job }) => job);
  }

  /** Another owner waits for one of our locks. */
  othersWait(): boolean {
    let others = false;
    // What cannot be read now is met by the next group, which has somebody to tell.
    tolerate(() => void (others = this.#turns.othersWait()));
    return others;
  }

  watch(): void {
    tolerate(() => this.#turns.announce());
    this.#unwatch ??= this.#options.log.watch(() => this.#look());
    this.#pollTimer ??= setInterval(() => this.#look(), lockPollMs);
    if (this.#waits.some(({ job }) => job.nextProbeMs === 0)) this.#look();
  }

  #look(): void {
    const nowMs = this.#options.nowMs();
    const waits = this.#waits;
    this.#waits = [];
    const again: Job[] = [];
    let probe = false;
    for (const { job, lock } of waits) {
      if (nowMs > job.deadlineMs) {
        job.reject(lockTimeout(`'${lock.what}'`));
        continue;
      }
      if (nowMs >= job.nextProbeMs) {
        job.nextProbeMs = nowMs + ownerProbeMs;
        probe = true;
      }
      again.push(job);
    }
    this.#options.onLook(again, probe);
  }

  /** Nobody waits any more. */
  stop(): void {
    tolerate(() => this.#turns.withdraw());
    this.end();
  }

  /** The same for an owner that goes: without it, its row means nothing. */
  end(): void {
    clearInterval(this.#pollTimer);
    this.#pollTimer = undefined;
    this.#unwatch?.();
    this.#unwatch = undefined;
  }
}

/** What fails here is tried again by whoever comes next, or by recovery. */
export function tolerate(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!isStoreError(error)) throw error;
  }
}
