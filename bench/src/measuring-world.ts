/** The world of a scenario, in the process that measures. */

import fs from 'node:fs';
import path from 'node:path';
import { Random } from '@forewrit/testkit/random';
import { type Contender, Unavailable } from './contenders/contender.js';
import type { OpenContender, OpenOptions, World } from './scenario.js';

export interface MeasuringWorldOptions {
  readonly directory: string;
  readonly quick: boolean;
  readonly seed: number;
  readonly onProgress: (text: string) => void;
}

export class MeasuringWorld implements World {
  readonly directory: string;
  readonly quick: boolean;
  readonly random: Random;
  readonly missing: Record<string, string> = {};
  readonly #onProgress: (text: string) => void;
  readonly #open: OpenContender[] = [];

  constructor({ directory, quick, seed, onProgress }: MeasuringWorldOptions) {
    this.directory = directory;
    this.quick = quick;
    this.random = new Random(seed);
    this.#onProgress = onProgress;
  }

  progress(text: string): void {
    this.#onProgress(text);
  }

  miss(contender: string, reason: string): void {
    this.missing[contender] = reason;
  }

  async open(
    contenders: readonly Contender[],
    { directories = [] }: OpenOptions = {},
  ): Promise<OpenContender[]> {
    const open: OpenContender[] = [];
    for (const contender of contenders) {
      const directory = path.join(this.directory, `contender-${this.#open.length}`);
      for (const each of ['', ...directories]) fs.mkdirSync(path.join(directory, each), { recursive: true });
      try {
        const saver = await contender.open(directory);
        const opened = { name: contender.name, directory, saver };
        this.#open.push(opened);
        open.push(opened);
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        this.miss(contender.name, error.message);
      }
    }
    return open;
  }

  async close(): Promise<void> {
    for (const { saver } of this.#open.splice(0)) await saver.close();
  }
}
