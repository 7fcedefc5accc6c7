/**
 * Medians and percentiles; never means, which a single slow flush would own. What is uncertain is said with an interval:
 * of a median by its order statistics, of a ratio of medians by the bootstrap.
 */

import type { Random } from '@forewrit/testkit';

/** The value below which that share of the values lies: the nearest one, never one in between. */
export function percentile(values: readonly number[], share: number): number {
  return ofSorted(
    values.toSorted((one, other) => one - other),
    share,
  );
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

function ofSorted(sorted: ArrayLike<number>, share: number): number {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  if (value === undefined) throw new Error('no values');
  return value;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Of the median, at 95 %. */
  readonly p50Interval: Interval;
}

/** Standard deviations on either side that hold 95 %. */
const deviations = 1.96;

export function summaryOf(values: readonly number[]): Summary {
  const sorted = values.toSorted((one, other) => one - other);
  const { length } = sorted;
  // How many of the values lie below the true median is a coin thrown so many times.
  const spread = (deviations * Math.sqrt(length)) / 2;
  const at = (rank: number): number => sorted[Math.max(0, Math.min(length - 1, rank))]!;
  return {
    count: length,
    p50: ofSorted(sorted, 0.5),
    p95: ofSorted(sorted, 0.95),
    p99: ofSorted(sorted, 0.99),
    p50Interval: { low: at(Math.floor(length / 2 - spread)), high: at(Math.ceil(length / 2 + spread)) },
  };
}

export interface Ratio extends Interval {
  /** Median over the runs of the ratio of the medians of a run. */
  readonly value: number;
}

export interface RatioOptions {
  readonly random: Random;
  readonly draws?: number;
  readonly confidence?: number;
}

/**
 * How long one thing takes in units of another, and within what. Each run has one list of samples. Runs are drawn anew,
 * with replacement, and in each the rounds; where both sides have as many, a round is drawn for both, for what changes
 * with the machine's mood changes on both sides of a round.
 */
export function ratioOfMedians(
  ours: readonly (readonly number[])[],
  theirs: readonly (readonly number[])[],
  { random, draws = 400, confidence = 0.95 }: RatioOptions,
): Ratio {
  if (ours.length !== theirs.length || ours.length === 0) throw new Error('both sides need the same runs');
  const value = median(ours.map((samples, run) => median(samples) / median(theirs[run]!)));
  const drawn: number[] = [];
  for (let draw = 0; draw < draws; draw += 1) {
    const ratios: number[] = [];
    for (let slot = 0; slot < ours.length; slot += 1) {
      const run = random.below(ours.length);
      ratios.push(redrawnRatio(ours[run]!, theirs[run]!, random));
    }
    drawn.push(median(ratios));
  }
  const tail = (1 - confidence) / 2;
  return { value, low: percentile(drawn, tail), high: percentile(drawn, 1 - tail) };
}

function redrawnRatio(ours: readonly number[], theirs: readonly number[], random: Random): number {
  const [one, other] = [new Float64Array(ours.length), new Float64Array(theirs.length)];
  const paired = ours.length === theirs.length;
  for (let slot = 0; slot < one.length; slot += 1) {
    const round = random.below(one.length);
    one[slot] = ours[round]!;
    if (paired) other[slot] = theirs[round]!;
  }
  if (!paired)
    for (let slot = 0; slot < other.length; slot += 1) other[slot] = theirs[random.below(other.length)]!;
  return ofSorted(one.sort(), 0.5) / ofSorted(other.sort(), 0.5);
}
