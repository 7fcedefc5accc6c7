/**
 * A real process for a test to talk to, stop and kill. It is a compiled module; test and process send each other lines
 * of JSON over its standard input and output. What it has said is read to the end even when it was killed right after:
 * so an acknowledgement that was made is never lost, and one that is missing was not made.
 *
 * The side of the process is `say`, `onCommand` and `requestOf`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** For a process to answer, or to end, after which something has gone wrong. What a busy machine keeps it from does not count. */
export const processTimeoutMsDefault = 20_000;

export interface TestProcessOptions {
  /** What `requestOf` gives to the process. */
  readonly request?: object;
  /** The command line that it is run under, for instance `['unshare', '-m']`. */
  readonly under?: readonly string[];
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** On the clock of `monotonicMs`. */
  readonly atMs: number;
}

/** `Message` is what the process says: the test trusts it. */
export class TestProcess<Message extends object> implements AsyncDisposable {
  readonly child: ChildProcess;
  /** Everything that it has said so far. */
  readonly messages: readonly Message[];
  /** Resolves when it has ended and everything that it had said has arrived. */
  readonly ended: Promise<ProcessEnd>;
  readonly #waiters = new Set<() => void>();
  #end: ProcessEnd | undefined;
  #read = 0;

  constructor(script: URL, { request = {}, under = [] }: TestProcessOptions = {}) {
    const [command, ...args] = [
      ...under,
      process.execPath,
      '--enable-source-maps',
      fileURLToPath(script),
      JSON.stringify(request),
    ];
    const messages: Message[] = [];
    this.messages = messages;
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    // A killed process does not read on.
    this.child.stdin!.on('error', () => undefined);
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      messages.push(JSON.parse(line) as Message);
      this.#wake();
    });
    let diedAtMs: number | undefined;
    this.child.on('exit', () => {
      diedAtMs = monotonicMs();
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => {
        this.#end = { code, signal, atMs: diedAtMs ?? monotonicMs() };
        this.#wake();
        resolve(this.#end);
      });
    });
    // Whoever waits for it hears of it.
    this.ended.catch(() => undefined);
  }

  get pid(): number {
    return this.child.pid!;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** The next message of this type that was not read yet; those before it are passed over. */
  async next<Type extends MessageType<Message>>(
    type: Type,
    timeoutMs = processTimeoutMsDefault,
  ): Promise<Extract<Message, { readonly type: Type }>> {
    const found = await this.nextOrEnd(type, timeoutMs);
    if (found === undefined)
      throw new Error(`the process ended and never said '${String(type)}', but: ${this.#last}`);
    return found;
  }

  /** The same; `undefined` if the process has ended without one. */
  async nextOrEnd<Type extends MessageType<Message>>(
    type: Type,
    timeoutMs = processTimeoutMsDefault,
  ): Promise<Extract<Message, { readonly type: Type }> | undefined> {
    const isWanted = (message: Message): boolean => 'type' in message && message.type === type;
    const index = await this.#find(isWanted, timeoutMs);
    if (index === undefined) return undefined;
    this.#read = index + 1;
    return this.messages[index] as Extract<Message, { readonly type: Type }>;
  }

  tell(command: object): void {
    this.child.stdin!.write(`${JSON.stringify(command)}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Resolves when every thread of it stands still. Linux only. */
  async stop(): Promise<void> {
    this.signal('SIGSTOP');
    await untilStopped(this.pid);
  }

  /** Ends it with SIGKILL, if it has not ended by itself. */
  async kill(): Promise<ProcessEnd> {
    this.signal('SIGKILL');
    return await this.ended;
  }

  /** How it ends by itself. */
  async end(timeoutMs = processTimeoutMsDefault): Promise<ProcessEnd> {
    await this.#find(() => false, timeoutMs);
    return await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasEnded) await this.kill();
  }

  /** What it said last, for people to read. */
  get #last(): string {
    return JSON.stringify(this.messages.at(-1))?.replaceAll('\\n', '\n') ?? 'nothing';
  }

  async #find(isWanted: (message: Message) => boolean, timeoutMs: number): Promise<number | undefined> {
    let deadlineMs = monotonicMs() + timeoutMs;
    let starvedMs = starvedMsOf(this.pid);
    for (let index = this.#read; ; ) {
      for (; index < this.messages.length; index += 1) if (isWanted(this.messages[index]!)) return index;
      if (this.hasEnded) return undefined;
      if (deadlineMs <= monotonicMs()) {
        const now = starvedMsOf(this.pid);
        deadlineMs += Math.max(0, now - starvedMs);
        starvedMs = Math.max(starvedMs, now);
      }
      const leftMs = deadlineMs - monotonicMs();
      if (leftMs <= 0) {
        throw new Error(
          `the process ${this.pid} did not answer within ${timeoutMs} ms; its last: ${this.#last}`,
        );
      }
      await this.#change(leftMs);
    }
  }

  /** Resolves when it says something or ends, or after that time. */
  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.#waiters.add(wake);
    });
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }
}

type MessageType<Message> = Message extends { readonly type: infer Type } ? Type : never;

/**
 * How long the threads of a process that live have been ready to run and had no processor, all together. One that waits
 * for anything else, for a lock say, is not ready. 0 where the system does not tell.
 */
export function starvedMsOf(pid: number): number {
  try {
    const waits = readdirSync(`/proc/${pid}/task`).map((task) => {
      const [, waitNs = '0'] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ');
      return Number(waitNs) / 1e6;
    });
    return waits.reduce((sum, ms) => sum + ms, 0);
  } catch {
    // It has ended, or a thread of it.
    return 0;
  }
}

/** Resolves when every thread of the process stands still. Linux only. */
export async function untilStopped(pid: number, timeoutMs = processTimeoutMsDefault): Promise<void> {
  const deadlineMs = monotonicMs() + timeoutMs;
  while (!isStopped(pid)) {
    if (monotonicMs() > deadlineMs) throw new Error(`the process ${pid} did not stop within ${timeoutMs} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}

function isStopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((task) => {
      const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'latin1');
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
    });
  } catch {
    // A thread has ended meanwhile: look again.
    return false;
  }
}

/** Milliseconds of a clock that only goes forward and that all processes of the machine share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** In a process: what it was started with. */
export function requestOf<Request extends object>(): Request {
  return JSON.parse(process.argv[2] ?? '{}') as Request;
}

/** In a process: has reached the test when it returns, whatever happens to the process next. */
export function say(message: object): void {
  // Pipes are written synchronously, except on Windows.
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** In a process: hears what the test tells it, and ends when the test does. */
export function onCommand<Command extends object>(hear: (command: Command) => void): void {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => hear(JSON.parse(line) as Command));
  lines.on('close', () => process.exit(0));
}
