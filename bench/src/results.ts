/** The results of a run of the harness, as they are saved: percentiles of every run, what they were taken on, who was missing. */

import { Random } from '@forewrit/testkit/random';
import type { Guarantees } from './contenders/contender.js';
import type { Environment } from './environment.js';
import { probeContender, reference, type RunOfScenario, type Unit } from './measurement.js';
import type { PlaceName } from './places.js';
import { median, type Ratio, ratioOfMedians, type Summary, summaryOf } from './statistics.js';
import type { Verdict } from './check.js';

export const resultsFormat = 1;

export interface SeriesKey {
  readonly place: PlaceName;
  readonly scenario: string;
  readonly case: string;
  readonly contender: string;
  readonly measure: string;
}

export interface SeriesResult extends SeriesKey {
  readonly unit: Unit;
  readonly x?: number;
  /** One for each run. */
  readonly runs: readonly Summary[];
  /** Medians over the runs. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Forewrit's time in units of this one's, where both were measured in turn. */
  readonly forewritRatio?: Ratio;
}

/** A run that did not come to its end. */
export interface Failure {
  readonly place: PlaceName;
  readonly scenario: string;
  readonly reason: string;
}

export interface Results {
  readonly format: typeof resultsFormat;
  readonly date: string;
  /** Only to see that it works. */
  readonly quick: boolean;
  readonly seed: number;
  readonly environment: Environment;
  readonly places: Readonly<Partial<Record<PlaceName, string>>>;
  /** Places that could not be had, and why. */
  readonly skipped: Readonly<Partial<Record<PlaceName, string>>>;
  readonly failures: readonly Failure[];
  /** Contenders that could not be had, and why. */
  readonly missing: Readonly<Record<string, string>>;
  readonly contenders: Readonly<
    Record<string, { readonly guarantees: Guarantees; readonly setting: string }>
  >;
  readonly series: readonly SeriesResult[];
  readonly verdicts: readonly Verdict[];
}

export interface ScenarioRuns {
  readonly place: PlaceName;
  readonly scenario: string;
  readonly runs: readonly RunOfScenario[];
}

/** Summarises each series over its runs, and compares everybody with the reference. */
export function summarise({ place, scenario, runs }: ScenarioRuns, seed: number): SeriesResult[] {
  const random = new Random(seed);
  const byKey = new Map<string, { samples: (readonly number[])[]; first: RunOfScenario['series'][number] }>();
  for (const run of runs) {
    for (const series of run.series) {
      const key = keyOf(series);
      const known = byKey.get(key) ?? { samples: [], first: series };
      known.samples.push(series.samples);
      byKey.set(key, known);
    }
  }
  return [...byKey.values()].map(({ samples, first }): SeriesResult => {
    const ours = byKey.get(keyOf({ ...first, contender: reference }))?.samples;
    const others = first.contender !== reference && first.contender !== probeContender;
    const comparable = others && first.measure === 'time' && ours?.length === samples.length;
    const summaries = samples.map(summaryOf);
    return {
      place,
      scenario,
      case: first.case,
      contender: first.contender,
      measure: first.measure,
      unit: first.unit,
      ...(first.x === undefined ? {} : { x: first.x }),
      runs: summaries,
      p50: median(summaries.map(({ p50 }) => p50)),
      p95: median(summaries.map(({ p95 }) => p95)),
      p99: median(summaries.map(({ p99 }) => p99)),
      ...(comparable ? { forewritRatio: ratioOfMedians(ours, samples, { random }) } : {}),
    };
  });
}

function keyOf(series: {
  readonly case: string;
  readonly contender: string;
  readonly measure: string;
}): string {
  return JSON.stringify([series.case, series.contender, series.measure]);
}

export function findSeries(series: readonly SeriesResult[], key: SeriesKey): SeriesResult | undefined {
  return series.find(
    (each) =>
      each.place === key.place &&
      each.scenario === key.scenario &&
      each.case === key.case &&
      each.contender === key.contender &&
      each.measure === key.measure,
  );
}
