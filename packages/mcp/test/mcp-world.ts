/** The built command as a client sees it: a real process, and the official client at the other end of its pipes. */

import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { RequestOptions } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { assert } from '@forewrit/testkit';

export const cli = fileURLToPath(new URL('../../forewrit/dist/cli.js', import.meta.url));

export type Json = Record<string, unknown>;

export interface ToolFailure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly path?: string;
  readonly current?: Record<string, unknown>;
}

/** A client, with what tests ask of every answer. */
export class Caller implements AsyncDisposable {
  readonly client: Client;
  readonly #end: () => Promise<void>;

  constructor(client: Client, end: () => Promise<void>) {
    this.client = client;
    this.#end = end;
  }

  async call(name: string, args: object = {}, options?: RequestOptions): Promise<CallToolResult> {
    const params = { name, arguments: { ...args } };
    return (await this.client.callTool(params, undefined, options)) as CallToolResult;
  }

  /** What a call that must go well has answered; it fits the output schema, or the client would have refused it. */
  async get<Result = Json>(name: string, args: object = {}, options?: RequestOptions): Promise<Result> {
    const result = await this.call(name, args, options);
    assert.not.ok(result.isError, `${name}: ${textOf(result)}`);
    return result.structuredContent as Result;
  }

  /** What a call that must fail has answered. */
  async failure(name: string, args: object = {}): Promise<ToolFailure> {
    const result = await this.call(name, args);
    assert.is(result.isError, true, `${name} went well: ${textOf(result)}`);
    return failureOf(result);
  }

  async fails(name: string, args: object, code: string): Promise<ToolFailure> {
    const failure = await this.failure(name, args);
    assert.is(failure.code, code, `${name} ${JSON.stringify(args).slice(0, 200)}: ${failure.message}`);
    return failure;
  }

  /** Everything that the server tells without being asked, in its order. */
  hear(): { readonly method: string; readonly params: Json }[] {
    const heard: { method: string; params: Json }[] = [];
    const transport = this.client.transport!;
    const earlier = transport.onmessage;
    // Before the client looks at it: that one stops listening to progress when the answer is there.
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a property is all that there is
    transport.onmessage = (message, extra) => {
      if ('method' in message && !('id' in message)) {
        heard.push({ method: message.method, params: { ...message.params } });
      }
      earlier?.(message, extra);
    };
    return heard;
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.#end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The message of an error of the protocol itself, in place of an answer. */
export async function refused(request: Promise<unknown>): Promise<string> {
  try {
    await request;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the request was answered');
}

export function failureOf(result: CallToolResult): ToolFailure {
  const { error } = JSON.parse(textOf(result)) as { error: ToolFailure };
  assert.ok(error.message.length > 5);
  return error;
}

export function textOf({ content }: CallToolResult): string {
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
}

export class ServerProcess extends Caller {
  readonly pid: number;
  readonly ended: Promise<void>;

  constructor(client: Client, transport: StdioClientTransport) {
    const ended = new Promise<void>((resolve) => {
      const earlier = client.onclose;
      // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a property is all that there is
      client.onclose = () => {
        earlier?.();
        resolve();
      };
    });
    super(client, async () => undefined);
    this.ended = ended;
    this.pid = transport.pid!;
  }

  /** Without a word of goodbye, as a crash does. */
  async kill(): Promise<void> {
    process.kill(this.pid, 'SIGKILL');
    await this.ended;
  }
}

export interface ServeOptions {
  readonly shell?: boolean;
  readonly args?: readonly string[];
}

export async function serve(root: string, options: ServeOptions = {}): Promise<ServerProcess> {
  const { shell = false, args = [] } = options;
  return await start([cli, 'mcp', '--root', root, ...(shell ? ['--allow-shell'] : []), ...args]);
}

/** A server that is killed when it gets to that place. */
export async function serveUntil(root: string, failpoint: object): Promise<ServerProcess> {
  const script = fileURLToPath(new URL('./serving-child.js', import.meta.url));
  return await start([script, root, JSON.stringify(failpoint)]);
}

async function start(args: string[]): Promise<ServerProcess> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args,
    env: environment(),
    stderr: 'inherit',
  });
  const client = newClient();
  await client.connect(transport);
  return new ServerProcess(client, transport);
}

export async function connectHttp(url: string, token: string): Promise<Caller> {
  const client = newClient();
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  });
  // The type of the client's own transport knows no optional `sessionId`.
  await client.connect(transport as Parameters<Client['connect']>[0]);
  return new Caller(client, async () => undefined);
}

export function newClient(): Client {
  return new Client({ name: 'forewrit-test', version: '1.0.0' }, { capabilities: { tasks: {} } });
}

export function environment(): Record<string, string> {
  const set = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(set.filter(([name]) => !name.startsWith('FOREWRIT_MCP')));
}
