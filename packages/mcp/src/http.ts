/** Serving clients over Streamable HTTP on 127.0.0.1: one session each, all on the same store. */

import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InvalidArgumentError } from '@forewrit/core';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { type Guard, refusalOf } from './http-guard.js';
import { type Connection, createConnection } from './server.js';
import { closeServices, openServices, type Services, type ServicesOptions } from './services.js';

export interface HttpOptions extends ServicesOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** That clients must give. At least 16 characters. Default: a random one, for this run only. */
  readonly token?: string;
  /** Origins besides our own that may call from a browser. */
  readonly allowedOrigins?: readonly string[];
}

export interface HttpService extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  readonly sessions: number;
  /** Ends all sessions and closes the store. Commands run on. Idempotent. */
  close(): Promise<void>;
}

const address = '127.0.0.1';
const route = '/mcp';
const tokenCharsMin = 16;
const bodyBytesMax = 32 * 1024 * 1024;
/** A session takes little; but clients that go without a word would leave theirs for ever. */
const sessionsMax = 100;

interface Session {
  readonly transport: StreamableHTTPServerTransport;
  readonly connection: Connection;
}

export async function serveHttp(options: HttpOptions): Promise<HttpService> {
  const { port, token = randomBytes(32).toString('base64url'), allowedOrigins = [] } = options;
  if (token.length < tokenCharsMin || /\s/.test(token)) {
    throw new InvalidArgumentError(
      'serveHttp',
      `the token must have at least ${tokenCharsMin} characters, no spaces`,
    );
  }
  const services = await openServices(options);
  const service = new Service(services, { token, allowedOrigins });
  try {
    await service.listen(port);
  } catch (error) {
    await closeServices(services);
    throw error;
  }
  return service;
}

class Service implements HttpService {
  readonly token: string;
  readonly #services: Services;
  readonly #server: Server;
  readonly #allowedOrigins: readonly string[];
  /** The one that was used last is the last. */
  readonly #sessions = new Map<string, Session>();
  #port = 0;
  #closing: Promise<void> | undefined;

  constructor(services: Services, { token, allowedOrigins }: Omit<Guard, 'port'>) {
    this.token = token;
    this.#services = services;
    this.#allowedOrigins = allowedOrigins.map((origin) => origin.toLowerCase());
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((cause: unknown) => {
        services.logger.error({ cause }, 'a request could not be handled');
        if (!response.headersSent) refuse(response, 500, 'The request could not be handled');
        else response.destroy();
      });
    });
  }

  get url(): string {
    return `http://${address}:${this.#port}${route}`;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: address, port }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const id of this.#sessions.keys()) await this.#end(id);
    this.#server.closeAllConnections();
    await closed;
    await closeServices(this.#services);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = refusalOf(request, {
      port: this.#port,
      token: this.token,
      allowedOrigins: this.#allowedOrigins,
    });
    if (refusal !== undefined) return refuse(response, refusal.status, refusal.message);
    if (new URL(request.url ?? '/', this.url).pathname !== route) {
      return refuse(response, 404, `The endpoint is ${route}`);
    }
    const id = request.headers['mcp-session-id'];
    if (id === undefined) return await this.#initialize(request, response);
    const session = this.#used(String(id));
    // The protocol has a client begin a new session then, as after a restart.
    if (session === undefined) return refuse(response, 404, 'There is no such session; initialize anew');
    await session.transport.handleRequest(request, response);
  }

  async #initialize(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { transport, connection } = await this.#begin();
    try {
      await transport.handleRequest(request, response);
    } finally {
      // A request that does not initialize is refused by the transport, and makes no session.
      if (transport.sessionId === undefined) await connection.server.close();
    }
  }

  async #begin(): Promise<Session> {
    const connection = createConnection(this.#services);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      maxRequestBodySize: bodyBytesMax,
      onsessioninitialized: async (id) => {
        this.#sessions.set(id, { transport, connection });
        const [oldest] = this.#sessions.keys();
        if (this.#sessions.size > sessionsMax) await this.#end(oldest!);
      },
      onsessionclosed: (id) => {
        connection.ending();
        this.#sessions.delete(id);
      },
    });
    await connection.server.connect(transport);
    return { transport, connection };
  }

  #used(id: string): Session | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined) return undefined;
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    return session;
  }

  async #end(id: string): Promise<void> {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    session?.connection.ending();
    await session?.connection.server.close();
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  });
  response.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32_000, message }, id: null }));
}
