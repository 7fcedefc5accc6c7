/** The results as tables, whatever they are printed with: one for each scenario, place and measure. */

import { type Guarantees, guaranteeNames } from '../contenders/contender.js';
import { probeContender } from '../measurement.js';
import type { PlaceName } from '../places.js';
import type { Results, SeriesResult } from '../results.js';
import type { Scenario } from '../scenario.js';
import { scenarios } from '../scenarios/index.js';
import { formatFigure, formatRatio, unitTitles } from './figures.js';

export interface CaseTable {
  readonly scenario: Scenario;
  readonly place: PlaceName;
  readonly measure: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const letters: Readonly<Record<keyof Guarantees, string>> = {
  durable: 'D',
  fileAtomic: 'F',
  setAtomic: 'S',
  plainFiles: 'P',
  multiProcess: 'M',
};

export const guaranteeKeys = Object.keys(guaranteeNames) as readonly (keyof Guarantees)[];

export const legend = guaranteeKeys.map((key) => `${letters[key]} ${guaranteeNames[key]}`).join(', ');

function lettersOf(guarantees: Guarantees | undefined): string {
  if (guarantees === undefined) return '';
  return guaranteeKeys.map((key) => (guarantees[key] ? letters[key] : '·')).join('');
}

export function caseTables(results: Results): CaseTable[] {
  const tables: CaseTable[] = [];
  for (const scenario of scenarios) {
    for (const place of Object.keys(results.places) as PlaceName[]) {
      const shown = results.series.filter(
        (each) =>
          each.scenario === scenario.name && each.place === place && scenario.leaveOut?.(each.case) !== true,
      );
      for (const measure of new Set(shown.map((each) => each.measure))) {
        const rows = shown.filter((each) => each.measure === measure && !isDiskProbe(each));
        if (rows.length > 0) tables.push(tableOf({ scenario, place, measure }, rows, results));
      }
    }
  }
  return tables;
}

/** Growth shows its probes beside its saves; elsewhere they are for comparing two results. */
function isDiskProbe({ contender, scenario }: SeriesResult): boolean {
  return contender === probeContender && scenario !== 'growth';
}

function tableOf(
  about: Pick<CaseTable, 'scenario' | 'place' | 'measure'>,
  series: readonly SeriesResult[],
  results: Results,
): CaseTable {
  const withRatio = series.some(({ forewritRatio }) => forewritRatio !== undefined);
  const unit = unitTitles[series[0]!.unit];
  const head = [
    'case',
    'contender',
    'gives',
    `p50, ${unit}`,
    'p95',
    'p99',
    ...(withRatio ? ['Forewrit takes, × its time'] : []),
  ];
  const rows = series.map((each, index) => [
    series[index - 1]?.case === each.case ? '' : each.case,
    each.contender,
    lettersOf(results.contenders[each.contender]?.guarantees),
    ...[each.p50, each.p95, each.p99].map(formatFigure),
    ...(withRatio ? [each.forewritRatio === undefined ? '' : formatRatio(each.forewritRatio)] : []),
  ]);
  return { ...about, head, rows };
}
