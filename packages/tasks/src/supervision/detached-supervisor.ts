/**
 * The real supervisor: one detached Node process a task (`shim/main.ts`), and the directory that it writes.
 *
 * On macOS and Windows a process is known by its pid alone. So whether a shim lives is asked through its socket, and an
 * orphan is reported, not stopped: its pid may be somebody else's by now. Other boots, the tree of a command and what has
 * left its group are known on Linux only.
 */

import { resolve } from 'node:path';
import {
  hasCode,
  NodeFileSystem,
  type ProcessTable,
  removeTree,
  StoreError,
  systemProcessTable,
  withStoreCode,
} from '@forewrit/core';
import type { ShimFailpoint } from '../shim/failpoint.js';
import { Processes } from '../shim/processes.js';
import { codeOf, DamagedRecord, readShimRecord } from '../shim/task-files.js';
import { launchShim } from './launch.js';
import { exitOf, observeLaunch } from './observation.js';
import { readOutputPage } from './output-reader.js';
import { stopOrphanTree } from './orphan.js';
import { openConnection } from './shim-connection.js';
import type {
  CommandIdentity,
  LaunchOrder,
  Observation,
  OutputBytes,
  OutputRequest,
  ShimConnection,
  ShimIdentity,
  StopOptions,
  Supervisor,
} from './supervisor.js';
import { connectTask } from './task-socket.js';

const answerTimeoutMsDefault = 30_000;
const graceMsDefault = 5000;
const removeAttemptsMax = 10;
const movedCodes: ReadonlySet<string> = new Set(['ENOENT', 'ENOTEMPTY']);

export interface DetachedSupervisorOptions {
  /**
   * The Node that shims run on; `process.execPath`. To be given where that is another program than Node (one that embeds
   * it; Electron is known, and told to behave as Node).
   */
  readonly nodePath?: string;
  readonly processTable?: ProcessTable;
  /** Of this boot; by default what the process table says. */
  readonly bootId?: string;
  /** How long a shim may take to answer a launch or a connection; 30 s. */
  readonly answerTimeoutMs?: number;
  /** For tests: where the shims that it launches are stopped or killed. */
  readonly failpoint?: ShimFailpoint;
}

export class DetachedSupervisor implements Supervisor {
  readonly #nodePath: string;
  readonly #processTable: ProcessTable;
  readonly #bootId: string;
  readonly #answerTimeoutMs: number;
  readonly #failpoint: ShimFailpoint | undefined;

  constructor(options: DetachedSupervisorOptions = {}) {
    this.#nodePath = options.nodePath ?? process.execPath;
    this.#processTable = options.processTable ?? systemProcessTable();
    this.#bootId = options.bootId ?? this.#processTable.identity().bootId;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? answerTimeoutMsDefault;
    this.#failpoint = options.failpoint;
  }

  async launch(directory: string, order: LaunchOrder): Promise<ShimIdentity> {
    const failpoint = this.#failpoint;
    return await launchShim(
      resolve(directory),
      { order, ...(failpoint === undefined ? {} : { failpoint }) },
      { nodePath: this.#nodePath, timeoutMs: this.#answerTimeoutMs },
    );
  }

  async observe(directory: string, nonce: string): Promise<Observation> {
    return await withCode('observe', directory, () =>
      observeLaunch(resolve(directory), nonce, { processTable: this.#processTable, bootId: this.#bootId }),
    );
  }

  async connect(directory: string, nonce: string): Promise<ShimConnection | undefined> {
    const path = resolve(directory);
    return await withCode('connect', directory, async () => {
      let socket;
      try {
        socket = await connectTask(path, { recorded: readShimRecord(path)?.socket });
      } catch (error) {
        if (isGone(codeOf(error))) return undefined;
        throw error;
      }
      return await openConnection(socket, {
        nonce,
        readExit: () => exitOf(path, nonce),
        timeoutMs: this.#answerTimeoutMs,
      });
    });
  }

  async stopOrphan(
    directory: string,
    nonce: string,
    { signal = 'SIGTERM', graceMs = graceMsDefault }: StopOptions = {},
  ): Promise<readonly CommandIdentity[]> {
    const observation = await this.observe(directory, nonce);
    if (observation.state !== 'orphaned') return [];
    const command = readShimRecord(resolve(directory))?.command;
    return await stopOrphanTree({ processes: new Processes(), nonce, command }, { signal, graceMs });
  }

  async readOutput(directory: string, request: OutputRequest): Promise<OutputBytes> {
    return await withCode('readOutput', directory, () => readOutputPage(resolve(directory), request));
  }

  async remove(directory: string): Promise<void> {
    const fileSystem = new NodeFileSystem();
    await withCode('remove', directory, async () => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          removeTree(fileSystem, resolve(directory));
          return;
        } catch (error) {
          // A shim that has recorded the end removes its socket.
          if (attempt === removeAttemptsMax || !hasCode(error, movedCodes)) throw error;
        }
      }
    });
  }

  async list(parent: string): Promise<readonly string[]> {
    const fileSystem = new NodeFileSystem();
    return await withCode('list', parent, async () => {
      if (fileSystem.lstat(parent) === undefined) return [];
      return fileSystem
        .list(parent)
        .map((name) => `${parent}/${name}`)
        .filter((path) => fileSystem.lstat(path)?.type === 'directory');
    });
  }
}

/** A shim that ends while somebody connects resets the connection. */
function isGone(code: string | undefined): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ECONNREFUSED' || code === 'ECONNRESET';
}

async function withCode<T>(op: string, path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof DamagedRecord) {
      throw new StoreError('ERR_INTEGRITY', error.message, { op, path: error.path, cause: error });
    }
    throw withStoreCode(error, { op, path });
  }
}
