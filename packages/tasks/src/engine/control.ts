/** What users do to a task that may run: stop it, write to it, run it once more. */

import { InvalidArgumentError, StoreError } from '@forewrit/core';
import type { ShimConnection, StopOptions } from '../supervision/supervisor.js';
import { isSettledPhase, launchOf, type OrphanedPhase, type StoredTask } from '../task/stored-task.js';
import { countOutput, type EngineContext, launchDirectory, mayCome } from './engine-context.js';
import { endOf, endWithout, type LaunchedPhase } from './observation.js';
import type { Settlement } from './settlement.js';
import type { Waiting } from './waiting.js';
import type { Watcher } from './watcher.js';

export interface StopTaskOptions {
  /** `SIGTERM`. */
  readonly signal?: NodeJS.Signals;
  /** Until SIGKILL. Default: the task's `killGraceMs`. */
  readonly graceMs?: number;
}

/** For a task that is between two states, in another engine's hands perhaps. */
const lookAgainMs = 100;

export class Control {
  readonly #context: EngineContext;
  readonly #settlement: Settlement;
  readonly #watcher: Watcher;
  readonly #waiting: Waiting;
  /** Writes to one task follow one another. */
  readonly #writes = new Map<string, Promise<unknown>>();

  constructor(parts: {
    readonly context: EngineContext;
    readonly settlement: Settlement;
    readonly watcher: Watcher;
    readonly waiting: Waiting;
  }) {
    this.#context = parts.context;
    this.#settlement = parts.settlement;
    this.#watcher = parts.watcher;
    this.#waiting = parts.waiting;
  }

  async stop(first: StoredTask, options: StopTaskOptions): Promise<StoredTask> {
    for (let task: StoredTask | undefined = first; ; task = await this.#context.table.get(first.id)) {
      if (task === undefined) throw goneWhile('stop', first.id);
      if (isSettledPhase(task.phase)) return task;
      if ((await this.#stopOnce(task, options)) === 'wait') await this.#pause('stop', first.id);
    }
  }

  /** One step towards the end; `wait` if somebody else has to make the next one. */
  async #stopOnce(task: StoredTask, options: StopTaskOptions): Promise<'look' | 'wait'> {
    const { id, phase } = task;
    switch (phase.state) {
      case 'pending':
      case 'blocked':
        await this.#settlement.endUnlaunched(id, { state: 'terminated', cause: 'user' });
        return 'look';
      case 'starting':
        // Whoever sees it run stops it; this one looks, too.
        if (phase.stopping !== true) {
          await this.#settlement.change(id, { type: 'stop', nonce: phase.launch.nonce });
        }
        return 'wait';
      case 'running':
        return await this.#stopRunning(task, phase, options);
      case 'orphaned':
        await this.#stopOrphan(task, phase, options);
        return 'look';
      default:
        return 'look';
    }
  }

  async #stopRunning(
    task: StoredTask,
    phase: LaunchedPhase,
    options: StopTaskOptions,
  ): Promise<'look' | 'wait'> {
    const connection = await this.#connect(task);
    if (connection === undefined) {
      await this.#watcher.look(task);
      return 'wait';
    }
    try {
      const exit = await connection.stop(stopOptions(task, options));
      const end = endOf(phase, exit);
      await this.#settlement.endLaunch(task.id, phase.launch.nonce, { kind: 'end', end });
      return 'look';
    } catch (cause) {
      // The shim is gone: what it left tells.
      this.#context.logger.debug({ cause, id: task.id }, 'a shim ended while it was asked to stop');
      await this.#watcher.look(task);
      return 'wait';
    } finally {
      await connection.close().catch(() => undefined);
    }
  }

