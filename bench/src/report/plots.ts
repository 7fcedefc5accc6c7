/** One picture for each scenario, as SVG, drawn without a browser. */

import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Guarantees } from '../contenders/contender.js';
import { probeContender, reference } from '../measurement.js';
import { placeNames } from '../places.js';
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

function barsOf(scenario: Scenario, series: readonly SeriesResult[], results: Results): TopLevelSpec {
  const measure = series.some((each) => each.measure === 'time') ? 'time' : series[0]!.measure;
  const ofMeasure = series.filter((each) => each.measure === measure);
  const isCrowded = distinct(ofMeasure, 'case').some(
    (name) =>
      distinct(
        ofMeasure.filter((each) => each.case === name),
        'contender',
      ).length > fewContenders,
  );
  if (isCrowded) return barsOfContenders(scenario, ofMeasure, results);
  return barsOfCases(
    scenario,
    series.filter(({ unit }) => unit === ofMeasure[0]!.unit),
  );
}

/** A picture in the picture for each case, coloured by what can be relied on. */
function barsOfContenders(
  { title }: Scenario,
  series: readonly SeriesResult[],
  { contenders }: Results,
): TopLevelSpec {
  const cases = distinct(series, 'case');
  const values = series.map(({ place, case: name, contender, p50 }) => {
    return { place, case: name, contender, p50, class: classOf(contenders[contender]?.guarantees) };
  });
  const row = { field: 'case', type: 'nominal', title: null, sort: cases, header: rowHeader };
  return {
    ...common,
    title,
    data: { values },
    mark: 'bar',
    encoding: {
      x: p50Of(series),
      y: {
        field: 'contender',
        type: 'nominal',
        sort: Object.keys(contenders),
        title: null,
        axis: wholeLabels,
      },
      color: {
        field: 'class',
        type: 'nominal',
        title: null,
        scale: { domain: [...classes], range: colors },
        legend: wholeLabels,
      },
      column: placeColumn,
      ...(cases.length > 1 ? { row } : {}),
    },
    resolve: { scale: { x: 'independent' } },
  } as TopLevelSpec;
}

/** All cases in one picture: they are mostly Forewrit's own. */
function barsOfCases({ title }: Scenario, series: readonly SeriesResult[]): TopLevelSpec {
  const values = series.map((each) => ({ place: each.place, label: labelOf(each), p50: each.p50 }));
  const order = [...new Set(values.map(({ label }) => label))];
  return {
    ...common,
    title,
    data: { values },
    mark: 'bar',
    encoding: {
      x: p50Of(series),
      y: { field: 'label', type: 'nominal', sort: order, title: null, axis: wholeLabels },
      column: placeColumn,
    },
    resolve: { scale: { x: 'independent' } },
  } as TopLevelSpec;
}

const wholeLabels = { labelLimit: 0 };
const rowHeader = { labelAngle: 0, labelOrient: 'top', labelAnchor: 'start', labelAlign: 'left' };
const placeColumn = { field: 'place', type: 'nominal', title: null, sort: placeNames };

function p50Of(series: readonly SeriesResult[]): object {
  return { field: 'p50', type: 'quantitative', title: `p50, ${unitTitles[series[0]!.unit]}` };
}

function distinct(series: readonly SeriesResult[], key: 'case' | 'contender'): string[] {
  return [...new Set(series.map((each) => each[key]))];
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
      y: { ...p50Of(shown), scale },
      color: {
        field: 'contender',
        type: 'nominal',
        title: null,
        sort: Object.keys(results.contenders),
        scale: { scheme: 'category20' },
        legend: wholeLabels,
      },
      column: placeColumn,
    },
  } as TopLevelSpec;
}
