/**
 * The committer as the caller's thread sees it: posts requests, resolves promises. The thread keeps the process alive
 * only while something is under way.
 */

import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { CheckpointReport } from '../commit/checkpoint.js';
import { type Committer, type CommitterEvent, type CommitterState, Counters } from './committer.js';
import { commitGateBytes, endCommits } from '../log/commit-gate.js';
import type { Commit } from '../commit/job.js';
import type { StagingRequest } from '../commit/resumable-records.js';
import { fromPlainError, StoreError } from '../errors.js';
import type { Roots } from '../path/path.js';
import type { CommitRequest } from '../plan/request.js';
import { waitAtMost } from './wait-at-most.js';
import type { FromWorker, PlainOptions, ToWorker, WorkerInput } from './worker-protocol.js';

/**
 * `close()` returns within two seconds, whatever other processes do: what is left of them is for ending the thread. But
 * as long as the thread has work of its own, and gets on with it, it is waited for.
 */
const closeTimeoutMs = 1500;
const writeTimeoutMs = 300;
const exitTimeoutMs = 1500;

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  readonly accepted?: ((revision: number) => void) | undefined;
}

export interface WorkerCommitterOptions {
  readonly entry: URL;
  readonly roots: Roots;
  readonly options: PlainOptions;
  readonly umask: number;
  readonly onEvent: (event: CommitterEvent) => void;
}

export class WorkerCommitter implements Committer {
  readonly state: CommitterState;
  readonly counters: Counters;
  readonly #worker: Worker;
  readonly #gate: Int32Array;
  readonly #unguard: () => void;
  readonly #onEvent: (event: CommitterEvent) => void;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #closing: Promise<void> | undefined;
  #ended: Error | undefined;
  /** It has said so since it was last looked at. */
  #isAtWork = false;

  private constructor(parts: {
    worker: Worker;
    state: CommitterState;
    counters: Counters;
    gate: Int32Array;
    unguard: () => void;
    onEvent: (event: CommitterEvent) => void;
  }) {
    this.state = parts.state;
    this.counters = parts.counters;
    this.#worker = parts.worker;
    this.#gate = parts.gate;
    this.#unguard = parts.unguard;
    this.#onEvent = parts.onEvent;
    this.#worker.unref();
  }

  static async start({
    entry,
    roots,
    options,
    umask,
    onEvent,
  }: WorkerCommitterOptions): Promise<WorkerCommitter> {
    const counters = new Counters();
    const cancelFlag = new SharedArrayBuffer(commitGateBytes);
    const input: WorkerInput = {
      roots,
      options,
      umask,
      nonce: randomBytes(8).toString('hex'),
      counters: counters.buffer,
      cancelFlag,
    };
    const worker = new Worker(entry, { workerData: input, stdin: false, execArgv: [] });
    const gate = new Int32Array(cancelFlag);
    const unguard = guardExit(gate);
    return await new Promise<WorkerCommitter>((resolve, reject) => {
      let committer: WorkerCommitter | undefined;
      const ended = (error: Error): void => {
        unguard();
        if (committer === undefined) reject(error);
        else committer.#end(committer.#isExpectedToEnd ? closed() : error);
      };
      worker.on('message', (message: FromWorker) => {
        if (committer !== undefined) committer.#hear(message);
        else if (message.type === 'event') onEvent(message.event);
        else if (message.type === 'failed') reject(fromPlainError(message.error));
        else if (message.type === 'ready') {
          const { state } = message;
          committer = new WorkerCommitter({ worker, state, counters, gate, unguard, onEvent });
          resolve(committer);
        }
      });
      worker.on('error', ended);
      worker.on('exit', () => ended(new Error('the committer thread ended')));
    });
  }

  commit(request: CommitRequest, accepted?: (revision: number) => void): Promise<Commit> {
    return this.#ask((id) => ({ type: 'commit', id, request }), accepted, transferable(request));
  }

  stage(request: StagingRequest): Promise<void> {
    return this.#ask((id) => ({ type: 'stage', id, request }));
  }

  checkpoint(): Promise<CheckpointReport> {
    return this.#ask((id) => ({ type: 'checkpoint', id }));
  }

