/** Opening a task engine on a store: recover what earlier engines have launched, then go on where they stopped. */

import { InvalidArgumentError, type Logger, type Store } from '@forewrit/core';
import { DetachedSupervisor } from '../supervision/detached-supervisor.js';
import { Announcer } from './announcer.js';
import { type EngineContext, registerEngine } from './engine-context.js';
import { Launcher } from './launcher.js';
import { checkEngineOptions, engineDefaults, type TaskEngineOptions } from './options.js';
import { processesOf } from './processes.js';
import { Retention } from './retention.js';
import { Scheduler } from './scheduler.js';
import { Settlement } from './settlement.js';
import { Sweep, type TaskRecovery } from './sweep.js';
import { TaskEngine } from './task-engine.js';
import { TaskTable } from './task-table.js';
import { systemTimers } from './timers.js';
import { Watcher } from './watcher.js';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Several engines may be open on one store, in one process or in several: they share its tasks. On return each task that
 * was running is known for what it is (`engine.recovery`); pending ones start, within the limits of their groups.
 */
export async function openTasks(store: Store, options: TaskEngineOptions = {}): Promise<TaskEngine> {
  checkEngineOptions(options);
  if (typeof store?.transact !== 'function') {
    throw new InvalidArgumentError('openTasks', 'the first argument must be a store that is open');
  }
  const processes = options.processes ?? processesOf();
  const { engine, deregister } = registerEngine();
  const life = { closed: false, shut: false };
  const { env = process.env } = options;
  const context: EngineContext = {
    table: new TaskTable(store),
    supervisor: options.supervisor ?? new DetachedSupervisor(),
    announcer: new Announcer(),
    timers: options.timers ?? systemTimers,
    processes,
    identity: { ...processes.identity(), engine },
    logger: options.logger ?? silent,
    random: options.random ?? Math.random,
    held: new Map(),
    directory: `${store.root}/.forewrit/tasks`,
    parallel: options.parallel ?? engineDefaults.parallel,
    starts: options.starts ?? true,
    env: () => textsOf(env),
    isClosed: () => life.closed,
    isShut: () => life.shut,
  };

  // Nothing is started before everything that runs is known.
  const starting: { kick?: () => void } = {};
  const settlement = new Settlement(context, () => starting.kick?.());
  const launcher = new Launcher(context, settlement);
  const watcher = new Watcher(context, settlement);
  const scheduler = new Scheduler({
    context,
    settlement,
    launcher,
    launched: ({ id }) => void watchLaunched(context, watcher, id),
  });
  const sweep = new Sweep({
    context,
    settlement,
    scheduler,
    launcher,
    watcher,
    intervalMs: options.pollIntervalMs ?? engineDefaults.pollIntervalMs,
  });
  const policy = { ...engineDefaults.retention, ...options.retention };
  const retention = new Retention(context, settlement, policy);

  const recovery = await recovered(sweep, deregister);
  starting.kick = () => scheduler.kick();
  const pruning = startPruning(context, retention, options.pruneIntervalMs ?? engineDefaults.pruneIntervalMs);
  const opened = new TaskEngine({
    context,
    settlement,
    scheduler,
    launcher,
    watcher,
    retention,
    recovery,
    root: store.root,
    closing: () => {
      life.closed = true;
    },
    stopTimers: async () => {
      await Promise.all([sweep.stop(), pruning.stop()]);
      life.shut = true;
      deregister();
    },
  });
  sweep.start();
  scheduler.kick();
  return opened;
}

async function recovered(sweep: Sweep, failed: () => void): Promise<TaskRecovery> {
  try {
    return await sweep.recover();
  } catch (error) {
    failed();
    throw error;
  }
}

async function watchLaunched({ table, logger }: EngineContext, watcher: Watcher, id: string): Promise<void> {
  try {
    const task = await table.get(id);
    if (task !== undefined) watcher.watch(task);
  } catch (cause) {
    // The next sweep finds it.
    logger.warn({ cause, id }, 'a launched task could not be watched');
  }
}

/** Leftovers first, then what is too old, now and then; never at the cost of who waits for the engine. */
function startPruning(
  { timers, logger, isClosed }: EngineContext,
  retention: Retention,
  intervalMs: number,
): { readonly stop: () => Promise<void> } {
  let cancel: (() => void) | undefined;
  const prune = async (): Promise<void> => {
    try {
      await retention.sweepLeftovers();
      await retention.prune();
    } catch (cause) {
      if (!isClosed()) logger.warn({ cause }, 'old tasks could not be removed');
    }
    if (!isClosed()) arm(intervalMs);
  };
  let running = Promise.resolve();
  const arm = (ms: number): void => {
    cancel = timers.after(ms, () => {
      running = prune();
    });
  };
  if (intervalMs > 0) arm(0);
  return {
    async stop() {
      cancel?.();
      await running;
    },
  };
}

function textsOf(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}
