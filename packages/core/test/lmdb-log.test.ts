import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { spawn } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { isStoreError, StoreError } from '#src/errors.js';
import { FlushError } from '#src/log.js';
import { NodeFileSystem } from '#src/node-file-system.js';
import { releasePlaceOf } from '#src/writer-queue.js';
import { assert, suite, temporaryDirectory, type TemporaryDirectory } from '@forewrit/testkit';
import type { WorkerTask } from './lmdb-worker.js';
import { Child, newQueueToken, openLog } from './lmdb-world.js';
import { bytes, catchFrom, patterned, pause, read, text } from './log-values.js';

const test = suite('log in LMDB');

let scratch: TemporaryDirectory;
let directory: string;
test.before.each(() => {
  scratch = temporaryDirectory('lmdb');
  directory = `${scratch.path}/log`;
});
test.after.each(() => scratch.remove());

test('a new log is complete when it appears, and what a dead process left of another one is removed', () => {
  mkdirSync(directory, 0o700);
  mkdirSync(`${directory}/creating-999999999.1...x`);
  writeSync(openSync(`${directory}/creating-999999999.1...x/data.mdb`, 'w'), 'half');
  mkdirSync(`${directory}/queue-new-999999999.1...y`);
  const log = openLog(directory);
  assert.equal(readdirSync(directory).sort(), ['data.mdb', 'lock.mdb', 'queue']);
  assert.equal(readdirSync(`${directory}/queue`), ['free']);
  for (const name of ['data.mdb', 'lock.mdb']) assert.is(statSync(`${directory}/${name}`).mode & 0o777, 0o600);
  assert.is(statSync(directory).mode & 0o777, 0o700);
  log.close();
});

test('opening what must exist makes nothing', () => {
  assert.ok(isStoreError(catchFrom(() => openLog(directory, { mustExist: true })), 'ERR_NOT_FOUND'));
  mkdirSync(directory);
  assert.ok(isStoreError(catchFrom(() => openLog(directory, { mustExist: true })), 'ERR_NOT_FOUND'));
});

test('content outlives the handle', () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  log.close();
  const again = openLog(directory, { mustExist: true });
  assert.is(read(again, 'files', 'a'), '1');
  again.close();
});

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
    assert.match((error as StoreError).message, String(holder.process.pid));
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
  assert.ok(isStoreError(catchFrom(() => log.commit(() => 0)), 'ERR_STORE_CLOSED'));
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

test('a damaged file is refused with a code, not with a signal', () => {
  const log = openLog(directory);
  for (let n = 0; n < 200; n += 1) log.commit((batch) => batch.put('log', bytes(`${n}`), patterned(5000)));
  const { usedBytes } = log.stats();
  log.close();
  const whole = `${scratch.path}/whole`;
  copyFileSync(`${directory}/data.mdb`, whole);

  const damages: readonly (readonly [string, (file: number) => void])[] = [
    ['empty', (file) => ftruncateSync(file, 0)],
    ['one byte', (file) => ftruncateSync(file, 1)],
    ['one page', (file) => ftruncateSync(file, 4096)],
    ['two pages', (file) => ftruncateSync(file, 8192)],
    ['half of what is used', (file) => ftruncateSync(file, Math.floor(usedBytes / 2))],
    ['metas zeroed', (file) => writeSync(file, new Uint8Array(8192), 0, 8192, 0)],
    ['first meta zeroed', (file) => writeSync(file, new Uint8Array(4096), 0, 4096, 0)],
    ['second meta zeroed', (file) => writeSync(file, new Uint8Array(4096), 0, 4096, 4096)],
    ['wholly zeroed', (file) => writeSync(file, new Uint8Array(statSync(whole).size), 0, null, 0)],
    ['all but the metas zeroed', (file) => writeSync(file, new Uint8Array(statSync(whole).size - 8192), 0, null, 8192)],
    ['text', (file) => writeSync(file, 'hello '.repeat(10_000), 0)],
  ];
  for (const [name, damage] of damages) {
    copyFileSync(whole, `${directory}/data.mdb`);
    const file = openSync(`${directory}/data.mdb`, 'r+');
    damage(file);
    closeSync(file);
    const error = catchFrom(() => openLog(directory));
    assert.ok(isStoreError(error, 'ERR_LOG_CORRUPT'), `${name}: ${error}`);
  }

  copyFileSync(whole, `${directory}/data.mdb`);
  const file = openSync(`${directory}/data.mdb`, 'r+');
  writeSync(file, Uint8Array.of(1), 0, 1, 28);
  closeSync(file);
  assert.ok(isStoreError(catchFrom(() => openLog(directory)), 'ERR_UNSUPPORTED_FORMAT'));

  copyFileSync(whole, `${directory}/data.mdb`);
  const again = openLog(directory);
  assert.is(again.view((view) => view.range('log', { start: bytes('0') })).length, 200);
  again.close();
});

test('a view in one thread sees what another thread has committed', async () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('meta', bytes('n'), bytes('0')));
  const { turn, worker } = await startWorker('follow');
  for (let round = 1; round <= 500; round += 1) {
    read(log, 'meta', 'n');
    Atomics.store(turn, 0, round);
    Atomics.notify(turn, 0);
    while (Atomics.load(turn, 1) !== round) {
      assert.is(Atomics.wait(turn, 1, round - 1, 5000) === 'timed-out', false);
    }
    assert.is(read(log, 'meta', 'n'), String(round));
  }
  await worker.terminate();
  log.commit((batch) => batch.put('meta', bytes('n'), bytes('last')));
  log.close();
});

