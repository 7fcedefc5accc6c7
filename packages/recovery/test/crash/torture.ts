/**
 * `npm run torture`: crash enumeration for as long as one likes, on all cores, going on where it last stopped.
 *
 * The choices of survivors at each crash point are numbered (`distinctChoice`); a round takes the next so many of each
 * point, so what is counted is different from all that was counted before, over all runs that share a state file.
 * Each lane is a process of its own and takes every n-th crash point.
 */

import { fork } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  countChoicesExactly,
  distinctChoice,
  type PendingEffect,
  type PersistenceModel,
  persistenceModels,
  Random,
} from '@forewrit/testkit';
import { enumerate, type Tally } from './enumeration.js';
import { scenarios } from './scenarios.js';

/** Choices of each crash point in one round. */
const choicesPerRound = 200n;
const nestedShare = 0.002;
const depth = 2;

interface Unit {
  readonly scenario: string;
  readonly model: PersistenceModel;
  readonly round: number;
}

interface State extends Tally {
  /** Rounds that are done, of each scenario and model. */
  rounds: Record<string, number>;
  seconds: number;
  violations: string[];
}

interface Lane {
  readonly lane: number;
  readonly lanes: number;
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    resume: { type: 'boolean', default: false },
    directory: { type: 'string', default: '.torture' },
    scenario: { type: 'string' },
    model: { type: 'string' },
  },
});

function* choicesOf(effects: readonly PendingEffect[], round: number): Generator<number[]> {
  const count = countChoicesExactly(effects);
  const first = BigInt(round) * choicesPerRound;
  const end = first + choicesPerRound < count ? first + choicesPerRound : count;
  for (let index = first; index < end; index += 1n) yield distinctChoice(effects, index);
}

async function runUnit({ scenario: name, model, round }: Unit, { lane, lanes }: Lane): Promise<Tally> {
  const tally: Tally = { states: 0, nested: 0, recovered: 0, points: 0 };
  const scenario = scenarios.find((each) => each.name === name)!;
  await enumerate(
    scenario,
    {
      model,
      random: new Random(round * lanes + lane),
      choices: (effects) => choicesOf(effects, round),
      // Deaths without a power cut are the same in every round.
      deaths: round === 0,
      isMine: (point) => point % lanes === lane,
      nestedShare,
      depth,
    },
    tally,
  );
  return tally;
}

type Answer = { readonly tally: Tally } | { readonly violation: string };

/** A lane does what it is told, unit by unit. */
function serve(lane: Lane): void {
  process.on('message', (unit: Unit) => {
    void (async () => {
      let answer: Answer;
      try {
        answer = { tally: await runUnit(unit, lane) };
      } catch (error) {
        answer = { violation: error instanceof Error ? (error.stack ?? error.message) : String(error) };
      }
      process.send!(answer);
    })();
  });
}

function unitName({ scenario, model }: Pick<Unit, 'scenario' | 'model'>): string {
  return `${scenario} (${model})`;
}

async function torture(): Promise<void> {
  const stateFile = path.join(values.directory, 'state.json');
  mkdirSync(values.directory, { recursive: true });
  const state: State = values.resume
    ? (JSON.parse(readFileSync(stateFile, 'utf8')) as State)
    : { states: 0, nested: 0, recovered: 0, points: 0, rounds: {}, seconds: 0, violations: [] };
  const lanes = availableParallelism();
  const children = Array.from({ length: lanes }, (_, lane) =>
    fork(new URL(import.meta.url), [], {
      env: { ...process.env, FOREWRIT_TORTURE_LANE: `${lane}/${lanes}` },
    }),
  );
  const names = scenarios
    .map(({ name }) => name)
    .filter((name) => values.scenario === undefined || name.includes(values.scenario));
  const models = persistenceModels.filter((model) => values.model === undefined || model === values.model);
  const startedMs = performance.now();
  const earlier = state.seconds;
  const endMs = startedMs + Number(values.minutes) * 60_000;
  search: for (;;) {
    const before = state.states;
    for (const scenario of names) {
      for (const model of models) {
        if (performance.now() > endMs) break search;
        const key = unitName({ scenario, model });
        const round = state.rounds[key] ?? 0;
        const answers = await Promise.all(children.map((child) => ask(child, { scenario, model, round })));
        for (const answer of answers) add(state, answer);
        state.rounds[key] = round + 1;
        state.seconds = earlier + (performance.now() - startedMs) / 1000;
        writeFileSync(stateFile, JSON.stringify(state, undefined, 2));
        showProgress(state, key);
      }
    }
    if (state.states === before) break;
  }
  for (const child of children) child.kill();
  writeFileSync(path.join(values.directory, 'summary.md'), summary(state));
  process.stdout.write(`\n${summary(state)}`);
  if (state.violations.length > 0) process.exitCode = 1;
}

function ask(child: ReturnType<typeof fork>, unit: Unit): Promise<Answer> {
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

function add(state: State, answer: Answer): void {
  if ('violation' in answer) {
    state.violations.push(answer.violation);
    process.stderr.write(`\n${answer.violation}\n`);
    return;
  }
  for (const key of ['states', 'nested', 'recovered', 'points'] as const) state[key] += answer.tally[key];
}

function showProgress({ states, nested, seconds, violations }: State, unit: string): void {
  if (!process.stdout.isTTY) return;
  const rate = Math.round(states / seconds).toLocaleString('en');
  const line = `${states.toLocaleString('en')} states, ${nested.toLocaleString('en')} in recovery, ${rate}/s, ${violations.length} violations; ${unit}`;
  process.stdout.write(`\r\u001b[K${line.slice(0, process.stdout.columns - 1)}`);
}

function summary({ states, nested, recovered, points, seconds, violations }: State): string {
  const rows = [
    ['different crash states (scenario, crash point, survivors)', states],
    ['the same inside recovery, up to two levels deep', nested],
    ['different disks that were recovered and judged', recovered],
    ['crash points visited', points],
    ['seconds', Math.round(seconds)],
    ['states a second', Math.round((states + nested) / seconds)],
    ['violations', violations.length],
  ] as const;
  const lines = rows.map(([what, count]) => `| ${what} | ${count.toLocaleString('en')} |`);
  return ['| | |', '| --- | --- |', ...lines, '', ...violations.map((each) => `    ${each}`), ''].join('\n');
}

const [lane, lanes] = (process.env['FOREWRIT_TORTURE_LANE'] ?? '').split('/').map(Number);
if (lanes === undefined || lane === undefined) await torture();
else serve({ lane, lanes });
