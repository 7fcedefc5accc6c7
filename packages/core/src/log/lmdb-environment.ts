/**
 * LMDB as this project uses it, through lmdb-js; the only file that imports it. What it must do and must not do there
 * was found out the hard way:
 *
 * - `overlappingSync: false`: with it a batch is visible before it is durable, and a failed meta write is reported as
 *   success.
 * - Only `transactionSync`, whose body returns nothing (a promise would keep the transaction open). The asynchronous
 *   calls hang after a failed flush, do not copy what they are given, and keep what a throwing callback wrote.
 * - lmdb-js ignores the error of beginning a transaction and goes on without one: `begun` looks.
 * - One shared read transaction, let go right after each use: an idle one would keep LMDB from using pages again.
 * - The environment is opened once for all threads of a process, with the options of the first: after one that only
 *   reads no other can write.
 * - Statistics of a table may only be asked inside a transaction (it answers with stale memory otherwise).
 * - The last process to close an environment destroys the locks in `lock.mdb`; one that waits to open it just then gets them
 *   like that, and fails with EINVAL (27 of 9,000 opens beside two others in a loop). Opened once more it makes them anew.
 * - `lock.mdb` must never be opened and closed by other code of a process that has the environment open: that drops
 *   the process's POSIX locks on it, and the next process to open it starts the reader table from nothing.
 */
import { type Database, openAsClass, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb';
import { assert } from '../assert.js';
import { fromSystemError, StoreError, toError } from '../errors.js';
import { type Range, type Row, type Table, tables } from './log.js';

export interface LmdbOptions {
  readonly readOnly: boolean;
  readonly mapSizeBytes: number;
}

/** Counted when the last commit was made; the transaction that runs is not in it. */
export interface LmdbInfo {
  readonly lastPage: number;
  readonly lastTransaction: number;
  /** Slots of the reader table in use; 0 without one, too. */
  readonly readers: number;
}

type Bytes = Uint8Array;
type Tree = Database<Bytes, Bytes>;
type Root = RootDatabase<Bytes, Bytes>;

interface TreePages {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

// What lmdb-js has but does not declare.
interface Undeclared {
  readonly env: {
    info(): { readonly lastPageNumber: number; readonly lastTxnId: number; readonly numReaders: number };
    stat(): TreePages & { readonly pageSize: number };
    freeStat(): TreePages;
  };
  readonly db: { stat(): TreePages };
  readonly lastSize: number;
  ensureReadTxn(): void;
  readerCheck(): number;
}

interface RootClass {
  new (name: null, options: object): Root & Undeclared;
  readonly prototype: Root;
}

const treeOptions = { keyEncoding: 'binary', encoding: 'binary' } as const;

/** Opens what is there, or makes it in an existing directory. To make or write it, have the place in the queue. */
export function openEnvironment(directory: string, options: LmdbOptions): LmdbEnvironment {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return new LmdbEnvironment(directory, options);
    } catch (error) {
      const isInvalid = lmdbCode(error) === invalidArgument;
      if (isInvalid && attempt < openAttemptsMax) pause(attempt);
      else if (isInvalid && !options.readOnly) throw unusableHere(directory, error);
      else throw fromLmdbError(error, 'open');
    }
  }
}

/** Whoever has the destroyed locks, too, has to notice and close first. Together some 50 ms. */
const openAttemptsMax = 10;

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

export class LmdbEnvironment {
  readonly pageBytes: number;
  readonly #root: Root & Undeclared;
  readonly #trees = new Map<Table, Tree & Undeclared>();
  #closed = false;

  constructor(directory: string, { readOnly, mapSizeBytes }: LmdbOptions) {
    const options: RootDatabaseOptionsWithPath & { readonly permissionsMode: number } = {
      ...treeOptions,
      path: directory,
      mapSize: mapSizeBytes,
      maxDbs: tables.length,
      overlappingSync: false,
      // By default decided by the dots in the path.
      noSubdir: false,
      permissionsMode: 0o600,
      ...(readOnly ? { readOnly } : {}),
    };
    const environment = openAsClass(options) as unknown as RootClass;
    const rootOptions = { ...treeOptions, isRoot: true };
    try {
      this.#root = new environment(null, rootOptions);
    } catch (error) {
      // Otherwise it stays open until it is collected, and stands in the way of the next one to open it.
      void environment.prototype.close.call(rootOptions as never);
      throw error;
    }
    this.pageBytes = this.#root.env.stat().pageSize;
  }

