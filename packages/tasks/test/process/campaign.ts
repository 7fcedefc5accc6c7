/**
 * Tasks whose engines are killed again and again. Each command leaves a line in a file of its own when it begins, prints
 * what its number says, and ends as its number says: so afterwards everything about it can be checked.
 */

import { mkdirSync, readFileSync } from 'node:fs';
import { openStore } from '@forewrit/recovery';
import { assert, type Random, temporaryDirectory } from '@forewrit/testkit';
import { TestProcess } from '@forewrit/testkit/child-process';
import { isSettled, openTasks, type TaskEngine, type TaskRecord, type TaskSpec } from '#src/index.js';
import type { EngineCommand, EngineMessage, EngineRequest } from './engine-child.js';

export const atOnce = 20;
const largeBytes = 10_000_000;
const keptBytes = 1 << 20;
const waitMs = 120_000;

/** What task number `n` does. */
export interface Plan {
  readonly n: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly ending: { readonly exitCode: number } | { readonly signal: 'SIGKILL' | 'SIGTERM' };
}

export function planOf(n: number, random: Random): Plan {
  return {
    n,
    seconds: random.below(30) / 10,
    // One of five prints more than is kept of it.
    bytes: n % 5 === 0 ? largeBytes : random.below(20_000),
    ending:
      n % 7 === 0 ? { signal: n % 2 === 0 ? 'SIGKILL' : 'SIGTERM' } : { exitCode: n % 3 === 0 ? 0 : n % 256 },
  };
}

/** Lines of sixteen bytes that say where they are. */
export function expectedOutput({ n, bytes }: Plan, from: number, to: number): Buffer {
  const first = Math.floor(from / 16);
  const lines: string[] = [];
  for (let line = first; line * 16 < to; line += 1) {
    lines.push(`${String(n).padStart(5, '0')} ${String(line).padStart(9, '0')}\n`);
  }
  assert.ok(to <= bytes);
  return Buffer.from(lines.join('')).subarray(from - first * 16, to - first * 16);
}

function specOf(plan: Plan, directory: string): TaskSpec {
  const { n, seconds, bytes, ending } = plan;
  const end = 'signal' in ending ? `kill -${ending.signal.slice(3)} $$` : `exit ${ending.exitCode}`;
  const lines = Math.ceil(bytes / 16);
  const prefix = String(n).padStart(5, '0');
  return {
    command: [
      `echo began >> ${directory}/${n}`,
      `sleep ${seconds / 2}`,
      // As much as head lets through: cut in the middle of a line, perhaps.
      `awk 'BEGIN { for (i = 0; i < ${lines}; i++) printf "${prefix} %09d\\n", i }' | head -c ${bytes}`,
      `sleep ${seconds / 2}`,
      end,
    ].join('; '),
    idempotencyKey: `task ${n}`,
    output: { maxBytes: keptBytes, segmentBytes: keptBytes / 8 },
  };
}

export interface CampaignCount {
  kills: number;
  tasks: number;
  survived: number;
  problems: number;
}

/** Kills engines so often, with twenty tasks running or about to; then looks at each task. */
export async function runCampaign(
  random: Random,
  kills: number,
  /** Whether another engine is open all the time, and takes part. */
  { beside = false }: { readonly beside?: boolean } = {},
): Promise<CampaignCount> {
  using directory = temporaryDirectory('engines');
  const root = `${directory.path}/store`;
  const marks = `${directory.path}/marks`;
  mkdirSync(marks);
  const count: CampaignCount = { kills: 0, tasks: 0, survived: 0, problems: 0 };
  const plans: Plan[] = [];
  const early = beside ? await openEngine(root) : undefined;
  while (count.kills < kills) {
    const request: EngineRequest = { root, parallel: atOnce };
    await using child = new TestProcess<EngineMessage>(new URL('./engine-child.js', import.meta.url), {
      request,
    });
    const opened = await child.next('open', waitMs);
    count.survived += opened.recovered;
    // Those that may not have been taken on are asked for again: the key knows.
    const wanted = plans.length === 0 ? atOnce : random.below(10) + 1;
    const fresh = Array.from({ length: wanted }, (_, index) => planOf(plans.length + index + 1, random));
    plans.push(...fresh);
    const command: EngineCommand = {
      type: 'start',
      specs: plans.slice(-40).map((plan) => specOf(plan, marks)),
    };
    child.tell(command);
    await new Promise((resolve) => {
      setTimeout(resolve, random.below(900));
    });
    await child.kill();
    for (const message of child.messages) {
      if (message.type !== 'problem') continue;
      count.problems += 1;
      console.log(message.message);
    }
    count.kills += 1;
  }

  const { engine, close } = early ?? (await openEngine(root));
  try {
    for (const plan of plans) {
      const { id } = await engine.start(specOf(plan, marks));
      check(plan, await engine.wait(id, { timeoutMs: waitMs }), marks);
      await checkOutput(engine, id, plan);
      count.tasks += 1;
    }
    const total = (await engine.list({ limit: 1000 })).tasks.length;
    assert.is(total, Math.min(plans.length, 1000));
  } finally {
    await close();
  }
  return count;
}

async function openEngine(
  root: string,
): Promise<{ readonly engine: TaskEngine; readonly close: () => Promise<void> }> {
  const store = await openStore(root);
  const engine = await openTasks(store, { parallel: atOnce });
  return {
    engine,
    close: async () => {
      await engine.close();
      await store.close();
    },
  };
}

function check(plan: Plan, task: TaskRecord, marks: string): void {
  const { ending, n } = plan;
  const what = `task ${n}: ${JSON.stringify(task)}`;
  assert.ok(isSettled(task.state) && task.cause !== 'spawn-error', what);
  assert.equal(readFileSync(`${marks}/${n}`, 'utf8'), 'began\n', what);
  if ('signal' in ending) {
    assert.equal([task.state, task.cause, task.signal], ['failed', 'signal', ending.signal], what);
  } else {
    const state = ending.exitCode === 0 ? 'completed' : 'failed';
    assert.equal([task.state, task.cause, task.exitCode], [state, 'exit', ending.exitCode], what);
  }
  assert.is(task.attempt, 1, what);
  assert.is(task.outputBytes, plan.bytes, what);
  assert.ok(task.complete, what);
}

async function checkOutput(engine: TaskEngine, id: string, plan: Plan): Promise<void> {
  const { droppedBytes } = await engine.get(id);
  assert.ok(plan.bytes - droppedBytes <= keptBytes, `${plan.bytes - droppedBytes} bytes are kept`);
  assert.ok(plan.bytes > keptBytes ? droppedBytes > 0 : droppedBytes === 0);
  let offset: number | undefined;
  const pieces: Uint8Array[] = [];
  for (;;) {
    const page = await engine.read(id, offset === undefined ? {} : { offset });
    if (offset === undefined) assert.is(page.offset, droppedBytes, 'the first byte that is kept');
    else assert.is(page.offset, offset);
    pieces.push(page.data);
    offset = page.nextOffset;
    if (page.complete) break;
  }
  const kept = Buffer.concat(pieces);
  assert.ok(kept.equals(expectedOutput(plan, droppedBytes, plan.bytes)), `task ${plan.n}: every byte`);
}
