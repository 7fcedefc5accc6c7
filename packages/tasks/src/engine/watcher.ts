/**
 * Watches what was launched, by whichever engine, until it has ended: through a connection to its shim while that lives,
 * else by looking. Every engine watches everything; the first one to see the end writes it.
 */

import type { ShimConnection } from '../supervision/supervisor.js';
import { launchOf, type StoredTask } from '../task/stored-task.js';
import { isLaunched } from '../task/index-rows.js';
import { countOutput, type EngineContext, launchDirectory } from './engine-context.js';
import { endWithout, judge, type LaunchedPhase, type Verdict } from './observation.js';
import type { Settlement } from './settlement.js';

/** A live shim tells by itself; this is for what it could not tell. */
const lookAgainMs = 5_000;
/** For a shim that is about to listen, or to be gone; and for an orphan, of which nobody tells. */
const lookSoonMs = 200;
const lookAtOrphanMs = 1_000;
const lookAfterErrorMs = 2_000;
const closeMsMax = 2_000;

export class Watcher {
  readonly #context: EngineContext;
  readonly #settlement: Settlement;
  /** By nonce. */
  readonly #watches = new Map<string, Watch>();

  constructor(context: EngineContext, settlement: Settlement) {
    this.#context = context;
    this.#settlement = settlement;
  }

  watches(nonce: string): boolean {
    return this.#watches.has(nonce);
  }