  /** Opens every table, and makes those that are missing, in one commit. */
  openTables(): void {
    const openAll = (): void => {
      for (const table of tables) {
        const tree = this.#root.openDB<Bytes, Bytes>({ name: table, ...treeOptions }) as Tree & Undeclared;
        if (tree === undefined) throw missingTable(table);
        this.#trees.set(table, tree);
      }
    };
    if (this.#root.transactionSync === undefined) openAll();
    else convertErrors('open', () => this.write(openAll));
  }

  /**
   * Runs `body` as a write transaction and makes it durable; aborts it if `body` throws. `body` calls what it needs
   * of `put`, `remove`, `get` and `range`.
   */
  write(body: () => void): void {
    this.#root.transactionSync(() => {
      this.#assertBegun();
      body();
    });
  }

  /** Runs `body` on the newest committed state. */
  read<T>(body: () => T): T {
    this.#root.resetReadTxn();
    convertErrors('read', () => this.#root.ensureReadTxn());
    try {
      return body();
    } finally {
      this.#root.resetReadTxn();
    }
  }

  get(table: Table, key: Bytes): Bytes | undefined {
    const tree = this.#tree(table);
    const shared = tree.getBinaryFast(key);
    if (shared === undefined) return undefined;
    // A copy of its own and a plain array: the next call overwrites this one, and `slice` of a Buffer copies nothing.
    return new Uint8Array(shared.buffer, shared.byteOffset, tree.lastSize).slice();
  }

  range(table: Table, { start, end, reverse = false, limit }: Range): Row[] {
    if (limit === 0 || (end !== undefined && Buffer.compare(start, end) >= 0)) return [];
    // An empty key is none to LMDB; the lowest there can be is one zero byte.
    const lowest = start.length === 0 ? zeroKey : start;
    const rows: Row[] = [];
    const found = this.#tree(table).getRange({
      ...(reverse
        ? {
            reverse,
            end: lowest,
            inclusiveEnd: true,
            ...(end === undefined ? {} : { start: end, exclusiveStart: true }),
          }
        : { start: lowest, ...(end === undefined ? {} : { end }) }),
      ...(limit === undefined ? {} : { limit }),
    });
    for (const { key, value } of found) rows.push([plain(key), plain(value)]);
    return rows;
  }

  put(table: Table, key: Bytes, value: Bytes): void {
    // LMDB copies at once; but lmdb-js cannot find the address of shared memory.
    void this.#tree(table).put(key, value.buffer instanceof SharedArrayBuffer ? value.slice() : value);
  }

  remove(table: Table, key: Bytes): void {
    void this.#tree(table).remove(key);
  }

  info(): LmdbInfo {
    const { lastPageNumber, lastTxnId, numReaders } = this.#root.env.info();
    return { lastPage: lastPageNumber, lastTransaction: lastTxnId, readers: numReaders };
  }

  /** The pages that hold data, as the running transaction has left them. Only inside `write` or `read`. */
  usedPages(): number {
    // Two meta pages, then the tree of tables and the one of free pages.
    let pages = 2 + sum(this.#root.env.stat()) + sum(this.#root.env.freeStat());
    for (const tree of this.#trees.values()) pages += sum(tree.db.stat());
    return pages;
  }

  /** Frees the slots of readers that died, which keep pages from being used again. */
  clearDeadReaders(): void {
    this.#root.readerCheck();
  }

  /** Without asynchronous writes lmdb-js closes before it returns. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#root.close();
  }

  #assertBegun(): void {
    if (this.#root.getWriteTxnId() > 0) return;
    throw new StoreError('ERR_STORE_POISONED', 'LMDB began no write transaction: an earlier flush failed', {
      op: 'commit',
      hint: 'Close every handle that this process has of the store, and open it again.',
    });
  }

  #tree(table: Table): Tree & Undeclared {
    const tree = this.#trees.get(table);
    assert(tree !== undefined, `the table ${table} is not open`);
    return tree;
  }
}

/** Turns LMDB's errors into errors of the store; others pass through. */
export function convertErrors<T>(op: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw fromLmdbError(error, op);
  }
}

export function fromLmdbError(error: unknown, op: string): unknown {
  const code = lmdbCode(error);
  if (code === undefined) return error;
  const { message } = toError(error);
  switch (code) {
    case -30797: // MDB_PAGE_NOTFOUND
    case -30796: // MDB_CORRUPTED
    case -30793: // MDB_INVALID
    case -30782: // MDB_BAD_TXN
    case -30779: // MDB_PROBLEM
      return new StoreError('ERR_LOG_CORRUPT', `The log is damaged: ${message}`, { op, cause: error });
    case -30794: // MDB_VERSION_MISMATCH
      return new StoreError('ERR_UNSUPPORTED_FORMAT', `The log has another format: ${message}`, {
        op,
        cause: error,
      });
    case -30795: // MDB_PANIC
      return new StoreError('ERR_STORE_POISONED', `An earlier flush failed: ${message}`, {
        op,
        cause: error,
      });
    case -30792: // MDB_MAP_FULL
      return new StoreError('ERR_LOG_FULL', `The log is full: ${message}`, { op, cause: error });
    case -30790: // MDB_READERS_FULL
      return new StoreError('ERR_TOO_MANY', `Too many processes and threads use the log: ${message}`, {
        op,
        cause: error,
      });
    default: {
      const system = errnoNames[code];
      return fromSystemError(
        Object.assign(new Error(message), system === undefined ? {} : { code: system }),
        { op },
      );
    }
  }
}

/** A number that is LMDB's own, or an errno; errors of Node carry names. */
function lmdbCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'number' ? error.code : undefined;
}

const invalidArgument = 22;

/** LMDB's answer when it began no transaction: the environment that the process has open already does not allow it. */
function unusableHere(directory: string, cause: unknown): StoreError {
  return new StoreError(
    'ERR_STORE_LOCKED',
    `This process has '${directory}' open already, and not to write`,
    {
      op: 'open',
      path: directory,
      hint: 'Close the handle that only reads, or the one whose flush failed. Then open it again.',
      cause,
    },
  );
}

function missingTable(table: Table): StoreError {
  return new StoreError('ERR_LOG_CORRUPT', `The log has no table '${table}'`, { op: 'open' });
}

const errnoNames: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  5: 'EIO',
  12: 'ENOMEM',
  13: 'EACCES',
  17: 'EEXIST',
  22: 'EINVAL',
  27: 'EFBIG',
  28: 'ENOSPC',
  30: 'EROFS',
};

const zeroKey = Uint8Array.of(0);

function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function sum({ treeBranchPageCount, treeLeafPageCount, overflowPages }: TreePages): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages;
}
