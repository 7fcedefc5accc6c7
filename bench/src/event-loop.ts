/** How long a program's own work waits while somebody saves: the delay of the event loop beyond what was asked for. */

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

const resolutionMs = 1;
const quantiles = 1000;

/** Watches only while its contender is at work. */
export class EventLoopWatch {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });

  async during<T>(action: () => Promise<T>): Promise<T> {
    this.#histogram.enable();
    try {
      const result = await action();
      // Whoever never let go of the loop is noticed at the first tick after it.
      await delay(2 * resolutionMs);
      return result;
    } finally {
      this.#histogram.disable();
    }
  }

  /** As if a thousand had been picked, evenly from the shortest to the longest. The histogram counts the interval itself. */
  get samples(): number[] {
    if (this.#histogram.count === 0) return [0];
    return Array.from({ length: quantiles }, (_, index) => {
      const delayMs = this.#histogram.percentile(((index + 0.5) / quantiles) * 100) / 1e6 - resolutionMs;
      return Math.max(0, delayMs);
    });
  }
}