  /** Begins to watch a launch that is not watched yet. */
  watch(task: StoredTask): void {
    const launch = launchOf(task.phase);
    if (launch === undefined || !isLaunched(task.phase) || this.#context.isClosed()) return;
    if (this.#watches.has(launch.nonce)) return;
    const watch = new Watch(this.#context, this.#settlement, { id: task.id, nonce: launch.nonce });
    this.#watches.set(launch.nonce, watch);
    void watch.run().finally(() => this.#watches.delete(launch.nonce));
  }

  /** Looks at a launch once, and writes what has become of it. */
  async look(task: StoredTask): Promise<StoredTask | undefined> {
    return await lookAt(this.#context, this.#settlement, task);
  }

  /** Looks again at once, for instance after somebody stopped it. */
  hurry(nonce: string): void {
    this.#watches.get(nonce)?.hurry();
  }

  async close(): Promise<void> {
    const closed = Promise.all([...this.#watches.values()].map((watch) => watch.close()));
    // A shim that is stopped answers nothing.
    let cancel: (() => void) | undefined;
    const patience = new Promise<void>((resolve) => {
      cancel = this.#context.timers.after(closeMsMax, resolve);
    });
    await Promise.race([closed, patience]);
    cancel?.();
  }
}

/** What was observed, written; `undefined` if the task is not in that launch any more. */
async function lookAt(
  context: EngineContext,
  settlement: Settlement,
  task: StoredTask,
): Promise<StoredTask | undefined> {
  const phase = task.phase as LaunchedPhase;
  const { nonce, number } = phase.launch;
  const directory = launchDirectory(context, task.id, number);
  const verdict = judge(phase, await context.supervisor.observe(directory, nonce));
  return await carryOut(context, settlement, { task, phase, verdict });
}

async function carryOut(
  context: EngineContext,
  settlement: Settlement,
  {
    task,
    phase,
    verdict,
  }: { readonly task: StoredTask; readonly phase: LaunchedPhase; readonly verdict: Verdict },
): Promise<StoredTask | undefined> {
  const { id } = task;
  const { nonce } = phase.launch;
  const nowMs = context.timers.nowMs();
  switch (verdict.kind) {
    case 'settled':
      return await settlement.endLaunch(id, nonce, { kind: 'end', end: verdict.end });
    case 'running':
      if (phase.state !== 'starting') return task;
      return await settlement.change(id, { type: 'started', nonce, startedAtMs: phase.launch.atMs });
    case 'orphaned':
      if (phase.state === 'orphaned') return task;
      return await settlement.change(id, { type: 'orphan', nonce, command: verdict.command });
    case 'never-started':
      return await settlement.endLaunch(id, nonce, { kind: 'never-started' });
    case 'lost': {
      const counts = await countOutput(context, task);
      const end = endWithout(phase, { state: 'lost', cause: verdict.cause, nowMs, counts });
      return await settlement.endLaunch(id, nonce, { kind: 'end', end });
    }
  }
}

class Watch {
  readonly #context: EngineContext;
  readonly #settlement: Settlement;
  readonly #id: string;
  readonly #nonce: string;
  #connection: ShimConnection | undefined;
  #closed = false;
  #wake: () => void = () => {};
  #hurried = false;
  #ended: Promise<void> | undefined;

  constructor(
    context: EngineContext,
    settlement: Settlement,
    { id, nonce }: { readonly id: string; readonly nonce: string },
  ) {
    this.#context = context;
    this.#settlement = settlement;
    this.#id = id;
    this.#nonce = nonce;
  }

  /** Never rejects. */
  run(): Promise<void> {
    this.#ended ??= this.#run();
    return this.#ended;
  }

  hurry(): void {
    this.#hurried = true;
    this.#wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      let pauseMs: number | undefined;
      try {
        pauseMs = await this.#step();
      } catch (cause) {
        if (!this.#closed) {
          this.#context.logger.warn({ cause, id: this.#id }, 'a task could not be looked at');
        }
        pauseMs = lookAfterErrorMs;
      }
      if (pauseMs === undefined) break;
      await this.#pause(pauseMs);
    }
    await this.#disconnect();
  }

  /** Looks once. How long to wait for the next look; `undefined` when there is nothing to watch any more. */
  async #step(): Promise<number | undefined> {
    const { table, announcer } = this.#context;
    const task = await table.get(this.#id);
    if (task === undefined) return undefined;
    announcer.tell(task);
    if (!this.#isCurrent(task)) {
      // Somebody else wrote the end: what follows from it is safe to do twice.
      await this.#settlement.follow(task);
      return undefined;
    }
    const seen = await lookAt(this.#context, this.#settlement, task);
    if (this.#closed) return undefined;
    // Refused: another one was faster.
    if (seen === undefined) return 0;
    if (!this.#isCurrent(seen)) return undefined;
    const phase = seen.phase as LaunchedPhase;
    if (phase.state === 'orphaned') return await this.#minded(seen);
    if (this.#connection === undefined) await this.#connect(seen);
    if (this.#connection === undefined) return lookSoonMs;
    if (phase.state === 'running' && phase.stopping === true) {
      await this.#connection.stop({ graceMs: seen.spec.killGraceMs });
      return 0;
    }
    return lookAgainMs;
  }

  /** An orphan has no shim to end it when its time is up. */
  async #minded(task: StoredTask): Promise<number> {
    const { timers, supervisor } = this.#context;
    const phase = task.phase as Extract<LaunchedPhase, { state: 'orphaned' }>;
    const leftMs = phase.startedAtMs + task.spec.timeoutMs - timers.nowMs();
    if (leftMs > 0) return Math.min(lookAtOrphanMs, leftMs);
    const directory = launchDirectory(this.#context, task.id, phase.launch.number);
    const survivors = await supervisor.stopOrphan(directory, this.#nonce, { graceMs: task.spec.killGraceMs });
    if (survivors.some(({ pid }) => pid === phase.command.pid)) return lookAtOrphanMs;
    const counts = await countOutput(this.#context, task);
    const nowMs = timers.nowMs();
    const end = endWithout(phase, { state: 'timeout', cause: 'timeout', nowMs, counts, survivors });
    await this.#settlement.endLaunch(task.id, this.#nonce, { kind: 'end', end });
    return 0;
  }

  async #connect(task: StoredTask): Promise<void> {
    const { supervisor, announcer } = this.#context;
    const directory = launchDirectory(this.#context, task.id, launchOf(task.phase)!.number);
    const connection = await supervisor.connect(directory, this.#nonce);
    if (connection === undefined) return;
    connection.onEvent((event) => {
      if (event === 'output') announcer.output({ id: task.id, attempt: task.attempt });
      else {
        if (event === 'closed' && this.#connection === connection) this.#connection = undefined;
        this.hurry();
      }
    });
    this.#connection = connection;
    if (this.#closed) await this.#disconnect();
  }

  async #disconnect(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    try {
      await connection?.close();
    } catch (cause) {
      this.#context.logger.debug({ cause, id: this.#id }, 'a connection to a shim did not close');
    }
  }

  #isCurrent(task: StoredTask): boolean {
    return isLaunched(task.phase) && launchOf(task.phase)?.nonce === this.#nonce;
  }

  /** Ends early when somebody hurries or closes. */
  async #pause(ms: number): Promise<void> {
    if (ms <= 0 || this.#closed || this.#hurried) {
      this.#hurried = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const cancel = this.#context.timers.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = () => {};
    this.#hurried = false;
  }
}
