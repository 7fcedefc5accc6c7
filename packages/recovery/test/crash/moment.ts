/** A moment at which the power may go, and the recording of those that a scenario has. */

import { createHash } from 'node:crypto';
import { isStoreError, type MemoryLogState, type Operation, tables } from '@forewrit/core';
import type { CrashPoint, Fingerprint, PersistenceModel, SimulatedDisk } from '@forewrit/testkit';
import { applied, showTree, type Tree } from '../campaign-model.js';
import { type SimulatedProcess, tree, type World } from '../world.js';
import { crashesAt, inlineLimitBytes, prepared } from './preparation.js';
import type { Scenario, Step } from './scenarios.js';

export interface MomentTraits {
  readonly scenario: Scenario;
  readonly what: string;
  /** What the tree may be afterwards: as the last acknowledged transaction left it, or the one under way. */
  readonly allowed: readonly string[];
}

export class Moment {
  readonly scenario: Scenario;
  readonly what: string;
  readonly allowed: readonly string[];
  readonly crash: CrashPoint<SimulatedDisk>;
  /** As all processes die, and nothing is lost. */
  readonly death: World;
  #besides: Fingerprint | undefined;

  constructor(crash: CrashPoint<SimulatedDisk>, death: World, { scenario, what, allowed }: MomentTraits) {
    this.scenario = scenario;
    this.what = what;
    this.allowed = allowed;
    this.crash = crash;
    this.death = death;
  }

  /**
   * Of all that decides what recovery does after a power cut, and whether that is well: the image of the disk, the boot
   * before, the log, the trees that are allowed, and what the scenario has of its own. Equal moments differ in nothing but the time of day, and the number
   * that the next inode will bear.
   */
  fingerprint(choice: readonly number[]): Fingerprint {
    const disk = this.crash.fingerprint(choice);
    const besides = (this.#besides ??= fingerprintOf(this));
    return { high: (disk.high + besides.high) >>> 0, low: (disk.low + besides.low) >>> 0 };
  }
}

export function momentsAt(world: World, model: PersistenceModel, traits: MomentTraits): Moment[] {
  return crashesAt(world, model, traits.what).map(
    ({ what, crash, death }) => new Moment(crash, death, { ...traits, what }),
  );
}

function fingerprintOf({ allowed, death, scenario }: Moment): Fingerprint {
  const hash = createHash('sha256');
  const { afterRecovery, name, options } = scenario;
  const special = afterRecovery === undefined && options === undefined ? '' : name;
  hash.update(JSON.stringify([death.disk.bootId, allowed, special]));
  for (const text of logTexts(death.log)) hash.update(text);
  const digest = hash.digest();
  return { high: digest.readUInt32LE(0), low: digest.readUInt32LE(4) };
}

function* logTexts(log: MemoryLogState): Generator<string> {
  for (const table of tables) {
    yield `${table}\n`;
    for (const [key, value] of log.rows(table).range({ start: new Uint8Array(0) })) {
      yield `${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}\n`;
    }
  }
}

export interface RecordOptions {
  readonly model: PersistenceModel;
  /** Whether directories have times of modification; by default they have. */
  readonly directoryTimes?: boolean;
}

/** Runs the scenario to its end, and keeps every moment. */
export async function recordMoments(
  scenario: Scenario,
  { model, directoryTimes = true }: RecordOptions,
): Promise<Moment[]> {
  const world = await prepared(scenario, { directoryTimes });
  const { steps, others = [], faults = [], options = {}, mayRefuse = false } = scenario;
  const moments: Moment[] = [];
  const expected: Expected = {
    now: scenario.afterRecovery?.makes ?? scenario.recoversTo ?? tree(world.outside),
    next: undefined,
    mayRefuse,
  };
  const onStep = (what: string): void => {
    const { now, next } = expected;
    const allowed = (next === undefined ? [now] : [now, next]).map(showTree);
    moments.push(...momentsAt(world, model, { scenario, what, allowed }));
  };
  const first = await world.open({ ...options, inlineLimitBytes, faults, onStep });
  const second = others.length === 0 ? first : await world.open({ ...options, inlineLimitBytes, onStep });
  for (let turn = 0; turn < Math.max(steps.length, others.length); turn += 1) {
    await carryOut({ process: first, world }, steps[turn], expected);
    await carryOut({ process: second, world }, others[turn], expected);
  }
  onStep('the end');
  return moments;
}

interface Expected {
  now: Tree;
  /** As the transaction under way will leave it. */
  next: Tree | undefined;
  readonly mayRefuse: boolean;
}

async function carryOut(
  { process, world }: { readonly process: SimulatedProcess; readonly world: World },
  step: Step | undefined,
  expected: Expected,
): Promise<void> {
  if (step === undefined) return;
  if (typeof step === 'object' && 'does' in step) {
    expected.next = step.makes;
    await step.does(process, world);
    expected.now = step.makes ?? expected.now;
    expected.next = undefined;
  } else if (step === 'checkpoint') process.checkpoint();
  else if (step === 'materialize') process.materialize();
  else if (step === 'marks') process.flushMarks();
  else {
    const operations = 'deferred' in step ? step.deferred : step;
    expected.next = treeAfter(operations, expected);
    if (expected.next === undefined) return;
    const outcome =
      'deferred' in step ? process.attemptDeferred(...operations) : process.attempt(...operations);
    // Rolled back, or refused: what was is what is.
    if (!(outcome instanceof Error)) expected.now = expected.next;
    else if (!isStoreError(outcome, 'ERR_APPLY_ROLLED_BACK') && !(expected.mayRefuse && isRefusal(outcome))) {
      throw outcome;
    }
    expected.next = undefined;
  }
}

/** `undefined` where the step is impossible, and may be. */
function treeAfter(step: readonly Operation[], { now, mayRefuse }: Expected): Tree | undefined {
  try {
    return applied(now, step);
  } catch (error) {
    if (mayRefuse) return undefined;
    throw error;
  }
}

function isRefusal(outcome: Error): boolean {
  return isStoreError(outcome) || outcome.message.startsWith('locked');
}
