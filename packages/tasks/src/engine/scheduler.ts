/**
 * Which task starts next. Every engine may try at any time: a claim is one transaction that stands on the group's
 * settings, on what of it runs, on the front of its queue and on the record, so that two engines never claim one task,
 * nor together more than the group's limit. After a restart it is the same: no more start at once than ever.
 */

import { randomBytes } from 'node:crypto';
import {
  groupOfQueueKey,
  idOfKey,
  momentOfKey,
  queueOf,
  type QueueRow,
  rowsUnder,
  runningOf,
  waitingUntil,
} from '../task/index-rows.js';
import type { StoredTask } from '../task/stored-task.js';
import { type EngineContext, mayCome } from './engine-context.js';
import type { Launcher } from './launcher.js';
import type { Settlement } from './settlement.js';

/** Shims that one engine starts at the same time: each costs a process its start. */
const launchesAtOnceMax = 8;
/** Tasks at the front of a queue that may be another engine's, beyond which the queue is not looked at. */
const foreignMax = 64;
/** Delayed tasks that are put into their queues at once. */
const dueMax = 256;

export class Scheduler {
  readonly #context: EngineContext;
  readonly #settlement: Settlement;
  readonly #launcher: Launcher;
  readonly #launched: (task: StoredTask) => void;
  #running: Promise<void> | undefined;
  #again = false;
  #cancelTimer: (() => void) | undefined;

  constructor(parts: {
    readonly context: EngineContext;
    readonly settlement: Settlement;
    readonly launcher: Launcher;
    /** Called when a launch is over, whatever came of it. */
    readonly launched: (task: StoredTask) => void;
  }) {
    this.#context = parts.context;
    this.#settlement = parts.settlement;
    this.#launcher = parts.launcher;
    this.#launched = parts.launched;
  }

  /** Looks what may start, now or right after the look that is under way. */
  kick(): void {
    if (this.#context.isClosed() || !this.#context.starts) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again) this.kick();
    });
  }

  /** Resolves when nothing is being looked at. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  stop(): void {
    this.#cancelTimer?.();
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#context.isClosed()) {
      this.#again = false;
      try {
        await this.#queueDue();
        for (const group of await this.#groups()) await this.#startIn(group);
        await this.#setTimer();
      } catch (cause) {
        // The next sweep tries again.
        this.#context.logger.error({ cause }, 'tasks could not be started');
        return;
      }
    }
  }

  /** Those whose moment has come go to their queues. */
  async #queueDue(): Promise<void> {
    const { table, timers } = this.#context;
    for (;;) {
      const rows = await table.rows({ ...waitingUntil(timers.nowMs()), limit: dueMax });
      for (const [key] of rows) await this.#settlement.change(idOfKey(key), { type: 'due' });
      if (rows.length < dueMax) return;
    }
  }

  /** The next moment at which a delayed task is due. */
  async #setTimer(): Promise<void> {
    const { table, timers } = this.#context;
    const [first] = await table.rows({ ...rowsUnder('w'), limit: 1 });
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (first === undefined || this.#context.isClosed()) return;
    this.#cancelTimer = timers.after(momentOfKey(first[0]) - timers.nowMs(), () => this.kick());
  }

  /** Groups with something in their queue: from the first row of one to the first row of the next. */
  async #groups(): Promise<string[]> {
    const found: string[] = [];
    let start = 'q/';
    for (;;) {
      const [first] = await this.#context.table.rows({ start, end: 'q0', limit: 1 });
      if (first === undefined) return found;
      const group = groupOfQueueKey(first[0]);
      found.push(group);
      start = rowsUnder(queueOf(group)).end;
    }
  }

  async #startIn(group: string): Promise<void> {
    const room = launchesAtOnceMax - this.#launcher.count;
    if (room <= 0 || this.#context.isClosed()) return;
    const { claimed, orphaned } = await this.#claim(group, room);
    for (const task of claimed) {
      this.#context.announcer.tell(task);
      this.#launcher.launch(task, (launched) => {
        this.#launched(launched);
        this.kick();
      });
    }
    for (const row of orphaned) await this.#giveUp(row);
  }

  async #claim(
    group: string,
    room: number,
  ): Promise<{ readonly claimed: StoredTask[]; readonly orphaned: QueueRow[] }> {
    const { table, parallel } = this.#context;
    return await table.transact(async (tx) => {
      const claimed: StoredTask[] = [];
      const orphaned: QueueRow[] = [];
      const settings = await tx.group(group);
      if (settings.paused === true) return { claimed, orphaned };
      const running = await tx.rows(rowsUnder(runningOf(group)));
      const free = Math.min((settings.parallel ?? parallel) - running.length, room);
      if (free <= 0) return { claimed, orphaned };
      const front = await tx.rows<QueueRow>({ ...rowsUnder(queueOf(group)), limit: free + foreignMax });
      for (const [, row] of front) {
        if (claimed.length >= free) break;
        if (!this.#isOurs(row)) {
          if (!mayCome(this.#context, row.holder!)) orphaned.push(row);
          continue;
        }
        const task = await tx.get(row.id);
        const after = task === undefined ? undefined : this.#claimOne(tx, task);
        if (after !== undefined) claimed.push(after);
      }
      return { claimed, orphaned };
    });
  }

  #claimOne(tx: Parameters<Parameters<EngineContext['table']['transact']>[0]>[0], task: StoredTask) {
    const { identity, timers } = this.#context;
    const launch = {
      nonce: randomBytes(16).toString('hex'),
      number: task.launches + 1,
      atMs: timers.nowMs(),
      engine: identity,
    };
    return tx.apply(task, { type: 'claim', launch }, { launches: launch.number });
  }

  #isOurs({ holder }: QueueRow): boolean {
    return holder === undefined || holder.engine === this.#context.identity.engine;
  }

  /** Only one engine could have started it, and that one is gone. */
  async #giveUp({ id }: QueueRow): Promise<void> {
    const task = await this.#context.table.get(id);
    if (task !== undefined) await giveUp(this.#settlement, task);
  }
}

/** Ends a pending task whose engine is gone, with what only it knew. */
export async function giveUp(settlement: Settlement, { id, spec }: StoredTask): Promise<void> {
  if (spec.secretNames.length > 0) {
    await settlement.endUnlaunched(id, {
      state: 'failed',
      cause: 'spawn-error',
      detail:
        `The values of ${spec.secretNames.join(', ')} were in the memory of an engine that has ended, and nowhere ` +
        'else. Start it again with restart(id, { secretEnv }).',
    });
    return;
  }
  await settlement.endUnlaunched(id, {
    state: 'terminated',
    cause: 'engine-died',
    detail: "It was not to survive the engine that started it (survive: 'never').",
  });
}
