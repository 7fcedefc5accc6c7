/**
 * Who a process is, so that another one can tell later whether it still runs. The one place where platforms differ in
 * this; everything that it reads is injected, so that each platform is tested on every other.
 *
 *               start time            boot id             pid namespace       does a pid exist?
 *     Linux     /proc/<pid>/stat 22   /proc/sys/…/boot_id  /proc/self/ns/pid   kill(pid, 0), /proc for zombies
 *     macOS     unknown               unknown             one: 'host'         kill(pid, 0)
 *     Windows   unknown               unknown             one: 'host'         OpenProcess
 *     others    unknown               unknown             unknown             kill(pid, 0)
 *
 * Unknown is '' and proves nothing. Where start times are unknown a pid that was given to a new process looks alive:
 * the witness (`witness.ts`), or a person, decides then. Nothing here reads a clock: boot times that are computed from
 * one move when it is set.
 */

import { systemCode } from '../errors.js';
import { readLinkText, readTextFile } from '../files/node-file-system.js';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process, in decimal. */
  readonly startTime: string;
  readonly bootId: string;
  /** The namespace in which `pid` is its number. */
  readonly pidNamespace: string;
}

export interface ProcessLook {
  readonly exists: boolean;
  /** Ended, not yet waited for, and none of its threads runs any more. */
  readonly zombie: boolean;
  readonly startTime?: string;
}

export interface ProcessTable {
  /** The same in every thread of the process. */
  identity(): ProcessIdentity;
  /** The process with this number in our own pid namespace; `undefined`: cannot tell. */
  look(pid: number): ProcessLook | undefined;
}

/** What this module asks the system. */
export interface ProcessSource {
  readonly platform: NodeJS.Platform;
  readonly pid: number;
  /** `undefined` when the file cannot be read, for whatever reason. */
  readText(path: string): string | undefined;
  readLink(path: string): string | undefined;
  /** Sends no signal, and throws as `process.kill(pid, 0)`. */
  signal(pid: number): void;
}

export function ownIdentity(source: ProcessSource = systemSource): ProcessIdentity {
  const { platform, pid } = source;
  if (platform !== 'linux') {
    const pidNamespace = platform === 'darwin' || platform === 'win32' ? 'host' : '';
    return { pid, startTime: '', bootId: '', pidNamespace };
  }
  return {
    pid,
    // By 'self', which is right even where /proc belongs to another pid namespace. It means the process in every thread.
    startTime: comparesStartTimes(source) ? (statOf('self', source)?.startTime ?? '') : '',
    bootId: source.readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '',
    pidNamespace: source.readLink('/proc/self/ns/pid') ?? '',
  };
}

export function systemProcessTable(source: ProcessSource = systemSource): ProcessTable {
  const identity = Object.freeze(ownIdentity(source));
  return { identity: () => identity, look: (pid) => look(pid, source) };
}

function look(pid: number, source: ProcessSource): ProcessLook | undefined {
  // Zero and below would mean groups of processes.
  if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
  // Before /proc, which with `hidepid` shows nothing of other users' processes: what is not there may well live.
  const exists = signalled(pid, source);
  if (exists !== true) return exists === undefined ? undefined : { exists: false, zombie: false };
  if (source.platform !== 'linux' || !showsOurNamespace(source)) return { exists: true, zombie: false };
  const stat = statOf(`${pid}`, source);
  if (stat === undefined) return { exists: true, zombie: false };
  return {
    exists: true,
    zombie: stat.zombie,
    ...(comparesStartTimes(source) ? { startTime: stat.startTime } : {}),
  };
}

function signalled(pid: number, source: ProcessSource): boolean | undefined {
  try {
    source.signal(pid);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ESRCH') return false;
    return code === 'EPERM' || code === 'EACCES' ? true : undefined;
  }
}

interface Stat {
  readonly startTime: string;
  readonly zombie: boolean;
}

/** Fields by proc_pid_stat(5). The second, the name, may hold spaces and brackets: the last ')' ends it. */
function statOf(process: string, source: ProcessSource): Stat | undefined {
  const text = source.readText(`/proc/${process}/stat`);
  const end = text?.lastIndexOf(')') ?? -1;
  if (text === undefined || end === -1) return undefined;
  const fields = text
    .slice(end + 1)
    .trim()
    .split(/\s+/);
  const field = (number: number): string | undefined => fields[number - 3];
  const startTime = field(22);
  if (startTime === undefined || !/^\d+$/.test(startTime)) return undefined;
  // The first thread can be a zombie while others run, in a last rename or fsync for instance, after SIGKILL.
  const lastThread = Number(field(20)) <= 1;
  return { startTime, zombie: /^[ZXx]$/.test(field(3) ?? '') && lastThread };
}

/**
 * A process in a new pid namespace may still see its parent's /proc, where its number is somebody else's. Then only
 * what is below /proc/self is about us.
 */
function showsOurNamespace(source: ProcessSource): boolean {
  return source.readLink('/proc/self') === `${source.pid}`;
}

/**
 * In a time namespace of its own, /proc shifts all start times, so that one process has two. Only the first one, whose
 * number is fixed in the kernel, is compared in; before Linux 5.6 there is no other.
 */
function comparesStartTimes(source: ProcessSource): boolean {
  const namespace = source.readLink('/proc/self/ns/time');
  return namespace === undefined || namespace === 'time:[4026531834]';
}

const systemSource: ProcessSource = Object.freeze({
  platform: process.platform,
  pid: process.pid,
  readText: readTextFile,
  readLink: readLinkText,
  signal: (pid: number) => void process.kill(pid, 0),
});
