/**
 * One run of a command, from its spawn to the record of its end:
 *
 *     exit of the command → the rest of its tree, if it is being stopped → what is left in its pipes, for a bounded time
 *     → output durable → exit.json durable → said on the socket → the shim ends
 *
 * `exit` decides, not `close`: a grandchild may hold the pipes for ever.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { CommandIdentity, ExitRecord, LaunchOrder } from '../supervision/supervisor.js';
import {
  closeCommandEnds,
  type CommandPipe,
  type CommandPipes,
  openPipes,
  readPipe,
  writePipe,
} from './command-pipes.js';
import { ControlServer } from './control-server.js';
import type { HitFailpoint } from './failpoint.js';
import { LongTimer } from './long-timer.js';
import type { StreamName } from './output-files.js';
import { OutputWriter } from './output-writer.js';
import { nonceVariable, type Processes } from './processes.js';
import { Redaction } from './redaction.js';
import { CommandInput } from './stdin.js';
import { type ClaimingShim, exitName, shimName, writeRecord } from './task-files.js';
import { type StopRequest, TaskTree, TreeStop } from './task-tree.js';

/** The drain ends when nothing has come for so long after the exit, */
const drainQuietMs = 1000;
/** or after so long anyway. */
const drainMsMax = 10_000;
/** Between two attempts to record the end on a disk that refuses. */
const recordRetryMs = 1000;
const parentPollMs = 250;

type StopCause = Extract<ExitRecord['cause'], 'user' | 'timeout' | 'overflow' | 'parent-died'>;

export interface TaskRunParts {
  readonly directory: string;
  readonly order: LaunchOrder;
  readonly shim: ClaimingShim;
  readonly processes: Processes;
  readonly hit: HitFailpoint;
}

interface Running {
  readonly child: ChildProcess;
  readonly command: CommandIdentity;
  readonly tree: TaskTree;
  readonly startedAtMs: number;
  readonly outputs: readonly Readable[];
}

export class TaskRun {
  readonly #parts: TaskRunParts;
  readonly #server: ControlServer;
  readonly #output: OutputWriter;
  #input = new CommandInput(undefined);
  #running: Running | undefined;
  #exited = false;
  #stopCause: StopCause | undefined;
  #stop: TreeStop | undefined;
  /** Where the socket is, if not in the directory. */
  #socket: string | undefined;
  #pipes: CommandPipes | undefined;
  #lastOutputAtMs = 0;

