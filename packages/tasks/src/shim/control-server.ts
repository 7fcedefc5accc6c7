/**
 * The shim's end of its socket (wire.ts). It is bound by a short name, because the shim's working directory is the
 * task's: the path of a socket has about 107 bytes. Where the file system has no sockets it is in a new directory
 * (0700) below the system's place for temporary files, and shim.json says where.
 */

import * as fs from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { socketName } from './task-files.js';
import { type ControlAnswer, type ControlRequest, encodeLine, LineCutter } from './wire.js';

/** `output` is said at most this often. */
const outputEventMs = 25;
/** For supervisors to take what was said last. */
const farewellMs = 1000;
/** To a supervisor that does not listen nothing is said but the end. */
const unheardBytesMax = 64 * 1024;

export interface ControlHandlers {
  stop(request: Extract<ControlRequest, { readonly type: 'stop' }>): void;
  /** Resolves when the command's pipe has taken it. */
  write(request: Extract<ControlRequest, { readonly type: 'write' }>): Promise<ControlAnswer>;
}

export class ControlServer {
  readonly #nonce: string;
  readonly #handlers: ControlHandlers;
  readonly #connections = new Set<Socket>();
  /** Those with a write that the command has not taken yet. */
  readonly #writing = new Set<Socket>();
  #server: Server | undefined;
  /** The directory made for it. */
  #place: string | undefined;
  #outputTimer: NodeJS.Timeout | undefined;
  #ending: ControlAnswer | undefined;

  constructor(nonce: string, handlers: ControlHandlers) {
    this.#nonce = nonce;
    this.#handlers = handlers;
  }

  /** In the working directory. Resolves with the path, if it is not there. */
  async listen(): Promise<string | undefined> {
    if (process.platform === 'win32') {
      const pipe = `\\\\.\\pipe\\forewrit-${this.#nonce}`;
      this.#server = await listenAt(pipe, this.#accept);
      return pipe;
    }
    try {
      this.#server = await listenAt(socketName, this.#accept);
      fs.chmodSync(socketName, 0o600);
      return undefined;
    } catch {
      this.#place = fs.mkdtempSync(`${tmpdir()}/forewrit-`);
      const path = `${this.#place}/${socketName}`;
      this.#server = await listenAt(path, this.#accept);
      return path;
    }
  }

  outputGrew(): void {
    if (this.#connections.size === 0 || this.#outputTimer !== undefined) return;
    this.#outputTimer = setTimeout(() => {
      this.#outputTimer = undefined;
      for (const socket of this.#connections) {
        if (socket.writableLength < unheardBytesMax) socket.write(encodeLine({ type: 'output' }));
      }
    }, outputEventMs);
  }

  /** Says how it ended to all, and hangs up. */
  async end(answer: ControlAnswer): Promise<void> {
    clearTimeout(this.#outputTimer);
    this.#ending = answer;
    const closed = new Promise<void>((resolve) => {
      if (this.#server === undefined) resolve();
      else this.#server.close(() => resolve());
    });
    for (const socket of this.#connections) socket.end(encodeLine(answer));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, farewellMs);
    });
    await Promise.race([closed, late]);
    clearTimeout(timer);
    if (this.#place !== undefined) fs.rmSync(this.#place, { recursive: true, force: true });
  }

  readonly #accept = (socket: Socket): void => {
    const lines = new LineCutter();
    let welcome = false;
    socket.on('error', () => undefined);
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const requests = lines.push(chunk)?.map(parseRequest);
      if (requests === undefined || requests.includes(undefined)) {
        socket.destroy();
        return;
      }
      for (const request of requests) {
        if (request === undefined || socket.destroyed || !socket.writable) return;
        if (welcome) this.#answer(socket, request);
        else if (request.type === 'hello' && request.nonce === this.#nonce) {
          welcome = true;
          socket.write(encodeLine({ type: 'welcome' }));
          if (this.#ending !== undefined) socket.end(encodeLine(this.#ending));
          else this.#connections.add(socket);
        } else socket.end(encodeLine({ type: 'refused' }));
      }
    });
  };

  #answer(socket: Socket, request: ControlRequest): void {
    if (request.type === 'stop') this.#handlers.stop(request);
    if (request.type !== 'write') return;
    // One at a time, so that what waits for the command is bounded; a stop may overtake it.
    if (this.#writing.has(socket)) socket.destroy();
    else void this.#write(socket, request);
  }

  async #write(socket: Socket, request: Extract<ControlRequest, { readonly type: 'write' }>): Promise<void> {
    this.#writing.add(socket);
    const answer = await this.#handlers.write(request);
    this.#writing.delete(socket);
    if (socket.writable) socket.write(encodeLine(answer));
  }
}

function listenAt(path: string, accept: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(accept);
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      // Too many open files, say: the supervisor tries again.
      server.on('error', () => undefined);
      resolve(server);
    });
  });
}

function parseRequest(line: string): ControlRequest | undefined {
  try {
    const request = JSON.parse(line) as ControlRequest | null;
    return typeof request === 'object' && request !== null ? request : undefined;
  } catch {
    return undefined;
  }
}
