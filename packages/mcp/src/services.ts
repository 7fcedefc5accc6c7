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
  /** How long what was replaced or deleted can be had back. Default: 7 days, and 256 MiB. `false`: not at all. */
  readonly history?: NonNullable<StoreOptions['history']> | false;
  readonly store?: Omit<StoreOptions, 'readOnly' | 'logger' | 'history'>;
  readonly tasks?: Omit<TaskEngineOptions, 'logger'>;
}

export interface Services {
  readonly store: Store;
  readonly staging: StagingManager;
  readonly tasks: TaskEngine | undefined;
  readonly logger: Logger;
}

/** What a model has done by mistake is found out soon, and seldom large. */
export const historyDefault = { maxAgeMs: 7 * 24 * 3600 * 1000, maxBytes: 256 * 1024 * 1024 } as const;

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Recovers what an earlier server has left, and takes up the commands that still run. */
export async function openServices(options: ServicesOptions): Promise<Services> {
  const { root, allowShell = false, logger = silent } = options;
  const { history = historyDefault } = options;
  const store = await openStore(root, {
    ...options.store,
    ...(history === false ? {} : { history: { ...historyDefault, ...history } }),
    logger,
  });
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
