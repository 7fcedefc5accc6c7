/** The suite of the crash enumeration, in several files for two processes: the weakest model has most of the states. */

import { announceSeed, type PendingEffect, type PersistenceModel, Random, suite } from '@forewrit/testkit';
import { differentChoices, enumerate, type Tally } from './enumeration.js';
import { commandOf, type Schedule } from './schedule.js';
import { ordinaryScenarios, type Scenario } from './scenarios.js';
import { Violation } from './violation.js';

/** A violation is told with what repeats it. */
async function withSchedule(of: Omit<Schedule, 'crashes'>, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    const command = commandOf({ ...of, crashes: error.crashes });
    throw new Error(`${error.message}\n\n${command} --directory-times`, { cause: error });
  }
}

const nestedShare = 0.004;
const depth = 2;

export interface EnumerationBudget {
  /** At crash points with no more ways to survive than that, each is tried. */
  readonly exhaustiveMax: number;
  /** At others, so many at random. */
  readonly samples: number;
}

export function enumerationSuite(
  models: readonly PersistenceModel[],
  budget: EnumerationBudget,
  {
    what = '',
    scenarios = ordinaryScenarios,
  }: { readonly what?: string; readonly scenarios?: readonly Scenario[] } = {},
): void {
  const name = `crash enumeration, ${models.join(' and ')}${what}`;
  const test = suite(name, { timeoutMs: 600_000 });
  const seed = announceSeed(name);
  const total: Tally = { states: 0, nested: 0, recovered: 0, points: 0 };
  for (const scenario of scenarios) {
    test(`every crash of: ${scenario.name}`, async () => {
      for (const model of models) {
        const random = new Random(seed);
        const choices = (effects: readonly PendingEffect[]): Iterable<readonly number[]> =>
          differentChoices(effects, { ...budget, random });
        await withSchedule({ scenario: scenario.name, without: [], model }, () =>
          enumerate(scenario, { model, random, choices, nestedShare, depth }, total),
        );
      }
    });
  }
  test.after(() => {
    console.log(`${JSON.stringify(total)}`);
  });
  test.run();
}
