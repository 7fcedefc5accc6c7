/** `saving-child.ts`, as its parent sees it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { assert } from '@forewrit/testkit';
import type { SavingOptions } from './saving-child.js';

const program = fileURLToPath(new URL('./saving-child.js', import.meta.url));

export class SavingProcess implements AsyncDisposable {
  /** The newest version that was acknowledged; 0 before the first. */
  acknowledged = 0;
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #first: Promise<void>;

  constructor(options: SavingOptions) {
    const child = spawn(process.execPath, ['--enable-source-maps', program, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.#exit = once(child, 'close');
    this.#first = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.acknowledged = Number(line);
        resolve();
      });
    });
  }

  /** Resolves with the first acknowledged save. */
  async saving(): Promise<void> {
    await Promise.race([this.#first, this.#exit]);
    assert.is(this.#child.exitCode, null, 'the saving process ended by itself');
  }

  /** Resolves when the process has been killed, by itself as well. */
  async killed(): Promise<void> {
    await this.#exit;
    assert.is(this.#child.signalCode, 'SIGKILL');
  }

  /** Resolves when the process is gone and everything that it had written has been read. */
  async kill(): Promise<void> {
    assert.is(this.#child.exitCode, null, 'the saving process ended by itself');
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }
}
