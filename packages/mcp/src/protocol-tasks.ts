/**
 * Tasks of the protocol (`tasks/get`, `tasks/result`, `tasks/list`, `tasks/cancel`) over tasks of the store. There is nothing
 * between the two: the id is that of the task, its status follows from the record each time. So whatever server is asked, now or
 * after a restart, tells the same, and nothing can be lost between the start of a command and the answer.
 *
 * A call that is made as a task is marked by tags, which are part of the record: `mcp`, and the time to live that was asked for.
 * Sessions are not told apart: whoever may use the server may see all of its tasks.
 */

import { InvalidArgumentError, isStoreError } from '@forewrit/core';
import { isSettled, type TaskRecord, type TaskState } from '@forewrit/tasks';
import type {
  CreateTaskOptions,
  TaskStore,
} from '@modelcontextprotocol/sdk/experimental/tasks/interfaces.js';
import {
  ErrorCode,
  McpError,
  type Request,
  type Result,
  type Task,
} from '@modelcontextprotocol/sdk/types.js';
import { callResult } from './answer.js';
import type { Services } from './services.js';
import { shellInput, shellSpec } from './tasks/shell-spec.js';
import { ranAs } from './tasks/task-view.js';
import { errorReport } from './tool-error.js';

const tag = 'mcp';
const ttlTag = 'mcp-ttl:';
/** The engine keeps what has ended so long. */
const ttlMsDefault = 86_400_000;
const ttlMsMax = 30 * 86_400_000;
const pollIntervalMs = 500;
const pageTasks = 50;

export class ProtocolTasks implements TaskStore {
  readonly #services: Services;

  constructor(services: Services) {
    this.#services = services;
  }

  get #engine() {
    return this.#services.tasks!;
  }

  /** Starts the command: durable on return, as the answer promises. */
  async createTask({ ttl }: CreateTaskOptions, _requestId: unknown, { params }: Request): Promise<Task> {
    const input = shellInput.parse(params?.['arguments'] ?? {});
    const ttlMs = Math.min(ttl ?? ttlMsDefault, ttlMsMax);
    const spec = await shellSpec(this.#services.store, input);
    const record = await this.#engine.start({
      ...spec,
      ttlMs,
      tags: [tag, `${ttlTag}${ttlMs}`],
    });
    if (isProtocolTask(record)) return taskOf(record);
    throw new InvalidArgumentError(
      'run_shell',
      `${record.id} was started with this key, and not as such a task`,
    );
  }

  async getTask(id: string): Promise<Task | null> {
    const record = await this.#record(id);
    return record === undefined ? null : taskOf(record);
  }

  async getTaskResult(id: string): Promise<Result> {
    const record = await this.#record(id);
    if (record === undefined) throw new McpError(ErrorCode.InvalidParams, `Task not found: ${id}`);
    return callResult(await ranAs(this.#engine, record));
  }

  async listTasks(cursor?: string): Promise<{ tasks: Task[]; nextCursor?: string }> {
    const page = await this.#engine.list({
      tag,
      limit: pageTasks,
      ...(cursor === undefined ? {} : { cursor }),
    });
    return {
      tasks: page.tasks.map(taskOf),
      ...(page.cursor === undefined ? {} : { nextCursor: page.cursor }),
    };
  }

  /** `tasks/cancel` comes here: on return the command has ended. Every other status follows from the command. */
  async updateTaskStatus(id: string, status: Task['status']): Promise<void> {
    if (status !== 'cancelled') {
      throw new McpError(ErrorCode.InvalidRequest, `The status of task ${id} follows from its command`);
    }
    const { state } = await this.#engine.stop(id);
    if (state === 'terminated') return;
    throw new McpError(ErrorCode.InvalidParams, `Task ${id} had ended already: ${state}`);
  }

  async storeTaskResult(id: string): Promise<void> {
    throw new McpError(ErrorCode.InvalidRequest, `The result of task ${id} follows from its command`);
  }

  async #record(id: string): Promise<TaskRecord | undefined> {
    try {
      const record = await this.#engine.get(id);
      return isProtocolTask(record) ? record : undefined;
    } catch (error) {
      if (isStoreError(error, 'ERR_NOT_FOUND') || errorReport(error).code === 'ERR_INVALID_ARGUMENT') {
        return undefined;
      }
      throw error;
    }
  }
}

export function isProtocolTask({ tags }: TaskRecord): boolean {
  return tags?.includes(tag) === true;
}

export function taskOf(record: TaskRecord): Task {
  const asked = record.tags?.find((each) => each.startsWith(ttlTag))?.slice(ttlTag.length);
  const { startedAtMs, endedAtMs, createdAtMs } = record;
  return {
    taskId: record.id,
    status: statusOf(record.state),
    statusMessage: record.detail ?? record.state,
    ttl: asked === undefined ? ttlMsDefault : Number(asked),
    createdAt: new Date(createdAtMs).toISOString(),
    lastUpdatedAt: new Date(endedAtMs ?? startedAtMs ?? createdAtMs).toISOString(),
    pollInterval: pollIntervalMs,
  };
}

/** `failed` is what the protocol calls a call whose result is an error. */
function statusOf(state: TaskState): Task['status'] {
  if (!isSettled(state)) return 'working';
  switch (state) {
    case 'completed':
      return 'completed';
    case 'terminated':
      return 'cancelled';
    case 'failed':
    case 'timeout':
    case 'lost':
      return 'failed';
  }
}
