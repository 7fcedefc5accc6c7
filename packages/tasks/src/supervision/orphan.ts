/**
 * What is left of a command whose shim is dead. It was not started by this process, so its number may have been given to
 * another one since: a signal is sent only to what is known by its start time or its nonce. Where the platform tells
 * neither, whatever has the number is seen, and left alone.
 */

import { type Processes, signalSent } from '../shim/processes.js';
import { TaskTree, TreeStop, type StopRequest } from '../shim/task-tree.js';
import type { CommandIdentity } from './supervisor.js';

export interface OrphanParts {
  readonly processes: Processes;
  readonly nonce: string;
  /** `undefined`: the shim died before it could say. */
  readonly command: CommandIdentity | undefined;
}

/** The command itself if it lives, else the first of the rest. */
export function livingOrphan(parts: OrphanParts): CommandIdentity | undefined {
  const { processes, command } = parts;
  if (!processes.seesTree) return unproven(parts)[0];
  const living = treeOf(parts).look({ thorough: true });
  return living.find(({ pid }) => pid === command?.pid) ?? living[0];
}

/** Resolves with what could not be stopped. */
export async function stopOrphanTree(
  parts: OrphanParts,
  request: StopRequest,
): Promise<readonly CommandIdentity[]> {
  if (!parts.processes.seesTree) return unproven(parts);
  return await new TreeStop(treeOf(parts), request).survivors;
}

function treeOf({ processes, nonce, command }: OrphanParts): TaskTree {
  const isProvable = command !== undefined && command.startTime !== '';
  return new TaskTree({ processes, nonce, command: isProvable ? command : undefined });
}

function unproven({ processes, command }: OrphanParts): CommandIdentity[] {
  if (command === undefined) return [];
  const target = processes.platform === 'win32' ? command.pid : -command.pid;
  return signalSent(target, 0) ? [command] : [];
}