  async #stopOrphan(task: StoredTask, phase: OrphanedPhase, options: StopTaskOptions): Promise<void> {
    const { supervisor, timers } = this.#context;
    const { nonce, number } = phase.launch;
    const directory = launchDirectory(this.#context, task.id, number);
    const survivors = await supervisor.stopOrphan(directory, nonce, stopOptions(task, options));
    const { pid } = phase.command;
    if (survivors.some((each) => each.pid === pid)) {
      throw new StoreError('ERR_IO', `The orphaned command of the task ${task.id} could not be stopped`, {
        op: 'stop',
        hint: `Look at process ${pid}, and end it by hand if it is the command.`,
      });
    }
    const counts = await countOutput(this.#context, task);
    const nowMs = timers.nowMs();
    const end = endWithout(phase, { state: 'terminated', cause: 'user', nowMs, counts, survivors });
    await this.#settlement.endLaunch(task.id, nonce, { kind: 'end', end });
  }

  /** Stops everything that runs, but for what another living engine has started. */
  async stopAll(): Promise<void> {
    const { table, identity, logger } = this.#context;
    const stopping = (await table.ids('r')).map(async (id) => {
      const task = await table.get(id);
      const launch = task === undefined ? undefined : launchOf(task.phase);
      if (task === undefined || launch === undefined) return;
      const isOwn = launch.engine.engine === identity.engine;
      if (isOwn || !mayCome(this.#context, launch.engine)) await this.stop(task, {});
    });
    for (const result of await Promise.allSettled(stopping)) {
      if (result.status === 'rejected') logger.warn({ cause: result.reason }, 'a task could not be stopped');
    }
  }

  async restart(task: StoredTask, secretEnv: Readonly<Record<string, string>>): Promise<StoredTask> {
    const { held, identity } = this.#context;
    const isHeld = task.spec.secretNames.length > 0 || task.spec.survive === 'never';
    for (;;) {
      const ended = await this.stop(task, {});
      if (isHeld) held.set(task.id, secretEnv);
      const restarted = await this.#settlement.change(
        task.id,
        { type: 'restart' },
        {
          attempt: ended.attempt + 1,
          retries: 0,
          failedLaunches: 0,
          ...(isHeld ? { holder: identity } : {}),
        },
      );
      if (restarted !== undefined) return restarted;
      // Somebody else was faster.
      held.delete(task.id);
    }
  }

  async write(task: StoredTask, data: Uint8Array, options: { readonly end?: boolean }): Promise<void> {
    if (task.spec.stdin !== 'pipe') {
      throw new InvalidArgumentError('write', `the task ${task.id} was started without stdin: 'pipe'`);
    }
    const earlier = this.#writes.get(task.id) ?? Promise.resolve();
    const write = earlier.catch(() => undefined).then(() => this.#write(task.id, data, options));
    this.#writes.set(task.id, write);
    try {
      await write;
    } finally {
      if (this.#writes.get(task.id) === write) this.#writes.delete(task.id);
    }
  }

  async #write(id: string, data: Uint8Array, options: { readonly end?: boolean }): Promise<void> {
    for (;;) {
      const task = await this.#context.table.get(id);
      if (task === undefined) throw goneWhile('write', id);
      const { state } = task.phase;
      if (isSettledPhase(task.phase) || state === 'orphaned') {
        throw new StoreError(
          'ERR_NOT_FOUND',
          `The task ${id} is ${state}: nothing reads what is written to it`,
          {
            op: 'write',
            hint: 'Write before it ends.',
          },
        );
      }
      const connection = state === 'running' ? await this.#connect(task) : undefined;
      if (connection === undefined) {
        // It does not run yet, or has just ended.
        if (state === 'running') await this.#watcher.look(task);
        await this.#pause('write', id);
        continue;
      }
      try {
        await connection.write(data, options);
        return;
      } finally {
        await connection.close().catch(() => undefined);
      }
    }
  }

  async #connect(task: StoredTask): Promise<ShimConnection | undefined> {
    const { nonce, number } = launchOf(task.phase)!;
    return await this.#context.supervisor.connect(launchDirectory(this.#context, task.id, number), nonce);
  }

  async #pause(op: string, id: string): Promise<void> {
    using news = this.#waiting.listen(id, { op, timeoutMs: lookAgainMs });
    await news.next();
  }
}

function stopOptions(
  { spec }: StoredTask,
  { signal, graceMs = spec.killGraceMs }: StopTaskOptions,
): StopOptions {
  return { graceMs, ...(signal === undefined ? {} : { signal }) };
}

function goneWhile(op: string, id: string): StoreError {
  return new StoreError('ERR_NOT_FOUND', `The task ${id} was removed meanwhile`, { op });
}
