import * as assert from '#src/assert.js';
import { SimulatedClock } from '#src/simulated-clock.js';
import { suite } from '#src/suite.js';

const clock = suite('SimulatedClock');

clock('time passes when it is told to, and a little with every look', () => {
  const time = new SimulatedClock({ startMs: 1_000, tickNs: 1_000 });
  assert.is(time.nowMs(), 1_000);
  assert.ok(time.nowNs() < time.nowNs());
  const before = time.monotonicMs();
  time.advance(50.5);
  assert.ok(time.monotonicMs() >= before + 50.5);
  assert.is(time.nowMs(), 1_050);
  assert.throws(() => time.advance(-1), /does not go back/);
});

clock('setting the wall clock back leaves the monotonic one alone', () => {
  const time = new SimulatedClock({ tickNs: 0 });
  time.advance(10);
  time.setWall(5);
  assert.is(time.nowMs(), 5);
  assert.is(time.monotonicMs(), 10);
});

clock.run();
