/**
 * The processes of a task, and how they are ended: a signal, a grace, SIGKILL. The command leads a session and a group
 * of its own; what has left both is found as a descendant, in each look that is taken while its parents still live, or by
 * the nonce in its environment.
 *
 * The number of a group may be given away once the last process of it is gone. So a group is signalled only while a
 * process is in it that is known by its start time or its nonce: then the kernel cannot have given its number away.
 */

import type { CommandIdentity } from '../supervision/supervisor.js';
import { type ProcessEntry, type Processes, sameStart, signalSent } from './processes.js';

/** SIGKILL is sent again and again for so long: to what was forked meanwhile. */
const killMsMax = 5000;
const pollMsMin = 5;
const pollMsMax = 200;

export interface TaskTreeOptions {
  readonly processes: Processes;
  readonly nonce: string;
  /** `undefined`: the shim died before it could say. */
  readonly command: CommandIdentity | undefined;
}

export class TaskTree {
  readonly #processes: Processes;
  readonly #nonce: string;
  readonly #command: CommandIdentity | undefined;
  /** Start times of all that once were seen to belong to it. */
  readonly #known = new Map<number, string>();

  constructor({ processes, nonce, command }: TaskTreeOptions) {
    this.#processes = processes;
    this.#nonce = nonce;
    this.#command = command;
    if (command !== undefined) this.#known.set(command.pid, command.startTime);
  }

  /**
   * Those that live. Looking for the nonce as well (`thorough`) reads the environments of all processes.
   */
  look({ thorough }: { readonly thorough: boolean }): CommandIdentity[] {
    if (!this.#processes.seesTree) return this.#lookBySignal();
    const entries = this.#processes.list().filter(({ pid }) => pid !== process.pid);
    const members = new Map<number, ProcessEntry>();
    for (const entry of entries) if (this.#isKnown(entry)) members.set(entry.pid, entry);
    if (thorough) {
      for (const entry of entries) {
        if (members.has(entry.pid) || entry.zombie) continue;
        if (this.#processes.hasNonce(entry.pid, this.#nonce)) members.set(entry.pid, entry);
      }
    }
    this.#addSession(entries, members);
    for (let before = -1; before !== members.size; ) {
      before = members.size;
      for (const entry of entries) if (members.has(entry.parent)) members.set(entry.pid, entry);
    }
    // Only those: however many come and go, what is known is bounded by what lives.
    this.#known.clear();
    for (const { pid, startTime } of members.values()) this.#known.set(pid, startTime);
    return [...members.values()]
      .filter(({ zombie }) => !zombie)
      .map(({ pid, startTime }) => ({ pid, startTime }));
  }

  /**
   * Called by the command's parent as soon as it has ended: what is in its session at this moment is known from then on.
   * Nobody else can have been given its number yet.
   */
  commandEnded(): void {
    const leader = this.#command?.pid;
    if (leader === undefined || !this.#processes.seesTree || !signalSent(-leader, 0)) return;
    for (const { pid, session, startTime } of this.#processes.list()) {
      if (session === leader) this.#known.set(pid, startTime);
    }
  }

  /** To all that the last look has shown. */
  signal(members: readonly CommandIdentity[], signal: NodeJS.Signals): void {
    const leader = this.#command?.pid;
    let groupSignalled = false;
    for (const { pid, startTime } of members) {
      const entry = this.#processes.look(pid);
      if (this.#processes.seesTree && (entry === undefined || !sameStart(entry.startTime, startTime)))
        continue;
      const inGroup = this.#processes.platform !== 'win32' && (entry?.group ?? leader) === leader;
      if (!inGroup) signalSent(pid, signal);
      else if (!groupSignalled && leader !== undefined) {
        groupSignalled = true;
        signalSent(-leader, signal);
      }
    }
  }

  #isKnown(entry: ProcessEntry): boolean {
    const startTime = this.#known.get(entry.pid);
    return startTime !== undefined && sameStart(startTime, entry.startTime);
  }

  #addSession(entries: readonly ProcessEntry[], members: Map<number, ProcessEntry>): void {
    const leader = this.#command?.pid;
    if (leader === undefined) return;
    const inIt = ({ group, session }: ProcessEntry): boolean => group === leader || session === leader;
    if (![...members.values()].some(inIt)) return;
    for (const entry of entries) if (inIt(entry)) members.set(entry.pid, entry);
  }

  #lookBySignal(): CommandIdentity[] {
    const command = this.#command;
    if (command === undefined) return [];
    const target = this.#processes.platform === 'win32' ? command.pid : -command.pid;
    return signalSent(target, 0) ? [command] : [];
  }
}

export interface StopRequest {
  readonly signal: NodeJS.Signals;
  readonly graceMs: number;
}

/** One stop of a tree. What lives on at its end are the survivors. */
export class TreeStop {
  readonly #tree: TaskTree;
  #killAtMs = 0;
  #wake: (() => void) | undefined;
  readonly survivors: Promise<readonly CommandIdentity[]>;
  #over = false;

  constructor(tree: TaskTree, request: StopRequest) {
    this.#tree = tree;
    this.#killAtMs = performance.now() + graceOf(request);
    this.survivors = this.#run(request.signal).finally(() => {
      this.#over = true;
    });
  }

  get over(): boolean {
    return this.#over;
  }

  /** Asked again, while it is under way: another signal, or less patience. */
  again(request: StopRequest): void {
    if (request.signal !== 'SIGKILL') this.#signal(request.signal);
    this.#killAtMs = Math.min(this.#killAtMs, performance.now() + graceOf(request));
    this.#wake?.();
  }

  async #run(signal: NodeJS.Signals): Promise<readonly CommandIdentity[]> {
    if (signal !== 'SIGKILL') {
      this.#signal(signal);
      for (let pollMs = pollMsMin; ; pollMs = Math.min(pollMs * 2, pollMsMax)) {
        if (this.#tree.look({ thorough: false }).length === 0) break;
        const leftMs = this.#killAtMs - performance.now();
        if (leftMs <= 0) break;
        await this.#sleep(Math.min(pollMs, leftMs));
      }
    }
    const giveUpAtMs = performance.now() + killMsMax;
    for (let pollMs = pollMsMin; ; pollMs = Math.min(pollMs * 2, pollMsMax)) {
      const living = this.#tree.look({ thorough: true });
      if (living.length === 0 || performance.now() > giveUpAtMs) return living;
      this.#tree.signal(living, 'SIGKILL');
      await this.#sleep(pollMs);
    }
  }

  #signal(signal: NodeJS.Signals): void {
    const living = this.#tree.look({ thorough: true });
    this.#tree.signal(living, signal);
    // A stopped process would take it only when it goes on.
    this.#tree.signal(living, 'SIGCONT');
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function graceOf({ signal, graceMs }: StopRequest): number {
  return signal === 'SIGKILL' ? 0 : graceMs;
}
