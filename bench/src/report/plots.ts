/** One picture for each scenario, as SVG, drawn without a browser. */

import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Guarantees } from '../contenders/contender.js';
import { probeContender, reference } from '../measurement.js';
import type { Results, SeriesResult } from '../results.js';
import type { Scenario } from '../scenario.js';
import { scenarios } from '../scenarios/index.js';
import { unitTitles } from './figures.js';

const classes = ['all or nothing, durable', 'each file, durable', 'durable only', 'not durable'] as const;
const colors = ['#1b7837', '#4575b4', '#fdae61', '#d73027'];
/** As many contenders in each case at most are shown as bars of one picture; more, and each case has its own. */
const fewContenders = 2;

/** By the name of the scenario. */
export async function plotsOf(results: Results): Promise<Map<string, string>> {
  const plots = new Map<string, string>();
  for (const scenario of scenarios) {
    const series = results.series.filter(
      (each) => each.scenario === scenario.name && each.contender !== probeContender,
    );
    if (series.length === 0) continue;
    const spec =
      scenario.plot === 'bars' ? barsOf(scenario, series, results) : linesOf(scenario, series, results);
    plots.set(scenario.name, await asSvg(spec));
  }
  return plots;
}

async function asSvg(spec: TopLevelSpec): Promise<string> {
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

function classOf(guarantees: Guarantees | undefined): (typeof classes)[number] {
  if (guarantees?.durable !== true) return 'not durable';
  if (guarantees.setAtomic) return 'all or nothing, durable';
  return guarantees.fileAtomic ? 'each file, durable' : 'durable only';
}

const common = { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', background: 'white' } as const;

function barsOf({ title }: Scenario, series: readonly SeriesResult[], results: Results): TopLevelSpec {
  const measure = series.some((each) => each.measure === 'time') ? 'time' : series[0]!.measure;
  const ofMeasure = series.filter((each) => each.measure === measure);
  const isCrowded = [...new Set(ofMeasure.map((each) => each.case))].some(
    (name) =>
      new Set(ofMeasure.filter((each) => each.case === name).map((each) => each.contender)).size >
      fewContenders,
  );
  const shown = isCrowded ? ofMeasure : series.filter(({ unit }) => unit === ofMeasure[0]!.unit);
  const values = shown.map((each) => ({
    place: each.place,
    case: each.case,
    label: isCrowded ? each.contender : labelOf(each),
    p50: each.p50,
    class: classOf(results.contenders[each.contender]?.guarantees),
  }));
  const known = Object.keys(results.contenders);
  const order = isCrowded
    ? [...new Set(values.map(({ label }) => label))].toSorted(
        (one, other) => rank(known, one) - rank(known, other),
      )
    : [...new Set(values.map(({ label }) => label))];
  return {
    ...common,
    title,
    data: { values },
    mark: { type: 'bar', tooltip: false },
    encoding: {
      x: { field: 'p50', type: 'quantitative', title: `p50, ${unitTitles[shown[0]!.unit]}` },
      y: { field: 'label', type: 'nominal', sort: order, title: null, axis: { labelLimit: 400 } },
      ...(isCrowded
        ? {
            color: {
              field: 'class',
              type: 'nominal',
              title: null,
              scale: { domain: [...classes], range: colors },
            },
          }
        : {}),
      ...(isCrowded
        ? { row: { field: 'case', type: 'nominal', title: null, sort: null, header: headerRow } }
        : {}),
      column: { field: 'place', type: 'nominal', title: null, sort: null },
    },
    resolve: { scale: { x: 'independent' } },
  } as TopLevelSpec;
}

const headerRow = { labelAngle: 0, labelAlign: 'left', labelOrient: 'top' };

function rank(known: readonly string[], name: string): number {
  const place = known.indexOf(name);
  return place === -1 ? known.length : place;
}

function labelOf({ case: title, contender, measure }: SeriesResult): string {
  const parts = [
    title,
    ...(contender === reference ? [] : [contender]),
    ...(measure === 'time' ? [] : [measure]),
  ];
  return parts.join(': ');
}

function linesOf({ title, plot }: Scenario, series: readonly SeriesResult[], results: Results): TopLevelSpec {
  if (plot === 'bars') throw new Error('bars are no lines');
  const shown = series.filter((each) => each.measure === plot.measure && each.x !== undefined);
  const values = shown.map(({ place, contender, x, p50 }) => ({ place, contender, x, p50 }));
  const scale = plot.logarithmic === true ? { type: 'log' } : { zero: true };
  const ticks = plot.logarithmic === true ? { axis: { values: [...new Set(shown.map(({ x }) => x))] } } : {};
  return {
    ...common,
    title,
    data: { values },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'x', type: 'quantitative', scale, title: plot.axis, ...ticks },
      y: { field: 'p50', type: 'quantitative', scale, title: `p50, ${unitTitles[shown[0]!.unit]}` },
      color: {
        field: 'contender',
        type: 'nominal',
        title: null,
        sort: Object.keys(results.contenders),
        scale: { scheme: 'category20' },
      },
      column: { field: 'place', type: 'nominal', title: null, sort: null },
    },
  } as TopLevelSpec;
}
