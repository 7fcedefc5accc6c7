/** Some of the mutants; `npm run mutants` tries them all. */

import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { tryMutant } from './killer.js';
import type { Mutant } from './mutant.js';
import { mutants } from './mutants.js';
import { runMutants, sampleOf } from './run-mutants.js';

const count = 10;

const test = suite('a sample of the mutants', { timeoutMs: 300_000 });

test('each is noticed by the test that is named for it', async () => {
  const { survivors } = await runMutants(sampleOf(count, new Random(announceSeed('mutants'))));
  assert.equal(survivors, []);
});

/** Breaks a mutant in its own way. */
function otherwise(name: string, change: (snippet: string) => string): Mutant {
  const mutant = mutants.find((each) => each.name === name);
  assert.ok(mutant !== undefined);
  const edits = mutant.edits.map(({ snippet }) => ({ snippet, replacement: change(snippet) }));
  return { ...mutant, edits };
}

test('a change that breaks nothing survives', async () => {
  const { verdict } = await tryMutant(otherwise('row-7-dropped', (snippet) => snippet));
  assert.is(verdict, 'survived');
});

test('code that cannot be loaded, or names what is not there, is no mutant', async () => {
  for (const code of [') no code (', 'when: () => notThere(),']) {
    const error: unknown = await tryMutant(otherwise('row-7-dropped', () => code)).catch((thrown) => thrown);
    assert.instance(error, Error);
    assert.match((error as Error).message, /cannot be run/);
  }
});

test.run();
