/** What is printed at the end. */

import Table from 'cli-table3';
import type { Verdict } from '../check.js';
import type { Change, Comparison } from '../compare.js';
import type { Results } from '../results.js';
import { caseTables, legend } from './case-tables.js';
import { formatFigure } from './figures.js';

const noLines = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const printed = new Table({
    head: [...head],
    chars: noLines,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: head.map((_, index) => (right.includes(index) ? 'right' : 'left')),
  });
  printed.push(...rows.map((row) => [...row]));
  const lines = printed.toString().split('\n');
  return lines.map((line) => line.trimEnd()).join('\n');
}

export function resultsAsText(results: Results): string {
  const parts: string[] = [];
  if (results.quick) parts.push('A quick run: it shows that the harness works. Its figures mean nothing.');
  for (const each of caseTables(results)) {
    const where = results.places[each.place] ?? each.place;
    const title = `${each.scenario.name}, ${each.measure}, on ${each.place} (${where})`;
    parts.push(`${title}\n${table(each.head, each.rows, [3, 4, 5])}`);
  }
  parts.push(`gives: ${legend}`);
  const absent = [
    ...Object.entries(results.missing).map(([name, reason]) => [name, `missing: ${reason}`]),
    ...Object.entries(results.skipped).map(([name, reason]) => [name, `skipped: ${reason}`]),
    ...results.failures.map(({ place, scenario, reason }) => [
      `${scenario} on ${place}`,
      `failed: ${reason}`,
    ]),
  ];
  if (absent.length > 0) parts.push(table(['not measured', 'why'], absent));
  if (results.verdicts.length > 0) parts.push(verdictsAsText(results.verdicts));
  return `${parts.join('\n\n')}\n`;
}

export function verdictsAsText(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((verdict) => [
    verdict.status === 'missed' ? 'MISSED' : verdict.status,
    verdict.status === 'not measured' ? '' : formatFigure(verdict.value),
    `≤ ${formatFigure(verdict.atMost)}`,
    `${verdict.place}, ${verdict.scenario}`,
    verdict.status === 'not measured' ? `${verdict.title} (${verdict.reason})` : verdict.title,
  ]);
  const count = (status: Verdict['status']): number =>
    verdicts.filter((each) => each.status === status).length;
  const sum = `${count('within')} within, ${count('missed')} missed, ${count('not measured')} not measured`;
  return `${table(['verdict', 'is', 'limit', 'where', 'what'], rows, [1, 2])}\n${sum}`;
}

export function comparisonAsText({ slower, faster, compared, remarks }: Comparison): string {
  const parts = [`Compared: ${compared} figures`, ...remarks.map((remark) => `Mind that ${remark}`)];
  parts.push(changesAsText('Slower', slower), changesAsText('Faster', faster));
  return `${parts.join('\n')}\n`;
}

function changesAsText(title: string, changes: readonly Change[]): string {
  if (changes.length === 0) return `${title}: nothing beyond noise`;
  const rows = changes.map(({ series, before, ratio }) => [
    `${ratio.toFixed(2)} ×`,
    `${formatFigure(before.p50)} → ${formatFigure(series.p50)} ${series.unit}`,
    `${series.place}, ${series.scenario}`,
    `${series.case}, ${series.contender}, ${series.measure}`,
  ]);
  return `${title}:\n${table(['p50', 'from, to', 'where', 'what'], rows)}`;
}
