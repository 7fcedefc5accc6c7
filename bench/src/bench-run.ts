/** All runs of all scenarios on all places, one after the other, and what they come to. */

import fs from 'node:fs';
import path from 'node:path';
import { Random } from '@forewrit/testkit/random';
import { judge } from './check.js';
import { namedContenders } from './contenders/index.js';
import { compileLimit, limit, limitProgramVariable } from './contenders/limit.js';
import { describeEnvironment } from './environment.js';
import type { RunOfScenario } from './measurement.js';
import { measureInProcess } from './measuring-process.js';
import { installPeers, peersOff } from './peers.js';
import {
  describePlace,
  type Place,
  type PlaceName,
  placeNames,
  preparePlace,
  workDirectory,
} from './places.js';
import { type Failure, type Results, resultsFormat, summarise } from './results.js';
import type { Scenario } from './scenario.js';
import type { Terminal } from './terminal.js';

export interface BenchOptions {
  readonly scenarios: readonly Scenario[];
  /** Of each scenario; by default as many as it says itself. */
  readonly runs?: number;
  /** By default each scenario is measured where it says itself. */
  readonly places?: readonly PlaceName[];
  readonly quick: boolean;
  readonly seed: number;
  readonly peers: boolean;
  /** Where the stores and the images of file systems are made, and what was compiled is kept. */
  readonly directory: string;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

interface Task {
  readonly place: Place;
  readonly scenario: Scenario;
  /** From one. */
  readonly run: number;
  readonly runs: number;
}

export async function runBench(options: BenchOptions): Promise<Results> {
  const { directory, terminal, quick, seed } = options;
  const missing: Record<string, string> = {};
  const env = prepareEnvironment(options, missing);
  const environment = describeEnvironment();
  const work = workDirectory(directory);
  try {
    const { places, skipped } = preparePlaces(options, work);
    for (const [name, reason] of Object.entries(skipped)) terminal.say(`${name} is skipped: ${reason}`);
    const measured = await measureAll(options, { tasks: tasksOf(options, places), env });
    const series = [];
    const fileSystems: Partial<Record<PlaceName, string>> = {};
    for (const group of measured.groups) {
      series.push(...summarise(group, seed));
      for (const run of group.runs) Object.assign(missing, run.missing);
      fileSystems[group.place] = describePlace(group.place, group.runs[0]!.fileSystem);
    }
    return {
      format: resultsFormat,
      date: new Date().toISOString(),
      quick,
      seed,
      environment,
      places: fileSystems,
      skipped,
      failures: measured.failures,
      missing,
      contenders: Object.fromEntries(
        namedContenders.map(({ name, guarantees, setting }) => [name, { guarantees, setting }]),
      ),
      series,
      verdicts: quick ? [] : judge({ series, missing }),
    };
  } finally {
    terminal.progress('');
    fs.rmSync(work, { recursive: true, force: true, maxRetries: 3 });
  }
}

function prepareEnvironment(
  { peers, directory, terminal }: BenchOptions,
  missing: Record<string, string>,
): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env };
  if (peers) {
    const reason = installPeers((text) => terminal.say(text));
    if (reason !== undefined) terminal.say(`The packages to compare with could not be installed. ${reason}`);
  } else env[peersOff] = '1';
  const compiled = compileLimit(path.join(directory, 'cache'));
  if ('program' in compiled) env[limitProgramVariable] = compiled.program;
  else missing[limit.name] = compiled.reason;
  return env;
}

function preparePlaces(
  { places: wanted = placeNames, scenarios, places: asked }: BenchOptions,
  work: string,
): { readonly places: readonly Place[]; readonly skipped: Partial<Record<PlaceName, string>> } {
  const places: Place[] = [];
  const skipped: Partial<Record<PlaceName, string>> = {};
  for (const name of wanted) {
    // No need to make what nobody is measured on.
    if (asked === undefined && name !== 'plain' && !scenarios.some(({ everywhere }) => everywhere)) continue;
    const place = preparePlace(name, path.join(work, name));
    if ('reason' in place) skipped[name] = place.reason;
    else places.push(place);
  }
  return { places, skipped };
}

/** All first runs come before all second ones, so that the runs of a scenario are as far apart as can be. */
function tasksOf(
  { scenarios, runs: asked, places: chosen, quick }: BenchOptions,
  places: readonly Place[],
): Task[] {
  const tasks: Task[] = [];
  const runsOf = (scenario: Scenario): number => asked ?? (quick ? 1 : scenario.runs);
  const most = Math.max(...scenarios.map(runsOf));
  for (let run = 1; run <= most; run += 1) {
    for (const place of places) {
      for (const scenario of scenarios) {
        const runs = runsOf(scenario);
        const wanted = scenario.everywhere || place.name === 'plain' || chosen !== undefined;
        if (wanted && run <= runs) tasks.push({ place, scenario, run, runs });
      }
    }
  }
  return tasks;
}

interface Group {
  readonly place: PlaceName;
  readonly scenario: string;
  readonly runs: RunOfScenario[];
}

async function measureAll(
  { terminal, signal, seed, quick }: BenchOptions,
  { tasks, env }: { readonly tasks: readonly Task[]; readonly env: NodeJS.ProcessEnv },
): Promise<{ readonly groups: readonly Group[]; readonly failures: readonly Failure[] }> {
  const random = new Random(seed);
  const groups = new Map<string, Group>();
  const failures: Failure[] = [];
  for (const [index, { place, scenario, run, runs }] of tasks.entries()) {
    const title = `[${index + 1}/${tasks.length}] ${scenario.name} on ${place.name}, run ${run} of ${runs}`;
    terminal.progress(title);
    try {
      const result = await measureInProcess({
        request: {
          scenario: scenario.name,
          directory: path.join(place.directory, `${scenario.name}-${run}`),
          quick,
          seed: random.next32(),
        },
        under: place.under,
        env,
        signal,
        onProgress: (text) => terminal.progress(`${title}: ${text}`),
      });
      const key = `${place.name} ${scenario.name}`;
      const group = groups.get(key) ?? { place: place.name, scenario: scenario.name, runs: [] };
      group.runs.push(result);
      groups.set(key, group);
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      terminal.say(`${title}: ${reason}`);
      failures.push({ place: place.name, scenario: scenario.name, reason });
    }
  }
  return { groups: [...groups.values()], failures };
}
