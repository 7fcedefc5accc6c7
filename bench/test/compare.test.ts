import { assert, suite } from '@forewrit/testkit';
import { compare, parseResults } from '#src/compare.js';
import { probeContender } from '#src/measurement.js';
import { comparisonAsText } from '#src/report/text.js';
import { around, madeResults } from './made-results.js';

const test = suite('comparing two results');

const named = (changes: readonly { readonly series: { readonly contender: string } }[]): string[] =>
  changes.map(({ series }) => series.contender);

test('what lies apart is slower or faster, and by how much', () => {
  const before = madeResults({ forewrit: [around(1), around(1.02)], other: [around(3), around(3)] });
  const after = madeResults({ forewrit: [around(2), around(2.04)], other: [around(1), around(1)] });
  const { slower, faster, compared } = compare(before, after);
  assert.is(compared, 2);
  assert.equal(named(slower), ['forewrit']);
  assert.equal(named(faster), ['other']);
  assert.ok(Math.abs(slower[0]!.ratio - 2) < 1e-9);
  const text = comparisonAsText({ slower, faster, compared, remarks: [] });
  assert.match(text, /Slower:[^]*2\.00 ×[^]*forewrit[^]*Faster:[^]*other/);
});

test('runs that differ among themselves as much as from the old ones are noise', () => {
  const before = madeResults({ forewrit: [around(1), around(1.5), around(1.1)] });
  const after = madeResults({ forewrit: [around(1.4), around(1.9), around(1.6)] });
  const { slower, faster } = compare(before, after);
  assert.equal([...named(slower), ...named(faster)], []);
  assert.match(
    comparisonAsText({ slower, faster, compared: 1, remarks: [] }),
    /Slower: nothing beyond noise/,
  );
});

test('what is certain and small is not worth a line', () => {
  const exact = (value: number): number[] => Array.from({ length: 100 }, () => value);
  const { slower } = compare(madeResults({ forewrit: [exact(1)] }), madeResults({ forewrit: [exact(1.04)] }));
  assert.equal(slower, []);
});

test('what only one of the two has is not compared', () => {
  const before = madeResults({ forewrit: [around(1)] });
  assert.is(compare(before, madeResults({ other: [around(9)] })).compared, 0);
});

test('another machine, and a slower disk, are remarked upon', () => {
  const before = madeResults({ forewrit: [around(1)], [probeContender]: [around(1)] });
  const after = madeResults({ forewrit: [around(1)], [probeContender]: [around(3)] });
  const { remarks, slower } = compare(before, {
    ...after,
    environment: { ...after.environment, cores: 8 },
    places: { plain: 'xfs' },
  });
  assert.equal(slower, []);
  assert.equal(remarks, [
    'cores: 2 before, 8 now',
    'plain: ext4, journalled before, xfs now',
    'plain, save: a flush of the disk itself takes 3.00 × as long',
  ]);
});

test('results survive being written and read; anything else is refused', () => {
  const results = madeResults({ forewrit: [around(1)] });
  assert.equal(parseResults(JSON.stringify(results)), JSON.parse(JSON.stringify(results)));
  for (const text of ['null', '{}', '{"format":0,"series":[]}', '{"format":1}']) {
    assert.throws(() => parseResults(text), /no results/);
  }
});

test.run();
