/** A store in this thread, over a file system that can be interfered with and a log that can be looked into. */

import { readdirSync, readFileSync } from 'node:fs';
import { fileRow, lockRow } from '#src/record/rows.js';
import type { FileRow, LockRow } from '#src/record/rows.js';
import type { Table } from '#src/log/log.js';
import { MemoryLog, type MemoryLogOptions, MemoryLogState } from '#src/log/memory-log.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import type { StoreOptions } from '#src/store/options.js';
import type { Store } from '#src/store/store.js';
import { type Fault, FaultyFileSystem, type FileSystemCall, temporaryDirectory } from '@forewrit/testkit';
import { leftoversOf, openTestStore, treeOf } from './store-world.js';

export interface EngineWorld extends AsyncDisposable {
  readonly root: string;
  readonly store: Store;
  readonly fileSystem: FaultyFileSystem;
  readonly state: MemoryLogState;
  readonly logged: { readonly level: string; readonly message: string; readonly details: object }[];
  /** Called before each call of the file system, while it is set. */
  onCall: ((call: FileSystemCall) => void) | undefined;
  tree(): Record<string, string>;
  leftovers(): string[];
  conflicts(): string[];
  rows(table: Table): number;
  fileRows(): FileRow[];
  lockRows(): LockRow[];
  /** Runs `edit` once, before the first call that `at` names. */
  before(at: (call: FileSystemCall) => boolean, edit: () => void): void;
}

export async function engineWorld(
  options: StoreOptions & {
    readonly faults?: readonly Fault[];
    readonly logOptions?: MemoryLogOptions;
    readonly state?: MemoryLogState;
  } = {},
): Promise<EngineWorld> {
  const directory = temporaryDirectory('engine');
  const root = directory.path;
  const { faults = [], logOptions, state = new MemoryLogState(), ...storeOptions } = options;
  const logged: { level: string; message: string; details: object }[] = [];
  const log =
    (level: string) =>
    (details: object, message: string): void => {
      logged.push({ level, message, details });
    };
  const hooks: { onCall: ((call: FileSystemCall) => void) | undefined } = { onCall: undefined };
  const fileSystem = new FaultyFileSystem(new NodeFileSystem(), {
    faults,
    beforeCall: (call) => hooks.onCall?.(call),
  });
  const store = await openTestStore(root, {
    fileSystem,
    log: new MemoryLog(state, logOptions),
    checkpointIntervalMs: 1e9,
    logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    ...storeOptions,
  });
  const look = <T>(read: (view: { range: MemoryLogState['rows'] }) => T): T =>
    read({ range: (table) => state.rows(table) });
  const all = { start: new Uint8Array(0) };
  const world: EngineWorld = {
    root,
    store,
    fileSystem,
    state,
    logged,
    get onCall() {
      return hooks.onCall;
    },
    set onCall(value) {
      hooks.onCall = value;
    },
    tree: () => treeOf(root),
    leftovers: () => leftoversOf(root),
    conflicts: () =>
      readdirSync(`${root}/.forewrit/conflicts`)
        .sort()
        .map((name) => readFileSync(`${root}/.forewrit/conflicts/${name}`, 'utf8')),
    rows: (table) => look(({ range }) => range(table).range(all).length),
    fileRows: () =>
      look(({ range }) =>
        range('files')
          .range(all)
          .map(([key, value]) => fileRow.decode(key, value)),
      ),
    lockRows: () =>
      look(({ range }) =>
        range('locks')
          .range(all)
          .map(([key, value]) => lockRow.decode(key, value)),
      ),
    before(at, edit) {
      hooks.onCall = (call) => {
        if (!at(call)) return;
        hooks.onCall = undefined;
        edit();
      };
    },
    async [Symbol.asyncDispose]() {
      hooks.onCall = undefined;
      await store.close();
      directory.remove();
    },
  };
  return world;
}
