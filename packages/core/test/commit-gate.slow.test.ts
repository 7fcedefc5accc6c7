import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { endCommits, newCommitGate } from '#src/log/commit-gate.js';
import { assert, suite, temporaryDirectory, type TemporaryDirectory } from '@forewrit/testkit';
import type { WorkerTask } from './lmdb-worker.js';
import { Child, openLog } from './lmdb-world.js';
import { bytes, pause, read } from './log-values.js';

const test = suite('logs of several threads');

let scratch: TemporaryDirectory;
let directory: string;
test.before.each(() => {
  scratch = temporaryDirectory('lmdb');
  directory = `${scratch.path}/log`;
});
test.after.each(() => scratch.remove());

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

test('a thread that has ended its commits is terminated, and the others go on', async () => {
  const log = openLog(directory);
  for (let round = 0; round < 10; round += 1) {
    const { worker, gate } = await startWorker('write');
    await pause(round * 3);
    assert.ok(endCommits(gate, 2000));
    await worker.terminate();
    log.commit((batch) => batch.put('meta', bytes('n'), bytes(String(round))), { timeoutMs: 500 });
  }
  const { worker, gate, turn } = await startWorker('hang');
  assert.is(endCommits(gate, 50), false);
  Atomics.store(turn, 0, 1);
  Atomics.notify(turn, 0);
  assert.ok(endCommits(gate, 2000));
  await worker.terminate();
  assert.is(read(log, 'meta', 'hung'), '1');
  log.close();
});

test('a process exits at once while another thread of it commits, if that is told first', async () => {
  for (let round = 0; round < 10; round += 1) {
    const child = new Child({ directory, action: 'exit-while-writing', count: round * 5 });
    await child.report('ready');
    const started = performance.now();
    assert.is(await child.exit(), 0);
    assert.ok(performance.now() - started < 2000);
  }
  assert.equal(readdirSync(`${directory}/queue`), ['free']);
});

async function startWorker(
  action: WorkerTask['action'],
): Promise<Pick<WorkerTask, 'turn' | 'gate'> & { worker: Worker }> {
  const turn = new Int32Array(new SharedArrayBuffer(8));
  const gate = newCommitGate();
  const workerData: WorkerTask = { action, directory, gate, turn };
  const worker = new Worker(new URL('./lmdb-worker.js', import.meta.url), { workerData });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return { turn, gate, worker };
}

test.run();
