/** A machine on which commands run as a test says, behind the same seam as the real one. Engines that die share it. */

import { StoreError } from '@forewrit/core';
import type {
  CommandIdentity,
  ExitRecord,
  LaunchOrder,
  Observation,
  OutputBytes,
  OutputRequest,
  ShimConnection,
  ShimIdentity,
  Supervisor,
} from '#src/supervision/supervisor.js';
import type { Timers } from '#src/engine/timers.js';

type Fate =
  | { readonly kind: 'claimed-away' }
  | { readonly kind: 'running' }
  | { readonly kind: 'orphaned' }
  | { readonly kind: 'lost'; readonly cause: 'shim-died' | 'reboot' }
  | { readonly kind: 'exited'; readonly exit: ExitRecord };

export interface SimulatedLaunch {
  readonly directory: string;
  readonly order: LaunchOrder;
  readonly pid: number;
  fate: Fate;
  output: Buffer;
  droppedBytes: number;
  input: string;
  readonly connections: Set<SimulatedConnection>;
}

class SimulatedConnection implements ShimConnection {
  readonly listeners: ((event: 'output' | 'exit' | 'closed') => void)[] = [];
  readonly #machine: SimulatedMachine;
  readonly #launch: SimulatedLaunch;

  constructor(machine: SimulatedMachine, launch: SimulatedLaunch) {
    this.#machine = machine;
    this.#launch = launch;
  }

  async stop(): Promise<ExitRecord> {
    await this.#machine.beforeStop?.(this.#launch);
    if (this.#launch.fate.kind === 'running') {
      this.#machine.end(this.#launch, { cause: 'user', signal: 'SIGTERM' });
    }
    const { fate } = this.#launch;
    if (fate.kind === 'exited') return fate.exit;
    throw new StoreError('ERR_IO', 'the shim is gone', { op: 'stop' });
  }

  write(data: Uint8Array): Promise<void> {
    this.#launch.input += Buffer.from(data).toString();
    return Promise.resolve();
  }

  onEvent(listener: (event: 'output' | 'exit' | 'closed') => void): void {
    this.listeners.push(listener);
  }

  tell(event: 'output' | 'exit' | 'closed'): void {
    for (const listener of this.listeners) listener(event);
  }

