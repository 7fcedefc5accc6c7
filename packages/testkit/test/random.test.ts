import * as assert from '#src/assert.js';
import { Random } from '#src/random.js';
import { suite } from '#src/suite.js';

const random = suite('Random');

function draw(seed: number): number[] {
  const source = new Random(seed);
  return [source.next32(), source.below(10), source.next32(), source.fork().next32()];
}

random('one seed gives one run, on every machine', () => {
  assert.equal(draw(1), draw(1));
  assert.not.equal(draw(1), draw(2));
  assert.equal(draw(42), [2_476_999_517, 5, 914_527_439, 404_246_133]);
});

random('numbers stay below their limit and reach every value', () => {
  const source = new Random(7);
  const seen = new Set(Array.from({ length: 1_000 }, () => source.below(7)));
  assert.equal(
    [...seen].sort((one, other) => one - other),
    [0, 1, 2, 3, 4, 5, 6],
  );
  assert.throws(() => source.below(0), /positive/);
  assert.throws(() => source.below(1.5), /positive/);
});

random('chances are about what they say', () => {
  const source = new Random(7);
  const hits = Array.from({ length: 10_000 }, () => source.chance(0.25)).filter(Boolean).length;
  assert.ok(hits > 2_300 && hits < 2_700, String(hits));
  assert.not.ok(source.chance(0));
  assert.ok(source.chance(1));
});

random('shuffling keeps all items, and picking takes one of them', () => {
  const source = new Random(7);
  const items = [1, 2, 3, 4, 5, 6, 7, 8];
  const shuffled = source.shuffle(items);
  assert.not.equal(shuffled, items);
  assert.equal(
    shuffled.toSorted((one, other) => one - other),
    items,
  );
  assert.ok(items.includes(source.pick(items)));
  assert.is(source.bytes(5).length, 5);
});

random.run();
