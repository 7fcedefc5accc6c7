/**
 * `npm run torture`: crash enumeration for as long as one likes, on all cores, going on where it last stopped; the other
 * campaigns with real processes and real file systems, if asked for; and one schedule again.
 *
 * The choices of survivors at each crash point are numbered (`distinctChoice`); each visit to a scenario takes the next so
 * many of each point, so what is counted is different from all that was counted before, over all runs that share a state
 * file. Each lane is a process of its own. All lanes go through the same choices, and each image belongs to one of
 * them, by its fingerprint: so none is recovered by two.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type PersistenceModel, persistenceModels } from '@forewrit/testkit';
import { commandOf, crashFrom, type Schedule } from './schedule.js';
import { repeat, shrinkSchedule } from './shrink-schedule.js';
import { campaignNames, campaigns, runCampaign } from './torture-campaigns.js';
import { Lanes, serveIfLane } from './torture-lanes.js';
import { Progress } from './torture-progress.js';
import {
  add,
  newState,
  type Run,
  type Search,
  searchesOfNextPass,
  type State,
  sumOf,
  unitOf,
} from './torture-state.js';
import { summaryAsJson, summaryAsMarkdown } from './torture-summary.js';

const saveEveryMs = 2_000;
const tickMs = 1_000;
const directoryTimesOfTorture = { directoryTimes: false };

function options() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      resume: { type: 'boolean', default: false },
      directory: { type: 'string', default: '.torture' },
      campaign: { type: 'string', default: 'crash' },
      scenario: { type: 'string' },
      model: { type: 'string' },
      crash: { type: 'string', multiple: true },
      without: { type: 'string', multiple: true, default: [] },
      'directory-times': { type: 'boolean', default: false },
    },
  });
  const known = ['crash', ...campaignNames, 'all'];
  if (!known.includes(values.campaign)) throw new Error(`--campaign: one of ${known.join(', ')} is wanted`);
  if (values.model !== undefined && !persistenceModels.includes(values.model as PersistenceModel)) {
    throw new Error(`--model: one of ${persistenceModels.join(', ')} is wanted`);
  }
  if (!(Number(values.minutes) > 0)) throw new Error('--minutes: a number is wanted');
  return values;
}

type Options = ReturnType<typeof options>;

/** Once more what was found: `--scenario`, `--model`, and `--crash` for each crash. */
async function repeatOne({
  scenario,
  model = 'weakest',
  crash = [],
  without,
  ...others
}: Options): Promise<void> {
  if (scenario === undefined) throw new Error('--crash needs the --scenario that it is in');
  const schedule = { scenario, without, model: model as PersistenceModel, crashes: crash.map(crashFrom) };
  const violation = await repeat(schedule, { directoryTimes: others['directory-times'] });
  process.stdout.write(`${violation?.message ?? 'recovered, and all is well'}\n`);
  if (violation !== undefined) process.exitCode = 1;
}

async function torture(values: Options): Promise<void> {
  const { directory, campaign } = values;
  const stateFile = path.join(directory, 'state.json');
  mkdirSync(directory, { recursive: true });
  const state = values.resume ? (JSON.parse(readFileSync(stateFile, 'utf8')) as State) : newState();
  const run = newRun();
  state.runs.push(run);
  const save = (): void => writeFileSync(stateFile, JSON.stringify(state));
  const progress = new Progress();
  const wanted = campaign === 'all' ? campaignNames : campaignNames.filter((name) => name === campaign);
  const minutes = Number(values.minutes);
  if (campaign === 'crash' || campaign === 'all') {
    const others = campaign === 'all' ? wanted.reduce((sum, name) => sum + campaigns[name].share, 0) : 0;
    await enumerateFor(minutes * (1 - others), { state, run, save, progress, values });
  }
  for (const name of wanted) {
    progress.tell(`${name}: see ${path.join(directory, `${name}.log`)}`);
    const share = campaign === 'all' ? campaigns[name].share : 1;
    const startedMs = performance.now();
    const seconds = (): number => Math.round((performance.now() - startedMs) / 1000);
    const ticking = setInterval(() => progress.show(`${name}: since ${seconds()} s`), tickMs);
    const { figures, seed, failure } = await runCampaign(name, { minutes: minutes * share, directory });
    clearInterval(ticking);
    run.figures.push(...figures);
    run.campaigns[name] = { seconds: seconds(), seed };
    if (failure !== undefined) run.failures.push(failure);
    save();
  }
  save();
  writeFileSync(path.join(directory, 'summary.json'), summaryAsJson(state));
  writeFileSync(path.join(directory, 'summary.md'), summaryAsMarkdown(state));
  progress.tell(`\n${summaryAsMarkdown(state)}`);
  if (state.violations.length + run.failures.length > 0) process.exitCode = 1;
}

