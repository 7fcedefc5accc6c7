import {
  announceSeed,
  choicesWithin,
  type PendingEffect,
  persistenceModels,
  Random,
  suite,
} from '@forewrit/testkit';
import { enumerate, type Tally } from './enumeration.js';
import { scenarios } from './scenarios.js';

const test = suite('crash enumeration', { timeoutMs: 600_000 });
const seed = announceSeed('crash enumeration');
const total: Tally = { states: 0, nested: 0, recovered: 0, points: 0 };
/** All survivors of up to ten effects; of more a sample. */
const budget = { exhaustiveMax: 1024, samples: 40 };

for (const scenario of scenarios) {
  test(`every crash of: ${scenario.name}`, async () => {
    for (const model of persistenceModels) {
      const random = new Random(seed);
      const choices = (effects: readonly PendingEffect[]): Iterable<number[]> =>
        choicesWithin(effects, { ...budget, random });
      await enumerate(scenario, { model, random, choices, nestedShare: 0.005, depth: 2 }, total);
    }
  });
}

test.after(() => {
  console.log(`${JSON.stringify(total)}`);
});

test.run();
