/**
 * Taking over a `.mcp_background_tasks.json`: an object of task ids with their facts, times in seconds. All of it in one
 * transaction. The id of a task here follows from its id there and its time, so a second import finds the first one.
 */

import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { InvalidArgumentError } from '@forewrit/core';
import { specDefaults } from '../task/check-spec.js';
import type { SettledPhase, StoredTask } from '../task/stored-task.js';
import { taskIdAt } from '../task/task-id.js';
import { defined } from '../task/task-record.js';
import type { SettledState, TaskCause } from '../task/task.js';
import type { EngineContext } from './engine-context.js';

export interface ImportReport {
  /** Old id and new id. */
  readonly imported: readonly { readonly from: string; readonly id: string; readonly state: SettledState }[];
  /** Old ids of those that were there already. */
  readonly skipped: readonly string[];
}

const outputBytesMax = 1024 * 1024;
const outputsBytesMax = 8 * 1024 * 1024;
const aliasPattern = /^[\w.:-]{1,128}$/;

interface OldTask {
  readonly command: string;
  readonly timeout?: number;
  readonly status: string;
  readonly startTime?: number;
  readonly endTime?: number;
  readonly exitCode?: number;
  readonly createdAt?: number;
  readonly output: string;
}

/** `cwd`: where they run if somebody restarts them; what it was is not told. */
export async function importTasks(context: EngineContext, json: string, cwd: string): Promise<ImportReport> {
  const { table, timers } = context;
  const old = parse(json);
  const nowMs = timers.nowMs();
  const outputMax = Math.min(outputBytesMax, Math.floor(outputsBytesMax / Math.max(1, old.length)));
  return await table.transact(async (tx) => {
    const imported: { from: string; id: string; state: SettledState }[] = [];
    const skipped: string[] = [];
    for (const [from, each] of old) {
      const { task, phase, output } = taken(from, each, { nowMs, outputMax, cwd });
      if ((await tx.get(task.id)) !== undefined) {
        skipped.push(from);
        continue;
      }
      tx.save(undefined, task);
      if (output.byteLength > 0) tx.putOutput(task.id, output);
      imported.push({ from, id: task.id, state: phase.state });
    }
    return { imported, skipped };
  });
}

function parse(json: string): [id: string, task: OldTask][] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw wrong('it is no JSON');
  }
  if (!isObject(value)) throw wrong('it is not an object of task ids');
  return Object.entries(value).map(([id, each]) => {
    if (!aliasPattern.test(id)) throw wrong(`'${id}' is no id of a task`);
    if (!isObject(each)) throw wrong(`the task ${id} is not an object`);
    return [id, oldTask(id, each)];
  });
}

function oldTask(id: string, each: Record<string, unknown>): OldTask {
  const { command, status } = each;
  if (typeof command !== 'string') throw wrong(`the task ${id} has no command`);
  if (typeof status !== 'string' || !Object.hasOwn(meanings, status)) {
    throw wrong(`the task ${id} has the status ${JSON.stringify(status)}, which is none`);
  }
  const number = (name: string): number | undefined => {
    const found = each[name];
    if (found === undefined || found === null) return undefined;
    if (typeof found === 'number' && Number.isFinite(found)) return found;
    throw wrong(`${name} of the task ${id} is no number`);
  };
  return {
    command,
    status,
    output: outputOf(each['output_lines']),
    ...defined({
      timeout: number('timeout'),
      startTime: number('start_time'),
      endTime: number('end_time'),
      exitCode: number('exit_code'),
      createdAt: number('created_at'),
    }),
  };
}

/** Lines, where they were kept; a mere count of them has no more to tell. */
function outputOf(lines: unknown): string {
  if (typeof lines === 'string') return lines;
  if (!Array.isArray(lines)) return '';
  return lines.map((line) => (String(line).endsWith('\n') ? String(line) : `${String(line)}\n`)).join('');
}

function taken(
  from: string,
  old: OldTask,
  { nowMs, outputMax, cwd }: { readonly nowMs: number; readonly outputMax: number; readonly cwd: string },
): { readonly task: StoredTask; readonly phase: SettledPhase; readonly output: Uint8Array } {
  const createdAtMs = milliseconds(old.createdAt ?? old.startTime) ?? 0;
  const chance = BigInt(`0x${createHash('sha256').update(from).digest('hex').slice(0, 12)}`).toString(36);
  const whole = Buffer.from(old.output);
  const output = whole.subarray(Math.max(0, whole.byteLength - outputMax));
  const phase = phaseOf(old, { nowMs, outputBytes: output.byteLength });
  const task: StoredTask = {
    id: taskIdAt(createdAtMs, chance),
    version: 1,
    createdAtMs,
    attempt: 1,
    retries: 0,
    launches: 0,
    failedLaunches: 0,
    alias: from,
    imported: true,
    spec: {
      command: old.command,
      cwd,
      env: {},
      secretNames: [],
      stdin: 'none',
      tags: ['imported'],
      group: '',
      priority: 0,
      dependsOn: [],
      timeoutMs: milliseconds(old.timeout) ?? specDefaults.timeoutMs,
      killGraceMs: specDefaults.killGraceMs,
      output: {
        maxBytes: specDefaults.outputMaxBytes,
        segmentBytes: specDefaults.outputSegmentBytes,
        overflow: 'drop-oldest',
      },
      survive: 'restart',
    },
    phase,
  };
  return { task, phase, output };
}

const meanings: Readonly<Record<string, readonly [SettledState, TaskCause]>> = {
  pending: ['lost', 'shim-died'],
  running: ['lost', 'shim-died'],
  completed: ['completed', 'exit'],
  failed: ['failed', 'exit'],
  terminated: ['terminated', 'user'],
  timeout: ['timeout', 'timeout'],
  lost: ['lost', 'shim-died'],
};

function phaseOf(old: OldTask, { nowMs, outputBytes }: { nowMs: number; outputBytes: number }): SettledPhase {
  const [state, cause] = meanings[old.status]!;
  const { exitCode } = old;
  const hadEnded = old.status !== 'running' && old.status !== 'pending';
  // Python tells a signal as a negative exit code.
  const signal = exitCode !== undefined && exitCode < 0 ? signalName(-exitCode) : undefined;
  return {
    state,
    cause: signal !== undefined && cause === 'exit' ? 'signal' : cause,
    endedAtMs: milliseconds(old.endTime) ?? (hadEnded ? (milliseconds(old.startTime) ?? nowMs) : nowMs),
    outputBytes,
    droppedBytes: 0,
    complete: hadEnded,
    survivors: [],
    ...defined({
      exitCode: signal === undefined ? exitCode : undefined,
      signal,
      startedAtMs: milliseconds(old.startTime),
      detail: hadEnded
        ? undefined
        : `It was ${old.status} when it was imported: nothing watched over it any more.`,
    }),
  };
}

function signalName(number: number): string | undefined {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
}

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(seconds * 1000);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(what: string): InvalidArgumentError {
  return new InvalidArgumentError('import', `this is no .mcp_background_tasks.json: ${what}`);
}
