/**
 * What became of a launch. The first line that applies decides; the records of the directory are read in this order,
 * and the exit record once more when the shim is found dead, for it may have ended in between:
 *
 * | exit.json | claim | boot | shim | command or its group | |
 * | --- | --- | --- | --- | --- | --- |
 * | of this launch | | | | | exited |
 * | | none | | | | never-started, once the observer's own claim is made |
 * | | of an observer, or of another launch | | | | never-started |
 * | | of the shim | another | | | lost: reboot |
 * | | of the shim | the same, or unknown | lives | | running |
 * | | of the shim | the same, or unknown | dead | lives | orphaned |
 * | | of the shim | the same, or unknown | dead | dead | lost: shim-died |
 *
 * A shim is dead when there is no such process, it is a zombie, or its start time is another. Where that cannot be asked
 * (another pid namespace, no start times) its socket is: refused means dead, for the kernel closes it with the process;
 * it is there before the claim, and goes after exit.json is.
 */

import type { ProcessTable } from '@forewrit/core';
import { Processes } from '../shim/processes.js';
import {
  type Claim,
  claimLaunch,
  codeOf,
  readClaim,
  readExitRecord,
  readShimRecord,
} from '../shim/task-files.js';
import { makeTaskDirectory } from './launch.js';
import { livingOrphan } from './orphan.js';
import type { CommandIdentity, ExitRecord, Observation, ShimIdentity } from './supervisor.js';
import { connectTask } from './task-socket.js';

export interface Observer {
  readonly processTable: ProcessTable;
  /** '' where it is unknown. */
  readonly bootId: string;
}

export async function observeLaunch(
  directory: string,
  nonce: string,
  observer: Observer,
): Promise<Observation> {
  for (;;) {
    const exit = exitOf(directory, nonce);
    if (exit !== undefined) return { state: 'exited', exit };
    const claim = readClaim(directory);
    if (claim !== undefined) {
      if (claim.nonce !== nonce || claim.by === 'observer') return { state: 'never-started' };
      return await observeClaimed(directory, claim, observer);
    }
    await makeTaskDirectory(directory);
    if (claimLaunch(directory, { nonce, by: 'observer' })) return { state: 'never-started' };
  }
}

async function observeClaimed(
  directory: string,
  claim: Extract<Claim, { readonly by: 'shim' }>,
  observer: Observer,
): Promise<Observation> {
  const { nonce, shim } = claim;
  const otherBoot = shim.bootId !== '' && observer.bootId !== '' && shim.bootId !== observer.bootId;
  if (!otherBoot && (await shimLives(directory, claim, observer))) {
    const command = readShimRecord(directory)?.command;
    return { state: 'running', shim: identityOf(shim), ...(command === undefined ? {} : { command }) };
  }
  const exit = exitOf(directory, nonce);
  if (exit !== undefined) return { state: 'exited', exit };
  if (otherBoot) return { state: 'lost', cause: 'reboot' };
  const command = livingCommand(directory, claim, observer);
  return command === undefined ? { state: 'lost', cause: 'shim-died' } : { state: 'orphaned', command };
}

export function exitOf(directory: string, nonce: string): ExitRecord | undefined {
  const exit = readExitRecord(directory);
  return exit?.nonce === nonce ? exit : undefined;
}

async function shimLives(
  directory: string,
  { shim }: Extract<Claim, { readonly by: 'shim' }>,
  { processTable }: Observer,
): Promise<boolean> {
  const own = processTable.identity();
  const look =
    own.pidNamespace === shim.pidNamespace || shim.pidNamespace === ''
      ? processTable.look(shim.pid)
      : undefined;
  if (look !== undefined) {
    if (!look.exists || look.zombie) return false;
    const startTime = look.startTime ?? '';
    if (startTime !== '' && shim.startTime !== '') return startTime === shim.startTime;
  }
  return await socketAccepts(directory);
}

async function socketAccepts(directory: string): Promise<boolean> {
  try {
    const socket = await connectTask(directory, { recorded: readShimRecord(directory)?.socket });
    socket.on('error', () => undefined);
    socket.destroy();
    return true;
  } catch (error) {
    // Anything else proves nothing.
    return codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT';
  }
}

function livingCommand(
  directory: string,
  { nonce, shim }: Extract<Claim, { readonly by: 'shim' }>,
  { processTable }: Observer,
): CommandIdentity | undefined {
  const own = processTable.identity();
  // Its numbers mean nothing here. A pid namespace ends with all its processes.
  if (own.pidNamespace !== shim.pidNamespace && shim.pidNamespace !== '') return undefined;
  const command = readShimRecord(directory)?.command;
  return livingOrphan({ processes: new Processes(), nonce, command });
}

function identityOf({ pid, startTime, bootId }: ShimIdentity): ShimIdentity {
  return { pid, startTime, bootId };
}
