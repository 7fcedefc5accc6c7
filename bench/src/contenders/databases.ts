/** Embedded databases: the set as rows or values of one transaction. What other programs see is the database's file. */

import path from 'node:path';
import { loadPeer } from '../peers.js';
import type { Contender, FileSet, Guarantees } from './contender.js';

const ofDatabase: Guarantees = {
  durable: true,
  fileAtomic: true,
  setAtomic: true,
  plainFiles: false,
  multiProcess: true,
};

interface SqliteStatement {
  run(...values: readonly unknown[]): unknown;
  get(...values: readonly unknown[]): unknown;
}
interface SqliteDatabase {
  pragma(source: string, options?: { simple: boolean }): unknown;
  exec(source: string): unknown;
  prepare(source: string): SqliteStatement;
  transaction<Args extends unknown[], T>(run: (...args: Args) => T): { immediate(...args: Args): T };
  close(): void;
}

interface SqliteModule {
  readonly default: new (file: string) => SqliteDatabase;
}

export const betterSqlite3: Contender = {
  name: 'better-sqlite3',
  guarantees: ofDatabase,
  setting:
    'WAL, since it is the fastest mode that is atomic, and `synchronous = FULL`: the package is compiled with NORMAL for WAL, ' +
    'which flushes at checkpoints only, so that a power cut takes acknowledged transactions away. Prepared statements, one ' +
    'immediate transaction a set; `locking_mode` stays NORMAL, for EXCLUSIVE keeps other processes out.',
  open: async (directory) => {
    const { default: Database } = await loadPeer<SqliteModule>('better-sqlite3', (loaded) =>
      new loaded.default(':memory:').close(),
    );
    const database = new Database(path.join(directory, 'sets.sqlite'));
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    const settings = [
      database.pragma('journal_mode', { simple: true }),
      database.pragma('synchronous', { simple: true }),
    ];
    if (settings.join() !== 'wal,2')
      throw new Error(`better-sqlite3 did not take its settings: ${settings.join()}`);
    database.exec('CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, content TEXT NOT NULL)');
    const put = database.prepare(
      'INSERT INTO files VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET content = excluded.content',
    );
    const get = database.prepare('SELECT content FROM files WHERE path = ?');
    const save = database.transaction((set: FileSet) => {
      for (const [name, content] of set) put.run(name, content);
    });
    const read = database.transaction((paths: readonly string[]) => paths.map((each) => get.get(each)));
    return {
      save: async (set) => save.immediate(set),
      read: async (paths) => read.immediate(paths),
      close: async () => database.close(),
    };
  },
};

interface LmdbDatabase {
  put(key: string, value: string): Promise<boolean>;
  putSync(key: string, value: string): unknown;
  get(key: string): unknown;
  transaction<T>(run: () => T): Promise<T>;
  transactionSync<T>(run: () => T): T;
  readonly flushed: PromiseLike<boolean>;
  close(): Promise<void>;
}
interface LmdbModule {
  open(options: { path: string; encoding: 'string'; overlappingSync?: boolean }): LmdbDatabase;
}

const readLmdb = (database: LmdbDatabase, paths: readonly string[]): unknown =>
  paths.map((each) => database.get(each));

export const lmdbSync: Contender = {
  name: 'lmdb, transactionSync',
  guarantees: ofDatabase,
  setting:
    '`overlappingSync: false`, so that a transaction is durable when it is visible, and `transactionSync`, the quickest way ' +
    'to commit one set. No `noSync` or `noMetaSync`, which give durability up.',
  open: async (directory) => {
    const lmdb = await loadPeer<LmdbModule>('lmdb');
    const database = lmdb.open({
      path: path.join(directory, 'sets'),
      encoding: 'string',
      overlappingSync: false,
    });
    return {
      save: async (set) =>
        database.transactionSync(() => {
          for (const [name, content] of set) database.putSync(name, content);
        }),
      read: async (paths) => readLmdb(database, paths),
      close: () => database.close(),
    };
  },
};

export const lmdbFlushed: Contender = {
  name: 'lmdb, transaction',
  guarantees: ofDatabase,
  setting:
    'its default, `overlappingSync`, under which many transactions share a flush; `transaction`, then `flushed`, for only that ' +
    'says that it is on the disk.',
  open: async (directory) => {
    const lmdb = await loadPeer<LmdbModule>('lmdb');
    const database = lmdb.open({ path: path.join(directory, 'sets'), encoding: 'string' });
    return {
      save: async (set) => {
        await database.transaction(() => {
          for (const [name, content] of set) void database.put(name, content);
        });
        await database.flushed;
      },
      read: async (paths) => readLmdb(database, paths),
      close: () => database.close(),
    };
  },
};

interface LevelDatabase {
  open(): Promise<void>;
  batch(
    operations: readonly { type: 'put'; key: string; value: string }[],
    options: { sync: boolean },
  ): Promise<void>;
  getMany(keys: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

export const classicLevel: Contender = {
  name: 'classic-level',
  guarantees: { ...ofDatabase, multiProcess: false },
  setting:
    'one `batch` a set with `sync: true`; without it LevelDB leaves the flush to the system. Batches that wait share one.',
  open: async (directory) => {
    const { ClassicLevel } = await loadPeer<{ ClassicLevel: new (location: string) => LevelDatabase }>(
      'classic-level',
    );
    const database = new ClassicLevel(path.join(directory, 'sets'));
    await database.open();
    return {
      save: (set) =>
        database.batch(
          set.map(([key, value]) => ({ type: 'put', key, value }) as const),
          { sync: true },
        ),
      read: (paths) => database.getMany(paths),
      close: () => database.close(),
    };
  },
};
