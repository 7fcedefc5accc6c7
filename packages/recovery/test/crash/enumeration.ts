/**
 * Crash enumeration: a scenario runs once, and at each of its calls, to the file system and to the log, the moment is
 * kept. From each moment the power is cut in every way that the persistence model allows (all of them while the pending
 * effects are few, a sample where they are many), the store is recovered on what is left, and the tree must be what the
 * last acknowledged transaction left, or the one under way. Recovery is enumerated in the same way, and again recovery
 * from that: two levels deep.
 */

import {
  type ChoiceBudget,
  choicesWithin,
  countChoices,
  type PendingEffect,
  type PersistenceModel,
  type Random,
} from '@forewrit/testkit';
import { FingerprintSet } from './fingerprint-set.js';
import { type Crashed, recordOrViolate, recoverAndJudge } from './judgement.js';
import type { Moment } from './moment.js';
import type { Crash } from './schedule.js';
import type { Scenario } from './scenarios.js';

export interface EnumerationOptions {
  readonly model: PersistenceModel;
  /** Whether directories have times of modification; by default they have. */
  readonly directoryTimes?: boolean;
  /** Several searches can share a scenario: each image belongs to one of them, and each death. */
  readonly share?: { readonly lane: number; readonly lanes: number };
  /** Whether deaths without a power cut are tried as well; by default they are. */
  readonly deaths?: boolean;
  readonly random: Random;
  /** Which survivors are tried, of those that there may be: none of them twice. */
  readonly choices: (effects: readonly PendingEffect[]) => Iterable<readonly number[]>;
  /** What was judged already, and was well: it is not recovered again. A set can be used for all that one likes. */
  readonly judged?: FingerprintSet;
  /** Of the images that differ, this share has its recovery enumerated in turn. */
  readonly nestedShare: number;
  /** Levels of crashes inside recovery. */
  readonly depth: number;
}

export interface Tally {
  /** Different (scenario, crash point, survivors). */
  states: number;
  /** The same inside recoveries from these. */
  nested: number;
  /** Different disks, logs and expectations: each was recovered. */
  recovered: number;
  /** Crash points, those in recovery too. Where deaths are left out, they are not counted again. */
  points: number;
}

const onlyLane = { lane: 0, lanes: 1 };
const choicesInRecovery = { exhaustiveMax: 64, samples: 8 } as const;

/** Throws a `Violation` at the first state that is not well. */
export async function enumerate(
  scenario: Scenario,
  options: EnumerationOptions,
  tally: Tally,
): Promise<void> {
  await enumerateMoments(await recordOrViolate(scenario, options), options, tally);
}

/** Of a scenario that was recorded before. */
export async function enumerateMoments(
  moments: readonly Moment[],
  given: EnumerationOptions,
  tally: Tally,
): Promise<void> {
  const options = { ...given, judged: given.judged ?? new FingerprintSet() };
  const { lane, lanes } = options.share ?? onlyLane;
  for (const [point, moment] of moments.entries()) {
    const deaths = options.deaths !== false && point % lanes === lane;
    await crashEverywhere({ moment, point, before: [] }, { ...options, deaths }, tally);
  }
}

/** Survivors as `choicesWithin` gives them, and none of them twice. */
export function* differentChoices(
  effects: readonly PendingEffect[],
  budget: ChoiceBudget,
): Generator<readonly number[]> {
  if (countChoices(effects) <= budget.exhaustiveMax) {
    yield* choicesWithin(effects, budget);
    return;
  }
  const tried = new Set<string>();
  for (const choice of choicesWithin(effects, budget)) {
    const name = choice.join();
    if (tried.has(name)) continue;
    tried.add(name);
    yield choice;
  }
}

interface Here {
  readonly moment: Moment;
  readonly point: number;
  /** The crashes before, each in the recovery from the one before it. */
  readonly before: readonly Crashed[];
}

async function crashEverywhere(
  { moment, point, before }: Here,
  options: EnumerationOptions & { readonly judged: FingerprintSet },
  tally: Tally,
): Promise<void> {
  const { random, depth, nestedShare, judged } = options;
  const inside = { ...choicesInRecovery, random };
  const level = before.length;
  const count = (): void => {
    if (level === 0) tally.states += 1;
    else tally.nested += 1;
  };
  const { lane, lanes } = (level === 0 ? options.share : undefined) ?? onlyLane;
  const judge = async (choice: Crash['choice']): Promise<void> => {
    const crashed = [...before, { moment, crash: { point, choice } }];
    const nested = level < depth && random.chance(nestedShare);
    const inner = await recoverAndJudge(crashed, nested ? options.model : undefined);
    const choices: typeof options.choices = (effects) => differentChoices(effects, inside);
    for (const [index, each] of inner.entries()) {
      const deeper = { moment: each, point: index, before: crashed };
      await crashEverywhere(deeper, { ...options, choices, deaths: true }, tally);
    }
  };
  // A death without a power cut loses nothing.
  if (options.deaths !== false) {
    tally.points += 1;
    await judge('killed');
    count();
  }
  for (const choice of options.choices(moment.crash.effects)) {
    const fingerprint = moment.fingerprint(choice);
    if (fingerprint.high % lanes !== lane) continue;
    count();
    if (judged.has(fingerprint)) continue;
    tally.recovered += 1;
    // The array may be used again for the next.
    await judge(choice.slice());
    judged.add(fingerprint);
  }
}
