/** A task as tools show it, and the end of its output. */

import type { TaskEngine, TaskRecord } from '@forewrit/tasks';
import { isSettled } from '@forewrit/tasks';
import { z } from 'zod';

export const tailLinesDefault = 200;
export const outputBytesDefault = 16 * 1024;
export const outputBytesMax = 1024 * 1024;

export const taskIdInput = z.string().min(1).max(128).describe('As run_shell or task_list gave it.');

export const taskOutput = z.object({
  task_id: z.string(),
  state: z
    .string()
    .describe(
      'pending, blocked, starting, running, orphaned; then completed (exit code 0), failed, timeout, terminated or lost.',
    ),
  cause: z.string().optional(),
  exit_code: z.number().optional(),
  signal: z.string().optional(),
  command: z.string(),
  cwd: z.string(),
  label: z.string().optional(),
  group: z.string().optional(),
  created_at_ms: z.number(),
  started_at_ms: z.number().optional(),
  ended_at_ms: z.number().optional(),
  timeout_ms: z.number(),
  attempt: z.number(),
  output_bytes: z.number(),
  dropped_bytes: z.number().describe('Oldest output that is not kept any more.'),
  detail: z.string().optional(),
});

export type TaskView = z.output<typeof taskOutput>;

export function viewOf(record: TaskRecord): TaskView {
  const { command } = record;
  const optional = {
    cause: record.cause,
    exit_code: record.exitCode,
    signal: record.signal,
    label: record.label,
    group: record.group,
    started_at_ms: record.startedAtMs,
    ended_at_ms: record.endedAtMs,
    detail: record.detail,
  };
  return {
    task_id: record.id,
    state: record.state,
    command: typeof command === 'string' ? command : [command.file, ...(command.args ?? [])].join(' '),
    cwd: record.cwd,
    created_at_ms: record.createdAtMs,
    timeout_ms: record.timeoutMs,
    attempt: record.attempt,
    output_bytes: record.outputBytes,
    dropped_bytes: record.droppedBytes,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

/** One line for people and models. */
export function lineOf(view: TaskView): string {
  const end =
    view.exit_code === undefined ? (view.signal ?? view.cause ?? '') : `exit code ${view.exit_code}`;
  return `task ${view.task_id}: ${view.state}${end === '' ? '' : ` (${end})`}`;
}

export const pageOutput = z.object({
  output: z.string().describe('Both streams in the order of their arrival, unless one was asked for.'),
  offset: z.number().describe('Of its first byte.'),
  next_offset: z.number().describe('Where task_output goes on.'),
  complete: z.boolean().describe('Nothing comes after next_offset, now or later.'),
});

export type Page = z.output<typeof pageOutput>;

export interface PageRequest {
  readonly offset?: number;
  readonly tailLines?: number;
  readonly maxBytes?: number;
  readonly stream?: 'stdout' | 'stderr';
}

/** From `offset` on; without one, the end: the last lines, and of these the last bytes. */
export async function pageOf(engine: TaskEngine, id: string, request: PageRequest): Promise<Page> {
  const { offset, tailLines = tailLinesDefault, maxBytes = outputBytesDefault, stream } = request;
  const common = { maxBytes, ...(stream === undefined ? {} : { stream }) };
  if (offset !== undefined) return await read(engine, id, { ...common, offset });
  // Counted first: what arrives after that belongs to the next page.
  const { outputBytes } = await engine.get(id);
  const page = await read(engine, id, { ...common, tailLines });
  if (page.next_offset >= outputBytes) return page;
  const start = Math.max(page.offset, outputBytes - maxBytes);
  return await read(engine, id, { ...common, offset: await wholeCharacterFrom(engine, id, start) });
}

async function read(
  engine: TaskEngine,
  id: string,
  options: PageRequest & { readonly maxBytes: number },
): Promise<Page> {
  const { data, offset, nextOffset, complete } = await engine.read(id, { ...options, encoding: 'utf8' });
  return { output: data, offset, next_offset: nextOffset, complete };
}

/** The first byte from `start` on that does not belong to a character that begins before it. */
async function wholeCharacterFrom(engine: TaskEngine, id: string, start: number): Promise<number> {
  const { data, offset } = await engine.read(id, { offset: start, maxBytes: 4 });
  const begin = data.findIndex((byte) => (byte & 0xc0) !== 0x80);
  return offset + Math.max(0, begin);
}

export const ranOutput = taskOutput.extend(pageOutput.shape);

/** What a command has come to: for run_shell, task_wait and `tasks/result` alike. */
export async function ranAs(engine: TaskEngine, record: TaskRecord) {
  // Its record may know less of the output than there is.
  const [view, page] = [viewOf(await engine.get(record.id)), await pageOf(engine, record.id, {})];
  const settled = isSettled(record.state);
  const hint = settled ? '' : '; it runs on: task_wait waits for it, task_output shows more';
  return {
    structured: { ...view, ...page },
    text: [page.output, lineOf(view) + hint].filter((text) => text !== ''),
    isError: settled && record.state !== 'completed',
  };
}