  materialize(): Promise<void> {
    return this.#ask((id) => ({ type: 'materialize', id }));
  }

  recoverDead(): Promise<void> {
    return this.#ask((id) => ({ type: 'recover', id }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#ended === undefined) {
      // Its end is expected from then on.
      const done = this.#ask<void>((id) => ({ type: 'close', id })).then(
        () => this.#end(closed()),
        (error: unknown) => {
          this.#onEvent({
            type: 'log',
            level: 'warn',
            details: { error },
            message: 'closing the committer failed',
          });
        },
      );
      await this.#whileItWorks(done);
    }
    // Whatever it still waits for ends now; what it had committed is recovered by the next open. A thread that is inside
    // a write must not be ended: it is left to end with the process.
    if (endCommits(this.#gate, writeTimeoutMs)) {
      const ended = this.#worker.terminate();
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 100).unref())]);
    }
    this.#end(closed());
    this.#unguard();
  }

  async #whileItWorks(done: Promise<void>): Promise<void> {
    const answer = done.finally(() => {
      this.#isAtWork = false;
    });
    do {
      this.#isAtWork = false;
      await waitAtMost(answer, closeTimeoutMs);
    } while (this.#isAtWork);
  }

  #ask<T>(
    message: (id: number) => ToWorker,
    accepted?: (revision: number) => void,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      if (this.#pending.size === 0) this.#worker.ref();
      this.#pending.set(id, { resolve, reject, accepted });
      this.#worker.postMessage(message(id), [...transfer]);
    });
  }

  #hear(message: FromWorker): void {
    switch (message.type) {
      case 'done':
        this.#settle(message.id)?.resolve(message.value as never);
        break;
      case 'error':
        this.#settle(message.id)?.reject(fromPlainError(message.error));
        break;
      case 'accepted':
        this.#pending.get(message.id)?.accepted?.(message.revision);
        break;
      case 'event':
        this.#onEvent(message.event);
        break;
      case 'poisoned':
        this.#onEvent({ type: 'poisoned', cause: fromPlainError(message.error) });
        break;
      case 'closing':
        this.#isAtWork = true;
        break;
      case 'ready':
      case 'failed':
        break;
    }
  }

  /** Closing, with every answer given. */
  get #isExpectedToEnd(): boolean {
    return this.#closing !== undefined && this.#pending.size === 0;
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#worker.unref();
    return pending;
  }

  /** Nobody will answer any more: what is pending has an unknown outcome. */
  #end(cause: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended =
      cause instanceof StoreError
        ? cause
        : new StoreError('ERR_STORE_POISONED', `The committer thread died: ${cause.message}`, {
            op: 'commit',
            hint: 'Close the store and open it again: recovery decides what was committed.',
            cause,
          });
    for (const pending of this.#pending.values()) pending.reject(this.#ended);
    this.#pending.clear();
    if (this.#closing === undefined) this.#onEvent({ type: 'poisoned', cause: this.#ended });
  }
}

function closed(): StoreError {
  return new StoreError('ERR_STORE_CLOSED', 'The store is closed', { op: 'close' });
}

/** A process that exits while its committer is inside a write would hang for ever: the write is waited for. */
function guardExit(gate: Int32Array): () => void {
  const onExit = (): void => {
    endCommits(gate, exitTimeoutMs);
  };
  // One listener for each open store is no leak.
  process.setMaxListeners(process.getMaxListeners() + 1);
  process.on('exit', onExit);
  let guarded = true;
  return () => {
    if (!guarded) return;
    guarded = false;
    process.off('exit', onExit);
    process.setMaxListeners(process.getMaxListeners() - 1);
  };
}

/** The buffer that `Transaction` packed all small content into moves to the other thread without a copy. */
function transferable(request: CommitRequest): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const operation of request.operations) {
    if (operation.type !== 'write' && operation.type !== 'append') continue;
    if (operation.content.kind !== 'bytes') continue;
    const { buffer } = operation.content.bytes;
    if (buffer instanceof ArrayBuffer) buffers.add(buffer);
  }
  return [...buffers];
}
