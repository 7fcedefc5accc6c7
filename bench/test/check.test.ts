import { assert, suite } from '@forewrit/testkit';
import { judge } from '#src/check.js';
import { type Limit, limits } from '#src/limits.js';
import { exitCodeOf } from '#src/program.js';
import { verdictsAsText } from '#src/report/text.js';
import { scenarios } from '#src/scenarios/index.js';
import { around, madeResults } from './made-results.js';

const test = suite('limits');

const figure = (contender: string): Limit['ours'] => ({ case: 'one writer', contender, measure: 'time' });
const ratio = (atMost: number): Limit => ({
  scenario: 'save',
  title: 'forewrit against other',
  ours: figure('forewrit'),
  theirs: figure('other'),
  percentile: 'p50',
  atMost,
});

test('a ratio is the median over the runs of the ratio in a run', () => {
  // Run by run 2, 2 and 8; of the medians over the runs it would be 4.
  const results = madeResults({
    forewrit: [around(2), around(8), around(8)],
    other: [around(1), around(4), around(1)],
  });
  const [within, missed] = judge(results, [ratio(2.01), ratio(1.99)]);
  assert.is(within!.status, 'within');
  assert.ok(missed?.status === 'missed' && Math.abs(missed.value - 2) < 1e-9);
});

test('a figure is held to its own percentile', () => {
  const results = madeResults({ forewrit: [[...around(1, 98), 30, 30]] });
  const own = (percentile: Limit['percentile']): Limit => ({
    scenario: 'save',
    title: 'own',
    ours: figure('forewrit'),
    percentile,
    atMost: 20,
  });
  assert.equal(
    judge(results, [own('p50'), own('p99')]).map(({ status }) => status),
    ['within', 'missed'],
  );
});

test('a limit whose peer is missing is not within: it is not measured, and says why', () => {
  const results = { ...madeResults({ forewrit: [around(1)] }), missing: { other: 'it does not compile' } };
  const verdicts = judge(results, [ratio(1)]);
  const [verdict] = verdicts;
  assert.ok(verdict?.status === 'not measured');
  assert.is(verdict.reason, 'it does not compile');
  assert.match(verdictsAsText(verdicts), /0 within, 0 missed, 1 not measured/);
});

test('scenarios that did not run are not judged', () => {
  assert.equal(judge(madeResults({ forewrit: [around(1)] }, { scenario: 'read' }), [ratio(1)]), []);
});

test('a missed limit is named, and fails the check; without the check it does not', () => {
  const results = madeResults({ forewrit: [around(3)], other: [around(1)] });
  const verdicts = judge(results, [ratio(2)]);
  assert.match(verdictsAsText(verdicts), /MISSED +3\.00 +≤ 2\.00 +plain, save +forewrit against other/);
  const { series } = results;
  const failures = [{ place: 'plain', scenario: 'save', reason: 'x' }] as const;
  assert.is(exitCodeOf({ series, failures: [], verdicts }, true), 1);
  assert.is(exitCodeOf({ series, failures: [], verdicts }, false), 0);
  assert.is(exitCodeOf({ series, failures: [], verdicts: judge(results, [ratio(4)]) }, true), 0);
  assert.is(exitCodeOf({ series, failures, verdicts: [] }, false), 1);
  assert.is(exitCodeOf({ series: [], failures: [], verdicts: [] }, false), 1);
});

test('every limit is of a scenario that there is, and has a title of its own', () => {
  const names = new Set(scenarios.map(({ name }) => name));
  for (const { scenario, title } of limits) assert.ok(names.has(scenario), title);
  assert.is(new Set(limits.map(({ scenario, title }) => `${scenario} ${title}`)).size, limits.length);
});

test.run();
