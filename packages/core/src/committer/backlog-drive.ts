/**
 * Makes durable what a recovery has put in place, a few transactions at a time, while the store is in use. Nothing waits
 * for it but a checkpoint, and whoever recovers next begins with what is left.
 */

import type { RecoveryBacklog, RecoveryReport } from './recoverer.js';
import { waitAtMost } from './wait-at-most.js';

const keepAliveMs = 60_000;

type Piece = () => Promise<RecoveryReport | undefined>;

export interface BacklogDriveOptions {
  /** Runs one piece of it; what it throws ends all of it. */
  readonly run: (piece: Piece) => ReturnType<Piece>;
  readonly onEnd: (report: RecoveryReport) => void;
  readonly onError: (error: unknown) => void;
}

export class BacklogDrive {
  readonly #options: BacklogDriveOptions;
  #backlog: RecoveryBacklog | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: BacklogDriveOptions) {
    this.#options = options;
  }

  /** Takes the place of what is under way: a later recovery has found all that is left. */
  begin(backlog: RecoveryBacklog): void {
    this.#backlog = backlog;
    if (this.#running !== undefined) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
    this.#running.catch(this.#options.onError);
  }

  /** Whether all of it is durable; `false` if it was stopped before. Rejects with what keeps it from that. */
  async done(): Promise<boolean> {
    if (this.#running === undefined) return this.#backlog === undefined;
    // Whoever waits is not idle.
    const alive = setInterval(() => undefined, keepAliveMs);
    try {
      await this.#running;
    } finally {
      clearInterval(alive);
    }
    return this.#backlog === undefined;
  }

  /**
   * Goes on for so long, and then begins nothing more. A program that opens and closes its store again and again would
   * otherwise never come to the end of it.
   */
  async stopAfter(ms: number): Promise<void> {
    // `begin` tells what it fails with.
    const running = this.#running?.catch(() => undefined);
    if (running !== undefined && ms > 0) await waitAtMost(running, ms);
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    try {
      while (this.#backlog !== undefined) {
        const backlog = this.#backlog;
        await turn();
        if (this.#stopped) return;
        const report = await this.#options.run(() => backlog.next(() => !this.#stopped));
        if (report === undefined || this.#stopped) continue;
        this.#options.onEnd(report);
        if (backlog === this.#backlog) this.#backlog = undefined;
      }
    } catch (error) {
      // The log may be closed by now.
      if (this.#stopped) return;
      this.#backlog = undefined;
      throw error;
    }
  }
}

/** Commits come in between. It keeps no process alive, and so is a timer: what else is unrefed wakes no idle event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0).unref();
  });
}
