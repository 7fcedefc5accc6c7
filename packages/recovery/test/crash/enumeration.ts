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
  describeChoice,
  type PendingEffect,
  type PersistenceModel,
  type Random,
} from '@forewrit/testkit';
import { showTree, type Tree } from '../campaign-model.js';
import { stagingNames, tree, World } from '../world.js';
import { FingerprintSet } from './fingerprint-set.js';
import { inlineLimitBytes, Moment, recordMoments } from './moment.js';
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

const firstPid = 1000;
const onlyLane = { lane: 0, lanes: 1 };
const choicesInRecovery = { exhaustiveMax: 64, samples: 8 } as const;

export async function enumerate(
  scenario: Scenario,
  options: EnumerationOptions,
  tally: Tally,
): Promise<void> {
  const moments = await recordMoments(scenario, options);
  await enumerateMoments(scenario.name, moments, options, tally);
}

/** Of a scenario that was recorded before. */
export async function enumerateMoments(
  name: string,
  moments: readonly Moment[],
  given: EnumerationOptions,
  tally: Tally,
): Promise<void> {
  const options = { ...given, judged: given.judged ?? new FingerprintSet() };
  const { lane, lanes } = options.share ?? onlyLane;
  for (const [index, moment] of moments.entries()) {
    const where = `${name} (${options.model}), crash point ${index}, ${moment.what}`;
    const deaths = options.deaths !== false && index % lanes === lane;
    await crashEverywhere(moment, { where, level: 0 }, { ...options, deaths }, tally);
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

interface Judgement {
  readonly where: string;
  /** Crashes of recovery before this one. */
  readonly level: number;
}

async function crashEverywhere(
  moment: Moment,
  { where, level }: Judgement,
  options: EnumerationOptions & { readonly judged: FingerprintSet },
  tally: Tally,
): Promise<void> {
  const { random, depth, nestedShare, judged } = options;
  const inside = { ...choicesInRecovery, random };
  const count = (): void => {
    if (level === 0) tally.states += 1;
    else tally.nested += 1;
  };
  const { effects } = moment.crash;
  const { lane, lanes } = (level === 0 ? options.share : undefined) ?? onlyLane;
  const judge = async (world: World, which: string): Promise<void> => {
    const judgement = { where: `${where}; ${which}`, level: level + 1 };
    const nested = level < depth && random.chance(nestedShare);
    const inner = await recover(
      world,
      { where: judgement.where, moment },
      nested ? options.model : undefined,
    );
    for (const [index, each] of inner.entries()) {
      const deeper = {
        ...judgement,
        where: `${judgement.where}\n  in recovery, crash point ${index}, ${each.what}`,
      };
      await crashEverywhere(
        each,
        deeper,
        { ...options, choices: (found) => differentChoices(found, inside) },
        tally,
      );
    }
  };
  // A death without a power cut loses nothing.
  if (level > 0 || options.deaths !== false) {
    tally.points += 1;
    await judge(moment.death.fork(), 'killed');
    count();
  }
  for (const choice of options.choices(effects)) {
    const fingerprint = moment.fingerprint(choice);
    if (fingerprint.high % lanes !== lane) continue;
    count();
    if (judged.has(fingerprint)) continue;
    tally.recovered += 1;
    const pids = { alive: new Set<number>(), next: firstPid };
    const world = new World(moment.crash.image(choice), moment.death.log.clone(), pids);
    try {
      await judge(world, 'power cut');
      judged.add(fingerprint);
    } catch (error) {
      if (error instanceof Violation && !error.message.includes('survivors:')) {
        throw new Violation(`${error.message}\nsurvivors:\n${describeChoice(effects, choice)}`, {
          cause: error,
        });
      }
      throw error;
    }
  }
}

export class Violation extends Error {
  override readonly name = 'Violation';
}

/** Recovers and judges; returns the moments of that recovery, if asked for. */
async function recover(
  world: World,
  { where, moment }: Pick<Judgement, 'where'> & { readonly moment: Moment },
  model: PersistenceModel | undefined,
): Promise<Moment[]> {
  const moments: Moment[] = [];
  const process = await world.start(
    model === undefined
      ? { inlineLimitBytes }
      : {
          inlineLimitBytes,
          onStep: (what) => moments.push(new Moment(world, model, { what, allowed: moment.allowed })),
        },
  );
  const fail = (why: string, cause?: unknown): never => {
    throw new Violation(`${where}\n${why}`, { cause });
  };
  let found: Tree;
  try {
    const { blocked, kept } = await process.recover();
    if (blocked.length + kept.length > 0) fail(`recovery reports ${JSON.stringify(process.recovery)}`);
    found = tree(world.outside);
  } catch (error) {
    if (error instanceof Violation) throw error;
    return fail(`recovery failed: ${error instanceof Error ? error.stack : String(error)}`, error);
  }
  const shown = showTree(found);
  if (!moment.allowed.includes(shown)) fail(`found ${shown}, expected ${moment.allowed.join(' or ')}`);
  const left = stagingNames(world.outside);
  if (left.length > 0) fail(`left in the staging areas: ${left.join(', ')}`);
  process.kill();
  return moments;
}
