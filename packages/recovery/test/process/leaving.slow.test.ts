/** A process that closes its store, or just exits, in the middle of its saves is gone in time, and in nobody's way. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import {
  announceSeed,
  assert,
  monotonicMs,
  Random,
  suite,
  temporaryDirectory,
  TestProcess,
  untilStopped,
} from '@forewrit/testkit';
import type { WriterMessage } from './writer-child.js';

const test = suite('a process that leaves while it saves');

const notLinux = process.platform === 'linux' ? undefined : 'that a process is stopped is seen in /proc';

const limitMs = 2000;
/** To close is to make a checkpoint, too: that is its own work. */
const ownWorkMs = 20_000;
const rounds = 6;
const lanes = 3;
/** Many files, so that the log transaction of a save takes a while. */
const set = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`set/${index}`, 100]));

for (const how of ['exit', 'close'] as const) {
  test(`by ${how}, at any moment: it is gone in time, and the next one goes on`, async () => {
    const random = new Random(announceSeed(how));
    await leaveAgainAndAgain(how, (root) => leave(root, how, random.below(100)));
  });

  test.skipIf(notLinux, `by ${how}, inside its log transaction: the same`, async () => {
    await leaveAgainAndAgain(how, (root) => leaveInsideTransaction(root, how));
  });
}

async function leaveAgainAndAgain(how: string, leave: (root: string) => Promise<number>): Promise<void> {
  using directory = temporaryDirectory('leaving');
  let longestMs = 0;
  let left = 0;
  const lane = async (index: number): Promise<void> => {
    const root = `${directory.path}/${index}`;
    while (left < rounds) {
      left += 1;
      longestMs = Math.max(longestMs, await leave(root));
    }
    const store = await openStore(root, { committer: 'inline', lockTimeoutMs: limitMs });
    await store.writeFile('after', '');
    await store.close();
  };
  await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)));
  console.log(`${left} times by ${how}: longest ${longestMs.toFixed(0)} ms`);
}

async function leave(root: string, how: 'exit' | 'close', afterMs: number): Promise<number> {
  await using writer = start(root);
  await writer.next('open');
  writer.tell({ type: 'run' });
  await sleep(afterMs);
  writer.tell({ type: how });
  return await gone(writer, how, ownWorkMs);
}

async function leaveInsideTransaction(root: string, how: 'exit' | 'close'): Promise<number> {
  await using writer = start(root, { failpoint: { name: 'log.inside', action: 'stop' } });
  await writer.next('open');
  writer.tell({ type: 'save' });
  await untilStopped(writer.pid);
  // It hears of both at once.
  writer.tell({ type: how });
  writer.signal('SIGCONT');
  return await gone(writer, how);
}

function start(root: string, options: StoreOptions = {}): TestProcess<WriterMessage> {
  return new TestProcess<WriterMessage>(new URL('./writer-child.js', import.meta.url), {
    request: { root, name: 'leaving', sets: [set], options },
  });
}

/** How long it takes to be gone. */
async function gone(
  writer: TestProcess<WriterMessage>,
  how: 'exit' | 'close',
  closeLimitMs = limitMs,
): Promise<number> {
  const toldMs = monotonicMs();
  if (how === 'close') {
    const { durationMs } = await writer.next('closed');
    assert.ok(durationMs < closeLimitMs, `closing took ${durationMs} ms`);
    writer.tell({ type: 'exit' });
  }
  const { code, atMs } = await writer.end(2 * limitMs);
  assert.is(code, 0);
  return atMs - toldMs;
}

test.run();
