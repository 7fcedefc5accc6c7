import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { isStoreError } from '#src/errors.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { releasePlaceOf } from '#src/log/writer-queue.js';
import { assert, suite, temporaryDirectory, type TemporaryDirectory } from '@forewrit/testkit';
import { Child, newQueueToken, openLog } from './lmdb-world.js';
import { bytes, catchFrom, pause, read } from './log-values.js';

const test = suite('queue of writers');

let scratch: TemporaryDirectory;
let directory: string;
test.before.each(() => {
  scratch = temporaryDirectory('lmdb');
  directory = `${scratch.path}/log`;
});
test.after.each(() => scratch.remove());

test('increments of several processes all count', async () => {
  const log = openLog(directory);
  const children = [1, 2, 3].map(() => new Child({ directory, action: 'increment', count: 300 }));
  for (const child of children) await child.report('ready');
  for (const child of children) await child.report('done');
  assert.is(read(log, 'meta', 'count'), '900');
  for (const child of children) assert.is(await child.exit(), 0);
  assert.equal(readdirSync(`${directory}/queue`), ['free']);
  log.close();
});

test('a busy writer does not starve another one', async () => {
  const log = openLog(directory);
  const child = new Child({ directory, action: 'write-for-ever' });
  await child.report('ready');
  const waits: number[] = [];
  for (let round = 0; round < 100; round += 1) {
    const started = performance.now();
    log.commit((batch) => batch.put('meta', bytes('n'), bytes(String(round))));
    waits.push(performance.now() - started);
  }
  await child.kill('SIGKILL');
  assert.ok(Math.max(...waits) < 1000, `waited up to ${Math.max(...waits)} ms`);
  log.close();
});

test('when a writer is killed in the middle of a write, the next one goes on within a second', async () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  for (let round = 0; round < 5; round += 1) {
    const child = new Child({ directory, action: 'hang' });
    await child.report('ready');
    child.process.kill('SIGKILL');
    const started = performance.now();
    log.commit((batch) => batch.put('meta', bytes('next'), bytes(String(round))));
    const elapsedMs = performance.now() - started;
    assert.ok(elapsedMs < 1000, `${elapsedMs} ms`);
    await child.exit();
  }
  assert.is(read(log, 'meta', 'hung'), undefined);
  assert.is(read(log, 'meta', 'next'), '4');
  log.close();
});

test('while a writer is stopped, others read, give up in time, close and exit', async () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  const waiter = new Child({ directory, action: 'wait', timeoutMs: 700 });
  await waiter.report('ready');
  const holder = new Child({ directory, action: 'hang' });
  await holder.report('ready');
  holder.process.kill('SIGSTOP');
  try {
    writeFileSync(`${directory}-go`, '');
    const { code, elapsedMs = 0, closeMs = 0 } = await waiter.report('done');
    const exiting = performance.now();
    assert.is(await waiter.exit(), 0);
    assert.is(code, 'ERR_STORE_LOCKED');
    assert.ok(elapsedMs >= 700 && elapsedMs < 1200, `gave up after ${elapsedMs} ms`);
    assert.ok(closeMs < 1000, `closed in ${closeMs} ms`);
    assert.ok(performance.now() - exiting < 1000, 'exited late');

    const error = catchFrom(() => log.commit(() => 0, { timeoutMs: 100 }));
    assert.ok(isStoreError(error, 'ERR_STORE_LOCKED'));
    assert.match(error.message, String(holder.process.pid));
    assert.is(read(log, 'meta', 'count'), '1');
    assert.ok(log.stats().usedBytes > 0);

    // To open it one waits for the same turn.
    const late = new Child({ directory, action: 'wait', timeoutMs: 300 });
    assert.is((await late.report('done')).code, 'ERR_STORE_LOCKED');
    assert.is(await late.exit(), 0);

    const closing = performance.now();
    log.close();
    assert.ok(performance.now() - closing < 1000);
  } finally {
    await holder.kill('SIGKILL');
  }
});

