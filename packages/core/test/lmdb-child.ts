/** Another process that uses a log: does what its argument says, and reports on stdout. */
import { existsSync, writeSync } from 'node:fs';
import { systemCode } from '#src/errors.js';
import { bytes, pause, read } from './log-values.js';
import { type ChildReport, type ChildTask, openLog } from './lmdb-world.js';

const task = JSON.parse(process.argv[2] ?? '') as ChildTask;
const { action, count = 0, directory, timeoutMs } = task;

function report(content: ChildReport): void {
  writeSync(1, `${JSON.stringify(content)}\n`);
}

function failure(error: unknown): Pick<ChildReport, 'code' | 'message'> {
  return { code: systemCode(error), message: error instanceof Error ? error.message : String(error) };
}

const options = timeoutMs === undefined ? {} : { lockTimeoutMs: timeoutMs };

if (action === 'wait') {
  const started = performance.now();
  try {
    const log = openLog(directory, options);
    report({ event: 'ready' });
    while (!existsSync(`${directory}-go`)) await pause(2);
    const committing = performance.now();
    let outcome: Pick<ChildReport, 'code' | 'message'> = {};
    try {
      log.commit((batch) => batch.put('meta', bytes('waited'), bytes('1')));
    } catch (error) {
      outcome = failure(error);
    }
    const elapsedMs = performance.now() - committing;
    const closing = performance.now();
    log.close();
    report({ event: 'done', ...outcome, elapsedMs, closeMs: performance.now() - closing });
  } catch (error) {
    report({ event: 'done', ...failure(error), elapsedMs: performance.now() - started });
  }
  // Must end even though another process is stopped in the middle of a write.
  process.exit(0);
}

const log = openLog(directory, options);
switch (action) {
  case 'increment':
    report({ event: 'ready' });
    for (let round = 0; round < count; round += 1) {
      log.commit((batch) => {
        const before = batch.get('meta', bytes('count'));
        const value = before === undefined ? 0 : Number(Buffer.from(before).toString());
        batch.put('meta', bytes('count'), bytes(String(value + 1)));
      });
    }
    report({ event: 'done' });
    break;
  case 'hang':
    log.commit((batch) => {
      batch.put('meta', bytes('hung'), bytes('1'));
      report({ event: 'ready' });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });
    break;
  case 'write-for-ever':
    report({ event: 'ready' });
    for (let round = 0; ; round += 1) {
      const value = bytes(String(round).padEnd(2000, '.'));
      log.commit((batch) => {
        for (let key = 0; key < 20; key += 1) batch.put('entries', bytes(`${key}`), value);
      });
    }
  case 'read':
    report({ event: 'done', value: read(log, 'meta', 'count') });
    break;
}
log.close();
