/** What became slower since other results, beyond what one run differs from the next by itself. */

import { eventLoopDelay, probeContender } from './measurement.js';
import { findSeries, type Results, resultsFormat, type SeriesResult } from './results.js';

/** Less than this nobody notices, however certain it is. */
const shareMin = 0.05;

export interface Change {
  readonly series: SeriesResult;
  readonly before: SeriesResult;
  /** New in units of old. */
  readonly ratio: number;
}

export interface Comparison {
  readonly slower: readonly Change[];
  readonly faster: readonly Change[];
  readonly compared: number;
  /** What makes the two hard to compare. */
  readonly remarks: readonly string[];
}

/**
 * Slower is what lies apart: the lowest that any new run's median may be is above the highest that any old one's may be, by
 * 95 % intervals. Of five runs on either side, all of one lie above all of the other by chance in one of 252 comparisons.
 */
export function compare(before: Results, after: Results): Comparison {
  const slower: Change[] = [];
  const faster: Change[] = [];
  let compared = 0;
  for (const series of after.series) {
    if (series.contender === probeContender || series.measure === eventLoopDelay) continue;
    const old = findSeries(before.series, series);
    if (old === undefined) continue;
    compared += 1;
    const change = { series, before: old, ratio: series.p50 / old.p50 };
    if (lowest(series) > highest(old) && change.ratio > 1 + shareMin) slower.push(change);
    if (highest(series) < lowest(old) && change.ratio < 1 - shareMin) faster.push(change);
  }
  const byRatio = (one: Change, other: Change): number => other.ratio - one.ratio;
  return {
    slower: slower.toSorted(byRatio),
    faster: faster.toSorted(byRatio).toReversed(),
    compared,
    remarks: remarksOn(before, after),
  };
}

const lowest = ({ runs }: SeriesResult): number =>
  Math.min(...runs.map(({ p50Interval }) => p50Interval.low));
const highest = ({ runs }: SeriesResult): number =>
  Math.max(...runs.map(({ p50Interval }) => p50Interval.high));

function remarksOn(before: Results, after: Results): string[] {
  const remarks: string[] = [];
  for (const key of ['node', 'platform', 'cpu', 'cores'] as const) {
    const [old, now] = [before.environment[key], after.environment[key]];
    if (old !== now) remarks.push(`${key}: ${old} before, ${now} now`);
  }
  if (before.quick || after.quick) remarks.push('one of the two is a quick run: its figures mean nothing');
  for (const [place, fileSystem] of Object.entries(after.places)) {
    const old = before.places[place as keyof typeof before.places];
    if (old !== undefined && old !== fileSystem) remarks.push(`${place}: ${old} before, ${fileSystem} now`);
  }
  for (const series of after.series) {
    const old = series.contender === probeContender ? findSeries(before.series, series) : undefined;
    if (old === undefined || series.scenario === 'growth') continue;
    const apart = lowest(series) > highest(old) || highest(series) < lowest(old);
    const ratio = series.p50 / old.p50;
    if (apart && Math.abs(ratio - 1) > shareMin) {
      remarks.push(
        `${series.place}, ${series.scenario}: a flush of the disk itself takes ${ratio.toFixed(2)} × as long`,
      );
    }
  }
  return remarks;
}

/** Throws if it is not what this harness writes. */
export function parseResults(text: string): Results {
  const results = JSON.parse(text) as Partial<Results> | null;
  if (results?.format !== resultsFormat || !Array.isArray(results.series)) {
    throw new Error(`these are no results of format ${resultsFormat}`);
  }
  return results as Results;
}