test('a writer that is stopped and let go again commits, and so do those who waited', async () => {
  const log = openLog(directory);
  const child = new Child({ directory, action: 'write-for-ever' });
  await child.report('ready');
  for (let round = 0; round < 5; round += 1) {
    child.process.kill('SIGSTOP');
    setTimeout(() => child.process.kill('SIGCONT'), 50);
    await pause(60);
    log.commit((batch) => batch.put('meta', bytes('n'), bytes(String(round))));
  }
  await child.kill('SIGKILL');
  assert.is(read(log, 'meta', 'n'), '4');
  log.close();
});

test('a handle that keeps its turn gives it up to whoever wants it, when it commits again or after its time', async () => {
  for (const [lingerMs, commitsOn] of [
    [60_000, true],
    [20, false],
  ] as const) {
    const log = openLog(directory, { lingerMs });
    const before = Number(read(log, 'meta', 'count') ?? 0);
    log.commit((batch) => batch.put('meta', bytes('n'), bytes('1')));
    assert.match(readdirSync(`${directory}/queue`).join(), /^held-/);
    const child = new Child({ directory, action: 'increment', count: 50 });
    const finished = child.report('ready').then(() => child.report('done'));
    const started = performance.now();
    if (commitsOn) {
      const commits = setInterval(() => log.commit((batch) => batch.put('meta', bytes('n'), bytes('2'))), 1);
      void finished.finally(() => clearInterval(commits));
    }
    await finished;
    assert.ok(performance.now() - started < 5000);
    assert.is(read(log, 'meta', 'count'), String(before + 50));
    log.commit((batch) => batch.put('meta', bytes('n'), bytes('3')));
    log.close();
    assert.equal(readdirSync(`${directory}/queue`), ['free']);
  }
});

test('a turn that was kept by a thread that is no more is released by its process', () => {
  const token = `${newQueueToken()}x`;
  const log = openLog(directory, { lingerMs: 60_000, queueToken: token });
  const other = openLog(directory, { lockTimeoutMs: 50 });
  log.commit((batch) => batch.put('meta', bytes('n'), bytes('1')));
  assert.ok(
    isStoreError(
      catchFrom(() => other.commit(() => 0)),
      'ERR_STORE_LOCKED',
    ),
  );
  for (let n = 0; n < 2; n += 1) releasePlaceOf({ directory, fileSystem: new NodeFileSystem(), token });
  other.commit((batch) => batch.put('meta', bytes('n'), bytes('2')));
  other.close();
  log.close();
  assert.equal(readdirSync(`${directory}/queue`), ['free']);
});

test('a wait ends at once when it is cancelled', async () => {
  openLog(directory).close();
  const holder = new Child({ directory, action: 'hang' });
  const cancelFlag = new Int32Array(new SharedArrayBuffer(4));
  const log = openLog(directory, { cancelFlag });
  await holder.report('ready');
  const canceller = new Worker(
    `const { workerData, parentPort } = require('node:worker_threads');
     setTimeout(() => { Atomics.store(workerData, 0, 1); Atomics.notify(workerData, 0); }, 100);`,
    { eval: true, workerData: cancelFlag },
  );
  await new Promise((resolve) => canceller.once('online', resolve));
  const started = performance.now();
  assert.ok(
    isStoreError(
      catchFrom(() => log.commit(() => 0)),
      'ERR_STORE_CLOSED',
    ),
  );
  assert.ok(performance.now() - started < 500);
  await holder.kill('SIGKILL');
  log.close();
});

test('the place of a handle of another boot is taken over', () => {
  openLog(directory).close();
  const fileSystem = new NodeFileSystem();
  fileSystem.rename(`${directory}/queue/free`, `${directory}/queue/held-42.7.another-boot.x.y`);
  const started = performance.now();
  const log = openLog(directory, { isTokenAlive: (token) => !token.includes('another-boot') });
  assert.ok(performance.now() - started < 500);
  assert.equal(readdirSync(`${directory}/queue`), ['free']);
  log.close();
});

test('a queue that lost its baton is made anew', () => {
  openLog(directory).close();
  rmSync(`${directory}/queue/free`);
  const log = openLog(directory);
  assert.equal(readdirSync(`${directory}/queue`), ['free']);
  rmSync(`${directory}/queue`, { recursive: true });
  log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  assert.equal(readdirSync(`${directory}/queue`), ['free']);
  log.close();
});

test.run();
