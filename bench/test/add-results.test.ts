import { assert, suite } from '@forewrit/testkit';
import { addResults } from '#src/add-results.js';
import type { Results } from '#src/results.js';
import { around, madeResults } from './made-results.js';

const test = suite('results beside earlier ones');

const older = madeResults({ forewrit: [around(1)] });
const newer = madeResults({ forewrit: [around(2)] });

const renamed = (results: Results, scenario: string): Results => ({
  ...results,
  series: results.series.map((each) => ({ ...each, scenario })),
});

test('another scenario stays, and the same one is replaced', () => {
  const both = addResults(older, renamed(newer, 'wide'));
  assert.equal(
    both.series.map(({ scenario }) => scenario),
    ['save', 'wide'],
  );
  const again = addResults(both, newer);
  assert.equal(
    again.series.map(({ scenario }) => scenario),
    ['wide', 'save'],
  );
  assert.ok(again.series.every(({ p50 }) => p50 > 1.5));
});

test('the limits are held against all of it', () => {
  const both = addResults(older, renamed(newer, 'wide'));
  assert.ok(both.verdicts.some(({ scenario }) => scenario === 'save'));
  assert.ok(both.verdicts.some(({ scenario }) => scenario === 'wide'));
});

test('other code, another machine, quick runs and another disk do not belong together', () => {
  const refused = (change: Partial<Results>): string => {
    try {
      addResults(older, { ...newer, ...change });
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('it was added');
  };
  const { environment } = newer;
  assert.match(refused({ environment: { ...environment, commit: 'fedcba987654' } }), /commit was/);
  assert.match(refused({ environment: { ...environment, commit: 'unknown' } }), /the code is/);
  assert.match(refused({ environment: { ...environment, cores: 64 } }), /cores was 2, and is 64/);
  assert.match(refused({ quick: true }), /quick/);
  assert.match(refused({ places: { plain: 'xfs' } }), /plain is xfs now/);
});

test.run();