  constructor(parts: TaskRunParts) {
    this.#parts = parts;
    const { order, directory } = parts;
    this.#server = new ControlServer(order.nonce, {
      stop: ({ signal = 'SIGTERM', graceMs = order.killGraceMs }) => this.stop('user', { signal, graceMs }),
      write: ({ id, base64, end = false }) =>
        this.#input.write(id, { bytes: Buffer.from(base64, 'base64'), end }),
    });
    this.#output = new OutputWriter(directory, {
      limits: order.output,
      onOverflow: () => this.stop('overflow', { signal: 'SIGTERM', graceMs: order.killGraceMs }),
    });
  }

  /** Before the claim: so whoever sees one and finds nobody at the socket knows that the shim is dead. */
  async prepare(): Promise<void> {
    this.#socket = await this.#server.listen();
    const { directory, order } = this.#parts;
    this.#pipes = openPipes(directory, { withStdin: order.stdin !== 'none' });
  }

  /** The launch is somebody else's. */
  async abandon(): Promise<void> {
    await this.#server.end({ type: 'refused' });
  }

  /**
   * Resolves when the command runs and shim.json says so, or when its end is recorded because it could not be spawned;
   * what it resolves with says when nothing is left to do.
   */
  async start(): Promise<{ readonly ended: Promise<void> }> {
    const { order, hit } = this.#parts;
    hit('spawn.before');
    const child = await this.#spawn();
    if (child instanceof Error) {
      await this.#record({ cause: 'spawn-error', error: child.message, complete: true, survivors: [] });
      return { ended: Promise.resolve() };
    }
    const startedAtMs = Date.now();
    hit('spawn.after');
    const { processes } = this.#parts;
    const pid = child.pid ?? 0;
    const command = { pid, startTime: processes.look(pid)?.startTime ?? '' };
    const tree = new TaskTree({ processes, nonce: order.nonce, command });
    this.#running = { child, command, tree, startedAtMs, outputs: this.#connect(child) };
    const ended = this.#settle(this.#running);
    // Before anything that the command does is heard of.
    this.#recordRunning(this.#running);
    hit('running.after');
    return { ended };
  }

  /** Asked again, it only becomes more urgent. */
  stop(cause: StopCause, request: StopRequest): void {
    const running = this.#running;
    // It could not be spawned: that is its end.
    if (running === undefined) return;
    if (!this.#exited) this.#stopCause ??= cause;
    if (this.#stop === undefined || this.#stop.over) this.#stop = new TreeStop(running.tree, request);
    else this.#stop.again(request);
  }

  async #spawn(): Promise<ChildProcess | Error> {
    const { order } = this.#parts;
    const { file, args } = commandLine(order.command);
    const pipes = this.#pipes;
    try {
      if (!statSync(order.cwd).isDirectory()) return new Error(`the directory '${order.cwd}' is none`);
      const child = spawn(file, args, {
        cwd: order.cwd,
        env: { ...order.env, ...order.secretEnv, [nonceVariable]: order.nonce },
        // A session and a group of its own.
        detached: process.platform !== 'win32',
        windowsHide: true,
        stdio: [
          order.stdin === 'none' ? 'ignore' : (pipes?.stdin?.command ?? 'pipe'),
          pipes?.stdout.command ?? 'pipe',
          pipes?.stderr.command ?? 'pipe',
        ],
      });
      if (child.pid !== undefined) return child;
      return await new Promise((resolve) => child.once('error', resolve));
    } catch (error) {
      return toError(error);
    } finally {
      if (pipes !== undefined) closeCommandEnds(pipes);
    }
  }

  #connect(child: ChildProcess): readonly Readable[] {
    const { order } = this.#parts;
    const pipes = this.#pipes;
    child.on('error', () => undefined);
    const stdin = pipes?.stdin === undefined ? child.stdin : writePipe(pipes.stdin);
    stdin?.on('error', () => undefined);
    if (order.stdin === 'pipe') this.#input = new CommandInput(stdin ?? undefined);
    if (typeof order.stdin === 'object') stdin?.end(order.stdin.text);
    return [
      this.#read('stdout', pipes?.stdout ?? child.stdout),
      this.#read('stderr', pipes?.stderr ?? child.stderr),
    ].filter((output) => output !== undefined);
  }

  #read(stream: StreamName, source: CommandPipe | Readable | null): Readable | undefined {
    if (source === null) return undefined;
    const redaction = new Redaction(Object.values(this.#parts.order.secretEnv));
    const write = (bytes: Buffer): void => {
      this.#lastOutputAtMs = performance.now();
      if (bytes.length === 0) return;
      this.#output.write(stream, bytes);
      this.#server.outputGrew();
    };
    const take = (chunk: Buffer): void => write(redaction.push(chunk));
    const output = 'own' in source ? readPipe(source, take) : source.on('data', take);
    output.on('error', () => undefined);
    return output.once('close', () => write(redaction.end()));
  }

  async #settle({ child, tree, startedAtMs, outputs }: Running): Promise<void> {
    const { order, processes } = this.#parts;
    const closed = Promise.all(outputs.map((output) => once(output, 'close'))).then(() => true as const);
    const kill = { signal: 'SIGTERM', graceMs: order.killGraceMs } as const;
    const timeout = new LongTimer(order.timeoutMs, () => this.stop('timeout', kill));
    const { diesWith } = order;
    const parentPoll =
      diesWith === undefined
        ? undefined
        : setInterval(() => {
            if (!processes.isAlive(diesWith)) this.stop('parent-died', kill);
          }, parentPollMs);
    const end = await new Promise<Pick<ExitRecord, 'exitCode' | 'signal'>>((resolve) => {
      child.once('exit', (exitCode, signal) => {
        tree.commandEnded();
        resolve(signal === null ? { exitCode: exitCode ?? 0 } : { signal });
      });
    });
    this.#exited = true;
    timeout.clear();
    clearInterval(parentPoll);

    await this.#stop?.survivors;
    const complete = await this.#drained(outputs, closed);
    const survivors = (await this.#stop?.survivors) ?? [];
    this.#parts.hit('exit.before');
    await this.#record({
      cause: this.#stopCause ?? (end.signal === undefined ? 'exit' : 'signal'),
      ...end,
      startedAtMs,
      complete,
      survivors,
    });
  }

  /** Whether both pipes came to their ends in time. */
  async #drained(outputs: readonly Readable[], closed: Promise<true>): Promise<boolean> {
    const startedAtMs = performance.now();
    for (;;) {
      const quietSinceMs = Math.max(this.#lastOutputAtMs, startedAtMs);
      const untilMs = Math.min(quietSinceMs + drainQuietMs, startedAtMs + drainMsMax);
      if (await within(closed, untilMs - performance.now())) return true;
      const late = performance.now() >= startedAtMs + drainMsMax;
      // This process may have stood still itself: then the pipes were not looked at since.
      if (await within(closed, 0)) return true;
      if (!late && this.#lastOutputAtMs > quietSinceMs) continue;
      for (const output of outputs) output.destroy();
      await closed;
      return false;
    }
  }

  #recordRunning({ command, startedAtMs }: Running): void {
    const socket = this.#socket;
    const { directory, order, shim } = this.#parts;
    const record = {
      nonce: order.nonce,
      shim,
      command,
      startedAtMs,
      ...(socket === undefined ? {} : { socket }),
    };
    try {
      writeRecord(directory, shimName, { record });
    } catch {
      // The claim names the shim, and the nonce finds the command.
    }
  }

  async #record(
    end: Omit<ExitRecord, 'nonce' | 'endedAtMs' | 'outputBytes' | 'droppedBytes'>,
  ): Promise<void> {
    const { directory, order, hit } = this.#parts;
    const endedAtMs = Date.now();
    this.#output.finish();
    const { outputBytes, droppedBytes } = this.#output;
    const record: ExitRecord = { nonce: order.nonce, ...end, endedAtMs, outputBytes, droppedBytes };
    for (;;) {
      try {
        writeRecord(directory, exitName, { record, beforeRename: () => hit('exit.inside') });
        break;
      } catch {
        // Somebody has removed the task: there is nobody to record it for.
        if (!existsSync(directory)) break;
        // A full disk, say. To end now would make it lost.
        await new Promise((resolve) => setTimeout(resolve, recordRetryMs));
      }
    }
    hit('exit.after');
    await this.#server.end({ type: 'exit', exit: record });
  }
}

function commandLine(command: LaunchOrder['command']): { file: string; args: readonly string[] } {
  if (typeof command !== 'string') return command;
  if (process.platform === 'win32') {
    return { file: process.env['ComSpec'] ?? 'cmd.exe', args: ['/d', '/s', '/c', command] };
  }
  return { file: '/bin/sh', args: ['-c', command] };
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** False when the time is over, and all that was ready to be read by then has been. */
async function within(done: Promise<true>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => setImmediate(() => setImmediate(resolve, false)), Math.max(ms, 0));
  });
  const result = await Promise.race([done, late]);
  clearTimeout(timer);
  return result;
}
