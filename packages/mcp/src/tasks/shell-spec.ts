/** From the arguments of run_shell to a task. Also of calls that are made as tasks of the protocol. */

import { absolutePath, parsePath, StoreError, type Store } from '@forewrit/core';
import type { TaskSpec } from '@forewrit/tasks';
import { z } from 'zod';

export const waitMsDefault = 45_000;
export const waitMsMax = 600_000;

export const shellInput = z.strictObject({
  command: z.string().min(1).describe('Run by /bin/sh -c.'),
  cwd: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Directory to run it in, relative to the root of the store, which is the default. Must lie in the root.',
    ),
  background: z
    .boolean()
    .default(false)
    .describe(
      'Answer at once with the task_id, and let the command run. For servers, watchers and long builds.',
    ),
  wait_ms: z
    .number()
    .int()
    .min(0)
    .max(waitMsMax)
    .default(waitMsDefault)
    .describe(
      'In the foreground: answer after this time even if it still runs. It runs on then; use task_wait.',
    ),
  timeout_ms: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe('The command is ended after this time. Default: 1,800,000 (30 minutes).'),
  env: z.record(z.string(), z.string()).optional().describe('Variables on top of those of the server.'),
  stdin: z
    .boolean()
    .default(false)
    .describe('Give it an input that task_input writes to. Default: it has none.'),
  label: z.string().min(1).max(200).optional().describe('A name for people.'),
  group: z.string().min(1).max(200).optional().describe('A name that task_list can ask for.'),
  idempotency_key: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('A second call with the same key answers with the task of the first, and starts nothing.'),
});

export type ShellInput = z.output<typeof shellInput>;

/** @throws StoreError ERR_PATH_ESCAPE, ERR_PATH_RESERVED, ERR_NOT_FOUND or ERR_NOT_DIRECTORY of a bad `cwd` */
export async function shellSpec(store: Store, input: ShellInput): Promise<TaskSpec> {
  const { command, timeout_ms, env, stdin, label, group, idempotency_key } = input;
  return {
    command,
    ...(input.cwd === undefined ? {} : { cwd: await directoryOf(store, input.cwd) }),
    ...(timeout_ms === undefined ? {} : { timeoutMs: timeout_ms }),
    ...(env === undefined ? {} : { env }),
    ...(stdin ? { stdin: 'pipe' as const } : {}),
    ...(label === undefined ? {} : { label }),
    ...(group === undefined ? {} : { group }),
    ...(idempotency_key === undefined ? {} : { idempotencyKey: idempotency_key }),
  };
}

async function directoryOf(store: Store, cwd: string): Promise<string> {
  // In the store's spelling: `link/..` is another place for the operating system.
  const roots = { root: store.root, named: new Map<string, string>() };
  const path = parsePath(cwd, roots, 'run_shell');
  if (path === '') return store.root;
  if ((await store.stat(path)).type !== 'directory') {
    throw new StoreError('ERR_NOT_DIRECTORY', `'${cwd}' is not a directory`, {
      op: 'run_shell',
      path,
      hint: 'Give the directory to run the command in.',
    });
  }
  return absolutePath(path, roots);
}
