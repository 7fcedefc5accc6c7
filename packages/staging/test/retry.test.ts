import { StoreError } from '@forewrit/core';
import { FairQueue } from '#src/limits.js';
import { ProgressMeter } from '#src/progress.js';
import { isPassing, withRetries } from '#src/retry.js';
import { assert, suite } from '@forewrit/testkit';

const test = suite('retries, queue and progress');

function failing(code: string): Error {
  return Object.assign(new Error(code), { code });
}

test('what may pass is told from what will not, wherever it is in the chain of causes', () => {
  for (const code of ['EBUSY', 'EAGAIN', 'EMFILE', 'ENFILE']) {
    assert.is(isPassing(failing(code)), true, code);
    assert.is(isPassing(new StoreError('ERR_IO', 'failed', { op: 'x', cause: failing(code) })), true, code);
  }
  for (const code of ['ENOSPC', 'EIO', 'ENOENT', 'ERR_CONFLICT'])
    assert.is(isPassing(failing(code)), false, code);
  assert.is(isPassing(failing('EPERM'), 'win32'), true);
  assert.is(isPassing(failing('EPERM'), 'linux'), false);
  const poisoned = new StoreError('ERR_STORE_POISONED', 'unknown', { op: 'x', cause: failing('EBUSY') });
  assert.is(isPassing(poisoned), false);
  assert.is(isPassing(undefined), false);
});

test('what passes is tried again, and what does not is not', async () => {
  let calls = 0;
  const passing = async (): Promise<string> => {
    calls += 1;
    if (calls < 3) throw failing('EBUSY');
    return 'done';
  };
  assert.is(await withRetries(passing, { retryDelayMs: 0 }), 'done');
  assert.is(calls, 3);
  calls = 0;
  const full = async (): Promise<never> => {
    calls += 1;
    throw failing('ENOSPC');
  };
  await assert.rejectsWithCode(withRetries(full, { retryDelayMs: 0 }), 'ENOSPC');
  assert.is(calls, 1);
  calls = 0;
  const busy = async (): Promise<never> => {
    calls += 1;
    throw failing('EBUSY');
  };
  await assert.rejectsWithCode(withRetries(busy, { retryDelayMs: 0, maxRetries: 4 }), 'EBUSY');
  assert.is(calls, 5);
});

test('an abort ends the waiting', async () => {
  const controller = new AbortController();
  let calls = 0;
  const busy = async (): Promise<never> => {
    calls += 1;
    controller.abort();
    throw failing('EBUSY');
  };
  await assert.rejectsWithCode(
    withRetries(busy, { retryDelayMs: 60_000, signal: controller.signal }),
    'EBUSY',
  );
  assert.is(calls, 1);
});

test('the queue is fair, and a place is given back once', async () => {
  const queue = new FairQueue({ atOnceMax: 1, waitingMax: 2 });
  const leave = await queue.enter();
  const order: string[] = [];
  const enter = async (name: string): Promise<() => void> => {
    const done = await queue.enter();
    order.push(name);
    return done;
  };
  const first = enter('first');
  const second = enter('second');
  await assert.rejectsWithCode(queue.enter(), 'ERR_TOO_MANY');
  leave();
  leave();
  const leaveFirst = await first;
  assert.equal([order, queue.running, queue.waiting], [['first'], 1, 1]);
  leaveFirst();
  (await second)();
  assert.equal([order, queue.running, queue.waiting], [['first', 'second'], 0, 0]);
});

test('the rate follows what is measured, and the end is foreseen by it', () => {
  let now = 0;
  const meter = new ProgressMeter({ totalBytes: 10_000, nowMs: () => now });
  assert.is(meter.look(0).bytesPerSecond, 0);
  assert.is(meter.look(0).remainingMs, undefined);
  for (let second = 0; second < 5; second += 1) {
    now += 1000;
    meter.add(1000);
  }
  const { bytes, bytesPerSecond, remainingMs } = meter.look(4000);
  assert.is(bytes, 5000);
  assert.ok(Math.abs(bytesPerSecond - 1000) < 1);
  assert.ok(Math.abs(remainingMs! - 5000) < 5);
  now += 1000;
  meter.add(3000);
  assert.ok(meter.look(0).bytesPerSecond > 1200);
});

test.run();
