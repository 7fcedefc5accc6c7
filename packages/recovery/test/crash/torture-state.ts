/** What `npm run torture` knows from one run to the next, and which units it does in which order. */

import { type Figures, type PersistenceModel, persistenceModels } from '@forewrit/testkit';
import type { Tally } from './enumeration.js';
import { programName, programOf } from './programs.js';
import { scenarios } from './scenarios.js';
import type { Schedule } from './schedule.js';
import type { Answer, Unit } from './torture-lane.js';

/** Choices of each crash point, at the first visit; at each further one it is so many times as much, up to a limit. */
const choicesAtFirst = 1_000;
const growth = 4;
const choicesMax = 250_000;
/** So many programs more are begun in each pass. */
const programsPerPass = 20;

/** A scenario under a model. */
export interface Search extends Tally {
  readonly scenario: string;
  readonly model: PersistenceModel;
  /** Of each crash point, the choices with numbers below this are done. */
  done: number;
  exhausted: boolean;
  /** States at all crash points together, as a decimal number; empty until it is known. */
  available: string;
}

export interface FoundViolation {
  message: string;
  schedule: Schedule;
}

/** One start of `npm run torture`. */
export interface Run {
  readonly startedAt: string;
  readonly commit: string;
  readonly node: string;
  readonly lanes: number;
  seconds: number;
  states: number;
  nested: number;
  violations: number;
  /** Of the other campaigns. */
  figures: Figures[];
  /** What is written of their failures. */
  failures: string[];
  campaigns: Record<string, { readonly seconds: number; readonly seed: number | undefined }>;
}

export interface State {
  passes: number;
  searches: Search[];
  violations: FoundViolation[];
  runs: Run[];
}

export interface Wanted {
  readonly scenario?: string | undefined;
  readonly model?: string | undefined;
}

export function newState(): State {
  return { passes: 0, searches: [], violations: [], runs: [] };
}

/** One search after the other, each for a while: the weakest model first, then those that are special cases of it. */
export function searchesOfNextPass(state: State, wanted: Wanted): Search[] {
  state.passes += 1;
  const { scenario: part = '' } = wanted;
  const names = [
    ...scenarios.map(({ name }) => name),
    ...Array.from({ length: state.passes * programsPerPass }, (_, number) => programName(number)),
  ].filter((name) => name.includes(part));
  // A program that is wanted by its name need not wait for its turn.
  if (names.length === 0 && programOf(part) !== undefined) names.push(part);
  const models = persistenceModels.filter((model) => wanted.model === undefined || model === wanted.model);
  return names
    .flatMap((scenario) => models.map((model) => searchOf(state, { scenario, model })))
    .filter(({ exhausted }) => !exhausted);
}

function searchOf(state: State, of: Pick<Search, 'scenario' | 'model'>): Search {
  let search = state.searches.find(({ scenario, model }) => scenario === of.scenario && model === of.model);
  if (search === undefined) {
    search = {
      ...of,
      done: 0,
      exhausted: false,
      available: '',
      states: 0,
      nested: 0,
      recovered: 0,
      points: 0,
    };
    state.searches.push(search);
  }
  return search;
}

export function unitOf({ scenario, model, done }: Search): Unit {
  const more = Math.min(Math.max(done * (growth - 1), choicesAtFirst), choicesMax);
  return { scenario, model, first: done, end: done + more };
}

/** What the lanes have found in one unit. */
export function add(state: State, search: Search, { end }: Unit, answers: readonly Answer[]): void {
  let hasFailed = false;
  for (const { tally, available, exhausted, violation } of answers) {
    for (const key of tallied) search[key] += tally[key];
    search.available = available;
    search.exhausted ||= exhausted;
    // One is enough.
    if (violation === undefined || hasFailed) continue;
    hasFailed = true;
    search.exhausted = true;
    const { scenario, model } = search;
    const { message, crashes } = violation;
    state.violations.push({ message, schedule: { scenario, without: [], model, crashes } });
  }
  search.done = end;
}

export const tallied = ['states', 'nested', 'recovered', 'points'] as const;

export function sumOf({ searches }: State): Tally {
  const sum: Tally = { states: 0, nested: 0, recovered: 0, points: 0 };
  for (const search of searches) for (const key of tallied) sum[key] += search[key];
  return sum;
}
