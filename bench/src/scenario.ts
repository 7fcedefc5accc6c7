/** One thing to measure. It runs in a process of its own, as often as there are runs. */

import type { Random } from '@forewrit/testkit';
import type { Contender, Saver } from './contenders/contender.js';
import type { Series } from './measurement.js';

export interface World {
  /** Empty, on the file system that is measured, and removed afterwards. */
  readonly directory: string;
  /** Only to see that it works: the figures mean nothing. */
  readonly quick: boolean;
  readonly random: Random;
  progress(text: string): void;
  /** Notes that somebody cannot take part. */
  miss(contender: string, reason: string): void;
  /** Those that can be had here, open on a directory of their own; the others are noted as missing. Closed by the world. */
  open(contenders: readonly Contender[], options?: OpenOptions): Promise<OpenContender[]>;
}

export interface OpenOptions {
  /** Directories that are there before the first save, as they would be in a running program. */
  readonly directories?: readonly string[];
}

export interface OpenContender {
  readonly name: string;
  readonly directory: string;
  readonly saver: Saver;
}

export interface Scenario {
  readonly name: string;
  /** For the head of a table. */
  readonly title: string;
  /** What is done and what is counted, for those who read the figures. */
  readonly about: string;
  /** Processes whose medians are compared, where `--runs` says nothing. */
  readonly runs: number;
  /** Measured on every file system by default, or only on the disk the project is on. */
  readonly everywhere: boolean;
  /** Cases side by side, or along an axis of this title. */
  readonly plot: 'bars' | { readonly axis: string; readonly measure: string; readonly logarithmic?: boolean };
  /** Cases that tables leave out; plots and the raw results have them. */
  readonly leaveOut?: (title: string) => boolean;
  measure(world: World): Promise<readonly Series[]>;
}
