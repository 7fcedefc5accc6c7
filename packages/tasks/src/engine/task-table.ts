/**
 * Tasks in the store. Every change goes through `change`: one transaction that reads the record, asks the table of
 * transitions, and writes the record with the rows that follow from it. What it reads is tracked, so of two engines that
 * change one task at once the later one starts over, and then finds the first one's change.
 *
 * History has none of it: to take back what was noted of a process would not take back the process.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Store, Transaction } from '@forewrit/core';
import {
  dependentsOf,
  groupCollection,
  idOfKey,
  indexCollection,
  indexRows,
  type LiveRow,
  outputCollection,
  rowsUnder,
  taskCollection,
} from '../task/index-rows.js';
import type { StoredTask } from '../task/stored-task.js';
import { type TaskEvent, transition } from '../task/transition.js';

export interface KeyRange {
  readonly start?: string;
  readonly end?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
}

export interface GroupSettings {
  readonly parallel?: number;
  readonly paused?: boolean;
}

/** What an event does to the record beside its phase. */
export type Amendment = Partial<
  Omit<StoredTask, 'id' | 'version' | 'phase' | 'holder'> & { readonly holder: StoredTask['holder'] | null }
>;

export interface Change {
  readonly before: StoredTask;
  readonly after: StoredTask;
}

/** Conflicts are with other engines; each run of a transaction makes the winner's progress. */
const retries = 100;
/** Fewer than a store allows: thousands of starts at once wait for each other, and leave room for its other users. */
const transactionsAtOnceMax = 128;

export class TaskTable {
  readonly #store: Store;
  readonly #waiting: (() => void)[] = [];
  #active = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  async get(id: string): Promise<StoredTask | undefined> {
    const task = await this.#store.collection<StoredTask>(taskCollection).get(id);
    return task?.removed === true ? undefined : task;
  }

  /** Also those that are being removed. */
  async tasks(range: KeyRange): Promise<StoredTask[]> {
    const found = await this.#store.collection<StoredTask>(taskCollection).range(range);
    return found.map(([, task]) => task);
  }

  async rows<V>(range: KeyRange): Promise<[key: string, value: V][]> {
    return await this.#store.collection<V>(indexCollection).range(range);
  }

  async row(key: string): Promise<unknown> {
    return await this.#store.collection(indexCollection).get(key);
  }

  /** Ids of the tasks that have a row there. */
  async ids(prefix: string, range: KeyRange = {}): Promise<string[]> {
    return (await this.rows({ ...rowsUnder(prefix), ...range })).map(([key]) => idOfKey(key));
  }

  /** Everything that is not settled. */
  async live(): Promise<LiveRow[]> {
    const found: LiveRow[] = [];
    for (const prefix of ['b', 'q', 'r', 'w']) {
      found.push(...(await this.rows<LiveRow>(rowsUnder(prefix))).map(([, row]) => row));
    }
    return found;
  }

  /** Of an imported task. */
  async output(id: string): Promise<Uint8Array> {
    return (await this.#store.collection<Uint8Array>(outputCollection).get(id)) ?? new Uint8Array();
  }

  async dependents(id: string): Promise<string[]> {
    return await this.ids(dependentsOf(id));
  }

  async group(name: string): Promise<GroupSettings> {
    return (await this.#store.collection<GroupSettings>(groupCollection).get(`g/${name}`)) ?? {};
  }

  async groups(): Promise<[name: string, settings: GroupSettings][]> {
    const found = await this.#store.collection<GroupSettings>(groupCollection).range();
    return found.map(([key, settings]) => [key.slice(2), settings]);
  }

  async transact<T>(body: (tx: TaskTransaction) => Promise<T>): Promise<T> {
    await this.#turn();
    try {
      return await this.#store.transact((tx) => body(new TaskTransaction(tx)), { retries, history: false });
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#active -= 1;
      else next();
    }
  }

  /** Resolves when there are few enough transactions; whoever ends one hands its place on. */
  async #turn(): Promise<void> {
    if (this.#active < transactionsAtOnceMax) {
      this.#active += 1;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** `undefined` if there is no such task, or the event does not apply to it any more. */
  async change(id: string, event: TaskEvent, amendment?: Amendment): Promise<Change | undefined> {
    return await this.transact(async (tx) => {
      const before = await tx.get(id);
      const after = before === undefined ? undefined : tx.apply(before, event, amendment);
      return after === undefined ? undefined : { before: before!, after };
    });
  }
}

/** Reads are tracked; writes happen at the commit. */
export class TaskTransaction {
  readonly #tx: Transaction;

  constructor(tx: Transaction) {
    this.#tx = tx;
  }

  async get(id: string): Promise<StoredTask | undefined> {
    const task = (await this.#tx.get(taskCollection, id)) as StoredTask | undefined;
    return task?.removed === true ? undefined : task;
  }

  async row(key: string): Promise<unknown> {
    return await this.#tx.get(indexCollection, key);
  }

  async rows<V>(range: KeyRange): Promise<[key: string, value: V][]> {
    return (await this.#tx.range(indexCollection, range)) as [key: string, value: V][];
  }

  async group(name: string): Promise<GroupSettings> {
    const settings = await this.#tx.get(groupCollection, `g/${name}`);
    return settings === undefined ? {} : (settings as GroupSettings);
  }

  putGroup(name: string, settings: GroupSettings): void {
    this.#tx.put(groupCollection, `g/${name}`, settings);
  }

  /** The task after the event, written; `undefined` if the event does not apply. */
  apply(before: StoredTask, event: TaskEvent, amendment: Amendment = {}): StoredTask | undefined {
    const phase = transition(before.phase, event);
    if (phase === undefined) return undefined;
    const { holder, ...rest } = amendment;
    const { holder: held, ...kept } = before;
    const next = holder === null ? undefined : (holder ?? held);
    const after: StoredTask = {
      ...kept,
      ...rest,
      phase,
      version: before.version + 1,
      ...(next === undefined ? {} : { holder: next }),
    };
    this.save(before, after);
    return after;
  }

  save(before: StoredTask | undefined, after: StoredTask): void {
    const rows = indexRows(after);
    const past = before === undefined ? new Map<string, unknown>() : indexRows(before);
    for (const key of past.keys()) if (!rows.has(key)) this.#tx.delete(indexCollection, key);
    for (const [key, value] of rows) {
      if (!past.has(key) || !isDeepStrictEqual(past.get(key), value))
        this.#tx.put(indexCollection, key, value);
    }
    this.#tx.put(taskCollection, after.id, after);
  }

  putOutput(id: string, output: Uint8Array): void {
    this.#tx.put(outputCollection, id, output);
  }

  /** The last of a task: record, rows and all. */
  forget(task: StoredTask): void {
    this.#tx.delete(outputCollection, task.id);
    for (const key of indexRows(task).keys()) this.#tx.delete(indexCollection, key);
    this.#tx.delete(taskCollection, task.id);
  }
}
