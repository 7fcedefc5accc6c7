/** The engine as its user holds it. */

import { InvalidArgumentError, StoreError } from '@forewrit/core';
import { checkName, duration, environment } from '../task/check-spec.js';
import { aliasRow } from '../task/index-rows.js';
import { isSettledPhase, launchOf, type StoredTask } from '../task/stored-task.js';
import { checkTaskId } from '../task/task-id.js';
import { recordOf } from '../task/task-record.js';
import type { TaskRecord, TaskSpec } from '../task/task.js';
import { Admission, notFound } from './admission.js';
import type { TaskEvents } from './announcer.js';
import { Control, type StopTaskOptions } from './control.js';
import { countOutput, type EngineContext } from './engine-context.js';
import { type FollowOptions, followOutput, type OutputChunk } from './follow.js';
import { changeGroup, type GroupStatus, listGroups } from './groups.js';
import { type ImportReport, importTasks } from './import-tasks.js';
import type { Launcher } from './launcher.js';
import { listTasks, type ListOptions, type TaskPage } from './listing.js';
import { checkRetention, type RetentionPolicy } from './options.js';
import { checkReadOptions, type OutputPage, readPage, type ReadOutputOptions } from './output.js';
import type { PruneReport, Retention } from './retention.js';
import { giveUp, type Scheduler } from './scheduler.js';
import type { Settlement } from './settlement.js';
import type { TaskRecovery } from './sweep.js';
import type { GroupSettings } from './task-table.js';
import { checkSignal, Waiting } from './waiting.js';
import type { Watcher } from './watcher.js';

export interface WaitOptions {
  /** After it, the record as it is then. Default: no limit. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface CloseOptions {
  /**
   * `leave` (default): what runs goes on, and is found again by the next engine. `stop`: it is stopped first, unless
   * another engine that lives has started it.
   */
  readonly running?: 'leave' | 'stop';
}

export interface EngineParts {
  readonly context: EngineContext;
  readonly settlement: Settlement;
  readonly scheduler: Scheduler;
  readonly launcher: Launcher;
  readonly watcher: Watcher;
  readonly retention: Retention;
  readonly recovery: TaskRecovery;
  readonly root: string;
  /** From here on nothing is started any more. */
  readonly closing: () => void;
  readonly stopTimers: () => Promise<void>;
}

export class TaskEngine implements AsyncDisposable {
  /** What became of tasks that earlier engines had started. */
  readonly recovery: TaskRecovery;
  readonly #parts: EngineParts;
  readonly #context: EngineContext;
  readonly #waiting: Waiting;
  readonly #control: Control;
  readonly #admission: Admission;
  #closing: Promise<void> | undefined;

