/**
 * The committer's thread. Its entry module belongs to whoever opens the store (`@forewrit/recovery` supplies one), for it
 * brings the recoverer; all it does is call `runCommitterThread`.
 */

import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { assert } from '../assert.js';
import type { CommitterEvent } from './committer.js';
import { Counters } from './committer.js';
import { CommitterLoop, type LoopOptions } from './committer-loop.js';
import { toPlainError } from '../errors.js';
import { NodeFileSystem } from '../files/node-file-system.js';
import { openParts } from '../store/open-parts.js';
import type { Logger } from '../store/options.js';
import type { Recoverer } from './recoverer.js';
import type { FromWorker, ToWorker, WorkerInput } from './worker-protocol.js';

/** How often a thread that closes says that it is at work. */
const closeStepMs = 100;

export async function runCommitterThread(recoverer: Recoverer): Promise<void> {
  assert(parentPort !== null, 'the committer runs in a worker thread');
  const port = parentPort;
  const input = workerData as WorkerInput;
  const say = (message: FromWorker): void => port.postMessage(message);
  const onEvent = (event: CommitterEvent): void => {
    if (event.type === 'poisoned') say({ type: 'poisoned', error: toPlainError(event.cause) });
    else say({ type: 'event', event });
  };
  let loop: CommitterLoop;
  try {
    loop = await startLoop(input, recoverer, { onEvent, onCloseStep: () => say({ type: 'closing' }) });
  } catch (error) {
    say({ type: 'failed', error: toPlainError(error) });
    port.close();
    return;
  }
  port.on('message', (message: ToWorker) => {
    handle(loop, message, say, port);
    drain(port, loop, say);
  });
  say({ type: 'ready', state: loop.state });
}

async function startLoop(
  input: WorkerInput,
  recoverer: Recoverer,
  { onEvent, onCloseStep }: Pick<LoopOptions, 'onEvent'> & { readonly onCloseStep: () => void },
): Promise<CommitterLoop> {
  const options = { ...input.options, logger: eventLogger(onEvent) };
  const parts = await openParts({ roots: input.roots, fileSystem: new NodeFileSystem() }, options, {
    umask: input.umask,
    cancelFlag: new Int32Array(input.cancelFlag),
    privileged: process.getuid?.() === 0,
  });
  return await CommitterLoop.start({
    parts,
    recoverer,
    nonce: input.nonce,
    onEvent,
    counters: new Counters(input.counters),
    onCloseStep: sparingly(onCloseStep),
    withWitness: true,
  });
}

function sparingly(action: () => void): () => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = performance.now();
    if (nowMs - lastMs < closeStepMs) return;
    lastMs = nowMs;
    action();
  };
}

/** What came in while the thread was busy joins the next group. */
function drain(port: MessagePort, loop: CommitterLoop, say: (message: FromWorker) => void): void {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    handle(loop, next.message as ToWorker, say, port);
  }
}

function handle(
  loop: CommitterLoop,
  message: ToWorker,
  say: (message: FromWorker) => void,
  port: MessagePort,
): void {
  const { id } = message;
  const failed = (error: unknown): void => say({ type: 'error', id, error: toPlainError(error) });
  switch (message.type) {
    case 'commit': {
      loop.submit(message.request, {
        accepted: (revision) => say({ type: 'accepted', id, revision }),
        resolve: (value) => say({ type: 'done', id, value }),
        reject: failed,
      });
      break;
    }
    case 'stage':
      loop.stage(message.request).then(() => say({ type: 'done', id }), failed);
      break;
    case 'checkpoint':
      loop.checkpoint().then((value) => say({ type: 'done', id, value }), failed);
      break;
    case 'materialize':
      loop.materialize().then(() => say({ type: 'done', id }), failed);
      break;
    case 'recover':
      loop.recoverDead().then(() => say({ type: 'done', id }), failed);
      break;
    case 'close':
      void closeLoop(loop, port, { say: () => say({ type: 'done', id }), failed });
      break;
  }
}

async function closeLoop(
  loop: CommitterLoop,
  port: MessagePort,
  answer: { readonly say: () => void; readonly failed: (error: unknown) => void },
): Promise<void> {
  try {
    await loop.close();
    answer.say();
    port.close();
  } catch (error) {
    answer.failed(error);
  }
}

function eventLogger(onEvent: (event: CommitterEvent) => void): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (details: object, message: string): void =>
      onEvent({ type: 'log', level, details: plain(details), message });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Errors lose what makes them useful when they are cloned as they are. */
function plain(details: object): object {
  return Object.fromEntries(
    Object.entries(details).map(([key, value]) => [
      key,
      value instanceof Error ? toPlainError(value) : value,
    ]),
  );
}
