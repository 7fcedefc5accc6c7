/** How long a program's own work waits while somebody saves: the delay of the event loop beyond what was asked for. */

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

export const resolutionMs = 1;

/** Watches only while its contender is at work. */
export class EventLoopWatch {
  readonly #samples: number[] = [];

  async during<T>(action: () => Promise<T>): Promise<T> {
    // A new one each time: one that is used again counts the pause as a delay.
    const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
    histogram.enable();
    try {
      // It counts from its first tick on, and whoever never lets go of the loop is noticed at the first one after it.
      await delay(2 * resolutionMs);
      const result = await action();
      await delay(2 * resolutionMs);
      return result;
    } finally {
      histogram.disable();
      this.#samples.push(...delaysIn(histogram));
    }
  }

  /** One for each tick, in milliseconds. */
  get samples(): readonly number[] {
    return this.#samples;
  }
}

/** A histogram has no list of what it has counted, but the values at that many percentiles are just that. */
function delaysIn(histogram: IntervalHistogram): number[] {
  const { count } = histogram;
  return Array.from({ length: count }, (_, index) => {
    // What it counts is the time from tick to tick.
    const betweenTicksMs = histogram.percentile(((index + 0.5) / count) * 100) / 1e6;
    return Math.max(0, betweenTicksMs - resolutionMs);
  });
}
