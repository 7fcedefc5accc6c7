/** A verb's time with the task engine of a store. */

import { openStore } from '@forewrit/recovery';
import { openTasks, type TaskEngine, type TaskEngineOptions } from '@forewrit/tasks';
import type { CommandContext } from '../../command.js';

export interface EngineUse {
  /** Make the store where there is none. */
  readonly create?: boolean;
  /** Start what is pending, and look for what is old: as an engine does that is there for tasks to run. */
  readonly starts?: boolean;
}

export async function withTasks<T>(
  { root }: CommandContext,
  { create = false, starts = false }: EngineUse,
  body: (engine: TaskEngine) => Promise<T>,
): Promise<T> {
  // A short life: no thread is worth its start.
  const store = await openStore(root, { create, committer: 'inline' });
  try {
    const options: TaskEngineOptions = starts ? {} : { starts: false, pruneIntervalMs: 0 };
    const engine = await openTasks(store, options);
    try {
      return await body(engine);
    } finally {
      await engine.close();
    }
  } finally {
    await store.close();
  }
}
