/**
 * `npm run torture`: crash enumeration for as long as one likes, on all cores, going on where it last stopped.
 *
 * The choices of survivors at each crash point are numbered (`distinctChoice`); each visit to a scenario takes the next so
 * many of each point, so what is counted is different from all that was counted before, over all runs that share a state
 * file. Each lane is a process of its own. All lanes go through the same choices, and each image belongs to one of
 * them, by its fingerprint: so none is recovered by two.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Answer, Lane, type Unit } from './torture-lane.js';
import { add, newState, searchesOfNextPass, type State, sumOf, unitOf } from './torture-state.js';
import { summaryOf } from './torture-summary.js';

const laneVariable = 'FOREWRIT_TORTURE_LANE';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    resume: { type: 'boolean', default: false },
    directory: { type: 'string', default: '.torture' },
    scenario: { type: 'string' },
    model: { type: 'string' },
  },
});

async function torture(): Promise<void> {
  const stateFile = path.join(values.directory, 'state.json');
  mkdirSync(values.directory, { recursive: true });
  const state = values.resume ? (JSON.parse(readFileSync(stateFile, 'utf8')) as State) : newState();
  const lanes = availableParallelism();
  const children = Array.from({ length: lanes }, (_, lane) =>
    fork(new URL(import.meta.url), [], { env: { ...process.env, [laneVariable]: `${lane}/${lanes}` } }),
  );
  const startedMs = performance.now();
  const earlier = state.seconds;
  const endMs = startedMs + Number(values.minutes) * 60_000;
  const hasTime = (): boolean => performance.now() < endMs;
  while (hasTime()) {
    const searches = searchesOfNextPass(state, values);
    if (searches.length === 0) break;
    for (const search of searches) {
      if (!hasTime()) break;
      const unit = unitOf(search);
      const violations = state.violations.length;
      add(state, search, unit, await Promise.all(children.map((child) => ask(child, unit))));
      state.seconds = earlier + (performance.now() - startedMs) / 1000;
      for (const violation of state.violations.slice(violations)) process.stderr.write(`\n${violation}\n`);
      showProgress(state, unit);
    }
    writeFileSync(stateFile, JSON.stringify(state));
  }
  for (const child of children) child.kill();
  writeFileSync(stateFile, JSON.stringify(state));
  writeFileSync(path.join(values.directory, 'summary.md'), summaryOf(state));
  process.stdout.write(`\n${summaryOf(state)}`);
  if (state.violations.length > 0) process.exitCode = 1;
}

function ask(child: ChildProcess, unit: Unit): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null): void => reject(new Error(`a lane ended with ${code}`));
    child.once('exit', died);
    child.once('message', (answer: Answer) => {
      child.off('exit', died);
      resolve(answer);
    });
    child.send(unit);
  });
}

function showProgress(state: State, { scenario, model }: Unit): void {
  if (!process.stdout.isTTY) return;
  const { states, nested } = sumOf(state);
  const rate = Math.round(states / state.seconds).toLocaleString('en');
  const line = `${states.toLocaleString('en')} states, ${nested.toLocaleString('en')} in recovery, ${rate}/s, ${state.violations.length} violations; ${scenario} (${model})`;
  process.stdout.write(`\r\u001b[K${line.slice(0, process.stdout.columns - 1)}`);
}

function serve(lane: Lane): void {
  process.on('message', (unit: Unit) => {
    void lane.run(unit).then((answer) => process.send!(answer));
  });
}

const [lane, lanes] = (process.env[laneVariable] ?? '').split('/').map(Number);
if (lanes === undefined || lane === undefined) await torture();
else serve(new Lane({ lane, lanes }));
