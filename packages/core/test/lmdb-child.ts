/** Another process that uses a log: does what its argument says, and reports on stdout. */
import { once } from 'node:events';
import { existsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { endCommits, newCommitGate } from '#src/log/commit-gate.js';
import { systemCode } from '#src/errors.js';
import { FlushError, type Log } from '#src/log/log.js';
import { openLogToInspect } from '#src/log/lmdb-inspection.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { bytes, pause, read, text } from './log-values.js';
import type { WorkerTask } from './lmdb-worker.js';
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

if (action === 'come-and-go') {
  const scratchDirectory = `${dirname(directory)}/scratch-${process.pid}`;
  try {
    for (let round = 0; round < count; round += 1) {
      const opened =
        round % 2 === 0
          ? openLog(directory, options)
          : openLogToInspect({ directory, fileSystem: new NodeFileSystem(), scratchDirectory });
      opened.view((view) => view.get('meta', bytes('count')));
      opened.close();
    }
    report({ event: 'done' });
  } catch (error) {
    report({ event: 'done', ...failure(error) });
  }
  process.exit(0);
}

if (action === 'inspect') {
  const looks = count === 0 ? [''] : createInterface({ input: process.stdin });
  const scratchDirectory = `${dirname(directory)}/scratch`;
  let log: Log | undefined;
  let done = 0;
  for await (const _ of looks) {
    try {
      log ??= openLogToInspect({ directory, fileSystem: new NodeFileSystem(), scratchDirectory });
      report({ event: 'done', value: lookAt(log) });
    } catch (error) {
      report({ event: 'done', ...failure(error) });
    }
    done += 1;
    if (done >= count) break;
  }
  log?.close();
  process.exit(0);
}

function attempt(log: Log, value: string): string {
  try {
    log.commit((batch) => batch.put('meta', bytes('count'), bytes(value)));
    return 'committed';
  } catch (error) {
    return error instanceof FlushError ? 'FlushError' : String(systemCode(error));
  }
}

/** The counter, or what `write-for-ever` has written: all of it in one batch, so all of it the same. */
function lookAt(log: Log): string | undefined {
  return log.view((view) => {
    const rows = view.range('entries', { start: bytes('0') });
    if (rows.length === 0) return text(view.get('meta', bytes('count')));
    const values = new Set(rows.map(([, value]) => text(value)));
    return values.size === 1 ? `same ${[...values][0]?.slice(0, 10)}` : `different: ${[...values].join()}`;
  });
}

if (action === 'fail-flush') {
  const first = openLog(directory);
  const second = openLog(directory);
  // How many flushes opening takes is not for this test to know: commit until one fails.
  let value = 0;
  let outcome = 'committed';
  while (outcome === 'committed' && value < 100) {
    value += 1;
    outcome = attempt(first, String(value));
  }
  const outcomes = [outcome, attempt(first, 'again'), attempt(second, 'other')];
  first.close();
  second.close();
  const reopened = openLog(directory);
  outcomes.push(`${read(reopened, 'meta', 'count')} of ${value}`, attempt(reopened, 'reopened'));
  reopened.close();
  report({ event: 'done', value: outcomes.join(', ') });
  process.exit(0);
}

if (action === 'exit-while-writing') {
  const gate = newCommitGate();
  process.on('exit', () => endCommits(gate, 1500));
  const workerData: WorkerTask = { action: 'write', directory, gate, turn: new Int32Array(2) };
  const worker = new Worker(new URL('./lmdb-worker.js', import.meta.url), { workerData });
  await once(worker, 'message');
  report({ event: 'ready' });
  await pause(count);
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
      const value = bytes(String(round).padEnd(2000 + (round % 4) * 1500, '.'));
      log.commit((batch) => {
        for (let key = 0; key < 20; key += 1) batch.put('entries', bytes(`${key}`), value);
      });
    }
  case 'read':
    report({ event: 'done', value: read(log, 'meta', 'count') });
    break;
}
log.close();
