/** Serving one client over standard input and output, until it closes the input. */

import type { Readable, Writable } from 'node:stream';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { createConnection } from './server.js';
import { closeServices, openServices, type ServicesOptions } from './services.js';

export interface StdioOptions extends ServicesOptions {
  /** Ends the service as the end of the input does, without waiting for calls. */
  readonly signal?: AbortSignal;
  readonly input?: Readable;
  readonly output?: Writable;
}

/** For calls that are being worked on when the input ends: somebody may still read the answers. */
const lastCallsMs = 5000;
/** After a longer one the connection ends. */
const messageBytesMax = 32 * 1024 * 1024;

/** Resolves when the client is gone and the store is closed. Commands run on. */
export async function serveStdio(options: StdioOptions): Promise<void> {
  const { input = process.stdin, output = process.stdout, signal } = options;
  // Requests that come meanwhile wait in the pipe.
  const services = await openServices(options);
  try {
    const connection = createConnection(services);
    const ended = endOf({ input, output, signal });
    const transport = new StdioServerTransport(input, output, { maxBufferSize: messageBytesMax });
    await connection.server.connect(transport);
    const how = await Promise.race([ended, connection.closed]);
    if (how === 'input') await atMost(lastCallsMs, connection.idle());
    connection.ending();
    await connection.server.close();
  } finally {
    await closeServices(services);
  }
}

function endOf({
  input,
  output,
  signal,
}: {
  readonly input: Readable;
  readonly output: Writable;
  readonly signal: AbortSignal | undefined;
}): Promise<'input' | 'output' | 'signal'> {
  return new Promise((resolve) => {
    input.once('end', () => resolve('input'));
    input.once('close', () => resolve('input'));
    // Nobody reads any more.
    output.once('error', () => resolve('output'));
    output.once('close', () => resolve('output'));
    if (signal?.aborted === true) resolve('signal');
    signal?.addEventListener('abort', () => resolve('signal'), { once: true });
  });
}

async function atMost(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
