/**
 * The demo: a process saves a set of four files again and again and is killed with SIGKILL at random moments; after each
 * kill the set is looked at. Both methods get the same content, the same pauses and the same looks.
 */

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '@forewrit/recovery';
import { type Method, methods } from './method.js';
import { observe } from './observation.js';
import { SaverProcess } from './saver-process.js';

export interface DemoOptions {
  /** Of each method. */
  readonly kills: number;
  /** No kill begins after this. */
  readonly limitMs: number;
  readonly signal?: AbortSignal;
  readonly progress?: (progress: { readonly method: Method; readonly kills: number }) => void;
}

export interface DemoResult {
  /** Saves that had resolved before a kill. */
  readonly acknowledgedSaves: number;
  readonly kills: number;
  /** Kills after which the files were of several versions, or not whole. */
  readonly mixedSets: number;
  /** Files that were empty, cut off or missing, in all. */
  readonly tornFiles: number;
  /** Kills after which an acknowledged save was not there any more, nor a newer one in its place. */
  readonly lostSaves: number;
  /** From the call of `openStore` to an open, recovered store; absent where nothing recovers. */
  readonly recovery?: {
    readonly medianMs: number;
    readonly maxMs: number;
    /** Transactions that recovery carried out, and that it swept away. */
    readonly redone: number;
    readonly undone: number;
  };
}

export type DemoReport = Readonly<Record<Method, DemoResult>>;

/** The kill comes at a random moment within this time after the first acknowledged save. */
const killWithinMs = 100;

export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  const directory = mkdtempSync(join(tmpdir(), 'forewrit-demo-'));
  // A method's share of the time: the second one may use what the first one left.
  const deadlineMs = performance.now() + options.limitMs;
  try {
    const results: Partial<Record<Method, DemoResult>> = {};
    let { kills } = options;
    for (const [index, method] of methods.entries()) {
      const leftMs = deadlineMs - performance.now();
      const shareMs = leftMs / (methods.length - index);
      const place = join(directory, method);
      mkdirSync(place);
      const run = new MethodRun(method, place, { ...options, kills });
      const result = await run.run(performance.now() + shareMs);
      results[method] = result;
      // Where time was short, both get as many.
      kills = result.kills;
    }
    return results as DemoReport;
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

class MethodRun {
  readonly #method: Method;
  readonly #directory: string;
  readonly #options: DemoOptions;
  /** Starting a process takes longer than all else: the next one starts while this one saves. */
  #next: SaverProcess;
  #nextVersion = 1;
  #acknowledgedSaves = 0;
  #kills = 0;
  #mixedSets = 0;
  #tornFiles = 0;
  #lostSaves = 0;
  #redone = 0;
  #undone = 0;
  readonly #recoveriesMs: number[] = [];

  constructor(method: Method, directory: string, options: DemoOptions) {
    this.#method = method;
    this.#directory = directory;
    this.#options = options;
    this.#next = this.#start();
  }

  async run(deadlineMs: number): Promise<DemoResult> {
    const { kills, progress } = this.#options;
    try {
      while (this.#kills < kills && (this.#kills === 0 || performance.now() < deadlineMs)) {
        progress?.({ method: this.#method, kills: this.#kills });
        await this.#killOnce();
      }
    } finally {
      await this.#next.end();
    }
    return {
      acknowledgedSaves: this.#acknowledgedSaves,
      kills: this.#kills,
      mixedSets: this.#mixedSets,
      tornFiles: this.#tornFiles,
      lostSaves: this.#lostSaves,
      ...(this.#recoveriesMs.length === 0 ? {} : { recovery: this.#recovery() }),
    };
  }

  async #killOnce(): Promise<void> {
    const { signal } = this.#options;
    const saver = this.#next;
    const end = (): void => void saver.end();
    signal?.addEventListener('abort', end);
    try {
      signal?.throwIfAborted();
      this.#next = this.#start();
      await saver.saveFrom(this.#nextVersion);
      await pause(Math.random() * killWithinMs);
      signal?.throwIfAborted();
      await saver.kill();
    } catch (error) {
      // Ended by us, not by itself.
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', end);
      await saver.end();
    }
    this.#kills += 1;
    this.#acknowledgedSaves += saver.count;
    if (this.#method === 'forewrit') await this.#recover();
    this.#look(saver.acknowledged);
  }

  async #recover(): Promise<void> {
    const startedMs = performance.now();
    const store = await openStore(this.#directory, { committer: 'inline' });
    this.#recoveriesMs.push(performance.now() - startedMs);
    this.#redone += store.recovery.redone.length;
    this.#undone += store.recovery.undone.length;
    await store.close();
    this.#assertSwept();
  }

  /** What recovery and an orderly close leave behind in the staging areas: nothing. */
  #assertSwept(): void {
    for (const area of ['staged', 'before', 'conflicts']) {
      const left = readdirSync(join(this.#directory, '.forewrit', area));
      if (left.length > 0) throw new Error(`Recovery left something in '${area}': ${left.join(', ')}`);
    }
  }

  #look(acknowledged: number): void {
    const observed = observe(this.#directory, acknowledged);
    if (observed.mixed) this.#mixedSets += 1;
    if (observed.lost) this.#lostSaves += 1;
    this.#tornFiles += observed.torn;
    this.#nextVersion = Math.max(acknowledged, observed.newest) + 1;
  }

  #start(): SaverProcess {
    return new SaverProcess(this.#method, this.#directory);
  }

  #recovery(): NonNullable<DemoResult['recovery']> {
    const sorted = this.#recoveriesMs.toSorted((a, b) => a - b);
    return {
      medianMs: sorted[Math.floor(sorted.length / 2)]!,
      maxMs: sorted.at(-1)!,
      redone: this.#redone,
      undone: this.#undone,
    };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
