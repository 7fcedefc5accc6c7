/** Engines on one store, over a simulated machine and a clock that a test moves. */

import { openStore } from '@forewrit/recovery';
import type { Store, StoreOptions } from '@forewrit/core';
import { assert, temporaryDirectory } from '@forewrit/testkit';
import { openTasks } from '#src/engine/open-tasks.js';
import type { Processes, TaskEngineOptions } from '#src/engine/options.js';
import type { TaskEngine } from '#src/engine/task-engine.js';
import type { TaskState } from '#src/task/task.js';
import { SimulatedMachine, type SimulatedSupervisor } from './simulated-supervisor.js';
import { SimulatedTimers } from './simulated-timers.js';

export interface WorldEngine {
  readonly engine: TaskEngine;
  readonly supervisor: SimulatedSupervisor;
  readonly timers: SimulatedTimers;
  readonly pid: number;
  /** As SIGKILL would: nothing of it happens any more, and others can tell. */
  die(): void;
}

/** Turns of the event loop after which what a test waits for is not to come. */
const patienceTurns = 20_000;

export class EngineWorld implements AsyncDisposable {
  readonly machine: SimulatedMachine;
  readonly store: Store;
  readonly problems: string[] = [];
  readonly #directory: ReturnType<typeof temporaryDirectory>;
  readonly #storeOptions: Pick<StoreOptions, 'history'>;
  readonly #clock: SimulatedTimers;
  readonly #engines: WorldEngine[] = [];
  readonly #dead = new Set<number>();
  readonly #stores: Store[] = [];
  #lastPid = 100;

  static async open(storeOptions: Pick<StoreOptions, 'history'> = {}): Promise<EngineWorld> {
    const directory = temporaryDirectory('tasks');
    const store = await openStore(directory.path, { committer: 'inline', ...storeOptions });
    return new EngineWorld(directory, store, storeOptions);
  }

  private constructor(
    directory: ReturnType<typeof temporaryDirectory>,
    store: Store,
    storeOptions: Pick<StoreOptions, 'history'>,
  ) {
    this.#directory = directory;
    this.#storeOptions = storeOptions;
    this.store = store;
    this.#clock = new SimulatedTimers();
    this.machine = new SimulatedMachine(this.#clock);
  }

  get nowMs(): number {
    return this.#clock.nowMs();
  }

  /** An engine of a process of its own. */
  async engine(options: TaskEngineOptions = {}): Promise<WorldEngine> {
    this.#lastPid += 1;
    const pid = this.#lastPid;
    const supervisor = this.machine.supervisor();
    const timers = new SimulatedTimers(this.#clock.nowMs());
    const processes: Processes = {
      identity: () => ({ pid, startTime: '1', bootId: this.machine.bootId }),
      mayLive: (other) => !this.#dead.has(other.pid),
    };
    const store = await openStore(this.#directory.path, { committer: 'inline', ...this.#storeOptions });
    this.#stores.push(store);
    const say = (details: object, message: string): void => {
      const { cause } = details as { cause?: unknown };
      this.problems.push(`${message}: ${cause instanceof Error ? cause.message : ''}`);
    };
    const engine = await openTasks(store, {
      supervisor,
      timers,
      processes,
      env: { PATH: '/bin' },
      random: () => 0.5,
      logger: { debug: () => undefined, info: () => undefined, warn: say, error: say },
      pruneIntervalMs: 0,
      ...options,
    });
    const opened: WorldEngine = {
      engine,
      supervisor,
      timers,
      pid,
      die: () => {
        this.#dead.add(pid);
        supervisor.die();
      },
    };
    this.#engines.push(opened);
    return opened;
  }

  /** Time passes, for the machine and for every engine that lives. */
  advance(ms: number): void {
    this.#clock.advance(ms);
    for (const { timers, pid } of this.#engines) if (!this.#dead.has(pid)) timers.advance(ms);
  }

  /** Waits for something that is to come about without time passing. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (let turn = 0; turn < patienceTurns; turn += 1) {
      if (await isSo()) return;
      await nextTurn();
    }
    throw new Error(`it did not come about: ${what}; ${this.problems.join('; ')}`);
  }

  /** The same, while time passes, half a second at a time. */
  async inTime(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (let turn = 0; turn < patienceTurns; turn += 1) {
      if (await isSo()) return;
      if (turn % 20 === 19) this.advance(500);
      await nextTurn();
    }
    throw new Error(`it did not come about: ${what}; ${this.problems.join('; ')}`);
  }

  /** Turns enough for whatever was about to happen without time passing. */
  async quiet(): Promise<void> {
    for (let turn = 0; turn < 200; turn += 1) await nextTurn();
  }

  async state(engine: TaskEngine, id: string): Promise<TaskState> {
    return (await engine.get(id)).state;
  }

  async untilState(engine: TaskEngine, id: string, state: TaskState): Promise<void> {
    await this.inTime(`${id} is ${state}`, async () => (await this.state(engine, id)) === state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { engine, pid } of this.#engines) if (!this.#dead.has(pid)) await engine.close();
    for (const store of this.#stores) await store.close();
    await this.store.close();
    this.#directory.remove();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Whether nothing of what the engines did failed in the background. */
export function assertNoProblems(world: EngineWorld): void {
  assert.equal(world.problems, []);
}
