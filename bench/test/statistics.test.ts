import { assert, Random, suite } from '@forewrit/testkit';
import { median, percentile, ratioOfMedians, summaryOf } from '#src/statistics.js';

const test = suite('statistics');

const oneToHundred = Array.from({ length: 100 }, (_, index) => index + 1);

test('a percentile is a value that was measured, whatever the order', () => {
  const values = new Random(1).shuffle(oneToHundred);
  assert.is(percentile(values, 0.5), 51);
  assert.is(percentile(values, 0.95), 96);
  assert.is(percentile(values, 0.99), 100);
  assert.is(percentile(values, 1), 100);
  assert.is(percentile([7], 0.99), 7);
});

test('a median of numbers is not one of their spellings', () => {
  assert.is(median([10, 9, 100]), 10);
});

test('of nothing there is no percentile', () => {
  assert.throws(() => percentile([], 0.5), /no values/);
});

test('what is measured is left in its order', () => {
  const values = [3, 1, 2];
  summaryOf(values);
  assert.equal(values, [3, 1, 2]);
});

test('the interval of a median is that of its order statistics', () => {
  const { count, p50, p95, p50Interval } = summaryOf(oneToHundred);
  // 50 ± 1.96 × √100 / 2 = 40.2 and 59.8: the 41st and the 61st.
  assert.equal(
    { count, p50, p95, p50Interval },
    { count: 100, p50: 51, p95: 96, p50Interval: { low: 41, high: 61 } },
  );
});

test('of a single value the interval is that value', () => {
  assert.equal(summaryOf([5]).p50Interval, { low: 5, high: 5 });
});

/** Around a centre, evenly spread by a tenth to either side. */
function noisy(random: Random, centre: number, count = 200): number[] {
  return Array.from({ length: count }, () => centre * (0.9 + (0.2 * random.below(10_000)) / 10_000));
}

test('the interval of a ratio holds what the samples were drawn from', () => {
  const random = new Random(2);
  const ours = Array.from({ length: 5 }, () => noisy(random, 3));
  const theirs = Array.from({ length: 5 }, () => noisy(random, 2));
  const { value, low, high } = ratioOfMedians(ours, theirs, { random });
  assert.ok(low <= 1.5 && 1.5 <= high, `${low} to ${high}`);
  assert.ok(low <= value && value <= high);
  assert.ok(high - low < 0.1, `${low} to ${high}`);
});

test('the same seed draws the same interval', () => {
  const samples = noisy(new Random(3), 1);
  const others = noisy(new Random(4), 1);
  const once = ratioOfMedians([samples], [others], { random: new Random(5) });
  assert.equal(ratioOfMedians([samples], [others], { random: new Random(5) }), once);
  assert.not.equal(ratioOfMedians([samples], [others], { random: new Random(6) }), once);
});

test('a drift that meets both sides of a round widens no interval', () => {
  const drift = Array.from({ length: 200 }, (_, round) => 1 + round);
  const { value, low, high } = ratioOfMedians([drift.map((ms) => 2 * ms)], [drift], {
    random: new Random(7),
  });
  assert.equal({ value, low, high }, { value: 2, low: 2, high: 2 });
});

test('a run that was out of line does not move the ratio, and is seen in its interval', () => {
  const random = new Random(8);
  const runs = [1, 1, 1, 1, 10].map((centre) => noisy(random, centre));
  const theirs = Array.from({ length: 5 }, () => noisy(random, 1));
  const { value, low, high } = ratioOfMedians(runs, theirs, { random });
  assert.ok(value > 0.9 && value < 1.1, `${value}`);
  assert.ok(low < 1.1 && high > 5, `${low} to ${high}`);
});

test('sides of different length are drawn each by itself', () => {
  const random = new Random(9);
  const { low, high } = ratioOfMedians([noisy(random, 4, 150)], [noisy(random, 2, 90)], { random });
  assert.ok(low > 1.9 && high < 2.1, `${low} to ${high}`);
});

test.run();
