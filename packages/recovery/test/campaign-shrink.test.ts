import { announceSeed, assert, type Random, suite } from '@forewrit/testkit';
import { DrawnRandom, runAndShrink } from './campaign-shrink.js';

const test = suite('shrinking a random run');
const seed = announceSeed('shrinking a random run');

/** Draws up to eighty steps; fails at one of them, if there was another before. */
async function machine(random: Random, trace: string[]): Promise<void> {
  const count = 40 + random.below(40);
  let isArmed = false;
  for (let step = 0; step < count; step += 1) {
    const kind = random.below(10);
    trace.push(`${kind}`);
    if (kind === 3) isArmed = true;
    if (kind === 7 && isArmed) throw new Error(`broken after ${trace.join(' ')}`);
    if (kind === 9 && trace.length < 4) throw new TypeError('something else');
  }
}

test('the steps that do not matter go, and the whole run is told as well', async () => {
  let failures = 0;
  for (let round = 0; round < 20; round += 1) {
    const message = await runAndShrink(seed + round, (random) => machine(random, [])).then(
      () => '',
      (error: unknown) => (error as Error).message,
    );
    const [first, , note] = message.split('\n');
    if (!first?.startsWith('broken')) continue;
    failures += 1;
    assert.is(first, 'broken after 3 7');
    assert.ok(note?.includes(`the seed ${seed + round}`), note);
  }
  assert.ok(failures > 10, `${failures} failures`);
});

test('a run that is well is run once', async () => {
  let runs = 0;
  await runAndShrink(seed, async (random) => {
    runs += 1;
    random.next32();
  });
  assert.is(runs, 1);
});

test('what was drawn gives the same again, and zeros after it', () => {
  const first = new DrawnRandom(seed);
  const numbers = Array.from({ length: 5 }, () => first.below(100));
  const again = new DrawnRandom(seed + 1, first.drawn);
  assert.equal(
    Array.from({ length: 7 }, () => again.below(100)),
    [...numbers, 0, 0],
  );
  assert.is(again.drawn?.length, 7);
});

test.run();
