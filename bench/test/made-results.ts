/** Results as a run of the harness would have them, made of samples. */

import type { Series } from '#src/measurement.js';
import { type Results, resultsFormat, summarise } from '#src/results.js';

/** Samples by contender, of one case, one list for each run. */
export type Samples = Readonly<Record<string, readonly (readonly number[])[]>>;

export interface MadeOptions {
  readonly scenario?: string;
  readonly case?: string;
  readonly measure?: string;
}

export function madeResults(
  samples: Samples,
  { scenario = 'save', case: title = 'one writer', measure = 'time' }: MadeOptions = {},
): Results {
  const runCount = Math.max(...Object.values(samples).map((runs) => runs.length));
  const runs = Array.from({ length: runCount }, (_, run) => ({
    series: Object.entries(samples).map(
      ([contender, ofRuns]): Series => ({
        case: title,
        contender,
        measure,
        unit: 'ms',
        samples: ofRuns[run]!,
      }),
    ),
    missing: {},
    fileSystem: 'ext4, journalled',
  }));
  return {
    format: resultsFormat,
    date: '2026-01-01T00:00:00.000Z',
    quick: false,
    seed: 1,
    environment: {
      node: 'v20.19.0',
      platform: 'linux 6',
      cpu: 'a processor',
      cores: 2,
      memoryGiB: 4,
      loadBefore: [0, 0, 0],
      commit: 'abc',
      versions: {},
    },
    places: { plain: 'ext4, journalled' },
    skipped: {},
    failures: [],
    missing: {},
    contenders: Object.fromEntries(
      Object.keys(samples).map((name) => [
        name,
        {
          guarantees: {
            durable: true,
            fileAtomic: true,
            setAtomic: false,
            plainFiles: true,
            multiProcess: true,
          },
          setting: 'as it comes',
        },
      ]),
    ),
    series: summarise({ place: 'plain', scenario, runs }, 1),
    verdicts: [],
  };
}

/** So many samples around a centre, the same for every call. */
export function around(centre: number, count = 100): number[] {
  return Array.from({ length: count }, (_, index) => centre * (1 + ((index * 37) % count) / count / 10));
}
