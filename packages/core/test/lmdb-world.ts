/** Logs in LMDB, and other processes that use them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type LmdbLog, type LmdbLogOptions, openLmdbLog } from '#src/log/lmdb-log.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { systemProcessTable } from '#src/owner/process-identity.js';
import { identityOfToken, queueToken } from '#src/log/queue-token.js';

export function newQueueToken(): string {
  return queueToken(systemProcessTable().identity(), Math.random().toString(36).slice(2));
}

export function openLog(directory: string, options: Partial<LmdbLogOptions> = {}): LmdbLog {
  return openLmdbLog({
    directory,
    fileSystem: new NodeFileSystem(),
    queueToken: newQueueToken(),
    isTokenAlive,
    ...options,
  });
}

export function isTokenAlive(token: string): boolean {
  const identity = identityOfToken(token);
  const look = identity === undefined ? undefined : systemProcessTable().look(identity.pid);
  return look === undefined || (look.exists && !look.zombie && look.startTime === identity?.startTime);
}

/** What a child is asked to do; see `lmdb-child.ts`. */
export interface ChildTask {
  readonly directory: string;
  /**
   * `increment`: a counter, so many times. `hang`: for ever, in the middle of a commit. `wait`: open; when the file
   * `<directory>-go` is there, commit once; close and exit. `exit-while-writing`: exit after so many milliseconds,
   * while another thread commits. `inspect`: open to read only, and read for each line on stdin, or once. `come-and-go`: open and close
   * so many times, and report the first failure. `fail-flush`: commit until a flush fails, and say what
   * can be done then.
   */
  readonly action:
    | 'increment'
    | 'hang'
    | 'wait'
    | 'read'
    | 'write-for-ever'
    | 'exit-while-writing'
    | 'inspect'
    | 'come-and-go'
    | 'fail-flush';
  readonly count?: number;
  readonly timeoutMs?: number;
}

export interface ChildReport {
  readonly event: 'ready' | 'done';
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly elapsedMs?: number;
  readonly closeMs?: number;
  readonly value?: string | undefined;
}

export class Child {
  readonly process: ChildProcess;
  readonly #reports: AsyncIterator<string>;

  constructor(
    task: ChildTask,
    { uid, under = [] }: { readonly uid?: number; readonly under?: readonly string[] } = {},
  ) {
    const program = fileURLToPath(new URL('./lmdb-child.js', import.meta.url));
    const line = [...under, process.execPath, '--enable-source-maps', program, JSON.stringify(task)];
    this.process = spawn(line[0]!, line.slice(1), {
      stdio: [task.action === 'inspect' ? 'pipe' : 'ignore', 'pipe', 'inherit'],
      ...(uid === undefined ? {} : { uid }),
    });
    this.#reports = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();
  }

  async report(event: ChildReport['event']): Promise<ChildReport> {
    const { value, done } = await this.#reports.next();
    if (done === true) throw new Error(`the child ended before it was ${event}`);
    const report = JSON.parse(value) as ChildReport;
    if (report.event !== event) throw new Error(`the child is not ${event}: ${value}`);
    return report;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const exited = this.exit();
    this.process.kill(signal);
    await exited;
  }

  async exit(): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit');
    return this.process.exitCode;
  }
}
