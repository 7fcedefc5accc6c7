import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { isStoreError } from '#src/errors.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { identityOfToken, queueToken } from '#src/log/queue-token.js';
import { releasePlaceOf, WriterQueue, type WriterQueueOptions } from '#src/log/writer-queue.js';
import {
  assert,
  type Fault,
  FaultyFileSystem,
  suite,
  temporaryDirectory,
  type TemporaryDirectory,
} from '@forewrit/testkit';
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

/** A queue in a made directory, over a file system that fails where it is told to. */
function newQueue(
  faults: readonly Fault[],
  more: Partial<WriterQueueOptions> = {},
): { readonly queue: WriterQueue; readonly token: string } {
  const token = `${newQueueToken()}${Math.random().toString(36).slice(2)}`;
  const queue = new WriterQueue({
    directory: scratch.path,
    fileSystem: new FaultyFileSystem(new NodeFileSystem(), { faults }),
    token,
    isTokenAlive: () => true,
    clock: () => performance.now(),
    cancelFlag: new Int32Array(new SharedArrayBuffer(4)),
    lingerMs: 0,
    ...more,
  });
  return { queue, token };
}

function namesIn(place: string): string[] {
  return readdirSync(`${scratch.path}/${place}`).sort();
}

test('a handle whose release has failed goes on with the turn that it still has', () => {
  let failing = true;
  const { queue, token } = newQueue([
    {
      error: 'EIO',
      sticky: true,
      at: ({ method, dest }) => failing && method === 'rename' && dest?.endsWith('/free') === true,
    },
  ]);
  queue.prepare();
  queue.acquire('commit', 1000);
  queue.release();
  assert.equal(namesIn('queue'), [`held-${token}`], 'it could not be released');
  failing = false;
  queue.acquire('commit', 0);
  queue.release();
  assert.equal(namesIn('queue'), ['free']);
  failing = true;
  queue.acquire('commit', 0);
  queue.release();
  // Somebody has held us for dead, and has put it back since.
  renameSync(`${scratch.path}/queue/held-${token}`, `${scratch.path}/queue/free`);
  queue.acquire('commit', 0);
  assert.equal(namesIn('queue'), [`held-${token}`]);
});

test('a queue that cannot be used is an error of the store, and leaves nothing half made', () => {
  const making = [
    [{ error: 'ENOSPC', at: ({ method }) => method === 'create' }, 'ERR_NO_SPACE'],
    [{ error: 'EIO', at: ({ method }) => method === 'rename' }, 'ERR_IO'],
    [{ error: 'EACCES', at: ({ method }) => method === 'makeDirectory' }, 'ERR_PERMISSION'],
  ] as const satisfies readonly (readonly [Fault, string])[];
  for (const [fault, code] of making) {
    assert.throwsWithCode(() => newQueue([fault]).queue.prepare(), code);
    assert.equal(namesIn(''), [], code);
  }
  newQueue([]).queue.prepare();
  const take = newQueue([{ error: 'EIO', at: ({ method }) => method === 'rename' }]).queue;
  assert.throwsWithCode(() => take.acquire('commit', 0), 'ERR_IO');
  renameSync(`${scratch.path}/queue/free`, `${scratch.path}/queue/held-${newQueueToken()}`);
  const look = newQueue([{ error: 'EIO', at: ({ method }) => method === 'list' }]).queue;
  assert.throwsWithCode(() => look.acquire('commit', 0), 'ERR_IO');
  const fileSystem = new FaultyFileSystem(new NodeFileSystem(), {
    faults: [{ error: 'EIO', at: ({ method }) => method === 'rename' }],
  });
  assert.throwsWithCode(
    () => releasePlaceOf({ directory: scratch.path, fileSystem, token: newQueueToken() }),
    'ERR_IO',
  );
});

test('of two processes that make the queue at once one has made it', () => {
  let raced = false;
  const { queue } = newQueue([], {
    fileSystem: new FaultyFileSystem(new NodeFileSystem(), {
      beforeCall: ({ method }) => {
        if (method !== 'makeDirectory' || raced) return;
        raced = true;
        newQueue([]).queue.prepare();
      },
    }),
  });
  queue.prepare();
  assert.ok(raced);
  assert.equal(namesIn(''), ['queue']);
  assert.equal(namesIn('queue'), ['free']);
});

test('who waits in vain is told by whom the turn is held, as far as that is known', () => {
  newQueue([]).queue.prepare();
  const free = `${scratch.path}/queue/free`;
  const whoHolds = (name: string | undefined): string => {
    if (name === undefined) rmSync(free);
    else renameSync(free, `${scratch.path}/queue/${name}`);
    const error = catchFrom(() => newQueue([]).queue.acquire('commit', 0));
    assert.ok(isStoreError(error, 'ERR_STORE_LOCKED'));
    if (name === undefined) writeFileSync(free, '');
    else renameSync(`${scratch.path}/queue/${name}`, free);
    return error.message;
  };
  assert.match(
    whoHolds(`held-${queueToken({ pid: 4711, startTime: '1', bootId: 'b', pidNamespace: '' }, 'n')}`),
    '4711',
  );
  assert.match(whoHolds('held-by-something-else'), 'another process');
  assert.match(whoHolds(undefined), 'another process');
});

test('a turn is not taken once writing has ended', () => {
  const cancelFlag = new Int32Array(new SharedArrayBuffer(4));
  const { queue } = newQueue([], { cancelFlag });
  queue.prepare();
  Atomics.store(cancelFlag, 0, 1);
  assert.throwsWithCode(() => queue.acquire('commit', 1000), 'ERR_STORE_CLOSED');
  assert.equal(namesIn('queue'), ['free']);
});

test('a name in the queue says which process it is, and other names say nothing', () => {
  const identity = { pid: 17, startTime: '4.2', bootId: 'a b%', pidNamespace: 'pid:[40]' };
  assert.equal(identityOfToken(queueToken(identity, 'nonce')), identity);
  for (const name of [
    '',
    '17',
    '17.1.b',
    '17.1.b.n',
    '17.1.b.n.x.y',
    '0.1.b.n.x',
    'x.1.b.n.x',
    '-1.1.b.n.x',
  ]) {
    assert.is(identityOfToken(name), undefined, name);
  }
  assert.is(identityOfToken('17.%zz.b.n.x')?.startTime, '%zz', 'what is no encoding stands for itself');
});

test.run();
