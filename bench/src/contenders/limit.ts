/**
 * The floor: `limit/limit.c`, the least that the guarantees need of the system. Compiled when it is first wanted, into the
 * directory that benchmarks cache in. A process that answers with its own time, so that talking to it costs nothing.
 */

import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Contender, type Saver, Unavailable } from './contender.js';

const source = fileURLToPath(new URL('../../limit/limit.c', import.meta.url));
const compileTimeoutMs = 60_000;

/** Where the program is. Set by whoever starts a measurement; without it there is no floor to be shown. */
export const limitProgramVariable = 'FOREWRIT_BENCH_LIMIT';

/** The path of the program, or why there is none. */
export function compileLimit(cache: string): { readonly program: string } | { readonly reason: string } {
  if (process.platform === 'win32') return { reason: 'the C limit is written for POSIX' };
  const text = fs.readFileSync(source);
  const program = path.join(cache, `limit-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`);
  if (fs.existsSync(program)) return { program };
  fs.mkdirSync(cache, { recursive: true });
  const fresh = `${program}.${process.pid}`;
  const compiler = process.env['CC'] ?? 'cc';
  const { status, error, stderr } = spawnSync(compiler, ['-O2', '-o', fresh, source], {
    encoding: 'utf8',
    timeout: compileTimeoutMs,
  });
  if (status !== 0)
    return { reason: `no C compiler: ${error?.message ?? stderr.trim().split('\n')[0] ?? 'it failed'}` };
  fs.renameSync(fresh, program);
  return { program };
}

export const limit: Contender = {
  name: 'limit in C',
  guarantees: { durable: true, fileAtomic: true, setAtomic: true, plainFiles: true, multiProcess: false },
  setting:
    'not a contender but a floor: one write and flush of the payload in a log that is there already; a new file, a link of the ' +
    'old and a rename for each. No bookkeeping, no recovery, names of its own. It times itself.',
  open: async (directory) => {
    const program = process.env[limitProgramVariable];
    if (program === undefined) throw new Unavailable('the C limit was not compiled');
    return new LimitProcess(program, directory);
  },
};

class LimitProcess implements Saver {
  readonly #program: string;
  readonly #directory: string;
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #answers: AsyncIterator<string> | undefined;
  #shape = '';
  #error: Error | undefined;

  constructor(program: string, directory: string) {
    this.#program = program;
    this.#directory = directory;
  }

  async save(set: readonly (readonly [string, string])[]): Promise<number> {
    const shape = `${set.length} × ${set[0]?.[1].length}`;
    if (this.#child === undefined) this.#start(set.length, set[0]![1].length);
    else if (shape !== this.#shape) throw new Error('the limit saves sets of one shape');
    this.#shape = shape;
    this.#child!.stdin.write('.');
    const { value, done } = await this.#answers!.next();
    if (done === true) throw new Error('the limit ended', { cause: this.#error });
    return Number(value) / 1e6;
  }

  #start(files: number, bytes: number): void {
    this.#child = spawn(this.#program, [this.#directory, String(files), String(bytes)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // Whoever waits for its answer hears of it.
    this.#child.stdin.on('error', () => undefined);
    this.#child.on('error', (error) => {
      this.#error = error;
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => {
      child.on('exit', resolve);
    });
    child.stdin.end();
    await ended;
  }
}