test('when a thread ends in the middle of a commit, its process must reopen the log, and others go on', async () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  const { worker, queueToken } = await startWorker('hang');
  await worker.terminate();
  assert.ok(isStoreError(catchFrom(() => log.commit(() => 0, { timeoutMs: 100 })), 'ERR_STORE_LOCKED'));
  releasePlaceOf({ directory, fileSystem: new NodeFileSystem(), token: queueToken });
  assert.ok(isStoreError(catchFrom(() => log.commit(() => 0)), 'ERR_STORE_POISONED'));

  const child = new Child({ directory, action: 'increment', count: 10 });
  await child.report('ready');
  await child.report('done');
  assert.is(await child.exit(), 0);
  log.close();
  const again = openLog(directory);
  assert.is(read(again, 'meta', 'count'), '11');
  assert.is(read(again, 'meta', 'hung'), undefined);
  again.commit((batch) => batch.put('meta', bytes('count'), bytes('12')));
  again.close();
});

async function startWorker(
  action: WorkerTask['action'],
): Promise<Pick<WorkerTask, 'turn' | 'queueToken'> & { worker: Worker }> {
  const turn = new Int32Array(new SharedArrayBuffer(8));
  const queueToken = newQueueToken();
  const workerData: WorkerTask = { action, directory, queueToken, turn };
  const worker = new Worker(new URL('./lmdb-worker.js', import.meta.url), { workerData });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return { turn, queueToken, worker };
}

test('a log that is full takes essential commits only, and ordinary ones again when there is room', () => {
  const log = openLog(directory, { mapSizeBytes: 4 * 1024 * 1024 });
  let stored = 0;
  const refused = catchFrom(() => {
    for (; stored < 1000; stored += 1) {
      log.commit((batch) => batch.put('log', bytes(`${stored}`), patterned(20_000)), { sizeBytes: 20_000 });
    }
  });
  assert.ok(isStoreError(refused, 'ERR_LOG_FULL'), String(refused));
  assert.ok(stored > 150, `${stored} stored`);
  for (let n = 0; n < 100; n += 1) {
    log.commit((batch) => batch.put('files', bytes(`${n}`), patterned(10_000)), { essential: true, sizeBytes: 10_000 });
  }
  assert.is(log.view((view) => view.range('log', { start: bytes('0') })).length, stored);
  log.commit(
    (batch) => {
      for (let n = 0; n < stored; n += 1) batch.delete('log', bytes(`${n}`));
    },
    { essential: true },
  );
  log.commit((batch) => batch.put('log', bytes('again'), patterned(20_000)), { sizeBytes: 20_000 });
  assert.is(log.view((view) => view.range('files', { start: bytes('0') })).length, 100);
  log.close();
});

test('a map that became too small grows, for other handles as well', async () => {
  const small = openLog(directory, { mapSizeBytes: 1024 * 1024 });
  small.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  const other = new Child({ directory, action: 'wait' });
  await other.report('ready');
  for (let n = 0; n < 300; n += 1) {
    small.commit((batch) => batch.put('files', bytes(`${n}`), patterned(20_000)), { essential: true });
  }
  assert.is(small.view((view) => view.range('files', { start: bytes('0') })).length, 300);
  writeFileSync(`${directory}-go`, '');
  assert.is((await other.report('done')).code, undefined);
  assert.is(read(small, 'meta', 'waited'), '1');
  small.close();
});

test('queue-like use neither grows the file nor loses anything', () => {
  const log = openLog(directory);
  for (let n = 0; n < 3000; n += 1) {
    log.commit((batch) => {
      batch.put('log', bytes(String(n).padStart(8, '0')), patterned(n % 30_000));
      if (n >= 10) batch.delete('log', bytes(String(n - 10).padStart(8, '0')));
    });
  }
  const rows = log.view((view) => view.range('log', { start: bytes('0') }));
  assert.equal(
    rows.map(([key, value]) => [Number(text(key)), value.length]),
    Array.from({ length: 10 }, (_, n) => [2990 + n, 2990 + n]),
  );
  assert.ok(log.stats().fileBytes <= 4 * 1024 * 1024, `${log.stats().fileBytes}`);
  log.close();
});

test('a process with an open, idle and watched log ends by itself', async () => {
  const program = `
    import { openLog } from ${JSON.stringify(new URL('./lmdb-world.js', import.meta.url).href)};
    const log = openLog(${JSON.stringify(directory)});
    log.view(() => 0);
    log.commit((batch) => batch.put('files', Uint8Array.of(1), Uint8Array.of(1)));
    log.watch(() => {});
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.is(code, 0);
});

test('an error inside the file system of the log is an error of the store', () => {
  const error = catchFrom(() => openLog(`${scratch.path}/missing/log`));
  assert.ok(isStoreError(error, 'ERR_NOT_FOUND'), String(error));
  assert.is(error instanceof FlushError, false);
});

test('pausing keeps nothing from being written', async () => {
  const log = openLog(directory);
  log.view(() => 0);
  await pause(5);
  log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  await pause(5);
  assert.is(read(log, 'files', 'a'), '1');
  log.close();
});

test.run();
