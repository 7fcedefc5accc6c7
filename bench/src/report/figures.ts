/** Numbers as people read them. */

import type { Unit } from '../measurement.js';
import type { Ratio } from '../statistics.js';

/** Three digits, and never an exponent. */
export function formatFigure(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value.toFixed(value >= 1 ? 2 : 3);
}

export function formatRatio({ value, low, high }: Ratio): string {
  return `${value.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

export const unitTitles: Readonly<Record<Unit, string>> = {
  ms: 'ms',
  MiB: 'MiB',
  probes: 'in flushes of the disk',
};
