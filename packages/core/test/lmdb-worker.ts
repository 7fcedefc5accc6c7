/** Commits a number whenever another thread asks for it. */
import { parentPort, workerData } from 'node:worker_threads';
import { bytes, read } from './log-values.js';
import { openLog } from './lmdb-world.js';

const { directory, turn } = workerData as { readonly directory: string; readonly turn: Int32Array };
const log = openLog(directory);
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
