/** `forewrit tasks list`: a page of tasks, the newest first. */

import type { TaskState } from '@forewrit/tasks';
import type { CommandContext, CommandResult } from '../../command.js';
import { exitCodes } from '../../exit-code.js';
import { formatAge } from '../../format.js';
import { table } from '../../terminal.js';
import { commandAs, endAs, stateAs, taskAsJson } from './show-task.js';
import { withTasks } from './with-tasks.js';

export interface TasksListOptions {
  readonly state?: readonly TaskState[];
  readonly group?: string;
  readonly tag?: string;
  readonly cursor?: string;
  readonly limit: number;
}

/** Of a command; `show` has all of it. */
const commandCharactersMax = 60;

export async function list(context: CommandContext, options: TasksListOptions): Promise<CommandResult> {
  const { state, group, tag, cursor, limit } = options;
  const page = await withTasks(context, {}, (engine) =>
    engine.list({
      limit,
      ...(state === undefined ? {} : { state }),
      ...(group === undefined ? {} : { group }),
      ...(tag === undefined ? {} : { tag }),
      ...(cursor === undefined ? {} : { cursor }),
    }),
  );
  const { colors } = context.terminal;
  const nowMs = Date.now();
  return {
    exitCode: exitCodes.clean,
    json: { tasks: page.tasks.map(taskAsJson), cursor: page.cursor ?? null },
    text: () => {
      if (page.tasks.length === 0) return 'no tasks\n';
      const rows = page.tasks.map((task) => [
        task.id,
        stateAs(task.state, colors),
        endAs(task),
        formatAge(nowMs - task.createdAtMs),
        task.group ?? '',
        shortened(task.label ?? commandAs(task)),
      ]);
      const more = page.cursor === undefined ? '' : `more with --cursor ${page.cursor}\n`;
      return table(colors, { head: ['task', 'state', 'end', 'age', 'group', 'what'], rows }) + more;
    },
  };
}

function shortened(text: string): string {
  const characters = Array.from(text);
  return characters.length <= commandCharactersMax
    ? text
    : `${characters.slice(0, commandCharactersMax - 1).join('')}…`;
}
