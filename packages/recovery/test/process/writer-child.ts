/**
 * A process that saves sets beside others: as fast as it can, or when it is told to. Every set that it writes bears its
 * name and a number, and so does each file of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isStoreError, type Store, type StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { monotonicMs, onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { contentOf, labelOf } from './labelled-content.js';

export interface WriterRequest {
  readonly root: string;
  readonly name: string;
  readonly options?: StoreOptions;
  /** The sets that it writes in turn: size by path. */
  readonly sets: readonly Readonly<Record<string, number>>[];
  /** Every other save counts up in this file as well, by what it reads there. */
  readonly counter?: string;
}

export type WriterMessage =
  | { readonly type: 'open'; readonly durationMs: number }
  | {
      readonly type: 'saved';
      readonly label: string;
      readonly revision: number;
      /** What it counted up to. */
      readonly count?: number;
      /** Both on the clock of `monotonicMs`. */
      readonly startedMs: number;
      readonly atMs: number;
    }
  | { readonly type: 'refused'; readonly code: string; readonly durationMs: number }
  | { readonly type: 'read'; readonly labels: readonly string[]; readonly durationMs: number }
  | { readonly type: 'closed'; readonly durationMs: number };

export type WriterCommand =
  /** Saves without pause until told otherwise. */
  | { readonly type: 'run' }
  | { readonly type: 'pause' }
  /** Saves one set: the first, or the one named. */
  | { readonly type: 'save'; readonly set?: number }
  /** Reads all files of one. */
  | { readonly type: 'read'; readonly set?: number }
  | { readonly type: 'close' }
  /** `process.exit()`, whatever is under way. */
  | { readonly type: 'exit' };

const request = requestOf<WriterRequest>();
const openedMs = monotonicMs();
const opening = open();
let running = false;
let number = 0;

async function open(): Promise<Store | undefined> {
  try {
    const store = await openStore(request.root, request.options);
    say({ type: 'open', durationMs: monotonicMs() - openedMs });
    return store;
  } catch (error) {
    refused(error, openedMs);
    return undefined;
  }
}

onCommand<WriterCommand>((command) => {
  switch (command.type) {
    case 'run':
      if (!running) void run();
      break;
    case 'pause':
      running = false;
      break;
    case 'save':
      void save(command.set ?? 0);
      break;
    case 'read':
      void read(command.set ?? 0);
      break;
    case 'close':
      running = false;
      void close();
      break;
    case 'exit':
      process.exit(0);
  }
});

async function run(): Promise<void> {
  running = true;
  while (running) {
    await save(number % request.sets.length);
    // Commands come in between two saves.
    if (number % 16 === 0) await sleep(0);
  }
}

async function read(index: number): Promise<void> {
  const store = await opening;
  if (store === undefined) return;
  const startedMs = monotonicMs();
  try {
    const files = await store.readFiles(Object.keys(request.sets[index]!));
    const labels = [...files].map(([path, content]) => labelOf(content, path));
    say({ type: 'read', labels, durationMs: monotonicMs() - startedMs });
  } catch (error) {
    refused(error, startedMs);
  }
}

async function close(): Promise<void> {
  const startedMs = monotonicMs();
  await (await opening)?.close();
  say({ type: 'closed', durationMs: monotonicMs() - startedMs });
}

async function save(index: number): Promise<void> {
  const store = await opening;
  if (store === undefined) return;
  const label = `${request.name} ${(number += 1)}`;
  const { counter } = request;
  const counting = counter !== undefined && number % 2 === 0;
  const startedMs = monotonicMs();
  try {
    let count: number | undefined;
    const fill = async (transaction: Awaited<ReturnType<Store['begin']>>): Promise<void> => {
      if (counting) {
        count =
          ((await transaction.exists(counter)) ? Number(await transaction.readFile(counter, 'utf8')) : 0) + 1;
        await transaction.writeFile(counter, `${count}`);
      }
      for (const [path, sizeBytes] of Object.entries(request.sets[index]!)) {
        await transaction.writeFile(path, contentOf({ label, sizeBytes }));
      }
    };
    const { revision } = await commit(store, fill);
    say({
      type: 'saved',
      label,
      revision,
      ...(count === undefined ? {} : { count }),
      startedMs,
      atMs: monotonicMs(),
    });
  } catch (error) {
    refused(error, startedMs);
  }
}

/** As `transact` does it, but it tells the revision. */
async function commit(
  store: Store,
  fill: (transaction: Awaited<ReturnType<Store['begin']>>) => Promise<void>,
): Promise<{ readonly revision: number }> {
  for (;;) {
    const transaction = await store.begin();
    try {
      await fill(transaction);
      return await transaction.commit();
    } catch (error) {
      await transaction.abort();
      if (!isStoreError(error, 'ERR_CONFLICT')) throw error;
      await sleep(Math.random() * 5);
    }
  }
}

function refused(error: unknown, startedMs: number): void {
  if (!isStoreError(error)) throw error;
  say({ type: 'refused', code: error.code, durationMs: monotonicMs() - startedMs });
}
