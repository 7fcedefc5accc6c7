import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { shrinkItems, shrinkNumbers } from './shrink.js';

const test = suite('shrinking');
const seed = announceSeed('shrinking');
const limit = { triesMax: 10_000 };

test('the items that a failure needs are left, in their order, wherever they are', async () => {
  const random = new Random(seed);
  for (let round = 0; round < 200; round += 1) {
    const items = Array.from({ length: 1 + random.below(40) }, (_, index) => index);
    const needed = items.filter(() => random.chance(0.15));
    const fails = (candidate: readonly number[]): boolean => needed.every((each) => candidate.includes(each));
    assert.equal(await shrinkItems(items, fails, limit), needed);
  }
});

test('an item that is needed only as long as another is there goes with it, or after it', async () => {
  // 2 closes what 1 opens: neither, or both.
  const fails = (items: readonly number[]): boolean =>
    items.includes(7) && items.includes(1) === items.includes(2);
  assert.equal(await shrinkItems([1, 5, 2, 7, 9], fails, limit), [7]);
  // Never in one part, so neither can go first.
  assert.equal(await shrinkItems([1, 7, 9, 2], fails, limit), [1, 7, 2]);
  const first = (items: readonly number[]): boolean =>
    items.includes(7) && (!items.includes(1) || items.includes(2));
  assert.equal(await shrinkItems([2, 5, 1, 7, 9], first, limit), [7]);
});

test('no more is tried than is allowed, and what was found until then is kept', async () => {
  let tries = 0;
  const fails = (): boolean => (tries += 1) > 0;
  const items = Array.from({ length: 64 }, (_, index) => index);
  const left = await shrinkItems(items, fails, { triesMax: 1 });
  assert.is(tries, 1);
  assert.is(left.length, 32);
});

test('numbers become the simplest with which it fails', async () => {
  const simpler = (_: number, value: number): readonly number[] =>
    value > 1 ? [0, 1] : value === 1 ? [0] : [];
  const fails = (numbers: readonly number[]): boolean => numbers[1]! > 0 && numbers[3] === 4;
  assert.equal(await shrinkNumbers([2, 3, 1, 4, 1], simpler, fails), [0, 1, 0, 4, 0]);
  // The third may go when the first has gone.
  const linked = (numbers: readonly number[]): boolean => numbers[2] === 1 || numbers[0] === 0;
  assert.equal(await shrinkNumbers([1, 1, 1], simpler, linked), [0, 0, 0]);
});

test.run();