function newRun(): Run {
  const { stdout, status } = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' });
  return {
    startedAt: new Date().toISOString(),
    commit: status === 0 ? stdout.trim() : 'unknown',
    node: process.version,
    lanes: availableParallelism(),
    seconds: 0,
    states: 0,
    nested: 0,
    violations: 0,
    figures: [],
    failures: [],
    campaigns: {},
  };
}

interface Work {
  readonly state: State;
  readonly run: Run;
  readonly save: () => void;
  readonly progress: Progress;
  readonly values: Options;
}

async function enumerateFor(minutes: number, { state, run, save, progress, values }: Work): Promise<void> {
  const lanes = new Lanes(run.lanes);
  const startedMs = performance.now();
  let savedMs = startedMs;
  const before = sumOf(state);
  let isStopped = false;
  process.once('SIGINT', () => {
    isStopped = true;
    progress.tell('stops after what is under way');
  });
  const isOver = (): boolean => isStopped || performance.now() > startedMs + minutes * 60_000;
  try {
    while (!isOver()) {
      const searches = searchesOfNextPass(state, values);
      if (searches.length === 0) break;
      for (const search of searches) {
        if (isOver()) break;
        const known = state.violations.length;
        const unit = unitOf(search);
        add(state, search, unit, await lanes.run(unit));
        for (let index = known; index < state.violations.length; index += 1) {
          run.violations += 1;
          await showViolation(state.violations[index]!, progress);
        }
        const { states, nested } = sumOf(state);
        run.states = states - before.states;
        run.nested = nested - before.nested;
        run.seconds = (performance.now() - startedMs) / 1000;
        progress.show(lineOf(state, run, search));
        if (performance.now() < savedMs + saveEveryMs) continue;
        savedMs = performance.now();
        save();
      }
    }
  } finally {
    lanes.close();
  }
}

/** Made as small as can be, which is kept. */
async function showViolation(
  found: { message: string; schedule: Schedule },
  progress: Progress,
): Promise<void> {
  progress.tell(`\n${found.message}\n\n${commandOf(found.schedule)}\n\nlooking for a smaller one`);
  const schedule = await shrinkSchedule(found.schedule, directoryTimesOfTorture);
  const violation = await repeat(schedule, directoryTimesOfTorture);
  if (violation === undefined) return;
  found.message = violation.message;
  found.schedule = schedule;
  progress.tell(`\n${found.message}\n\n${commandOf(schedule)}\n`);
}

function lineOf(state: State, run: Run, { scenario, model }: Search): string {
  const { states, nested } = sumOf(state);
  const rate = Math.round(run.states / run.seconds);
  const numbers = [`${shown(states)} states`, `${shown(nested)} in recovery`, `${shown(rate)}/s`];
  return `${numbers.join(', ')}, ${state.violations.length} violations; ${scenario} (${model})`;
}

function shown(count: number): string {
  return count.toLocaleString('en');
}

if (!serveIfLane()) {
  const values = options();
  await (values.crash === undefined ? torture(values) : repeatOne(values));
}
