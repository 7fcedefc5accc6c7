/**
 * What becomes of tasks that have ended. By age, by what their output takes, and by number; the oldest first. A task that
 * has not ended is never removed.
 *
 * First the record becomes a tombstone, in a transaction: from then on nobody sees the task. Then its directory goes, then
 * the tombstone. Whoever dies in between leaves a tombstone, and the next engine that opens goes on from there.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { expiredAt, idOfKey } from '../task/index-rows.js';
import { isSettledPhase, type StoredTask } from '../task/stored-task.js';
import { isTaskId } from '../task/task-id.js';
import { type EngineContext, taskDirectory } from './engine-context.js';
import type { RetentionPolicy } from './options.js';
import type { Settlement } from './settlement.js';

export interface PruneReport {
  readonly removed: readonly string[];
  /** Of output that was kept of them. */
  readonly bytes: number;
}

/** Records that are looked at before others get a turn. */
const pageRecords = 200;
/** Tasks that one transaction removes. */
const removedAtOnce = 64;

export class Retention {
  readonly #context: EngineContext;
  readonly #settlement: Settlement;
  readonly #policy: Required<RetentionPolicy>;

  constructor(context: EngineContext, settlement: Settlement, policy: Required<RetentionPolicy>) {
    this.#context = context;
    this.#settlement = settlement;
    this.#policy = policy;
  }

  async prune(policy: RetentionPolicy = {}): Promise<PruneReport> {
    const { maxAgeMs, maxBytes, maxCount } = { ...this.#policy, ...policy };
    const nowMs = this.#context.timers.nowMs();
    const removed: string[] = [];
    let bytes = 0;
    let batch: StoredTask[] = [];
    const flush = async (): Promise<void> => {
      const gone = new Set(await this.#remove(batch.map(({ id }) => id)));
      for (const task of batch) if (gone.has(task.id)) bytes += keptBytes(task);
      removed.push(...gone);
      batch = [];
    };
    const add = async (task: StoredTask): Promise<void> => {
      batch.push(task);
      if (batch.length === removedAtOnce) await flush();
    };
    for (const [key] of await this.#context.table.rows(expiredAt(nowMs))) {
      const task = await this.#context.table.get(idOfKey(key));
      if (task !== undefined) await add(task);
    }
    await flush();
    // Newest first: what is beyond a limit is older than all that is within.
    let count = 0;
    let kept = 0;
    let full = false;
    for await (const task of this.#settledNewestFirst()) {
      const size = keptBytes(task);
      const isOld = nowMs - task.createdAtMs >= maxAgeMs;
      full ||= count >= maxCount || kept + size > maxBytes;
      if (isOld || full) {
        await add(task);
        continue;
      }
      count += 1;
      kept += size;
    }
    await flush();
    return { removed, bytes };
  }

  /** `false` if it is not there, or has not ended. */
  async remove(id: string): Promise<boolean> {
    return (await this.#remove([id])).length === 1;
  }

  /** Those that were removed. */
  async #remove(ids: readonly string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    // Those that wait for one are told how it ended, before nobody knows any more.
    for (const id of ids) await this.#settlement.releaseDependents(id);
    const buried = await this.#context.table.transact(async (tx) => {
      const found: string[] = [];
      for (const id of ids) {
        const task = await tx.get(id);
        if (task === undefined || !isSettledPhase(task.phase)) continue;
        tx.save(task, tombstoneOf(task));
        found.push(id);
      }
      return found;
    });
    await this.#unlink(buried);
    return buried;
  }

  /** Goes on where somebody died: tombstones, and directories that belong to no record. */
  async sweepLeftovers(): Promise<void> {
    const { table, supervisor, directory, logger } = this.#context;
    for (;;) {
      const ids = await table.ids('z', { limit: removedAtOnce });
      await this.#unlink(ids);
      if (ids.length < removedAtOnce) break;
    }
    // A record is there before its directory is: what is listed first and has none has lost it.
    for (const listed of await supervisor.list(directory)) {
      const id = listed.slice(listed.lastIndexOf('/') + 1);
      if (!isTaskId(id) || (await table.get(id)) !== undefined) continue;
      logger.info({ id }, 'a directory of no task is removed');
      await this.#unlink([id]);
    }
  }

  async #unlink(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const { table, supervisor } = this.#context;
    for (const id of ids) await supervisor.remove(taskDirectory(this.#context, id));
    await table.transact((tx) => {
      for (const id of ids) tx.forget(tombstoneOf({ id }));
      return Promise.resolve();
    });
  }

  async *#settledNewestFirst(): AsyncGenerator<StoredTask> {
    let before: string | undefined;
    for (;;) {
      const end = before === undefined ? {} : { end: before };
      const page = await this.#context.table.tasks({ ...end, limit: pageRecords, reverse: true });
      for (const task of page) if (task.removed !== true && isSettledPhase(task.phase)) yield task;
      if (page.length < pageRecords) return;
      before = page.at(-1)!.id;
      await nextTurn();
    }
  }
}

function keptBytes({ phase }: StoredTask): number {
  return isSettledPhase(phase) ? phase.outputBytes - phase.droppedBytes : 0;
}

/** Only its id and that it is one count. */
function tombstoneOf(task: Pick<StoredTask, 'id'> & Partial<StoredTask>): StoredTask {
  return {
    id: task.id,
    version: (task.version ?? 0) + 1,
    createdAtMs: task.createdAtMs ?? 0,
    attempt: 0,
    retries: 0,
    launches: 0,
    failedLaunches: 0,
    removed: true,
    spec: nothing,
    phase: { state: 'pending' },
  };
}

const nothing: StoredTask['spec'] = {
  command: '',
  cwd: '',
  env: {},
  secretNames: [],
  stdin: 'none',
  tags: [],
  group: '',
  priority: 0,
  dependsOn: [],
  timeoutMs: 0,
  killGraceMs: 0,
  output: { maxBytes: 0, segmentBytes: 0, overflow: 'drop-oldest' },
  survive: 'restart',
};
