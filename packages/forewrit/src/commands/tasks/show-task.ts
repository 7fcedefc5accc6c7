/** A task, as text and as JSON. */

import type { TaskRecord, TaskState } from '@forewrit/tasks';
import type { Json } from '../../command.js';
import { formatBytes, formatMs, formatTime } from '../../format.js';
import { type Cell, type Colors, printable, table } from '../../terminal.js';

export function taskAsJson(record: TaskRecord): Json {
  // A record holds what JSON holds, and leaves out what it does not know.
  return record as unknown as Json;
}

export function stateAs(state: TaskState, colors: Colors): Cell {
  return { text: state, color: colorOf(state, colors) };
}

function colorOf(state: TaskState, colors: Colors): (text: string) => string {
  switch (state) {
    case 'completed':
      return colors.green;
    case 'failed':
    case 'timeout':
    case 'lost':
      return colors.red;
    case 'orphaned':
    case 'terminated':
      return colors.yellow;
    case 'running':
    case 'starting':
      return colors.cyan;
    case 'pending':
    case 'blocked':
      return String;
  }
}

/** The exit code, the signal, or the cause where there is neither. */
export function endAs({ exitCode, signal, cause }: TaskRecord): string {
  return exitCode === undefined ? (signal ?? cause ?? '') : String(exitCode);
}

export function commandAs({ command }: TaskRecord): string {
  return typeof command === 'string' ? command : [command.file, ...(command.args ?? [])].join(' ');
}

export function taskAsText(record: TaskRecord, colors: Colors): string {
  const { startedAtMs, endedAtMs, startAfterMs, survivors, dependsOn } = record;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['cause', record.cause],
    ['exit code', record.exitCode === undefined ? undefined : String(record.exitCode)],
    ['signal', record.signal],
    ['detail', record.detail],
    ['command', commandAs(record)],
    ['directory', record.cwd],
    ['variables', record.envNames.join(', ') || undefined],
    ['label', record.label],
    ['group', record.group],
    ['tags', record.tags?.join(', ')],
    ['depends on', dependsOn?.map(({ id, on }) => `${id} (${on})`).join(', ')],
    ['attempt', String(record.attempt)],
    ['created', timeAs(record.createdAtMs)],
    ['not before', timeAs(startAfterMs)],
    ['started', timeAs(startedAtMs)],
    ['ended', timeAs(endedAtMs)],
    [
      'took',
      startedAtMs === undefined || endedAtMs === undefined ? undefined : formatMs(endedAtMs - startedAtMs),
    ],
    ['output', outputAs(record)],
    ['survivors', survivors.map(({ pid }) => pid).join(', ') || undefined],
  ];
  const rows = facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  return table(colors, {
    head: ['task', record.id],
    rows: [['state', stateAs(record.state, colors)], ...rows],
  });
}

function timeAs(atMs: number | undefined): string | undefined {
  return atMs === undefined ? undefined : formatTime(atMs);
}

function outputAs({ outputBytes, droppedBytes, complete, endedAtMs }: TaskRecord): string {
  const dropped = droppedBytes === 0 ? '' : `, of which ${formatBytes(droppedBytes)} were dropped`;
  const cut = complete || endedAtMs === undefined ? '' : ', not read to its end';
  return `${formatBytes(outputBytes)}${dropped}${cut}`;
}

/** What a verb says that has done something to a task. */
export function lineOf(record: TaskRecord): string {
  const end = endAs(record);
  return `${record.id} ${record.state}${end === '' ? '' : ` (${printable(end)})`}\n`;
}
