/** The end of an attempt, and what follows from it: another attempt, or the end of the task, and those that wait for it. */

import { isSettledPhase, launchOf, type SettledPhase, type StoredTask } from '../task/stored-task.js';
import type { TaskEvent } from '../task/transition.js';
import { deservesRetry, retryDelayMs } from '../task/retry.js';
import { durationMsMax } from '../task/check-spec.js';
import type { EngineContext } from './engine-context.js';
import { endUnlaunched } from './observation.js';
import type { Amendment, Change, TaskTransaction } from './task-table.js';

/** Launches of one attempt that fail before it is given up. */
const failedLaunchesMax = 3;
const failedLaunchDelayMs = 200;

/** How an attempt ends: with nothing more to come, or with another one. */
type Ending =
  | { readonly kind: 'end'; readonly end: SettledPhase }
  /**
   * The launch never ran the command, and never will. `detail`: because that failed; without it, its engine was gone
   * before, which says nothing about the task, however often it happens.
   */
  | { readonly kind: 'never-started'; readonly detail?: string };

export class Settlement {
  readonly #context: EngineContext;
  /** Called when there may be something to start. */
  readonly #kick: () => void;

  constructor(context: EngineContext, kick: () => void) {
    this.#context = context;
    this.#kick = kick;
  }

  /** Changes a task and tells of it. `undefined`: the event does not apply (any more). */
  async change(id: string, event: TaskEvent, amendment?: Amendment): Promise<StoredTask | undefined> {
    return await this.#followed(await this.#context.table.change(id, event, amendment));
  }

  /** Ends a task that is not launched. */
  async endUnlaunched(
    id: string,
    how: Omit<Parameters<typeof endUnlaunched>[0], 'nowMs'>,
  ): Promise<StoredTask | undefined> {
    const nowMs = this.#context.timers.nowMs();
    return await this.change(id, { type: 'end', end: endUnlaunched({ ...how, nowMs }) });
  }

  /** Ends the attempt that this launch belongs to. The first end wins. */
  async endLaunch(id: string, nonce: string, ending: Ending): Promise<StoredTask | undefined> {
    const { table, timers, random } = this.#context;
    const chance = random();
    const change = await table.transact(async (tx) => {
      const before = await tx.get(id);
      if (before === undefined || launchOf(before.phase)?.nonce !== nonce) return undefined;
      const [event, amendment] = this.#eventOf(before, nonce, ending, { nowMs: timers.nowMs(), chance });
      const after = tx.apply(before, event, amendment);
      return after === undefined ? undefined : { before, after };
    });
    return await this.#followed(change);
  }

  #eventOf(
    task: StoredTask,
    nonce: string,
    ending: Ending,
    { nowMs, chance }: { readonly nowMs: number; readonly chance: number },
  ): readonly [TaskEvent, Amendment] {
    const { spec, retries, phase } = task;
    const stopping = 'stopping' in phase && phase.stopping;
    if (ending.kind === 'never-started') {
      if (stopping) return [stopped(nonce, nowMs), {}];
      if (ending.detail === undefined) return [{ type: 'requeue', nonce, notBeforeMs: nowMs }, {}];
      const failedLaunches = task.failedLaunches + 1;
      if (failedLaunches < failedLaunchesMax) {
        const notBeforeMs = nowMs + failedLaunchDelayMs * 2 ** task.failedLaunches;
        return [{ type: 'requeue', nonce, notBeforeMs }, { failedLaunches }];
      }
      const { detail } = ending;
      const end = endUnlaunched({ state: 'failed', cause: 'spawn-error', nowMs, detail });
      return [{ type: 'end', nonce, end }, { failedLaunches }];
    }
    if (stopping || !deservesRetry(spec.retry, retries, ending.end)) {
      return [{ type: 'end', nonce, end: ending.end }, {}];
    }
    const notBeforeMs = Math.min(nowMs + retryDelayMs(spec.retry!, retries, chance), durationMsMax);
    return [
      { type: 'retry', nonce, notBeforeMs },
      { attempt: task.attempt + 1, retries: retries + 1, failedLaunches: 0 },
    ];
  }

  async #followed(change: Change | undefined): Promise<StoredTask | undefined> {
    if (change === undefined) return undefined;
    await this.follow(change.after);
    return change.after;
  }

  /** What follows from a change, whoever made it. */
  async follow(task: StoredTask): Promise<void> {
    this.#context.announcer.tell(task);
    if (!isSettledPhase(task.phase)) {
      this.#kick();
      return;
    }
    this.#context.held.delete(task.id);
    this.#kick();
    await this.releaseDependents(task.id);
  }

  /** Each of those that wait for a task that has settled is looked at in a transaction of its own. */
  async releaseDependents(id: string): Promise<void> {
    // A failure may settle further ones, and so on: a chain may be long.
    const open = [id];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const dependent of await this.#context.table.dependents(next)) {
        const task = await this.release(dependent);
        if (task !== undefined && isSettledPhase(task.phase)) open.push(dependent);
      }
    }
  }

  /** Looks whether a blocked task may go on, or never will. */
  async release(id: string): Promise<StoredTask | undefined> {
    const { table, timers, announcer, held } = this.#context;
    const change = await table.transact(async (tx) => {
      const before = await tx.get(id);
      if (before?.phase.state !== 'blocked') return undefined;
      const verdict = await judgeDependencies(tx, before);
      if (verdict === 'waits') return undefined;
      const event: TaskEvent =
        verdict === 'go'
          ? { type: 'unblock' }
          : { type: 'end', end: dependencyFailed(verdict.failed, timers.nowMs()) };
      const after = tx.apply(before, event);
      return after === undefined ? undefined : { before, after };
    });
    if (change === undefined) return undefined;
    announcer.tell(change.after);
    if (isSettledPhase(change.after.phase)) held.delete(id);
    else this.#kick();
    return change.after;
  }
}

function stopped(nonce: string, nowMs: number): TaskEvent {
  return { type: 'end', nonce, end: endUnlaunched({ state: 'terminated', cause: 'user', nowMs }) };
}

export function dependencyFailed(id: string, nowMs: number): SettledPhase {
  const detail = `It depends on the success of ${id}, which did not complete.`;
  return endUnlaunched({ state: 'failed', cause: 'dependency-failed', nowMs, detail });
}

/** By all that it depends on, as this transaction sees them. One that was removed since has ended, who knows how. */
export async function judgeDependencies(
  tx: TaskTransaction,
  { spec }: Pick<StoredTask, 'spec'>,
): Promise<'go' | 'waits' | { readonly failed: string }> {
  let waits = false;
  for (const { id, on } of spec.dependsOn) {
    const phase = (await tx.get(id))?.phase;
    if (phase !== undefined && !isSettledPhase(phase)) waits = true;
    else if (on === 'success' && phase?.state !== 'completed') return { failed: id };
  }
  return waits ? 'waits' : 'go';
}
