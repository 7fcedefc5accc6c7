/** What the tools work on: one store, its staging manager, and its tasks where shell commands are allowed. */

import { systemCode, type Logger, type Store, type StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { StagingManager } from '@forewrit/staging';
import { openTasks, type TaskEngine, type TaskEngineOptions } from '@forewrit/tasks';

export interface ServicesOptions {
  /** Directory of the store; made into one if it is none. Nothing outside of it is read or written. */
  readonly root: string;
  /** Offer the tools that run shell commands: with them a client can do what the server's user can. Default: false. */
  readonly allowShell?: boolean;
  /** Hears of what goes on in the background. Never the standard output. Silent by default. */
  readonly logger?: Logger;
  readonly store?: Omit<StoreOptions, 'readOnly' | 'logger'>;
  readonly tasks?: Omit<TaskEngineOptions, 'logger'>;
}

export interface Services {
  readonly store: Store;
  readonly staging: StagingManager;
  readonly tasks: TaskEngine | undefined;
  readonly logger: Logger;
}

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Recovers what an earlier server has left, and takes up the commands that still run. */
export async function openServices(options: ServicesOptions): Promise<Services> {
  const { root, allowShell = false, logger = silent } = options;
  const store = await openStore(root, { ...options.store, logger });
  try {
    const tasks = allowShell ? await openTasks(store, { ...options.tasks, logger }) : undefined;
    return { store, staging: new StagingManager(store), tasks, logger };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Commands run on; what is staged can be continued. */
export async function closeServices({ store, staging, tasks, logger }: Services): Promise<void> {
  for (const part of [tasks, staging, store]) {
    try {
      await part?.close();
    } catch (cause) {
      logger.warn({ cause, code: systemCode(cause) }, 'not everything could be put in order at the end');
    }
  }
}
