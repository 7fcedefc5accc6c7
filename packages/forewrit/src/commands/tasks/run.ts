/** `forewrit tasks run`: starts a task, and leaves it running, or stays with it. */

import { setTimeout as delay } from 'node:timers/promises';
import { InvalidArgumentError } from '@forewrit/core';
import type { TaskEngine, TaskRecord, TaskSpec } from '@forewrit/tasks';
import type { CommandContext, CommandResult } from '../../command.js';
import { exitCodes } from '../../exit-code.js';
import { follow } from './follow.js';
import { lineOf, taskAsJson } from './show-task.js';
import { withTasks } from './with-tasks.js';

export interface RunOptions {
  readonly json: boolean;
  readonly follow?: boolean;
  readonly wait?: boolean;
  readonly label?: string;
  readonly tag?: readonly string[];
  readonly group?: string;
  readonly priority?: number;
  readonly cwd?: string;
  readonly env?: readonly string[];
  readonly secret?: readonly string[];
  readonly timeout?: number;
  readonly delay?: number;
  readonly after?: readonly string[];
  readonly afterEnd?: readonly string[];
  readonly key?: string;
  readonly retries?: number;
  readonly maxOutput?: number;
}

/** For a task that may start at once to do so, before this process goes. */
const startMsMax = 2_000;
const lookMs = 20;

export async function run(
  context: CommandContext,
  options: RunOptions,
  args: readonly string[],
): Promise<CommandResult> {
  const spec = specOf(options, args);
  return await withTasks(context, { create: true, starts: true }, async (engine) => {
    const { id } = await engine.start(spec);
    if (options.follow === true) {
      context.terminal.writeError(`${id}\n`);
      await follow(context, engine, id, {});
    }
    const stays = options.follow === true || options.wait === true;
    const record = stays
      ? await engine.wait(id, { signal: context.signal })
      : await begun(engine, id, (options.secret?.length ?? 0) > 0);
    return {
      exitCode: stays && record.state !== 'completed' ? exitCodes.findings : exitCodes.clean,
      json: taskAsJson(record),
      // After its output its state is for people: scripts have the exit code.
      text: () => (options.follow === true ? '' : lineOf(record) + adviceFor(record)),
    };
  });
}

function specOf(options: RunOptions, [first, ...rest]: readonly string[]): TaskSpec {
  const { label, tag, group, priority, timeout, key, retries, maxOutput } = options;
  const { env, secret, after = [], afterEnd = [] } = options;
  const dependsOn = [
    ...after.map((id) => ({ id, on: 'success' as const })),
    ...afterEnd.map((id) => ({ id, on: 'finish' as const })),
  ];
  return {
    command: rest.length === 0 ? first! : { file: first!, args: rest },
    cwd: options.cwd ?? process.cwd(),
    ...(label === undefined ? {} : { label }),
    ...(tag === undefined ? {} : { tags: tag }),
    ...(group === undefined ? {} : { group }),
    ...(priority === undefined ? {} : { priority }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(options.delay === undefined ? {} : { startAfter: Date.now() + options.delay }),
    ...(key === undefined ? {} : { idempotencyKey: key }),
    ...(retries === undefined ? {} : { retry: { limit: retries, jitter: 0.2 } }),
    ...(maxOutput === undefined ? {} : { output: { maxBytes: maxOutput } }),
    ...(env === undefined ? {} : { env: Object.fromEntries(env.map(pairOf)) }),
    ...(secret === undefined ? {} : { secretEnv: secretsOf(secret) }),
    ...(dependsOn.length === 0 ? {} : { dependsOn }),
  };
}

function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Values come from the environment: on the command line every process of the machine could read them. */
export function secretsOf(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.map((name) => {
      const value = process.env[name];
      if (value === undefined) {
        throw new InvalidArgumentError('run', `--secret takes the name of a variable; '${name}' is not set`);
      }
      return [name, value];
    }),
  );
}

/** What becomes of it at once. Only this process can start a task with secrets: that one it waits for. */
async function begun(engine: TaskEngine, id: string, hasSecrets: boolean): Promise<TaskRecord> {
  const deadlineMs = performance.now() + startMsMax;
  for (;;) {
    const record = await engine.get(id);
    const mayStart = record.state === 'pending' && record.startAfterMs === undefined;
    const isOnTheWay = mayStart || record.state === 'starting' || (hasSecrets && isWaiting(record));
    if (!isOnTheWay) return record;
    if (mayStart && !hasSecrets && performance.now() > deadlineMs) return record;
    await delay(lookMs);
  }
}

function isWaiting({ state }: TaskRecord): boolean {
  return state === 'pending' || state === 'blocked';
}

function adviceFor({ state }: TaskRecord): string {
  if (state !== 'pending' && state !== 'blocked') return '';
  return 'it waits; a program with the task engine open, or `forewrit tasks wait`, starts it when it may start\n';
}
