/**
 * The process that measures: one run of one scenario on one file system, and nothing else, so that a run finds neither the
 * memory nor the warm code of another. What it says are lines of JSON, for `measuring-process.ts`.
 */

import fs from 'node:fs';
import { describeFileSystem } from './environment.js';
import { probeContender, type RunOfScenario, type Series } from './measurement.js';
import { MeasuringWorld } from './measuring-world.js';
import { Probe } from './probe.js';
import { scenarios } from './scenarios/index.js';

export interface MeasureRequest {
  readonly scenario: string;
  readonly directory: string;
  readonly quick: boolean;
  readonly seed: number;
}

export type MeasureMessage =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'done'; readonly run: RunOfScenario };

export const probeCase = 'the disk itself';
const progressEveryMs = 100;

function say(message: MeasureMessage): void {
  // Pipes are written synchronously, except on Windows.
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function probeDisk(directory: string, flushes: number): Series {
  const probe = new Probe(directory);
  try {
    const samples = Array.from({ length: flushes }, () => probe.flush());
    return { case: probeCase, contender: probeContender, measure: 'time', unit: 'ms', samples };
  } finally {
    probe.close();
  }
}

async function measure({ scenario: name, directory, quick, seed }: MeasureRequest): Promise<RunOfScenario> {
  const scenario = scenarios.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario '${name}'`);
  fs.mkdirSync(directory, { recursive: true });
  let shownMs = 0;
  const world = new MeasuringWorld({
    directory,
    quick,
    seed,
    onProgress: (text) => {
      if (performance.now() - shownMs < progressEveryMs) return;
      shownMs = performance.now();
      say({ type: 'progress', text });
    },
  });
  const series = [probeDisk(directory, quick ? 10 : 200)];
  try {
    series.push(...(await scenario.measure(world)));
  } finally {
    await world.close();
  }
  const fileSystem = describeFileSystem(directory);
  // A file system that is only mounted here would be full after some runs.
  fs.rmSync(directory, { recursive: true, maxRetries: 3 });
  return { series, missing: world.missing, fileSystem };
}

const request = JSON.parse(process.argv[2] ?? '{}') as MeasureRequest;
say({ type: 'done', run: await measure(request) });
