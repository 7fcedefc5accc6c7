import * as assert from '#src/assert.js';
import { type Figures, figuresIn, figuresPrefix } from '#src/figures.js';
import { suite } from '#src/suite.js';

const test = suite('figures of a test');

test('are found wherever they are in what was printed', () => {
  const figures: Figures[] = [
    { campaign: 'kill', subject: 'two stores', counts: { kills: 3, redone: 0 } },
    { campaign: 'power', subject: 'ext4: forewrit', counts: { images: 1 } },
  ];
  const [first, second] = figures.map((each) => `${figuresPrefix}${JSON.stringify(each)}`);
  // The reporter leaves the line of its suite open.
  const output = `kill: FOREWRIT_TEST_SEED=1\n a saving process  ${first}\n• •\n${second}\n  (2 / 2)\n`;
  assert.equal(figuresIn(output), figures);
  assert.equal(figuresIn('nothing\nof the kind\n'), []);
});

test.run();
