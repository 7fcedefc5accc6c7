/** Another thread that uses a log. */
import { parentPort, workerData } from 'node:worker_threads';
import { openLog } from './lmdb-world.js';
import { bytes, patterned, read } from './log-values.js';

export interface WorkerTask {
  /**
   * `follow`: commit the number that is asked for. `hang`: stay in a commit until something is asked for. `write`:
   * commit without end.
   */
  readonly action: 'follow' | 'hang' | 'write';
  readonly directory: string;
  readonly gate: Int32Array;
  /** What is asked for, and what was done. */
  readonly turn: Int32Array;
}

const { action, directory, gate, turn } = workerData as WorkerTask;
const log = openLog(directory, { cancelFlag: gate });

function follow(): void {
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
}

function hang(): void {
  log.commit((batch) => {
    batch.put('meta', bytes('hung'), bytes('1'));
    parentPort?.postMessage('ready', []);
    Atomics.wait(turn, 0, 0);
  });
}

function write(): void {
  const value = patterned(2000);
  for (;;) {
    log.commit((batch) => {
      for (let n = 0; n < 100; n += 1) batch.put('files', bytes(`${n}`), value);
    });
  }
}

if (action !== 'hang') parentPort?.postMessage('ready', []);
try {
  if (action === 'follow') follow();
  else if (action === 'hang') hang();
  else write();
} catch (error) {
  // Being ended is no failure.
  if (Atomics.load(gate, 0) === 0) throw error;
}
