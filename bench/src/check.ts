/** Compares what was measured with what is promised. */

import { type Figure, type Limit, limits, placesChecked } from './limits.js';
import type { PlaceName } from './places.js';
import { findSeries, type SeriesResult } from './results.js';
import { median } from './statistics.js';

export type Verdict = {
  readonly scenario: string;
  readonly place: PlaceName;
  readonly title: string;
  readonly atMost: number;
} & (
  | { readonly status: 'within' | 'missed'; readonly value: number }
  /** Nobody knows: that is not the same as within. */
  | { readonly status: 'not measured'; readonly reason: string }
);

export interface Measured {
  readonly series: readonly SeriesResult[];
  readonly missing: Readonly<Record<string, string>>;
}

/** One verdict for each limit of the scenarios that ran, on each place where it counts. */
export function judge(measured: Measured, table: readonly Limit[] = limits): Verdict[] {
  return placesChecked.flatMap((place) =>
    table
      .filter(({ scenario }) =>
        measured.series.some((each) => each.scenario === scenario && each.place === place),
      )
      .map((limit) => judgeOne(measured, limit, place)),
  );
}

function judgeOne({ series, missing }: Measured, limit: Limit, place: PlaceName): Verdict {
  const { scenario, title, atMost, percentile } = limit;
  const about = { scenario, place, title, atMost };
  const find = (figure: Figure): SeriesResult | undefined =>
    findSeries(series, { place, scenario, ...figure });
  const ours = find(limit.ours);
  const theirs = limit.theirs === undefined ? undefined : find(limit.theirs);
  for (const [figure, found] of [[limit.ours, ours] as const, [limit.theirs, theirs] as const]) {
    if (figure === undefined || found !== undefined) continue;
    const reason =
      missing[figure.contender] ?? `no ${figure.measure} of ${figure.contender} for '${figure.case}'`;
    return { ...about, status: 'not measured', reason };
  }
  // Run by run: what is compared was measured in one process.
  const values = ours!.runs.map((run, index) =>
    theirs === undefined
      ? run[percentile]
      : run[percentile] / (theirs.runs[index]?.[percentile] ?? Number.NaN),
  );
  const value = median(values);
  return { ...about, status: value <= atMost ? 'within' : 'missed', value };
}
