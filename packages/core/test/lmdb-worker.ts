/** Another thread that uses a log: commits a number whenever it is asked for it, or hangs in the middle of a commit. */
import { parentPort, workerData } from 'node:worker_threads';
import { openLog } from './lmdb-world.js';
import { bytes, read } from './log-values.js';

export interface WorkerTask {
  readonly action: 'follow' | 'hang';
  readonly directory: string;
  readonly queueToken: string;
  /** What is asked for, and what was done. */
  readonly turn: Int32Array;
}

const { action, directory, queueToken, turn } = workerData as WorkerTask;
const log = openLog(directory, { queueToken });
if (action === 'hang') {
  log.commit((batch) => {
    batch.put('meta', bytes('hung'), bytes('1'));
    parentPort?.postMessage('ready');
    Atomics.wait(turn, 0, 0);
  });
}
parentPort?.postMessage('ready');
for (let done = 0; ; ) {
  Atomics.wait(turn, 0, done);
  const asked = Atomics.load(turn, 0);
  if (asked === done) continue;
  read(log, 'meta', 'n');
  log.commit((batch) => batch.put('meta', bytes('n'), bytes(String(asked))));
  done = asked;
  Atomics.store(turn, 1, done);
  Atomics.notify(turn, 1);
}
