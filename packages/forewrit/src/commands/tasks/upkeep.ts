/** The verbs for all tasks: what is kept, how many run, and what is taken over from elsewhere. */

import { InvalidArgumentError, NodeFileSystem, readFileAt, withStoreCode } from '@forewrit/core';
import type { GroupStatus } from '@forewrit/tasks';
import type { CommandContext, CommandResult, Json } from '../../command.js';
import { exitCodes } from '../../exit-code.js';
import { counted, formatBytes } from '../../format.js';
import { printable, table } from '../../terminal.js';
import { withTasks } from './with-tasks.js';

export interface PruneOptions {
  readonly maxAge?: number;
  readonly maxBytes?: number;
  readonly maxCount?: number;
}

export async function prune(context: CommandContext, options: PruneOptions): Promise<CommandResult> {
  const { maxAge, maxBytes, maxCount } = options;
  const { removed, bytes } = await withTasks(context, {}, (engine) =>
    engine.prune({
      ...(maxAge === undefined ? {} : { maxAgeMs: maxAge }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(maxCount === undefined ? {} : { maxCount }),
    }),
  );
  return {
    exitCode: exitCodes.clean,
    json: { removed: [...removed], bytes },
    text: () => `${counted(removed.length, 'task')} removed, with ${formatBytes(bytes)} of output\n`,
  };
}

export interface GroupOptions {
  readonly parallel?: number;
  readonly pause?: boolean;
  readonly resume?: boolean;
}

export async function group(
  context: CommandContext,
  { parallel, pause, resume }: GroupOptions,
  name: string | undefined,
): Promise<CommandResult> {
  const changes = {
    ...(parallel === undefined ? {} : { parallel }),
    ...(pause === true ? { paused: true } : {}),
    ...(resume === true ? { paused: false } : {}),
  };
  if (name === undefined && Object.keys(changes).length > 0) {
    throw new InvalidArgumentError('group', 'name the group that is to be changed');
  }
  const groups = await withTasks(context, {}, async (engine) =>
    name === undefined ? await engine.groups() : [await engine.group(name, changes)],
  );
  return {
    exitCode: exitCodes.clean,
    json: { groups: groups.map((each): Json => ({ ...each })) },
    text: () => groupsAsText(context, groups),
  };
}

function groupsAsText({ terminal }: CommandContext, groups: readonly GroupStatus[]): string {
  if (groups.length === 0) return 'no group has settings of its own\n';
  const rows = groups.map(({ name, parallel, paused, running, pending }) => [
    name,
    String(parallel),
    paused ? 'paused' : 'open',
    String(running),
    String(pending),
  ]);
  const head = ['group', 'parallel', 'is', 'running', 'pending'];
  return table(terminal.colors, { head, rows, right: [1, 3, 4] });
}

export async function importFile(
  context: CommandContext,
  _options: object,
  file: string,
): Promise<CommandResult> {
  const json = textOf(file);
  const { imported, skipped } = await withTasks(context, { create: true }, (engine) =>
    engine.importTasks(json),
  );
  return {
    exitCode: exitCodes.clean,
    json: { imported: imported.map((each) => ({ ...each })), skipped: [...skipped] },
    text: () => {
      const lines = imported.map(({ from, id, state }) => `${printable(from)} is ${id} (${state})\n`);
      const known = skipped.length === 0 ? '' : `, ${skipped.length} were here already`;
      return `${lines.join('')}${counted(imported.length, 'task')} taken over${known}\n`;
    },
  };
}

function textOf(file: string): string {
  try {
    return Buffer.from(readFileAt(new NodeFileSystem(), file)).toString('utf8');
  } catch (error) {
    throw withStoreCode(error, { op: 'import', path: file });
  }
}
