/** Real tasks for tests: their orders, their processes, and a look that none of these is left. */

import { readdirSync, readFileSync } from 'node:fs';
import { assert, monotonicMs, type TemporaryDirectory, temporaryDirectory } from '@forewrit/testkit';
import { DetachedSupervisor, type DetachedSupervisorOptions } from '#src/supervision/detached-supervisor.js';
import type {
  ExitRecord,
  LaunchOrder,
  Observation,
  OutputRequest,
  ShimIdentity,
} from '#src/supervision/supervisor.js';

export const notLinux = process.platform === 'linux' ? undefined : 'needs /proc';

/** Nothing here should take so long, on however busy a machine. */
export const patienceMs = 60_000;

export type OrderParts = Partial<Omit<LaunchOrder, 'output'>> & {
  readonly output?: Partial<LaunchOrder['output']>;
};

export interface OutputText {
  readonly text: string;
  readonly offset: number;
  readonly nextOffset: number;
  readonly droppedBytes: number;
  readonly outputBytes: number;
}

let lastNonce = 0;

/** One task in a directory of its own. Disposing kills what is left of it. */
export class TestTask implements AsyncDisposable {
  readonly root: TemporaryDirectory;
  readonly directory: string;
  readonly nonce: string;
  readonly supervisor: DetachedSupervisor;

  constructor({
    supervisor = {},
    below = 'tasks/1',
  }: { supervisor?: DetachedSupervisorOptions; below?: string } = {}) {
    this.root = temporaryDirectory('task');
    this.directory = `${this.root.path}/${below}`;
    lastNonce += 1;
    this.nonce = `nonce-${process.pid}-${lastNonce}-${Math.random().toString(36).slice(2)}`;
    this.supervisor = new DetachedSupervisor(supervisor);
  }

  order(command: LaunchOrder['command'], parts: OrderParts = {}): LaunchOrder {
    return {
      nonce: this.nonce,
      command,
      cwd: this.root.path,
      env: { PATH: process.env['PATH'] ?? '' },
      secretEnv: {},
      stdin: 'none',
      timeoutMs: patienceMs * 10,
      killGraceMs: patienceMs,
      ...parts,
      output: { maxBytes: 1 << 26, segmentBytes: 1 << 20, overflow: 'drop-oldest', ...parts.output },
    };
  }

  async launch(command: LaunchOrder['command'], parts: OrderParts = {}): Promise<ShimIdentity> {
    return await this.supervisor.launch(this.directory, this.order(command, parts));
  }

  /** Launches it and waits for its end. */
  async run(command: LaunchOrder['command'], parts: OrderParts = {}): Promise<ExitRecord> {
    await this.launch(command, parts);
    return await this.end();
  }

  observe(): Promise<Observation> {
    return this.supervisor.observe(this.directory, this.nonce);
  }

  async end(): Promise<ExitRecord> {
    const observation = await this.until(({ state }) => state !== 'running');
    if (observation.state !== 'exited') throw new Error(`it ended ${JSON.stringify(observation)}`);
    return observation.exit;
  }

  async until(isWanted: (observation: Observation) => boolean): Promise<Observation> {
    return await eventually(async () => {
      const observation = await this.observe();
      return isWanted(observation) ? observation : undefined;
    });
  }

  /** Resolves when the output has this text. */
  async printed(text: string): Promise<void> {
    await eventually(async () => ((await this.read()).text.includes(text) ? true : undefined));
  }

  async read(request: OutputRequest = {}): Promise<OutputText> {
    const { data, ...rest } = await this.supervisor.readOutput(this.directory, request);
    return { text: Buffer.from(data).toString(), ...rest };
  }

  /** All that is kept, page by page. */
  async readAll(stream?: 'stdout' | 'stderr'): Promise<Buffer> {
    const pages: Uint8Array[] = [];
    for (let offset: number | undefined; ; ) {
      const request = {
        ...(offset === undefined ? {} : { offset }),
        ...(stream === undefined ? {} : { stream }),
      };
      const page = await this.supervisor.readOutput(this.directory, request);
      pages.push(page.data);
      if (page.nextOffset >= page.outputBytes) return Buffer.concat(pages);
      offset = page.nextOffset;
    }
  }

  /** Of shim and command; a process is known by the nonce in its environment. */
  processes(): number[] {
    return processesWith(this.nonce);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.processes()) killIfThere(pid);
    await eventually(async () => (this.processes().length === 0 ? true : undefined));
    this.root.remove();
  }
}

/** Fails if a process of the task is left; for the ends of tests that should have left none. */
export async function assertNoneLeft(task: TestTask): Promise<void> {
  const deadlineMs = monotonicMs() + 10_000;
  // The shim ends a moment after it has said how the command ended.
  while (task.processes().length > 0 && monotonicMs() < deadlineMs) await sleep(10);
  assert.equal(task.processes(), []);
}

export function processesWith(nonce: string): number[] {
  const needle = `FOREWRIT_TASK_NONCE=${nonce}\0`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readProc(pid, 'environ').includes(needle) && !isDead(pid));
}

export function isDead(pid: number): boolean {
  const stat = readProc(pid, 'stat');
  return stat === '' || /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}

export function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

export async function eventually<T>(look: () => Promise<T | undefined>, timeoutMs = patienceMs): Promise<T> {
  const deadlineMs = monotonicMs() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (monotonicMs() > deadlineMs) throw new Error(`it did not come about within ${timeoutMs} ms`);
    await sleep(10);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}
