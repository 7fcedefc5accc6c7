/** Starts `owner-child.ts` in the ways that a test of owners needs: plainly, in new namespaces, as a zombie. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Owner } from '#src/owner/owner.js';
import type { ProcessIdentity } from '#src/owner/process-identity.js';

const script = fileURLToPath(new URL('./owner-child.js', import.meta.url));

/** As `JSON.parse` gives it. */
export interface Answer {
  readonly identity: ProcessIdentity;
  readonly witness: string | null;
  readonly [name: string]: unknown;
}

export class OwnerProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(
    command: string,
    { request = {}, under = [] }: { request?: object; under?: readonly string[] } = {},
  ) {
    const line = [...under, process.execPath, script, command, JSON.stringify(request)];
    this.child = spawn(line[0]!, line.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdin!.on('error', () => undefined);
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** The next line that it says. */
  async answer(): Promise<Answer> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the process said nothing more');
    return JSON.parse(value) as Answer;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** A process whose parent never waits for it: killed, it stays a zombie until it is disposed of. Linux only. */
export async function neglectedProcess(): Promise<AsyncDisposable & { readonly pid: number }> {
  const script = 'sleep 60 & echo $!; exec sleep 60';
  const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  // Until then the shell is there, which might wait.
  while (readFileSync(`/proc/${parent.pid}/comm`, 'utf8') !== 'sleep\n') await sleep(5);
  return {
    pid,
    async [Symbol.asyncDispose]() {
      const exit = once(parent, 'exit');
      process.kill(pid, 'SIGKILL');
      parent.kill('SIGKILL');
      await exit;
    },
  };
}

/** What the child answers, at once, under for instance `unshare`. */
export function ask(command: string, request: object, under: readonly string[] = []): Answer {
  const line = [...under, process.execPath, script, command, JSON.stringify(request)];
  const { stdout, stderr, status } = spawnSync(line[0]!, line.slice(1), {
    encoding: 'utf8',
    timeout: 20_000,
  });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Answer;
}

/** Why a test that makes namespaces cannot run here. */
export function whyNoNamespaces(...flags: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'namespaces are a matter of Linux';
  const { status, error } = spawnSync('unshare', [...flags, 'true'], { timeout: 10_000 });
  return status === 0 ? undefined : `unshare ${flags.join(' ')}: ${error?.message ?? 'not permitted'}`;
}

export function ownerOf(answer: Pick<Answer, 'identity' | 'witness'>, number = 1): Owner {
  return {
    number,
    id: number.toString(36),
    nonce: 'nonce',
    identity: answer.identity,
    ...(answer.witness === null ? {} : { witness: answer.witness }),
    mount: 'mount',
    openedAtMs: 0,
  };
}
