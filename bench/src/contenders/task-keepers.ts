/** Where the records of tasks are kept: nobody here runs a command. */

import fs from 'node:fs/promises';
import path from 'node:path';
import { loadPeer } from '../peers.js';
import type { NamedContender } from './single.js';

export interface TaskRow {
  readonly id: string;
  readonly command: string;
  readonly status: 'running' | 'completed';
  readonly createdAt: number;
}

export interface TaskKeeper {
  /** Resolves when what was told survives, as far as is guaranteed. */
  put(row: TaskRow): Promise<void>;
  get(id: string): Promise<unknown>;
  /** The newest ones. */
  page(limit: number): Promise<unknown>;
  close(): Promise<void>;
}

export interface TaskKeeping extends NamedContender {
  /** With these records in it. */
  open(directory: string, rows: readonly TaskRow[]): Promise<TaskKeeper>;
}

type WriteFile = (file: string, content: string) => Promise<void>;

export const jsonFile: TaskKeeping = {
  name: 'a JSON file, rewritten atomically',
  guarantees: { durable: true, fileAtomic: true, setAtomic: true, plainFiles: true, multiProcess: false },
  setting:
    'one object of all tasks, held in memory and written whole with write-file-atomic whenever one changes, as servers do that ' +
    'keep their tasks by themselves. What is read comes from memory.',
  open: async (directory, rows) => {
    const { default: write } = await loadPeer<{ default: WriteFile }>('write-file-atomic');
    const file = path.join(directory, 'tasks.json');
    const tasks = new Map(rows.map((row) => [row.id, row]));
    await fs.writeFile(file, JSON.stringify(Object.fromEntries(tasks)));
    return {
      put: async (row) => {
        tasks.set(row.id, row);
        await write(file, JSON.stringify(Object.fromEntries(tasks)));
      },
      get: async (id) => tasks.get(id),
      page: async (limit) => [...tasks.values()].slice(-limit).toReversed(),
      close: async () => undefined,
    };
  },
};

interface Statement {
  run(...values: readonly unknown[]): unknown;
  get(...values: readonly unknown[]): unknown;
  all(...values: readonly unknown[]): unknown[];
}
interface Database {
  pragma(source: string): unknown;
  exec(source: string): unknown;
  prepare(source: string): Statement;
  transaction(run: () => void): () => void;
  close(): void;
}

export const sqliteTasks: TaskKeeping = {
  name: 'better-sqlite3, tasks',
  guarantees: { durable: true, fileAtomic: true, setAtomic: true, plainFiles: false, multiProcess: true },
  setting: 'WAL and `synchronous = FULL`, a row for each task, an index by time, prepared statements.',
  open: async (directory, rows) => {
    const { default: Sqlite } = await loadPeer<{ default: new (file: string) => Database }>(
      'better-sqlite3',
      (loaded) => new loaded.default(':memory:').close(),
    );
    const database = new Sqlite(path.join(directory, 'tasks.sqlite'));
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.exec(
      'CREATE TABLE tasks (id TEXT PRIMARY KEY, command TEXT, status TEXT, createdAt INTEGER);' +
        'CREATE INDEX byTime ON tasks (createdAt)',
    );
    const put = database.prepare(
      'INSERT INTO tasks VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET status = excluded.status',
    );
    const get = database.prepare('SELECT * FROM tasks WHERE id = ?');
    const page = database.prepare('SELECT * FROM tasks ORDER BY createdAt DESC LIMIT ?');
    const insert = ({ id, command, status, createdAt }: TaskRow): void =>
      void put.run(id, command, status, createdAt);
    database.transaction(() => rows.forEach(insert))();
    return {
      put: async (row) => insert(row),
      get: async (id) => get.get(id),
      page: async (limit) => page.all(limit),
      close: async () => database.close(),
    };
  },
};
