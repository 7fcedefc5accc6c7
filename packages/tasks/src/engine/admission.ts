/** A task is taken on: one transaction from what was asked for to a record that every engine sees. */

import { StoreError } from '@forewrit/core';
import { checkSpec } from '../task/check-spec.js';
import { idempotencyRow } from '../task/index-rows.js';
import type { Phase, StoredTask } from '../task/stored-task.js';
import { TaskIds } from '../task/task-id.js';
import type { TaskSpec } from '../task/task.js';
import type { EngineContext } from './engine-context.js';
import { dependencyFailed, judgeDependencies, type Settlement } from './settlement.js';
import type { TaskTransaction } from './task-table.js';

export class Admission {
  readonly #context: EngineContext;
  readonly #settlement: Settlement;
  readonly #root: string;
  readonly #ids = new TaskIds();

  constructor(parts: {
    readonly context: EngineContext;
    readonly settlement: Settlement;
    readonly root: string;
  }) {
    this.#context = parts.context;
    this.#settlement = parts.settlement;
    this.#root = parts.root;
  }

  async start(spec: TaskSpec): Promise<StoredTask> {
    const { table, timers, identity, held } = this.#context;
    const { stored, secretEnv, startAfterMs } = checkSpec(spec, this.#root);
    const createdAtMs = timers.nowMs();
    const id = this.#ids.next(createdAtMs);
    const isHeld = stored.secretNames.length > 0 || stored.survive === 'never';
    // Before the commit: from then on it may be launched at once.
    if (isHeld) held.set(id, secretEnv);
    const task: Omit<StoredTask, 'phase'> = {
      id,
      version: 1,
      createdAtMs,
      attempt: 1,
      retries: 0,
      launches: 0,
      failedLaunches: 0,
      spec: stored,
      ...(isHeld ? { holder: identity } : {}),
    };
    try {
      const { made, found } = await table.transact(async (tx) => {
        const known = await taskOfKey(tx, stored.idempotencyKey);
        if (known !== undefined) return { found: known };
        const created: StoredTask = { ...task, phase: await this.#firstPhase(tx, task, startAfterMs) };
        tx.save(undefined, created);
        return { made: created };
      });
      if (made === undefined) {
        held.delete(id);
        return found;
      }
      await this.#settlement.follow(made);
      return made;
    } catch (error) {
      // A transaction whose outcome is unknown poisons the store: nothing is launched any more.
      held.delete(id);
      throw error;
    }
  }

  async #firstPhase(
    tx: TaskTransaction,
    task: Omit<StoredTask, 'phase'>,
    startAfterMs: number | undefined,
  ): Promise<Phase> {
    for (const { id } of task.spec.dependsOn) {
      if ((await tx.get(id)) === undefined) {
        throw notFound('start', id, 'A task can only depend on one that is there.');
      }
    }
    const verdict = await judgeDependencies(tx, task);
    const nowMs = this.#context.timers.nowMs();
    if (typeof verdict === 'object') return dependencyFailed(verdict.failed, nowMs);
    const isDelayed = startAfterMs !== undefined && startAfterMs > nowMs;
    return {
      state: verdict === 'waits' ? 'blocked' : 'pending',
      ...(isDelayed ? { notBeforeMs: Math.ceil(startAfterMs) } : {}),
    };
  }
}

async function taskOfKey(tx: TaskTransaction, key: string | undefined): Promise<StoredTask | undefined> {
  if (key === undefined) return undefined;
  const id = await tx.row(idempotencyRow(key));
  return typeof id === 'string' ? await tx.get(id) : undefined;
}

export function notFound(op: string, id: string, hint: string): StoreError {
  return new StoreError('ERR_NOT_FOUND', `There is no task ${id}`, { op, hint });
}
