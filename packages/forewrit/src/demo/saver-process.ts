/** The saving process, from the outside: started ahead of need, set going, killed. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Method } from './method.js';

const program = fileURLToPath(new URL('./saver.js', import.meta.url));
/** Far beyond what opening and one save take: whoever needs longer hangs. */
const firstSaveTimeoutMs = 15_000;

export class SaverProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<void>;
  #output = '';
  #errors = '';
  #acknowledged = 0;
  #count = 0;
  #onSave: (() => void) | undefined;
  #hasEnded = false;

  /** The process loads its modules at once, and waits. */
  constructor(method: Method, directory: string) {
    // A process group of its own, so that Ctrl-C reaches the demo alone, which then ends it.
    this.#child = spawn(process.execPath, [program, method, directory], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
    });
    this.#child.stdin.on('error', () => undefined);
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    this.#ended = new Promise((resolve) => {
      const ended = (): void => {
        this.#hasEnded = true;
        resolve();
      };
      // Not 'exit': until 'close' there may be acknowledgements in the pipe.
      this.#child.on('close', ended);
      this.#child.on('error', (error) => {
        this.#errors += error.message;
        ended();
      });
    });
  }

  /** The newest version that was acknowledged; 0 for none. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** How many saves were acknowledged. */
  get count(): number {
    return this.#count;
  }

  /** Sets it going; resolves when the first save is acknowledged. */
  async saveFrom(version: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const first = new Promise<void>((resolve) => {
      this.#onSave = resolve;
    });
    const expired = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.#failure('took too long')), firstSaveTimeoutMs);
    });
    this.#child.stdin.write(`${version}\n`);
    try {
      await Promise.race([first, expired, this.#ended]);
    } finally {
      clearTimeout(timer);
    }
    if (this.#count === 0) throw this.#failure('ended');
  }

  /** SIGKILL; resolves when the process is gone and all that it acknowledged has been read. */
  async kill(): Promise<void> {
    if (this.#hasEnded) throw this.#failure('ended');
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Ends it, whatever it is doing. */
  async end(): Promise<void> {
    if (!this.#hasEnded) this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #read(text: string): void {
    const lines = (this.#output + text).split('\n');
    this.#output = lines.pop() ?? '';
    for (const line of lines) {
      this.#acknowledged = Number(line);
      this.#count += 1;
    }
    if (lines.length > 0) this.#onSave?.();
  }

  #failure(what: string): Error {
    const said = this.#errors.trim();
    // The line that names the error, among those that show where it was thrown.
    const line = said.split('\n').find((each) => /^\S*Error\b/.test(each)) ?? said;
    return new Error(`The process that saves ${what}. ${line}`.trimEnd(), { cause: new Error(said) });
  }
}
