/** The verbs that look at one task, or do something to it, and say what it is then. */

import type { TaskRecord } from '@forewrit/tasks';
import type { CommandContext, CommandResult } from '../../command.js';
import { type ExitCode, exitCodes } from '../../exit-code.js';
import { secretsOf } from './run.js';
import { lineOf, taskAsJson, taskAsText } from './show-task.js';
import { withTasks } from './with-tasks.js';

export async function show(context: CommandContext, _options: object, id: string): Promise<CommandResult> {
  const record = await withTasks(context, {}, (engine) => engine.get(id));
  return {
    exitCode: exitCodes.clean,
    json: taskAsJson(record),
    text: () => taskAsText(record, context.terminal.colors),
  };
}

/** Exits with 1 unless the task has completed. */
export async function wait(
  context: CommandContext,
  { timeout }: { readonly timeout?: number },
  id: string,
): Promise<CommandResult> {
  const { signal } = context;
  const record = await withTasks(context, { starts: true }, (engine) =>
    engine.wait(id, { signal, ...(timeout === undefined ? {} : { timeoutMs: timeout }) }),
  );
  return resultOf(record, record.state === 'completed' ? exitCodes.clean : exitCodes.findings);
}

export async function stop(
  context: CommandContext,
  { signal, grace }: { readonly signal?: NodeJS.Signals; readonly grace?: number },
  id: string,
): Promise<CommandResult> {
  const record = await withTasks(context, {}, (engine) =>
    engine.stop(id, {
      ...(signal === undefined ? {} : { signal }),
      ...(grace === undefined ? {} : { graceMs: grace }),
    }),
  );
  return resultOf(record, record.survivors.length > 0 ? exitCodes.findings : exitCodes.clean);
}

export async function restart(
  context: CommandContext,
  { secret }: { readonly secret?: readonly string[] },
  id: string,
): Promise<CommandResult> {
  const record = await withTasks(context, { starts: true }, (engine) =>
    engine.restart(id, secret === undefined ? {} : { secretEnv: secretsOf(secret) }),
  );
  return resultOf(record, exitCodes.clean);
}

function resultOf(record: TaskRecord, exitCode: ExitCode): CommandResult {
  const survivors = record.survivors.map(({ pid }) => `it left process ${pid} behind\n`).join('');
  return { exitCode, json: taskAsJson(record), text: () => lineOf(record) + survivors };
}
