/** A supervisor's end of a shim's socket (`shim/wire.ts`). */

import type { Socket } from 'node:net';
import { InvalidArgumentError, StoreError } from '@forewrit/core';
import {
  type ControlAnswer,
  type ControlRequest,
  encodeLine,
  LineCutter,
  writeBytesMax,
  type WriteFailure,
} from '../shim/wire.js';
import type { ExitRecord, ShimConnection, StopOptions } from './supervisor.js';

type Listener = (event: 'output' | 'exit' | 'closed') => void;

interface Waiting {
  readonly resolve: (failure: WriteFailure | undefined) => void;
  readonly reject: (error: Error) => void;
}

export interface ConnectionOptions {
  readonly nonce: string;
  /** What the directory says when the connection is lost. */
  readonly readExit: () => ExitRecord | undefined;
  readonly timeoutMs: number;
}

/** Resolves when the shim has said welcome; `undefined` if it hung up: it is ending, or not ours. Takes the socket. */
export async function openConnection(
  socket: Socket,
  options: ConnectionOptions,
): Promise<ShimConnection | undefined> {
  const connection = new SocketConnection(socket, options);
  return (await connection.greeted) ? connection : undefined;
}

class SocketConnection implements ShimConnection {
  readonly greeted: Promise<boolean>;
  readonly #socket: Socket;
  readonly #readExit: () => ExitRecord | undefined;
  readonly #lines = new LineCutter();
  readonly #listeners: Listener[] = [];
  readonly #writes = new Map<number, Waiting>();
  readonly #closed: Promise<void>;
  #lastId = 0;
  #stopping = false;
  #writing: Promise<unknown> = Promise.resolve();
  #exit: ExitRecord | undefined;
  #greet: (welcome: boolean) => void = () => undefined;

  constructor(socket: Socket, { nonce, readExit, timeoutMs }: ConnectionOptions) {
    this.#socket = socket;
    this.#readExit = readExit;
    this.greeted = new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        socket.destroy();
        reject(
          new StoreError('ERR_IO', `the shim did not answer within ${timeoutMs} ms`, {
            op: 'connect',
            hint: 'It may be stopped, or the machine overloaded.',
          }),
        );
      }, timeoutMs);
      this.#greet = (welcome) => {
        clearTimeout(timer);
        // To hear of a task does not keep the process alive; to wait for an answer does.
        socket.unref();
        resolve(welcome);
      };
    });
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#greet(false);
        for (const { reject } of this.#writes.values()) reject(gone('write'));
        this.#writes.clear();
        this.#tell('closed');
        resolve();
      });
    });
    // 'close' comes after it.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const lines = this.#lines.push(chunk);
      if (lines === undefined) socket.destroy();
      else for (const line of lines) this.#take(JSON.parse(line) as ControlAnswer);
    });
    this.#send({ type: 'hello', nonce });
  }

  async stop({ signal, graceMs }: StopOptions = {}): Promise<ExitRecord> {
    this.#stopping = true;
    this.#socket.ref();
    this.#send({
      type: 'stop',
      ...(signal === undefined ? {} : { signal }),
      ...(graceMs === undefined ? {} : { graceMs }),
    });
    await this.#closed;
    const exit = this.#exit ?? this.#readExit();
    if (exit === undefined) throw gone('stop');
    return exit;
  }

  write(data: Uint8Array, { end = false }: { readonly end?: boolean } = {}): Promise<void> {
    this.#socket.ref();
    const written = this.#writing.then(() => this.#write(data, end));
    const done = written.catch(() => undefined);
    this.#writing = done;
    void this.#restAfter(done);
    return written;
  }

  onEvent(listener: Listener): void {
    this.#listeners.push(listener);
    if (this.#exit !== undefined) listener('exit');
    if (this.#socket.destroyed) listener('closed');
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #write(data: Uint8Array, end: boolean): Promise<void> {
    for (let at = 0; at === 0 || at < data.length; at += writeBytesMax) {
      const piece = data.subarray(at, at + writeBytesMax);
      const failure = await this.#writePiece(piece, end && at + writeBytesMax >= data.length);
      if (failure === 'no-pipe') throw new InvalidArgumentError('write', "the command has no stdin: 'pipe'");
      if (failure === 'ended') {
        throw new StoreError('ERR_IO', 'the command does not read its standard input any more', {
          op: 'write',
        });
      }
    }
  }

  /** When nothing is written any more; a stop goes on until the end. */
  async #restAfter(done: Promise<unknown>): Promise<void> {
    await done;
    if (this.#writing === done && !this.#stopping) this.#socket.unref();
  }

  #writePiece(bytes: Uint8Array, end: boolean): Promise<WriteFailure | undefined> {
    if (this.#socket.destroyed) return Promise.reject(gone('write'));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#writes.set(id, { resolve, reject });
      this.#send({ type: 'write', id, base64: Buffer.from(bytes).toString('base64'), end });
    });
  }

  #take(answer: ControlAnswer): void {
    switch (answer.type) {
      case 'welcome':
        this.#greet(true);
        break;
      case 'refused':
        this.#greet(false);
        break;
      case 'wrote':
        this.#writes.get(answer.id)?.resolve(answer.failure);
        this.#writes.delete(answer.id);
        break;
      case 'output':
        this.#tell('output');
        break;
      case 'exit':
        this.#exit = answer.exit;
        this.#tell('exit');
        break;
    }
  }

  #send(request: ControlRequest): void {
    if (this.#socket.writable) this.#socket.write(encodeLine(request));
  }

  #tell(event: 'output' | 'exit' | 'closed'): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function gone(op: string): StoreError {
  return new StoreError('ERR_IO', 'the shim of the task ended before it answered', {
    op,
    hint: 'Look at the task again: it may be orphaned or lost.',
  });
}
