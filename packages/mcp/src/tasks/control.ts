/** task_input, task_terminate, task_restart and task_prune. */

import { z } from 'zod';
import { defineTool } from '../tool.js';
import { lineOf, taskIdInput, taskOutput, viewOf } from './task-view.js';

const acts = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: false,
  openWorldHint: true,
} as const;

export const taskInput = defineTool({
  name: 'task_input',
  title: 'Write to the input of a task',
  description:
    'Writes to the standard input of a task that was started with `stdin`. Add the newline that it waits for.',
  input: z.strictObject({
    task_id: taskIdInput,
    text: z.string().describe('Written as it is; no newline is added.'),
    end: z.boolean().default(false).describe('Close the input after that.'),
  }),
  output: z.object({ task_id: z.string(), written_bytes: z.number(), ended: z.boolean() }),
  annotations: acts,
  needsShell: true,
  async run({ task_id, text, end }, { services }) {
    await services.tasks!.write(task_id, text, { end });
    return { structured: { task_id, written_bytes: Buffer.byteLength(text), ended: end } };
  },
});

export const taskTerminate = defineTool({
  name: 'task_terminate',
  title: 'End a task',
  description:
    'Ends a task with everything that it has started: SIGTERM, then SIGKILL. Answers when it has ended. One that had ended ' +
    'already stays as it is.',
  input: z.strictObject({
    task_id: taskIdInput,
    signal: z
      .enum(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGKILL'])
      .default('SIGTERM')
      .describe('Sent first.'),
    grace_ms: z.number().int().min(0).max(600_000).optional().describe('Until SIGKILL. Default: 5,000.'),
  }),
  output: taskOutput,
  annotations: { ...acts, idempotentHint: true },
  needsShell: true,
  async run({ task_id, signal, grace_ms }, { services }) {
    const stopped = await services.tasks!.stop(task_id, {
      signal,
      ...(grace_ms === undefined ? {} : { graceMs: grace_ms }),
    });
    const view = viewOf(stopped);
    return { structured: view, text: [lineOf(view)] };
  },
});

export const taskRestart = defineTool({
  name: 'task_restart',
  title: 'Run a task again',
  description:
    'Runs the command of a task once more under the same id, as its next attempt; ends it first if it runs.',
  input: z.strictObject({ task_id: taskIdInput }),
  output: taskOutput,
  annotations: acts,
  needsShell: true,
  async run({ task_id }, { services }) {
    const view = viewOf(await services.tasks!.restart(task_id));
    return { structured: view, text: [lineOf(view)] };
  },
});

export const taskPrune = defineTool({
  name: 'task_prune',
  title: 'Forget tasks that have ended',
  description:
    'Removes records and output of tasks that have ended, the oldest first; a task that runs is never removed. Happens by ' +
    'itself after 24 hours.',
  input: z.strictObject({
    max_age_ms: z
      .number()
      .min(0)
      .optional()
      .describe('Remove those that were created longer ago. 0: all that have ended.'),
    max_bytes: z.number().min(0).optional().describe('Keep at most so much output.'),
    max_count: z.number().int().min(0).optional().describe('Keep at most so many tasks.'),
  }),
  output: z.object({ removed: z.array(z.string()), bytes: z.number() }),
  annotations: { ...acts, idempotentHint: true, openWorldHint: false },
  needsShell: true,
  async run({ max_age_ms, max_bytes, max_count }, { services }) {
    const { removed, bytes } = await services.tasks!.prune({
      ...(max_age_ms === undefined ? {} : { maxAgeMs: max_age_ms }),
      ...(max_bytes === undefined ? {} : { maxBytes: max_bytes }),
      ...(max_count === undefined ? {} : { maxCount: max_count }),
    });
    return { structured: { removed: [...removed], bytes } };
  },
});
