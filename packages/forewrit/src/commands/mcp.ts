/** `forewrit mcp`: the MCP server, over standard input and output or over HTTP. Its package is loaded only here. */

import {
  type Logger,
  InvalidArgumentError,
  NodeFileSystem,
  readFileAt,
  type StoreOptions,
  withStoreCode,
} from '@forewrit/core';
import { InvalidArgumentError as UsageError, type Command } from 'commander';
import type { CommandContext, CommandResult, Verb } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { collected, wholeNumber } from '../parse.js';

export interface McpOptions {
  readonly json: boolean;
  readonly debug: boolean;
  readonly http?: number;
  readonly allowShell?: boolean;
  readonly tokenFile?: string;
  readonly allowOrigin?: readonly string[];
  /** `false` for `--no-history`. */
  readonly history?: boolean;
  readonly historyDays?: number;
  readonly historyMib?: number;
}

type HistoryLimits = NonNullable<StoreOptions['history']>;
type McpModule = typeof import('@forewrit/mcp');

const tokenVariable = 'FOREWRIT_MCP_TOKEN';

export function addMcp(
  program: Command,
  addVerb: <Options>(parent: Command, name: string, verb: Verb<Options>) => Command,
): void {
  addVerb<McpOptions>(program, 'mcp', (context, options, command) =>
    options.json
      ? command.error('error: the server answers its clients, and has no use for --json')
      : mcp(context, options),
  )
    .summary('serve the files and tasks of a store to MCP clients')
    .description(
      'Serves the store over the Model Context Protocol: on the standard input and output, or with --http on 127.0.0.1. ' +
        'Makes the store where there is none. What runs when it ends goes on, and is found by the next one. Needs the ' +
        'package @forewrit/mcp.',
    )
    .option(
      '--http <port>',
      'Streamable HTTP on this port of 127.0.0.1; 0: any that is free',
      wholeNumber({ min: 0, max: 65_535 }),
    )
    .option('--allow-shell', 'offer tools that run shell commands, with all that you may do yourself')
    .option('--token-file <file>', `the token that HTTP clients must give; or the variable ${tokenVariable}`)
    .option('--no-history', 'keep nothing of what is replaced or deleted: there is no undo then')
    .option('--history-days <n>', 'keep it for so many days (7)', wholeNumber({ min: 0, max: 36_500 }))
    .option('--history-mib <n>', 'keep so many MiB of it (256)', wholeNumber({ min: 0, max: 1 << 30 }))
    .option('--allow-origin <origin>', 'pages that may call; may be given several times', parseOrigin);
}

export async function mcp(context: CommandContext, options: McpOptions): Promise<CommandResult> {
  const module = await loadMcp(() => import('@forewrit/mcp'));
  const services = {
    root: context.root,
    allowShell: options.allowShell === true,
    history: historyOf(options),
    // Commands need not know it.
    tasks: { env: { ...process.env, [tokenVariable]: undefined } },
    logger: stderrLogger(context, options.debug),
  };
  if (options.http === undefined) await module.serveStdio({ ...services, signal: context.signal });
  else await serveHttp(module, context, { ...options, http: options.http, services });
  return { exitCode: exitCodes.clean, json: null, text: () => '' };
}

function historyOf({ history, historyDays, historyMib }: McpOptions): HistoryLimits | false {
  if (history === false) return false;
  return {
    ...(historyDays === undefined ? {} : { maxAgeMs: historyDays * 24 * 3600 * 1000 }),
    ...(historyMib === undefined ? {} : { maxBytes: historyMib * 2 ** 20 }),
  };
}

async function serveHttp(
  module: McpModule,
  { terminal, signal }: CommandContext,
  options: McpOptions & { readonly http: number; readonly services: Parameters<McpModule['serveStdio']>[0] },
): Promise<void> {
  const given = tokenOf(options);
  const service = await module.serveHttp({
    ...options.services,
    port: options.http,
    ...(given === undefined ? {} : { token: given }),
    ...(options.allowOrigin === undefined ? {} : { allowedOrigins: options.allowOrigin }),
  });
  terminal.writeError(`listening on ${service.url}\n`);
  // A token that was given is known already.
  if (given === undefined) terminal.writeError(`token: ${service.token}\n`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await service.close();
}

/** Exported for its test: what the command says where the package is missing. */
export async function loadMcp<Module>(load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new MissingPackageError(error);
  }
}

class MissingPackageError extends Error {
  readonly code = 'ERR_MODULE_NOT_FOUND';
  readonly hint = 'npm i @forewrit/mcp';
  constructor(cause: unknown) {
    super('The MCP server is a package of its own, and it is not installed', { cause });
  }
}

/** Not if it is there and something else is missing. */
function isMissing(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    error.code === 'ERR_MODULE_NOT_FOUND' &&
    error.message.includes("'@forewrit/mcp'")
  );
}

function tokenOf({ tokenFile }: McpOptions): string | undefined {
  const variable = process.env[tokenVariable];
  if (tokenFile === undefined) return variable === '' ? undefined : variable;
  try {
    const text = Buffer.from(readFileAt(new NodeFileSystem(), tokenFile)).toString('utf8').trim();
    if (text !== '') return text;
  } catch (error) {
    throw withStoreCode(error, { op: 'mcp', path: tokenFile });
  }
  throw new InvalidArgumentError('mcp', `there is no token in '${tokenFile}'`);
}

function parseOrigin(text: string, earlier: readonly string[] = []): readonly string[] {
  if (/^https?:\/\/[^/\s]+$/.test(text)) return collected(text, earlier);
  throw new UsageError('An origin looks like https://example.org.');
}

function nothing(): void {}

/** The standard output belongs to the protocol. */
function stderrLogger({ terminal }: CommandContext, debug: boolean): Logger {
  const write =
    (level: string) =>
    (details: object, message: string): void => {
      const cause = 'cause' in details && details.cause instanceof Error ? details.cause : undefined;
      const why = cause === undefined ? '' : `: ${debug ? (cause.stack ?? cause.message) : cause.message}`;
      terminal.writeError(`${level}: ${message}${why}\n`);
    };
  return {
    debug: debug ? write('debug') : nothing,
    info: debug ? write('info') : nothing,
    warn: write('warning'),
    error: write('error'),
  };
}
