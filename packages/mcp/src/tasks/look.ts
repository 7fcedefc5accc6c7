/** task_list, task_status, task_output and task_wait. */

import { InvalidArgumentError } from '@forewrit/core';
import { liveStates, settledStates } from '@forewrit/tasks';
import { z } from 'zod';
import { defineTool, reads } from '../tool.js';
import { waitMsDefault, waitMsMax } from './shell-spec.js';
import {
  lineOf,
  outputBytesDefault,
  outputBytesMax,
  pageOf,
  pageOutput,
  ranAs,
  ranOutput,
  tailLinesDefault,
  taskIdInput,
  taskOutput,
  viewOf,
} from './task-view.js';
import { waitFor } from './waiting.js';

export const taskList = defineTool({
  name: 'task_list',
  title: 'List tasks',
  description:
    'Lists commands that run or have run, the newest first; also those that an earlier server has started.',
  input: z.strictObject({
    state: z
      .enum([...liveStates, ...settledStates])
      .optional()
      .describe('Only tasks in this state.'),
    group: z.string().min(1).max(200).optional().describe('Only tasks of this group.'),
    cursor: z.string().optional().describe('`next_cursor` of an earlier page, to go on after it.'),
    limit: z.number().int().min(1).max(200).default(20).describe('Tasks a page.'),
  }),
  output: z.object({ tasks: z.array(taskOutput), next_cursor: z.string().nullable() }),
  annotations: reads,
  needsShell: true,
  async run({ state, group, cursor, limit }, { services }) {
    const page = await services.tasks!.list({
      limit,
      ...(state === undefined ? {} : { state }),
      ...(group === undefined ? {} : { group }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    const tasks = page.tasks.map(viewOf);
    const lines = tasks.map((view) => `${lineOf(view)}: ${view.label ?? view.command.slice(0, 200)}`);
    const next = page.cursor === undefined ? [] : [`more with cursor ${page.cursor}`];
    return {
      structured: { tasks, next_cursor: page.cursor ?? null },
      text: [[...lines, ...next].join('\n') || 'no tasks'],
    };
  },
});

export const taskStatus = defineTool({
  name: 'task_status',
  title: 'Look at a task',
  description: 'State, exit code and times of a task, without its output.',
  input: z.strictObject({ task_id: taskIdInput }),
  output: taskOutput,
  annotations: reads,
  needsShell: true,
  async run({ task_id }, { services }) {
    return { structured: viewOf(await services.tasks!.get(task_id)) };
  },
});

export const taskOutputTool = defineTool({
  name: 'task_output',
  title: 'Read the output of a task',
  description:
    `Shows the end of what a task has printed: the last ${tailLinesDefault} lines, at most ${outputBytesDefault} bytes. With ` +
    '`offset` (a `next_offset`) it goes on where an earlier answer ended. Reading takes nothing away.',
  input: z.strictObject({
    task_id: taskIdInput,
    offset: z.number().int().nonnegative().optional().describe('First byte; in place of tail_lines.'),
    tail_lines: z.number().int().min(0).max(10_000).optional().describe('So many lines before the end.'),
    max_bytes: z.number().int().min(4).max(outputBytesMax).default(outputBytesDefault),
    stream: z.enum(['stdout', 'stderr']).optional().describe('Leave the other one out.'),
  }),
  output: pageOutput.extend({ task_id: z.string(), state: z.string() }),
  annotations: reads,
  needsShell: true,
  async run({ task_id, offset, tail_lines, max_bytes, stream }, { services }) {
    const engine = services.tasks!;
    if (offset !== undefined && tail_lines !== undefined) {
      throw new InvalidArgumentError('task_output', 'give offset or tail_lines, not both');
    }
    const page = await pageOf(engine, task_id, {
      maxBytes: max_bytes,
      ...(offset === undefined ? {} : { offset }),
      ...(tail_lines === undefined ? {} : { tailLines: tail_lines }),
      ...(stream === undefined ? {} : { stream }),
    });
    const { state } = await engine.get(task_id);
    const { output, ...rest } = page;
    return {
      structured: { task_id, state, ...page },
      text: [output, JSON.stringify({ state, ...rest })].filter((text) => text !== ''),
    };
  },
});

export const taskWait = defineTool({
  name: 'task_wait',
  title: 'Wait for a task',
  description:
    'Waits until a task has ended, and answers as run_shell does; after wait_ms with what there is. Giving up the wait does ' +
    'nothing to the task.',
  input: z.strictObject({
    task_id: taskIdInput,
    wait_ms: z.number().int().min(0).max(waitMsMax).default(waitMsDefault),
  }),
  output: ranOutput,
  annotations: reads,
  needsShell: true,
  async run({ task_id, wait_ms }, context) {
    const engine = context.services.tasks!;
    const answer = await ranAs(engine, await waitFor(engine, task_id, { timeoutMs: wait_ms, context }));
    // The wait has worked, however the task has ended.
    return { structured: answer.structured, text: answer.text };
  },
});
