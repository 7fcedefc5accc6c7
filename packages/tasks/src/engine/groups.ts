/** Groups of tasks: how many of one run at once, and whether any may start. */

import { InvalidArgumentError } from '@forewrit/core';
import { queueOf, rowsUnder, runningOf } from '../task/index-rows.js';
import type { EngineContext } from './engine-context.js';
import { checkParallel } from './options.js';
import type { GroupSettings } from './task-table.js';

export interface GroupStatus {
  readonly name: string;
  readonly parallel: number;
  readonly paused: boolean;
  readonly running: number;
  /** Only those that could start if there were room. */
  readonly pending: number;
}

export async function changeGroup(
  context: EngineContext,
  name: string,
  { settings, changed }: { readonly settings: GroupSettings; readonly changed: () => void },
): Promise<GroupStatus> {
  const { parallel, paused } = settings;
  if (parallel !== undefined) checkParallel('group', parallel);
  if (paused !== undefined && typeof paused !== 'boolean') {
    throw new InvalidArgumentError('group', 'paused must be true or false');
  }
  if (parallel !== undefined || paused !== undefined) {
    await context.table.transact(async (tx) => {
      tx.putGroup(name, {
        ...(await tx.group(name)),
        ...(parallel === undefined ? {} : { parallel }),
        ...(paused === undefined ? {} : { paused }),
      });
    });
    changed();
  }
  return await statusOf(context, name, await context.table.group(name));
}

/** Those that were given settings. */
export async function listGroups(context: EngineContext): Promise<readonly GroupStatus[]> {
  const found = await context.table.groups();
  return await Promise.all(found.map(([name, settings]) => statusOf(context, name, settings)));
}

async function statusOf(
  { table, parallel }: EngineContext,
  name: string,
  settings: GroupSettings,
): Promise<GroupStatus> {
  const [running, pending] = await Promise.all([
    table.rows(rowsUnder(runningOf(name))),
    table.rows(rowsUnder(queueOf(name))),
  ]);
  return {
    name,
    parallel: settings.parallel ?? parallel,
    paused: settings.paused ?? false,
    running: running.length,
    pending: pending.length,
  };
}