  /** Use `openTasks`. */
  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#context = parts.context;
    this.recovery = parts.recovery;
    this.#admission = new Admission(parts);
    this.#waiting = new Waiting(parts.context);
    this.#control = new Control({ ...parts, waiting: this.#waiting });
  }

  /**
   * Takes a task on. Durable on return: it runs as soon as it may, whatever happens to this process. With an
   * `idempotencyKey` that is known, the answer is the task of the first start with it.
   *
   * @throws InvalidArgumentError; StoreError ERR_NOT_FOUND if it depends on a task that is not there
   */
  async start(spec: TaskSpec): Promise<TaskRecord> {
    this.#requireOpen('start');
    return recordOf(await this.#admission.start(spec));
  }

  /** @throws StoreError ERR_NOT_FOUND */
  async get(id: string): Promise<TaskRecord> {
    const task = await this.#task('get', id);
    return recordOf(task, isSettledPhase(task.phase) ? undefined : await countOutput(this.#context, task));
  }

  /** A page of tasks, the newest first. Of those that run it does not count the output; `get` does. */
  async list(options: ListOptions = {}): Promise<TaskPage> {
    this.#requireOpen('list');
    return await listTasks(this.#context.table, options);
  }

  /** What the last attempt has printed so far. Reading never consumes. */
  async read(
    id: string,
    options: ReadOutputOptions & { readonly encoding: BufferEncoding },
  ): Promise<OutputPage & { readonly data: string }>;
  async read(
    id: string,
    options?: ReadOutputOptions & { readonly encoding?: undefined },
  ): Promise<OutputPage & { readonly data: Uint8Array }>;
  async read(id: string, options?: ReadOutputOptions): Promise<OutputPage>;
  async read(id: string, options: ReadOutputOptions = {}): Promise<OutputPage> {
    checkReadOptions('read', options);
    return await readPage(this.#context, await this.#task('read', id), options);
  }

  /** Output as it comes, from `offset` on (default: the oldest kept byte), until the task has settled. */
  follow(
    id: string,
    options: FollowOptions & { readonly encoding: BufferEncoding },
  ): AsyncIterable<OutputChunk & { readonly data: string }>;
  follow(
    id: string,
    options?: FollowOptions & { readonly encoding?: undefined },
  ): AsyncIterable<OutputChunk & { readonly data: Uint8Array }>;
  follow(id: string, options?: FollowOptions): AsyncIterable<OutputChunk>;
  follow(id: string, options: FollowOptions = {}): AsyncIterable<OutputChunk> {
    checkReadOptions('follow', options);
    checkSignal('follow', options.signal);
    return followOutput(this.#context, this.#waiting, {
      look: async () => await this.#task('follow', id),
      options,
    });
  }

  /**
   * Resolves when the task has settled, or with what it is at `timeoutMs`. Keeps the process alive meanwhile.
   *
   * @throws StoreError ERR_NOT_FOUND, ERR_ABORTED, ERR_STORE_CLOSED if the engine is closed before
   */
  async wait(id: string, options: WaitOptions = {}): Promise<TaskRecord> {
    if (options.timeoutMs !== undefined) duration('timeoutMs', options.timeoutMs);
    checkSignal('wait', options.signal);
    const first = await this.#task('wait', id);
    return recordOf(
      await this.#waiting.until(first.id, {
        op: 'wait',
        ...options,
        look: async () => await this.#task('wait', first.id),
        isDone: ({ phase }) => isSettledPhase(phase),
      }),
    );
  }

  /**
   * Writes to the standard input of a task (`stdin: 'pipe'`), as soon as it runs; with `end` it is closed after that.
   * Resolves when the pipe has taken the bytes.
   *
   * @throws InvalidArgumentError without a pipe; StoreError ERR_NOT_FOUND if it has ended; ERR_IO if it does not
   * read any more
   */
  async write(
    id: string,
    data: string | Uint8Array,
    options: { readonly end?: boolean } = {},
  ): Promise<void> {
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
      throw new InvalidArgumentError('write', 'data must be a text or bytes');
    }
    const task = await this.#task('write', id);
    await this.#control.write(task, typeof data === 'string' ? Buffer.from(data) : data, options);
  }

  /**
   * Ends a task: SIGTERM (or `signal`) to its group, SIGKILL after `graceMs`. Resolves when it has settled. One that has
   * not started never will. One that has settled stays as it is.
   */
  async stop(id: string, options: StopTaskOptions = {}): Promise<TaskRecord> {
    if (options.graceMs !== undefined) duration('graceMs', options.graceMs);
    return recordOf(await this.#control.stop(await this.#task('stop', id), options));
  }

  /**
   * Runs a task once more, as another attempt under the same id; stops it first if it runs. Its dependencies are not
   * looked at again. Values of `secretEnv` are not kept, so a task that has some needs them again.
   *
   * @throws InvalidArgumentError if they are missing
   */
  async restart(
    id: string,
    options: { readonly secretEnv?: Readonly<Record<string, string>> } = {},
  ): Promise<TaskRecord> {
    const task = await this.#task('restart', id);
    const secretEnv = environment('secretEnv', options.secretEnv);
    const missing = task.spec.secretNames.filter((name) => !Object.hasOwn(secretEnv, name));
    if (missing.length > 0) {
      throw new InvalidArgumentError(
        'restart',
        `the values of ${missing.join(', ')} are not kept: give them as { secretEnv }`,
      );
    }
    const surplus = Object.keys(secretEnv).find((name) => !task.spec.secretNames.includes(name));
    if (surplus !== undefined) {
      throw new InvalidArgumentError('restart', `the task was started without a secret '${surplus}'`);
    }
    return recordOf(await this.#control.restart(task, secretEnv));
  }

  /** @throws StoreError ERR_NOT_FOUND; ERR_CONFLICT if it has not ended */
  async remove(id: string): Promise<void> {
    const task = await this.#task('remove', id);
    if (await this.#parts.retention.remove(task.id)) return;
    throw new StoreError('ERR_CONFLICT', `The task ${id} has not ended`, {
      op: 'remove',
      hint: 'Stop it first.',
    });
  }

  /** Removes tasks that have ended, by this policy, or else by the engine's. */
  async prune(policy: RetentionPolicy = {}): Promise<PruneReport> {
    this.#requireOpen('prune');
    return await this.#parts.retention.prune(checkRetention('prune', policy));
  }

  /** Changes a group, durably, and tells how it is. A group needs no making; its settings stay. */
  async group(name: string, settings: GroupSettings = {}): Promise<GroupStatus> {
    this.#requireOpen('group');
    checkName('group', 'the name', name);
    return await changeGroup(this.#context, name, { settings, changed: () => this.#parts.scheduler.kick() });
  }

  /** Groups that were given settings, by name. */
  async groups(): Promise<readonly GroupStatus[]> {
    this.#requireOpen('groups');
    return await listGroups(this.#context);
  }

  /**
   * Takes over the tasks of a `.mcp_background_tasks.json`, whole or not at all; those that were taken over before are
   * left alone. They are found under their old ids, too.
   *
   * @throws InvalidArgumentError if it is none
   */
  async importTasks(json: string): Promise<ImportReport> {
    this.#requireOpen('import');
    return await importTasks(this.#context, json, this.#parts.root);
  }

  /** `state`: after every change; `settled`: after the last one; `output`: there is more to read. */
  on<E extends keyof TaskEvents>(event: E, listener: TaskEvents[E]): this {
    checkEvent('on', event, listener);
    this.#context.announcer.on(event, listener);
    return this;
  }

  off<E extends keyof TaskEvents>(event: E, listener: TaskEvents[E]): this {
    checkEvent('off', event, listener);
    this.#context.announcer.off(event, listener);
    return this;
  }

  /** Lets go of the tasks; the store stays open. What is only held by this engine ends with it. Idempotent. */
  close(options: CloseOptions = {}): Promise<void> {
    const { running = 'leave' } = options;
    if (running !== 'leave' && running !== 'stop') {
      return Promise.reject(new InvalidArgumentError('close', "running must be 'leave' or 'stop'"));
    }
    this.#closing ??= this.#close(running);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(running: 'leave' | 'stop'): Promise<void> {
    const { closing, scheduler, launcher, watcher, stopTimers } = this.#parts;
    const { logger, announcer } = this.#context;
    closing();
    try {
      scheduler.stop();
      await scheduler.settled();
      await launcher.settled();
      if (running === 'stop') await this.#control.stopAll();
      await this.#letGo();
    } catch (cause) {
      // The store may be closed already, or poisoned.
      logger.warn({ cause }, 'not everything could be put in order when the tasks were closed');
    }
    await stopTimers();
    await watcher.close();
    announcer.wakeAll();
  }

  /** What nobody else can start, and what was not to live on without this engine. */
  async #letGo(): Promise<void> {
    const { table, held } = this.#context;
    for (const id of held.keys()) {
      const task = await table.get(id);
      if (task === undefined || isSettledPhase(task.phase)) continue;
      if (launchOf(task.phase) === undefined) await giveUp(this.#parts.settlement, task);
      else if (task.spec.survive === 'never') await this.#control.stop(task, {});
    }
    held.clear();
  }

  /** By its id, or by the one that it had where it was imported from. */
  async #task(op: string, id: string): Promise<StoredTask> {
    this.#requireOpen(op);
    checkTaskId(op, id);
    const { table } = this.#context;
    const task = await table.get(id);
    if (task !== undefined) return task;
    const alias = await table.row(aliasRow(id));
    const imported = typeof alias === 'string' ? await table.get(alias) : undefined;
    if (imported !== undefined) return imported;
    throw notFound(
      op,
      id,
      'Tasks that have ended are removed after a while; a list shows those that are there.',
    );
  }

  #requireOpen(op: string): void {
    if (this.#closing === undefined) return;
    throw new StoreError('ERR_STORE_CLOSED', 'The task engine is closed', {
      op,
      hint: 'Open it again with openTasks(store).',
    });
  }
}

function checkEvent(op: string, event: unknown, listener: unknown): void {
  if (!['state', 'output', 'settled'].includes(event as string)) {
    throw new InvalidArgumentError(op, "the events are 'state', 'output' and 'settled'");
  }
  if (typeof listener !== 'function') throw new InvalidArgumentError(op, 'the listener must be a function');
}
