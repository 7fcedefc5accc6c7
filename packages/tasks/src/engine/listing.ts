/**
 * Pages of tasks, the newest first. A page costs what is on it: ids are in the order of creation, and for every filter
 * there are rows that name the ids it lets through. Where two filters meet, the rows of one are walked and the other one
 * looks at the records.
 */

import { InvalidArgumentError } from '@forewrit/core';
import { idOfKey, inGroup, rowsUnder, settledAs, tagged } from '../task/index-rows.js';
import type { StoredTask } from '../task/stored-task.js';
import { recordOf } from '../task/task-record.js';
import { isSettled, liveStates, settledStates, type TaskRecord, type TaskState } from '../task/task.js';
import { checkName } from '../task/check-spec.js';
import type { TaskTable } from './task-table.js';

export interface ListOptions {
  readonly state?: TaskState | readonly TaskState[];
  readonly group?: string;
  readonly tag?: string;
  /** Of an earlier page, to go on after it. */
  readonly cursor?: string;
  /** Default: 50; at most 1,000. */
  readonly limit?: number;
}

export interface TaskPage {
  readonly tasks: readonly TaskRecord[];
  /** Where to go on; absent when there is nothing more. */
  readonly cursor?: string;
}

const limitDefault = 50;
const limitMax = 1000;

interface Filter {
  readonly states: ReadonlySet<TaskState> | undefined;
  readonly group: string | undefined;
  readonly tag: string | undefined;
}

export async function listTasks(table: TaskTable, options: ListOptions): Promise<TaskPage> {
  const { filter, limit, cursor } = checkListOptions(options);
  const tasks: TaskRecord[] = [];
  let before = cursor;
  for (;;) {
    // One more than wanted: it tells whether there is more.
    const ids = await idsBefore(table, filter, { before, limit: limit + 1 });
    for (const id of ids) {
      const task = await table.get(id);
      if (task === undefined || !passes(task, filter)) continue;
      if (tasks.length === limit) return { tasks, cursor: tasks.at(-1)!.id };
      tasks.push(recordOf(task));
    }
    if (ids.length <= limit) return { tasks };
    before = ids.at(-1)!;
  }
}

function checkListOptions(options: ListOptions) {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('list', 'options must be an object');
  }
  const { state, group, tag, cursor, limit = limitDefault } = options;
  if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= limitMax)) {
    throw new InvalidArgumentError('list', `limit must be a whole number from 1 to ${limitMax}`);
  }
  if (cursor !== undefined && typeof cursor !== 'string') {
    throw new InvalidArgumentError('list', 'the cursor is what an earlier page gave in `cursor`');
  }
  const states = state === undefined ? undefined : new Set(typeof state === 'string' ? [state] : state);
  for (const each of states ?? []) {
    if ([...liveStates, ...settledStates].includes(each)) continue;
    throw new InvalidArgumentError('list', `there is no state '${each}'`);
  }
  if (group !== undefined) checkName('list', 'group', group);
  if (tag !== undefined) checkName('list', 'tag', tag);
  return { filter: { states, group, tag } satisfies Filter, limit, cursor };
}

function passes({ spec, phase }: StoredTask, { states, group, tag }: Filter): boolean {
  return (
    (states === undefined || states.has(phase.state)) &&
    (group === undefined || spec.group === group) &&
    (tag === undefined || spec.tags.includes(tag))
  );
}

/** The newest ids before that one that may pass; fewer than `limit` only if there are no more. */
async function idsBefore(
  table: TaskTable,
  { states, group, tag }: Filter,
  { before, limit }: { readonly before: string | undefined; readonly limit: number },
): Promise<string[]> {
  if (tag !== undefined) return await newestIn(table, tagged(tag), { before, limit });
  if (group !== undefined) return await newestIn(table, inGroup(group), { before, limit });
  if (states === undefined) {
    const tasks = await table.tasks({
      ...(before === undefined ? {} : { end: before }),
      limit,
      reverse: true,
    });
    return tasks.map(({ id }) => id);
  }
  const found: string[] = [];
  for (const state of states) {
    if (isSettled(state)) found.push(...(await newestIn(table, settledAs(state), { before, limit })));
  }
  const live = new Set(
    [...states].filter((state) => !isSettled(state)).flatMap((state) => livePrefixes[state]),
  );
  for (const prefix of live) found.push(...(await liveIn(table, prefix, before)));
  return found.sort((a, b) => (a < b ? 1 : -1)).slice(0, limit);
}

const livePrefixes: Readonly<Record<TaskState, readonly string[]>> = {
  pending: ['q', 'w'],
  blocked: ['b'],
  starting: ['r'],
  running: ['r'],
  orphaned: ['r'],
  completed: [],
  failed: [],
  timeout: [],
  terminated: [],
  lost: [],
};

async function newestIn(
  table: TaskTable,
  prefix: string,
  { before, limit }: { readonly before: string | undefined; readonly limit: number },
): Promise<string[]> {
  const end = before === undefined ? {} : { end: `${prefix}/${before}` };
  return (await table.rows({ ...rowsUnder(prefix), ...end, limit, reverse: true })).map(([key]) =>
    idOfKey(key),
  );
}

/** These are in the order of their queue. */
async function liveIn(table: TaskTable, prefix: string, before: string | undefined): Promise<string[]> {
  const ids = await table.ids(prefix);
  return before === undefined ? ids : ids.filter((id) => id < before);
}
