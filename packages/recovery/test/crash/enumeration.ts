/**
 * Crash enumeration: a scenario runs once, and at each of its calls, to the file system and to the log, the moment is
 * kept. From each moment the power is cut in every way that the persistence model allows (all of them while the pending
 * effects are few, a sample where they are many), the store is recovered on what is left, and the tree must be what the
 * last acknowledged transaction left, or the one under way. Recovery is enumerated in the same way, and again recovery
 * from that: two levels deep.
 */

import { isStoreError } from '@forewrit/core';
import {
  choicesWithin,
  type CrashPoint,
  describeChoice,
  type PendingEffect,
  type PersistenceModel,
  type Random,
  type SimulatedDisk,
} from '@forewrit/testkit';
import { applied, showTree, type Tree } from '../campaign-model.js';
import { type SimulatedProcess, stagingNames, tree, World } from '../world.js';
import type { Scenario, Step } from './scenarios.js';

export interface EnumerationOptions {
  readonly model: PersistenceModel;
  /** Whether a crash point is looked at: several searches can share a scenario. */
  readonly isMine?: (point: number) => boolean;
  /** Whether deaths without a power cut are tried as well; by default they are. */
  readonly deaths?: boolean;
  readonly random: Random;
  /** Which survivors are tried, of those that there may be. */
  readonly choices: (effects: readonly PendingEffect[]) => Iterable<number[]>;
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
  /** Of these, different disks: each was recovered. */
  recovered: number;
  points: number;
}

const inlineLimitBytes = 24;
const firstPid = 1000;
const choicesInRecovery = { exhaustiveMax: 64, samples: 8 } as const;

/** A moment at which the power may go. */
interface Moment {
  readonly what: string;
  readonly crash: CrashPoint<SimulatedDisk>;
  readonly death: World;
  /** What the tree may be afterwards: as the last acknowledged transaction left it, or the one under way. */
  readonly allowed: readonly Tree[];
}

export async function enumerate(
  scenario: Scenario,
  options: EnumerationOptions,
  tally: Tally,
): Promise<void> {
  const moments = await record(scenario, options.model);
  for (const [index, moment] of moments.entries()) {
    if (options.isMine?.(index) === false) continue;
    const where = `${scenario.name} (${options.model}), crash point ${index}, ${moment.what}`;
    await crashEverywhere(moment, { where, level: 0 }, options, tally);
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
  options: EnumerationOptions,
  tally: Tally,
): Promise<void> {
  const { random, depth, nestedShare } = options;
  const inside = { ...choicesInRecovery, random };
  const count = (): void => {
    if (level === 0) tally.states += 1;
    else tally.nested += 1;
  };
  const { effects } = moment.crash;
  tally.points += 1;
  const seen = new Set<bigint>();
  const tried = new Set<string>();
  const judge = async (world: World, which: string): Promise<void> => {
    const judgement = { where: `${where}; ${which}`, level: level + 1 };
    const nested = level < depth && random.chance(nestedShare);
    const inner = await recover(
      world,
      { ...judgement, allowed: moment.allowed },
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
        { ...options, choices: (found) => choicesWithin(found, inside) },
        tally,
      );
    }
  };
  // A death without a power cut loses nothing.
  if (level > 0 || options.deaths !== false) {
    await judge(moment.death.fork(), 'killed');
    count();
  }
  for (const choice of options.choices(effects)) {
    const name = choice.join(',');
    if (tried.has(name)) continue;
    tried.add(name);
    count();
    const disk = moment.crash.image(choice);
    const fingerprint = disk.fingerprint();
    if (seen.has(fingerprint)) continue;
    seen.add(fingerprint);
    tally.recovered += 1;
    const world = new World(disk, moment.death.log.clone(), { alive: new Set(), next: firstPid });
    try {
      await judge(world, 'power cut');
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
  { where, allowed }: Pick<Judgement, 'where'> & Pick<Moment, 'allowed'>,
  model: PersistenceModel | undefined,
): Promise<Moment[]> {
  const moments: Moment[] = [];
  const process = await world.start(
    model === undefined
      ? { inlineLimitBytes }
      : { inlineLimitBytes, onStep: (what) => moments.push(momentOf(world, model, { what, allowed })) },
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
  if (!allowed.some((each) => showTree(each) === showTree(found)))
    fail(`found ${showTree(found)}, expected ${allowed.map(showTree).join(' or ')}`);
  const left = stagingNames(world.outside);
  if (left.length > 0) fail(`left in the staging areas: ${left.join(', ')}`);
  process.kill();
  return moments;
}

function momentOf(
  world: World,
  model: PersistenceModel,
  { what, allowed }: Pick<Moment, 'what' | 'allowed'>,
): Moment {
  return { what, crash: world.disk.crashPoint(model), death: world.fork(), allowed };
}

/** Runs the scenario to its end, and keeps every moment. */
async function record(
  { before, steps, others = [], faults = [] }: Scenario,
  model: PersistenceModel,
): Promise<Moment[]> {
  const world = new World();
  const preparing = await world.open({ inlineLimitBytes });
  for (const operations of before) preparing.commit(...operations);
  preparing.checkpoint();
  preparing.kill();
  world.disk.settle();

  const moments: Moment[] = [];
  const expected: Expected = { now: tree(world.outside), next: undefined };
  const onStep = (what: string): void => {
    const { now, next } = expected;
    moments.push(momentOf(world, model, { what, allowed: next === undefined ? [now] : [now, next] }));
  };
  const first = await world.open({ inlineLimitBytes, faults, onStep });
  const second = others.length === 0 ? first : await world.open({ inlineLimitBytes, onStep });
  for (let turn = 0; turn < Math.max(steps.length, others.length); turn += 1) {
    carryOut(first, steps[turn], expected);
    carryOut(second, others[turn], expected);
  }
  onStep('the end');
  return moments;
}

interface Expected {
  now: Tree;
  /** As the transaction under way will leave it. */
  next: Tree | undefined;
}

function carryOut(process: SimulatedProcess, step: Step | undefined, expected: Expected): void {
  if (step === undefined) return;
  if (step === 'checkpoint') process.checkpoint();
  else if (step === 'marks') process.flushMarks();
  else {
    expected.next = applied(expected.now, step);
    const outcome = process.attempt(...step);
    // Rolled back: what was is what is.
    if (!(outcome instanceof Error)) expected.now = expected.next;
    else if (!isStoreError(outcome, 'ERR_APPLY_ROLLED_BACK')) throw outcome;
    expected.next = undefined;
  }
}
