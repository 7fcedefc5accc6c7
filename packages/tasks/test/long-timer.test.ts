import { assert, suite } from '@forewrit/testkit';
import { LongTimer } from '#src/shim/long-timer.js';
import { sleep } from './task-world.js';

const test = suite('long timers');

test('a time beyond 2^31-1 ms does not end at once', async () => {
  for (const ms of [2 ** 31, 2 ** 40, Infinity]) {
    let ended = false;
    const timer = new LongTimer(ms, () => {
      ended = true;
    });
    await sleep(50);
    assert.not(ended, `${ms}`);
    timer.clear();
  }
});

test('a short time ends, unless it is cleared', async () => {
  let ended = 0;
  const cleared = new LongTimer(1, () => (ended += 1));
  cleared.clear();
  await new Promise<void>((resolve) => void new LongTimer(20, resolve));
  assert.is(ended, 0);
});

test.run();
