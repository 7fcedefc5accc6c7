/** One server for one connection: the tools, resources and tasks of the protocol over shared services. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  type CallToolRequest,
  CallToolRequestSchema,
  type CallToolResult,
  ErrorCode,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  type ServerNotification,
  type ServerRequest,
  type ServerResult,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { callResult, errorResult } from './answer.js';
import { currentOf } from './files/current.js';
import { isProtocolTask, ProtocolTasks, taskOf } from './protocol-tasks.js';
import { listResources, readResource, resourceTemplate } from './resources.js';
import { listed } from './schemas.js';
import type { Services } from './services.js';
import type { ProgressReport, Tool, ToolContext } from './tool.js';
import { type ErrorReport, errorReport } from './tool-error.js';
import { tools } from './tools.js';
import { version } from './version.js';

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

const instructions =
  'Files of one directory, written through a log: a write is durable and complete when it answers, or has not happened. ' +
  'Write files that belong together with one write_files. Pass the revision of read_file as if_revision, so that ' +
  'a change by somebody else is noticed (ERR_CONFLICT: read again and repeat). Errors are JSON with a code and a hint.';

const shellInstructions =
  ' Commands of run_shell are tasks that outlive this server: after a restart task_list finds them.';

export interface Connection {
  readonly server: McpServer;
  /** Resolves when no call is being worked on, and the answers are on their way. */
  readonly idle: () => Promise<void>;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  /** The connection is about to end: what is aborted from here on was not cancelled by the client. */
  readonly ending: () => void;
}

export function createConnection(services: Services): Connection {
  const hasShell = services.tasks !== undefined;
  const offered = new Map(
    tools.filter(({ needsShell }) => hasShell || needsShell !== true).map((tool) => [tool.name, tool]),
  );
  const toolList = [...offered.values()].map(listed);
  const mcp = new McpServer(
    { name: 'forewrit', title: 'Forewrit', version },
    {
      instructions: instructions + (hasShell ? shellInstructions : ''),
      ...(hasShell ? { taskStore: new ProtocolTasks(services) } : {}),
    },
  );
  const { server } = mcp;
  // Not through the constructor: it would promise that the lists change.
  server.registerCapabilities({
    tools: {},
    resources: {},
    ...(hasShell ? { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } } : {}),
  });
  const calls = new Calls(services, offered);

  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: toolList }));
  server.setRequestHandler(CallToolRequestSchema, (request, extra) =>
    calls.during(() => calls.call(request, extra)),
  );
  server.setRequestHandler(ListResourcesRequestSchema, ({ params }) =>
    calls.during(() => listResources(services, params?.cursor)),
  );
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: [resourceTemplate],
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) =>
    calls.during(() => readResource(services, params.uri)),
  );
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a property is all that there is
  server.onerror = (cause) => services.logger.debug({ cause }, 'a message could not be handled');
  const forget = announceEnds(mcp, services);
  const closed = new Promise<void>((resolve) => {
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a property is all that there is
    server.onclose = () => {
      forget();
      resolve();
    };
  });
  return { server: mcp, closed, idle: () => calls.idle(), ending: () => calls.ending() };
}

/** A client need not wait for its next look to hear that its task has ended. */
function announceEnds({ server }: McpServer, { tasks, logger }: Services): () => void {
  if (tasks === undefined) return () => undefined;
  const tell: Parameters<typeof tasks.on<'settled'>>[1] = (record) => {
    if (!isProtocolTask(record)) return;
    server
      .notification({ method: 'notifications/tasks/status', params: taskOf(record) })
      .catch((cause: unknown) => logger.debug({ cause }, 'a client was not told that its task has ended'));
  };
  tasks.on('settled', tell);
  return () => void tasks.off('settled', tell);
}

class Calls {
  readonly #services: Services;
  readonly #offered: ReadonlyMap<string, Tool>;
  readonly #waiters = new Set<() => void>();
  #active = 0;
  #isEnding = false;

  constructor(services: Services, offered: ReadonlyMap<string, Tool>) {
    this.#services = services;
    this.#offered = offered;
  }

  ending(): void {
    this.#isEnding = true;
  }

  async idle(): Promise<void> {
    // What has just been read becomes a call in the turns that follow.
    await nextTurn();
    while (this.#active > 0) {
      await new Promise<void>((resolve) => {
        this.#waiters.add(resolve);
      });
    }
    await nextTurn();
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#active += 1;
    try {
      return await work();
    } finally {
      this.#active -= 1;
      const waiters = [...this.#waiters];
      this.#waiters.clear();
      for (const wake of waiters) wake();
    }
  }

  async call({ params }: CallToolRequest, extra: Extra): Promise<ServerResult> {
    const tool = this.#offered.get(params.name);
    if (tool === undefined) {
      throw new McpError(ErrorCode.InvalidParams, `There is no tool '${params.name}'`);
    }
    const parsed = tool.input.safeParse(params.arguments ?? {});
    if (params.task !== undefined) {
      if (!parsed.success) throw notATask(wrongArguments(tool, parsed.error));
      return await this.#asTask(tool, params.task.ttl, extra);
    }
    if (!parsed.success) return errorResult(wrongArguments(tool, parsed.error));
    return await this.#run(tool, parsed.data, extra);
  }

  async #asTask(tool: Tool, ttl: number | undefined, extra: Extra): Promise<ServerResult> {
    if (tool.mayBeTask !== true || extra.taskStore === undefined) {
      throw new McpError(ErrorCode.MethodNotFound, `The tool '${tool.name}' cannot be called as a task`);
    }
    try {
      return { task: await extra.taskStore.createTask({ ttl: ttl ?? null }) };
    } catch (error) {
      throw notATask(errorReport(error));
    }
  }

  async #run(tool: Tool, args: Record<string, unknown>, extra: Extra): Promise<CallToolResult> {
    const services = this.#services;
    try {
      return callResult(
        await tool.run(
          args,
          contextOf(services, extra, () => this.#isEnding),
        ),
      );
    } catch (error) {
      const report = errorReport(error, await currentOf(services.store, error));
      if (report.code === 'ERR_INTERNAL')
        services.logger.error({ cause: error, tool: tool.name }, 'a tool failed');
      return errorResult(report);
    }
  }
}

function contextOf(services: Services, extra: Extra, isEnding: () => boolean): ToolContext {
  // oxlint-disable-next-line no-underscore-dangle -- the protocol calls it so
  const token = extra._meta?.progressToken;
  let last = -1;
  return {
    services,
    signal: extra.signal,
    isCancelled: () => extra.signal.aborted && !isEnding(),
    progress(report: ProgressReport) {
      // It must grow from one to the next.
      if (token === undefined || report.progress <= last || extra.signal.aborted) return;
      last = report.progress;
      extra
        .sendNotification({ method: 'notifications/progress', params: { progressToken: token, ...report } })
        .catch((cause: unknown) => services.logger.debug({ cause }, 'progress could not be told'));
    },
  };
}

function wrongArguments(tool: Tool, error: z.ZodError): ErrorReport {
  return {
    code: 'ERR_INVALID_ARGUMENT',
    message: `The arguments of ${tool.name} are not valid: ${z.prettifyError(error).replaceAll('\n', ' ')}`,
    hint: 'Correct them by the input schema of the tool, and call again.',
  };
}

/** Of a call that was to be a task: there is none that could fail. */
function notATask(report: ErrorReport): McpError {
  return new McpError(ErrorCode.InvalidParams, `${report.code}: ${report.message}`, report);
}
