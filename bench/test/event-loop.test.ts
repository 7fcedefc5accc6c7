import { setTimeout as delay } from 'node:timers/promises';
import { assert, suite } from '@forewrit/testkit';
import { EventLoopWatch, resolutionMs } from '#src/event-loop.js';

const test = suite('the delay of the event loop');

const blockMs = 40;

async function block(): Promise<void> {
  const startedMs = performance.now();
  while (performance.now() - startedMs < blockMs);
}

test('who never lets go of the loop is seen', async () => {
  const watch = new EventLoopWatch();
  await watch.during(block);
  // The tick that it is late for was due within the block.
  assert.ok(Math.max(...watch.samples) > blockMs - 3 * resolutionMs, watch.samples.join());
});

test('what goes on between two watches is not counted', async () => {
  const watch = new EventLoopWatch();
  let watchedMs = 0;
  for (let time = 0; time < 3; time += 1) {
    const startedMs = performance.now();
    await watch.during(() => delay(20));
    watchedMs += performance.now() - startedMs;
    await block();
    await delay(200);
  }
  assert.ok(watch.samples.length > 3);
  // From tick to tick it cannot be longer than from beginning to end, but for the width of a histogram's bucket.
  const countedMs = watch.samples.reduce((sum, ms) => sum + ms, 0);
  assert.ok(countedMs <= watchedMs * 1.01, `${countedMs} of ${watchedMs} ms`);
});

test.run();
