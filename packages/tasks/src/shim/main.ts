/**
 * The shim: one process for each task, started in a session of its own so that it outlives whoever started it. Node's own
 * modules only. Arguments: the task's directory, which is its working directory as well. On stdin it is given its order
 * (so that no secret is on a disk or in a list of processes), on stdout it answers once:
 *
 *     order read → room for the records taken → socket and pipes → claimed → command spawned → shim.json → answered → …
 *
 * Until the claim the command has not run, and if the claim is somebody else's it never will.
 */

import * as fs from 'node:fs';
import { failpointHitter } from './failpoint.js';
import { closeInheritedDescriptors } from './inherited-descriptors.js';
import { Processes } from './processes.js';
import { claimLaunch, codeOf, exitName, faultName, reserveRecord, shimName } from './task-files.js';
import { TaskRun } from './task-run.js';
import { encodeLine, type LaunchAnswer, type LaunchMessage } from './wire.js';

const readBytes = 64 * 1024;

async function main(directory: string): Promise<void> {
  closeInheritedDescriptors();
  const message = readMessage();
  if (message === undefined) return;
  const { order } = message;
  const hit = failpointHitter(message.failpoint);
  hit('order.after');
  const processes = new Processes();
  const shim = processes.identity();
  const run = new TaskRun({ directory, order, shim, processes, hit });
  try {
    reserveRecord(directory, shimName);
    reserveRecord(directory, exitName);
    await run.prepare();
    hit('claim.before');
    if (!claimLaunch(directory, { nonce: order.nonce, by: 'shim', shim })) {
      answer({ type: 'claimed' });
      await run.abandon();
      return;
    }
  } catch (error) {
    answer(refusalOf(error));
    await run.abandon();
    return;
  }
  hit('claim.after');
  process.on('SIGTERM', () => run.stop('user', { signal: 'SIGTERM', graceMs: order.killGraceMs }));
  const { ended } = await run.start();
  const { pid, startTime, bootId } = shim;
  answer({ type: 'settled', shim: { pid, startTime, bootId } });
  await ended;
  process.exit(0);
}

/** `undefined`: whoever wrote it died in the middle of it. Blocks. */
function readMessage(): LaunchMessage | undefined {
  const pieces: Buffer[] = [];
  for (;;) {
    const piece = Buffer.alloc(readBytes);
    const bytes = fs.readSync(0, piece);
    pieces.push(piece.subarray(0, bytes));
    if (bytes === 0) return undefined;
    if (piece[bytes - 1] === 0x0a) return JSON.parse(Buffer.concat(pieces).toString()) as LaunchMessage;
  }
}

function refusalOf(error: unknown): LaunchAnswer {
  const code = codeOf(error);
  // Another launch had been given this directory.
  if (code === 'EEXIST') return { type: 'claimed' };
  const message = error instanceof Error ? error.message : String(error);
  return { type: 'failed', message, ...(code === undefined ? {} : { code }) };
}

function answer(answer: LaunchAnswer): void {
  try {
    fs.writeSync(1, encodeLine(answer));
  } catch {
    // Nobody is there any more. The directory says it all.
  }
}

function fail(error: unknown): void {
  try {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    fs.writeFileSync(faultName, text, { mode: 0o600 });
  } finally {
    process.exit(70);
  }
}

process.on('uncaughtException', fail);
// Its session has no terminal, but a signal to all processes should not make orphans.
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);
main(process.argv[2] ?? '.').catch(fail);
