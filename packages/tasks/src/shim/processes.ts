/**
 * What the shim and whoever stops an orphan ask the system about processes. The one place where platforms differ in this:
 *
 *               start time, tree, nonce in an environment      a group is stopped by
 *     Linux     /proc                                          kill(-group), and each process outside of it
 *     others    unknown                                        kill(-group)
 *     Windows   unknown; there are no groups                   ending the command alone
 *
 * A process is named by its pid and start time; where that is unknown ('') a pid that was given to another process
 * cannot be told apart. As in @forewrit/core, /proc is not believed where it shows another pid namespace, nor its start
 * times in a time namespace.
 */

import * as fs from 'node:fs';
import type { CommandIdentity } from '../supervision/supervisor.js';
import type { ClaimingShim } from './task-files.js';

export interface ProcessEntry extends CommandIdentity {
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly zombie: boolean;
}

export interface ProcessesOptions {
  readonly platform?: NodeJS.Platform;
  readonly proc?: string;
}

export const nonceVariable = 'FOREWRIT_TASK_NONCE';

export class Processes {
  readonly platform: NodeJS.Platform;
  readonly #proc: string;
  readonly #comparesStartTimes: boolean;
  /** Whether there is a /proc that shows our own pid namespace. */
  readonly seesTree: boolean;

  constructor({ platform = process.platform, proc = '/proc' }: ProcessesOptions = {}) {
    this.platform = platform;
    this.#proc = proc;
    this.seesTree = platform === 'linux' && readLink(`${proc}/self`) === `${process.pid}`;
    const timeNamespace = readLink(`${proc}/self/ns/time`);
    this.#comparesStartTimes = timeNamespace === undefined || timeNamespace === 'time:[4026531834]';
  }

  identity(): ClaimingShim {
    if (this.platform !== 'linux') return { pid: process.pid, startTime: '', bootId: '', pidNamespace: '' };
    return {
      pid: process.pid,
      startTime: this.look(process.pid)?.startTime ?? '',
      bootId: readText(`${this.#proc}/sys/kernel/random/boot_id`)?.trim() ?? '',
      pidNamespace: readLink(`${this.#proc}/self/ns/pid`) ?? '',
    };
  }

  /** `undefined`: there is none, or it cannot be told. */
  look(pid: number): ProcessEntry | undefined {
    if (!this.seesTree) return undefined;
    const text = readText(`${this.#proc}/${pid}/stat`);
    const end = text?.lastIndexOf(')') ?? -1;
    if (text === undefined || end === -1) return undefined;
    // Fields by proc_pid_stat(5); the second, the name, may hold anything: the last ')' ends it.
    const fields = text.slice(end + 2).split(' ');
    const field = (number: number): string => fields[number - 3] ?? '';
    return {
      pid,
      parent: Number(field(4)),
      group: Number(field(5)),
      session: Number(field(6)),
      // The first thread may have ended while others run.
      zombie: /^[ZXx]$/.test(field(3)) && Number(field(20)) <= 1,
      startTime: this.#comparesStartTimes ? field(22) : '',
    };
  }

  /** All that are in sight; none where the platform does not tell. */
  list(): ProcessEntry[] {
    if (!this.seesTree) return [];
    return fs
      .readdirSync(this.#proc)
      .filter((name) => /^\d+$/.test(name))
      .map((name) => this.look(Number(name)))
      .filter((entry) => entry !== undefined);
  }

  /** Whether the environment that it was started with has this nonce. */
  hasNonce(pid: number, nonce: string): boolean {
    try {
      const environment = fs.readFileSync(`${this.#proc}/${pid}/environ`, 'latin1');
      return `\0${environment}`.includes(`\0${nonceVariable}=${nonce}\0`);
    } catch {
      return false;
    }
  }

  /** Zombies are dead. What cannot be proven dead lives. */
  isAlive({ pid, startTime }: CommandIdentity): boolean {
    if (!signalSent(pid, 0)) return false;
    const entry = this.look(pid);
    if (entry === undefined) return true;
    return !entry.zombie && sameStart(entry.startTime, startTime);
  }
}

/** Unknown ones prove nothing. */
export function sameStart(one: string, other: string): boolean {
  return one === '' || other === '' || one === other;
}

/** A negative pid means a group. False if there is no such process; one that may not be signalled is there. */
export function signalSent(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readText(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined;
  }
}
