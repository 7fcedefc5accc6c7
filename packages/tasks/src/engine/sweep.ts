/**
 * The regular look at the store: what other engines have launched is watched, what they left is taken over, what is due is
 * started. At open it is recovery.
 */

import { isStoreError } from '@forewrit/core';
import type { LiveRow } from '../task/index-rows.js';
import { isLaunched, rowsUnder } from '../task/index-rows.js';
import { isSettledPhase, launchOf, type StoredTask } from '../task/stored-task.js';
import { recordOf } from '../task/task-record.js';
import type { TaskRecord } from '../task/task.js';
import { type EngineContext, mayCome } from './engine-context.js';
import type { Launcher } from './launcher.js';
import type { Scheduler } from './scheduler.js';
import type { Settlement } from './settlement.js';
import type { Watcher } from './watcher.js';

/** What an engine found of earlier launches when it was opened. */
export interface TaskRecovery {
  /** They run on, and are watched. */
  readonly adopted: readonly TaskRecord[];
  /** They had ended meanwhile. */
  readonly finished: readonly TaskRecord[];
  /** They run on, but what watched over them is gone: their exit code will not be known. */
  readonly orphaned: readonly TaskRecord[];
  readonly lost: readonly TaskRecord[];
}

/** What the store says of itself: then no task can be opened. */
const storeCodes: ReadonlySet<string> = new Set([
  'ERR_STORE_CLOSED',
  'ERR_STORE_POISONED',
  'ERR_LOG_CORRUPT',
  'ERR_PERMISSION',
]);
/** Launches that are looked at side by side. */
const looksAtOnceMax = 16;
/** A living engine that takes longer from its claim to the launch is stopped, or stuck. */
const vouchedMsMax = 60_000;
/** Tasks of which somebody was told that one sweep looks at: of very many, each has its turn. */
const liveLooksMax = 200;
/** Sweeps from one look at the blocked tasks to the next; for those whose dependency settled unseen. */
const blockedEvery = 20;

export class Sweep {
  readonly #context: EngineContext;
  readonly #settlement: Settlement;
  readonly #scheduler: Scheduler;
  readonly #launcher: Launcher;
  readonly #watcher: Watcher;
  readonly #intervalMs: number;
  #cancelTimer: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #count = 0;

  constructor(parts: {
    readonly context: EngineContext;
    readonly settlement: Settlement;
    readonly scheduler: Scheduler;
    readonly launcher: Launcher;
    readonly watcher: Watcher;
    readonly intervalMs: number;
  }) {
    this.#context = parts.context;
    this.#settlement = parts.settlement;
    this.#scheduler = parts.scheduler;
    this.#launcher = parts.launcher;
    this.#watcher = parts.watcher;
    this.#intervalMs = parts.intervalMs;
  }

  /** Looks at everything that was launched, before anything else starts. */
  async recover(): Promise<TaskRecovery> {
    const found: Record<keyof TaskRecovery, TaskRecord[]> = {
      adopted: [],
      finished: [],
      orphaned: [],
      lost: [],
    };
    const ids = await this.#context.table.ids('r');
    await eachAtOnce(ids, async (id) => {
      const task = await this.#context.table.get(id);
      if (task === undefined || !isLaunched(task.phase) || this.#isVouchedFor(task)) return;
      const seen = await this.#lookAtOpen(task);
      const kind = seen === undefined ? undefined : kindOf(task, seen);
      if (kind !== undefined) found[kind].push(recordOf(seen!));
      if (seen !== undefined) this.#watcher.watch(seen);
    });
    await this.#releaseBlocked();
    for (const records of Object.values(found)) records.sort((a, b) => (a.id < b.id ? -1 : 1));
    return found;
  }

  /** One task that cannot be looked at does not keep all others from being opened: whoever watches it tries again. */
  async #lookAtOpen(task: StoredTask): Promise<StoredTask | undefined> {
    const { table, logger } = this.#context;
    try {
      return (await this.#watcher.look(task)) ?? (await table.get(task.id));
    } catch (error) {
      if (isStoreError(error) && storeCodes.has(error.code)) throw error;
      logger.warn({ cause: error, id: task.id }, 'a task could not be looked at');
      return await table.get(task.id);
    }
  }

  start(): void {
    this.#cancelTimer = this.#context.timers.after(this.#intervalMs, () => {
      this.#running = this.#sweep().finally(() => {
        this.#running = undefined;
        if (!this.#context.isClosed()) this.start();
      });
    });
  }

  async stop(): Promise<void> {
    this.#cancelTimer?.();
    await this.#running;
  }

  async #sweep(): Promise<void> {
    const { table, announcer, logger } = this.#context;
    try {
      for (const [, row] of await table.rows<LiveRow>(rowsUnder('r'))) await this.#take(row);
      for (const id of new Set([...announcer.awaited, ...announcer.someLive(liveLooksMax)])) {
        await this.#tellOf(id);
      }
      this.#count += 1;
      if (this.#count % blockedEvery === 0) await this.#releaseBlocked();
    } catch (cause) {
      if (!this.#context.isClosed()) logger.warn({ cause }, 'the tasks could not be looked at');
    }
    this.#scheduler.kick();
  }

  /** Watches what nobody here watches yet. */
  async #take(row: LiveRow): Promise<void> {
    const task = await this.#context.table.get(row.id);
    const launch = task === undefined ? undefined : launchOf(task.phase);
    if (task === undefined || launch === undefined || this.#watcher.watches(launch.nonce)) return;
    if (this.#isVouchedFor(task)) return;
    this.#context.announcer.tell(task);
    this.#watcher.watch(task);
  }

  /** Somebody waits for it, or was told of it; another engine may have changed it. */
  async #tellOf(id: string): Promise<void> {
    const { table, announcer } = this.#context;
    const task = await table.get(id);
    if (task === undefined) announcer.forget(id);
    else announcer.tell(task);
  }

  /** Its engine is about to launch it: to look now would forbid it. */
  #isVouchedFor({ phase }: StoredTask): boolean {
    if (phase.state !== 'starting') return false;
    const { nonce, engine, atMs } = phase.launch;
    if (engine.engine === this.#context.identity.engine) return this.#launcher.vouchesFor(nonce);
    return mayCome(this.#context, engine) && this.#context.timers.nowMs() - atMs < vouchedMsMax;
  }

  async #releaseBlocked(): Promise<void> {
    for (const id of await this.#context.table.ids('b')) {
      const released = await this.#settlement.release(id);
      if (released !== undefined && isSettledPhase(released.phase)) {
        await this.#settlement.releaseDependents(id);
      }
    }
  }
}

function kindOf(before: StoredTask, seen: StoredTask): keyof TaskRecovery | undefined {
  switch (seen.phase.state) {
    case 'running':
      return 'adopted';
    case 'orphaned':
      return 'orphaned';
    case 'lost':
      return 'lost';
    case 'completed':
    case 'failed':
    case 'timeout':
    case 'terminated':
      return 'finished';
    default:
      // Another attempt is to come: the one before has ended.
      return seen.attempt > before.attempt ? 'finished' : undefined;
  }
}

async function eachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const lane = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: looksAtOnceMax }, lane));
}