  close(): Promise<void> {
    this.#launch.connections.delete(this);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export class SimulatedMachine {
  /** Every command that was ever spawned, in their order. */
  readonly spawned: string[] = [];
  readonly launches = new Map<string, SimulatedLaunch>();
  readonly removed: string[] = [];
  readonly bootId = 'boot';
  /** Called before a shim spawns its command; a launch waits for it. */
  beforeSpawn: ((directory: string) => Promise<void> | void) | undefined;
  /** Called before a stop is carried out. */
  beforeStop: ((launch: SimulatedLaunch) => Promise<void> | void) | undefined;
  beforeObserve: ((directory: string) => void) | undefined;
  /** Orphans live on whoever stops them. */
  unstoppable = false;
  readonly #timers: Timers;
  readonly #claims = new Map<string, 'shim' | 'observer'>();
  readonly #directories = new Set<string>();
  #lastPid = 1000;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Those that run now. */
  get running(): SimulatedLaunch[] {
    return [...this.launches.values()].filter(({ fate }) => fate.kind === 'running');
  }

  /** The newest launch of that command. */
  of(command: string): SimulatedLaunch {
    const found = [...this.launches.values()].findLast(({ order }) => order.command === command);
    if (found === undefined) throw new Error(`${command} was never spawned`);
    return found;
  }

  print(launch: SimulatedLaunch, text: string | Uint8Array): void {
    launch.output = Buffer.concat([launch.output, Buffer.from(text as string)]);
    for (const connection of launch.connections) connection.tell('output');
  }

  end(launch: SimulatedLaunch, exit: Partial<ExitRecord> = {}): void {
    const { order, output, droppedBytes } = launch;
    const nowMs = this.#timers.nowMs();
    launch.fate = {
      kind: 'exited',
      exit: {
        nonce: order.nonce,
        cause: 'exit',
        ...(exit.cause === undefined ? { exitCode: 0 } : {}),
        startedAtMs: nowMs,
        endedAtMs: nowMs,
        outputBytes: output.length,
        droppedBytes,
        complete: true,
        survivors: [],
        ...exit,
      },
    };
    for (const connection of launch.connections) {
      connection.tell('exit');
      connection.tell('closed');
    }
  }

  /** The command goes on without its shim. */
  killShim(launch: SimulatedLaunch): void {
    launch.fate = { kind: 'orphaned' };
    for (const connection of launch.connections) connection.tell('closed');
  }

  lose(launch: SimulatedLaunch, cause: 'shim-died' | 'reboot'): void {
    launch.fate = { kind: 'lost', cause };
    for (const connection of launch.connections) connection.tell('closed');
  }

  /** What an engine sees of it, until it dies: then nothing that it asked for is answered. */
  supervisor(): SimulatedSupervisor {
    return new SimulatedSupervisor(this);
  }

  claim(directory: string, by: 'shim' | 'observer'): boolean {
    this.#directories.add(directory);
    if (this.#claims.has(directory)) return false;
    this.#claims.set(directory, by);
    return true;
  }

  async launch(directory: string, order: LaunchOrder): Promise<ShimIdentity> {
    this.#directories.add(directory);
    await this.beforeSpawn?.(directory);
    if (!this.claim(directory, 'shim')) {
      throw new StoreError('ERR_CONFLICT', 'somebody else has claimed it', { op: 'launch' });
    }
    this.#lastPid += 1;
    const launch: SimulatedLaunch = {
      directory,
      order,
      pid: this.#lastPid,
      fate: { kind: 'running' },
      output: Buffer.alloc(0),
      droppedBytes: 0,
      input: '',
      connections: new Set(),
    };
    this.launches.set(directory, launch);
    this.spawned.push(typeof order.command === 'string' ? order.command : order.command.file);
    return this.#identity(launch);
  }

  observe(directory: string, nonce: string): Observation {
    this.beforeObserve?.(directory);
    const launch = this.launches.get(directory);
    if (launch === undefined || launch.order.nonce !== nonce) {
      this.claim(directory, 'observer');
      return { state: 'never-started' };
    }
    const command = { pid: launch.pid + 1, startTime: '7' };
    switch (launch.fate.kind) {
      case 'running':
        return { state: 'running', shim: this.#identity(launch), command };
      case 'orphaned':
        return { state: 'orphaned', command };
      case 'lost':
        return { state: 'lost', cause: launch.fate.cause };
      case 'exited':
        return { state: 'exited', exit: launch.fate.exit };
      case 'claimed-away':
        return { state: 'never-started' };
    }
  }

  connect(directory: string): SimulatedConnection | undefined {
    const launch = this.launches.get(directory);
    if (launch?.fate.kind !== 'running') return undefined;
    const connection = new SimulatedConnection(this, launch);
    launch.connections.add(connection);
    return connection;
  }

  list(parent: string): string[] {
    const names = [...this.#directories]
      .filter((path) => path.startsWith(`${parent}/`))
      .map((path) => path.slice(parent.length + 1).split('/')[0]!);
    return [...new Set(names)].map((name) => `${parent}/${name}`);
  }

  remove(directory: string): void {
    this.removed.push(directory);
    for (const path of this.#directories) {
      if (path !== directory && !path.startsWith(`${directory}/`)) continue;
      this.#directories.delete(path);
      this.#claims.delete(path);
      this.launches.delete(path);
    }
  }

  #identity({ pid }: SimulatedLaunch): ShimIdentity {
    return { pid, startTime: '5', bootId: this.bootId };
  }
}

export class SimulatedSupervisor implements Supervisor {
  readonly #machine: SimulatedMachine;
  #dead = false;

  constructor(machine: SimulatedMachine) {
    this.#machine = machine;
  }

  /** The engine's process is gone: calls that are under way never return, and later ones do nothing. */
  die(): void {
    this.#dead = true;
  }

  launch(directory: string, order: LaunchOrder): Promise<ShimIdentity> {
    return this.#alive(() => this.#machine.launch(directory, order));
  }

  observe(directory: string, nonce: string): Promise<Observation> {
    return this.#alive(() => this.#machine.observe(directory, nonce));
  }

  connect(directory: string): Promise<ShimConnection | undefined> {
    return this.#alive(() => this.#machine.connect(directory));
  }

  stopOrphan(directory: string): Promise<readonly CommandIdentity[]> {
    return this.#alive(() => {
      const { pid } = this.#machine.launches.get(directory)!;
      if (this.#machine.unstoppable) return [{ pid: pid + 1, startTime: '7' }];
      this.#machine.lose(this.#machine.launches.get(directory)!, 'shim-died');
      return [];
    });
  }

  readOutput(directory: string, request: OutputRequest): Promise<OutputBytes> {
    return this.#alive(() => readSimulated(this.#machine.launches.get(directory), request));
  }

  remove(directory: string): Promise<void> {
    return this.#alive(() => this.#machine.remove(directory));
  }

  list(parent: string): Promise<readonly string[]> {
    return this.#alive(() => this.#machine.list(parent));
  }

  async #alive<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#dead) return await new Promise<never>(() => {});
    const result = await work();
    return this.#dead ? await new Promise<never>(() => {}) : result;
  }
}

function readSimulated(launch: SimulatedLaunch | undefined, request: OutputRequest): OutputBytes {
  const output = launch?.output ?? Buffer.alloc(0);
  const dropped = launch?.droppedBytes ?? 0;
  const asked = request.offset ?? dropped;
  const offset = Math.min(Math.max(asked, dropped), output.length);
  const data = output.subarray(offset, offset + (request.maxBytes ?? output.length));
  return {
    data,
    offset,
    nextOffset: offset + data.length,
    droppedBytes: dropped,
    outputBytes: output.length,
  };
}
