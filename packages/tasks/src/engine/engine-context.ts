/** What the parts of an engine share. */

import { randomBytes } from 'node:crypto';
import { threadId } from 'node:worker_threads';
import type { Logger } from '@forewrit/core';
import type { Supervisor } from '../supervision/supervisor.js';
import type { EngineIdentity, OutputCounts, StoredTask } from '../task/stored-task.js';
import type { Announcer } from './announcer.js';
import type { Processes } from './options.js';
import type { TaskTable } from './task-table.js';
import type { Timers } from './timers.js';

export interface EngineContext {
  readonly table: TaskTable;
  readonly supervisor: Supervisor;
  readonly announcer: Announcer;
  readonly timers: Timers;
  readonly processes: Processes;
  readonly identity: EngineIdentity;
  readonly logger: Logger;
  readonly random: () => number;
  /** Of tasks that only this engine can launch, their values of `secretEnv`; these are nowhere else. */
  readonly held: Map<string, Readonly<Record<string, string>>>;
  /** Below it each task has a directory, and in that each launch. */
  readonly directory: string;
  readonly parallel: number;
  readonly starts: boolean;
  readonly env: () => Readonly<Record<string, string>>;
  /** It is being closed: nothing new is begun. */
  readonly isClosed: () => boolean;
  /** It is closed. */
  readonly isShut: () => boolean;
}

export function taskDirectory({ directory }: Pick<EngineContext, 'directory'>, id: string): string {
  return `${directory}/${id}`;
}

export function launchDirectory(
  context: Pick<EngineContext, 'directory'>,
  id: string,
  number: number,
): string {
  return `${taskDirectory(context, id)}/${number}`;
}

/** How much output a launch has in its files; nothing if they cannot be read. */
export async function countOutput(
  context: Pick<EngineContext, 'directory' | 'supervisor' | 'logger'>,
  task: StoredTask,
): Promise<OutputCounts> {
  const none = { outputBytes: 0, droppedBytes: 0, complete: false };
  if (task.launches === 0) return none;
  const directory = launchDirectory(context, task.id, task.launches);
  try {
    const { supervisor } = context;
    const first = await supervisor.readOutput(directory, { maxBytes: 1 });
    return { outputBytes: first.outputBytes, droppedBytes: first.droppedBytes, complete: false };
  } catch (cause) {
    context.logger.debug({ cause, id: task.id }, 'the output of a task cannot be counted');
    return none;
  }
}

/** Engines that are open in this thread: a process that lives may have closed its engine. */
const openEngines = new Set<string>();

/** A name that no other engine has. */
export function registerEngine(): { readonly engine: string; readonly deregister: () => void } {
  const engine = `${threadId}-${randomBytes(8).toString('hex')}`;
  openEngines.add(engine);
  return { engine, deregister: () => void openEngines.delete(engine) };
}

/** Whether that engine may still do what it has taken on: `true` unless it is certain that it is gone. */
export function mayCome({ processes, identity }: EngineContext, engine: EngineIdentity): boolean {
  const isOfThread = engine.pid === identity.pid && engine.startTime === identity.startTime;
  if (isOfThread && engine.bootId === identity.bootId && engine.engine.startsWith(`${threadId}-`)) {
    return openEngines.has(engine.engine);
  }
  return processes.mayLive(engine);
}
