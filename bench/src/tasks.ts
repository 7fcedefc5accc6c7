/** The record half of the task engine: what it costs to take a task on, and to find one among many that have ended. */

import path from 'node:path';
import { openStore } from 'forewrit';
import { openTasks } from '@forewrit/tasks';
import { percentile } from './statistics.js';

export interface Times {
  readonly p50: number;
  readonly p95: number;
}

export interface TasksResult {
  readonly finished: number;
  /** Until `start` resolves: the record is durable. The spawn comes after that, and is not in it. */
  readonly startMs: Times;
  /** One entry put in the same store, in turn with the starts: what any commit takes here and now. */
  readonly putMs: Times;
  readonly getMs: Times;
  readonly listMs: Times;
  readonly listByTagMs: Times;
  readonly listByStateMs: Times;
  /** A page in the middle of all. */
  readonly listAtCursorMs: Times;
  readonly openMs: number;
  readonly pruneMs: number;
  readonly heapBytes: number;
}

const warmUpRounds = 100;
const importAtOnce = 2000;

export async function measureTasks(
  directory: string,
  finished: number,
  rounds: number,
): Promise<TasksResult> {
  const root = path.join(directory, 'store');
  await fill(root, finished);
  const store = await openStore(root);
  const openedMs = performance.now();
  // What is started stays pending: the spawn is another measurement.
  const engine = await openTasks(store, { starts: false, pruneIntervalMs: 0, retention: keepAll });
  const openMs = performance.now() - openedMs;
  try {
    const all = (await engine.list({ limit: 1000 })).tasks.map(({ id }) => id);
    const middle = (await engine.list({ limit: 1000, cursor: all.at(-1)! })).tasks[500]!.id;
    const entries = store.collection('bench');
    const [startMs, putMs] = await inTurn(rounds, [
      (round) => engine.start({ command: 'true', label: `round ${round}` }),
      (round) => entries.put(`round ${round}`, { command: 'true', label: `round ${round}` }),
    ]);
    const result = {
      finished,
      startMs: startMs!,
      putMs: putMs!,
      getMs: await timed(rounds, (round) => engine.get(all[round % all.length]!)),
      listMs: await timed(rounds, () => engine.list()),
      listByTagMs: await timed(rounds, () => engine.list({ tag: 'imported' })),
      listByStateMs: await timed(rounds, () => engine.list({ state: ['completed', 'failed'] })),
      listAtCursorMs: await timed(rounds, () => engine.list({ cursor: middle })),
      openMs,
      heapBytes: process.memoryUsage().heapUsed,
    };
    const pruningMs = performance.now();
    await engine.prune({ maxCount: finished - 1000 });
    return { ...result, pruneMs: performance.now() - pruningMs };
  } finally {
    await engine.close();
    await store.close();
  }
}

const keepAll = { maxAgeMs: Infinity, maxBytes: Infinity, maxCount: Infinity };

/** Tasks that have ended, as an import makes them: without ten thousand processes. */
async function fill(root: string, finished: number): Promise<void> {
  const store = await openStore(root);
  const engine = await openTasks(store, { starts: false, pruneIntervalMs: 0, retention: keepAll });
  for (let done = 0; done < finished; done += importAtOnce) {
    const tasks: Record<string, object> = {};
    for (let each = done; each < Math.min(done + importAtOnce, finished); each += 1) {
      tasks[`old-${each}`] = {
        command: `make target-${each}`,
        status: each % 5 === 0 ? 'failed' : 'completed',
        exit_code: each % 5 === 0 ? 2 : 0,
        created_at: 1_700_000_000 + each,
        start_time: 1_700_000_000 + each,
        end_time: 1_700_000_001 + each,
      };
    }
    await engine.importTasks(JSON.stringify(tasks));
  }
  await engine.close();
  await store.close();
}

async function timed(rounds: number, work: Work): Promise<Times> {
  return (await inTurn(rounds, [work]))[0]!;
}

type Work = (round: number) => Promise<unknown>;

/** Turn by turn, so that the machine's mood is the same for all. */
async function inTurn(rounds: number, works: readonly Work[]): Promise<Times[]> {
  const times: number[][] = works.map(() => []);
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    for (const [index, work] of works.entries()) {
      const startedMs = performance.now();
      await work(Math.abs(round));
      if (round >= 0) times[index]!.push(performance.now() - startedMs);
    }
  }
  return times.map((each) => ({ p50: percentile(each, 0.5), p95: percentile(each, 0.95) }));
}
