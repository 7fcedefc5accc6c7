/**
 * From a claimed task to a running command. The record says `starting` with the nonce, durably, before this begins; so
 * whatever dies from here on, the next look at the directory finds out whether the command runs, ran, or never will.
 */

import { isStoreError, toError } from '@forewrit/core';
import type { LaunchOrder, ShimIdentity } from '../supervision/supervisor.js';
import type { StoredTask } from '../task/stored-task.js';
import { launchOf } from '../task/stored-task.js';
import { type EngineContext, launchDirectory, taskDirectory } from './engine-context.js';
import { judge, type LaunchedPhase } from './observation.js';
import type { Settlement } from './settlement.js';

/** Directories of earlier launches that are kept, for those who look for what went wrong. */
const keptLaunchesMax = 10;

export class Launcher {
  readonly #context: EngineContext;
  readonly #settlement: Settlement;
  readonly #launching = new Map<string, Promise<void>>();

  constructor(context: EngineContext, settlement: Settlement) {
    this.#context = context;
    this.#settlement = settlement;
  }

  get count(): number {
    return this.#launching.size;
  }

  vouchesFor(nonce: string): boolean {
    return this.#launching.has(nonce);
  }

  /** Resolves when every launch that is under way has come to something. */
  async settled(): Promise<void> {
    while (this.#launching.size > 0) await Promise.all(this.#launching.values());
  }

  /** Never rejects. `done` is called with what the task is then, if it still is what was launched. */
  launch(task: StoredTask, done: (task: StoredTask) => void): void {
    const { nonce } = launchOf(task.phase)!;
    this.#launching.set(nonce, this.#launchAndTell(task, nonce, done));
  }

  async #launchAndTell(task: StoredTask, nonce: string, done: (task: StoredTask) => void): Promise<void> {
    try {
      await this.#launch(task);
    } catch (cause) {
      this.#context.logger.error({ cause, id: task.id }, 'a task could not be launched');
    }
    this.#launching.delete(nonce);
    done(task);
  }

  async #launch(task: StoredTask): Promise<void> {
    const { supervisor, timers } = this.#context;
    const launch = launchOf(task.phase)!;
    const directory = launchDirectory(this.#context, task.id, launch.number);
    try {
      await supervisor.launch(directory, this.#orderOf(task, launch.nonce));
    } catch (error) {
      await this.#failed(task, directory, error);
      return;
    }
    const startedAtMs = timers.nowMs();
    await this.#settlement.change(task.id, { type: 'started', nonce: launch.nonce, startedAtMs });
    if (launch.number > keptLaunchesMax) {
      const past = `${taskDirectory(this.#context, task.id)}/${launch.number - keptLaunchesMax}`;
      await supervisor.remove(past);
    }
  }

  /** The launch failed; what it left tells whether the command runs all the same. */
  async #failed(task: StoredTask, directory: string, error: unknown): Promise<void> {
    const { supervisor, logger } = this.#context;
    const { nonce } = launchOf(task.phase)!;
    logger.warn({ cause: error, id: task.id }, 'the launch of a task failed');
    const verdict = judge(task.phase as LaunchedPhase, await supervisor.observe(directory, nonce));
    // Anything else is seen by whoever watches it from here on.
    if (verdict.kind !== 'never-started') return;
    // That somebody else has taken the launch away is no failure.
    const detail = isStoreError(error, 'ERR_CONFLICT')
      ? {}
      : { detail: `The command could not be started: ${toError(error).message}` };
    await this.#settlement.endLaunch(task.id, nonce, { kind: 'never-started', ...detail });
  }

  #orderOf({ id, spec, attempt }: StoredTask, nonce: string): LaunchOrder {
    const { identity, held, env } = this.#context;
    const { pid, startTime, bootId }: ShimIdentity = identity;
    return {
      nonce,
      command: spec.command,
      cwd: spec.cwd,
      env: { ...env(), ...spec.env, FOREWRIT_TASK_ID: id, FOREWRIT_TASK_ATTEMPT: String(attempt) },
      secretEnv: held.get(id) ?? {},
      stdin: spec.stdin,
      timeoutMs: spec.timeoutMs,
      killGraceMs: spec.killGraceMs,
      output: spec.output,
      ...(spec.survive === 'never' ? { diesWith: { pid, startTime, bootId } } : {}),
    };
  }
}
