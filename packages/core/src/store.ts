/** The store as its user holds it: a thin, asynchronous client of the committer, and consistent reads. */

import { channel } from 'node:diagnostics_channel';
import { setTimeout as delay } from 'node:timers/promises';
import type { CheckpointReport } from './checkpoint.js';
import { openCollection, type Collection } from './collection.js';
import type { Committer, CommitterEvent } from './committer.js';
import { aborted, type Data } from './content-staging.js';
import type { Commit } from './engine.js';
import { InvalidArgumentError, isStoreError, StoreError } from './errors.js';
import { listDirectory, type ReaddirOptions } from './listing.js';
import type { LogStats } from './log.js';
import type { RemoveOptions } from './operation.js';
import { type Logger, silent, defaults, type StoreOptions } from './options.js';
import type { StorePath } from './path.js';
import { baseTree } from './planner.js';
import type { RecoveryReport } from './recoverer.js';
import type { CommitRequest } from './request.js';
import { Snapshot, SnapshotMoved } from './snapshot.js';
import type { StoreAccess } from './store-access.js';
import { statOfRead, type StoreStat } from './store-stat.js';
import { decoded, encodingOf, type ReadOptions } from './text.js';
import { type BeginOptions, type FileOptions, missing, Transaction } from './transaction.js';

/** Of a save in one call: how the files are written, and how it is committed. */
export type SaveOptions = FileOptions & BeginOptions;

export interface TransactOptions extends BeginOptions {
  /** How often the function runs again after a conflict. Default: 20. */
  readonly retries?: number;
}

export interface StoreStats {
  readonly commits: number;
  /** Flushes that carried commits: several commits share one. */
  readonly groups: number;
  readonly checkpoints: number;
  readonly uncheckpointedTransactions: number;
  readonly uncheckpointedBytes: number;
  readonly openDescriptors: number;
  readonly queued: number;
  readonly waiting: number;
  readonly activeTransactions: number;
  readonly log: LogStats;
}

export interface VerifyReport {
  readonly checked: number;
  readonly findings: readonly {
    readonly path: StorePath;
    readonly problem: 'missing' | 'changed' | 'damaged' | 'unreadable';
    readonly detail: string;
  }[];
}

export interface StoreParts {
  readonly access: StoreAccess;
  /** Absent in a read-only store. */
  readonly committer: Committer | undefined;
  readonly recovery: RecoveryReport;
  readonly options: StoreOptions;
  readonly verify: (access: StoreAccess, options: { paths?: readonly string[] }) => VerifyReport;
  readonly closeLog: () => void;
}

const retriesDefault = 20;
const snapshotAttemptsMax = 100;

export class Store implements AsyncDisposable {
  readonly root: string;
  readonly recovery: RecoveryReport;
  readonly #parts: StoreParts;
  readonly #access: StoreAccess;
  readonly #logger: Logger;
  #status: 'open' | 'poisoned' | 'closed' = 'open';
  #counter = 1;
  #active = 0;
  #relaxed = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** Use `openStore`. */
  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.#access = { ...parts.access, commitRelaxed: (...rest) => this.#commitRelaxed(...rest) };
    this.#logger = parts.options.logger ?? silent;
    this.root = parts.access.roots.root;
    this.recovery = parts.recovery;
  }

  /** `poisoned`: the outcome of a write is unknown; writes are refused until the store is opened again. */
  get status(): 'open' | 'poisoned' | 'closed' {
    return this.#status;
  }

  /** Writes one file. Durable, atomic and visible when it resolves. Errors: see `Transaction.commit`. */
  writeFile(path: string | URL, data: Data, options?: SaveOptions | BufferEncoding): Promise<Commit> {
    const { begin, file } = splitOptions(options);
    return this.#once((tx) => tx.writeFile(path, data, file), begin);
  }

  /** Writes several files, all or nothing. Durable, atomic and visible when it resolves. */
  writeFiles(
    files: Readonly<Record<string, Data>> | Iterable<readonly [string, Data]>,
    options?: SaveOptions,
  ): Promise<Commit> {
    if (typeof files !== 'object' || files === null) {
      return Promise.reject(new InvalidArgumentError('writeFiles', 'files must be an object or an iterable of pairs'));
    }
    const pairs = Symbol.iterator in files ? files : Object.entries(files);
    const { begin, file } = splitOptions(options);
    return this.#once(async (tx) => {
      for (const [path, data] of pairs) await tx.writeFile(path, data, file);
    }, begin);
  }

  appendFile(path: string | URL, data: Data, options?: { mode?: number }): Promise<Commit> {
    return this.#once((tx) => tx.appendFile(path, data, options));
  }

  copyFile(from: string | URL, to: string | URL): Promise<Commit> {
    return this.#once((tx) => tx.copyFile(from, to));
  }

  rename(from: string | URL, to: string | URL): Promise<Commit> {
    return this.#once((tx) => tx.rename(from, to));
  }

  rm(path: string | URL, options?: RemoveOptions): Promise<Commit> {
    return this.#once((tx) => tx.rm(path, options));
  }

  mkdir(path: string | URL, options?: { recursive?: boolean; mode?: number }): Promise<Commit> {
    return this.#once((tx) => tx.mkdir(path, options));
  }

  /**
   * Runs `fn` in a transaction and commits it. What `fn` reads is tracked; if any of it changed, `fn` runs again, so it
   * should have no effect outside the transaction. A throwing `fn` aborts.
   */
  async transact<T>(fn: (tx: Transaction) => Promise<T> | T, options: TransactOptions = {}): Promise<T> {
    const { retries = retriesDefault, ...begin } = options;
    for (let attempt = 0; ; attempt += 1) {
      const tx = await this.begin(begin);
      try {
        const result = await fn(tx);
        if (tx.state === 'active') await tx.commit();
        return result;
      } catch (error) {
        await tx.abort();
        if (!isStoreError(error, 'ERR_CONFLICT') || attempt >= retries) throw error;
        await delay(Math.random() * Math.min(2 ** attempt, 100));
      }
    }
  }

  /** An explicit transaction; disposed without commit it is aborted. */
  begin(options: BeginOptions = {}): Promise<Transaction> {
    try {
      if (options.signal?.aborted === true) throw aborted({ op: 'begin' }, options.signal.reason);
      return Promise.resolve(this.#begin(options));
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #begin(options: BeginOptions): Transaction {
    const committer = this.#writable('begin');
    const limit = this.#parts.options.maxConcurrentTransactions ?? defaults.maxConcurrentTransactions;
    if (this.#active >= limit) {
      throw new StoreError('ERR_TOO_MANY', `${limit} transactions are open already`, {
        op: 'begin',
        hint: 'Commit or abort some, or raise maxConcurrentTransactions.',
      });
    }
    this.#active += 1;
    let ended = false;
    const onEnd = (): void => {
      if (!ended) this.#active -= 1;
      ended = true;
    };
    try {
      return new Transaction({ access: this.#access, committer, counter: this.#counter++, options, onEnd });
    } catch (error) {
      onEnd();
      throw error;
    }
  }

  async #once(fill: (tx: Transaction) => void | Promise<void>, options: BeginOptions = {}): Promise<Commit> {
    if (options.signal?.aborted === true) throw aborted({ op: 'begin' }, options.signal.reason);
    const tx = this.#begin(options);
    try {
      await fill(tx);
      return await tx.commit();
    } catch (error) {
      await tx.abort();
      throw error;
    }
  }

  /** Reads a file as the newest committed transaction left it, or as another program has edited it since. */
  async readFile(path: string | URL): Promise<Buffer>;
  async readFile(path: string | URL, encoding: BufferEncoding | { encoding: BufferEncoding }): Promise<string>;
  async readFile(path: string | URL, options?: ReadOptions): Promise<Buffer | string> {
    const encoding = encodingOf('readFile', options);
    const target = this.#access.parse(path, 'readFile', false);
    await this.#readable('readFile');
    const [read] = await this.#access.reader.readSet([target], { op: 'readFile' });
    if (read!.content === undefined) throw missing('readFile', target);
    return decoded(read!.content, encoding);
  }

  /** Reads several files of one moment: never a mixed set. Keys are the paths as they were given. */
  async readFiles(paths: Iterable<string>): Promise<Map<string, Buffer>>;
  async readFiles(paths: Iterable<string>, encoding: BufferEncoding | { encoding: BufferEncoding }): Promise<Map<string, string>>;
  async readFiles(paths: Iterable<string>, options?: ReadOptions): Promise<Map<string, Buffer | string>> {
    const encoding = encodingOf('readFiles', options);
    await this.#readable('readFiles');
    const view = new Snapshot(this.#access);
    return encoding === undefined ? await view.readFiles(paths) : await view.readFiles(paths, encoding);
  }

  /** Runs `fn` on one moment of the store; runs it again if that moment cannot be served to its end. */
  async snapshot<T>(fn: (view: Snapshot) => Promise<T> | T): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      await this.#readable('snapshot');
      const view = new Snapshot(this.#access);
      try {
        return await fn(view);
      } catch (error) {
        if (!(error instanceof SnapshotMoved)) throw error;
        if (attempt >= snapshotAttemptsMax) {
          throw new StoreError('ERR_CONFLICT', 'The files of the snapshot keep changing', {
            op: 'snapshot',
            hint: 'Read what belongs together with one readFiles().',
          });
        }
      }
    }
  }

  async stat(path: string | URL): Promise<StoreStat> {
    const target = this.#access.parse(path, 'stat', true);
    await this.#readable('stat');
    const [read] = await this.#access.reader.readSet([target], { op: 'stat', only: 'stat' });
    if (read!.stat === undefined) throw missing('stat', target);
    return statOfRead(read!);
  }

  async exists(path: string | URL): Promise<boolean> {
    const target = this.#access.parse(path, 'exists', true);
    await this.#readable('exists');
    const [read] = await this.#access.reader.readSet([target], { op: 'exists', only: 'stat' });
    return read!.stat !== undefined;
  }

  /** Names in a directory, sorted, without the store's own; with `recursive` relative paths of everything below. */
  async readdir(path: string | URL, options: ReaddirOptions = {}): Promise<string[]> {
    const target = this.#access.resolve(this.#access.parse(path, 'readdir', true));
    await this.#readable('readdir');
    const tree = baseTree(this.#access);
    return listDirectory(
      { typeOf: (at) => tree.stat(at)?.type, children: (at) => tree.children(at) },
      target,
      options,
    );
  }

  /** Durable entries beside the files. */
  collection<V = unknown>(name: string): Collection<V> {
    return openCollection<V>(name, this.#access, {
      settled: () => this.#readable('collection'),
      transact: (fn) => this.#once(fn),
    });
  }

  /** Compares files with the checksums that the log has of them. Changes nothing. */
  async verify(options: { paths?: readonly string[] } = {}): Promise<VerifyReport> {
    await this.#readable('verify');
    return this.#parts.verify(this.#access, options);
  }

  /** Makes everything that was applied durable where it is and trims the log. Happens by itself in the background. */
  async checkpoint(): Promise<CheckpointReport> {
    const committer = this.#writable('checkpoint');
    await this.#settleRelaxed();
    return await committer.checkpoint();
  }

  stats(): StoreStats {
    const counters = this.#parts.committer?.counters;
    const count = (name: Parameters<NonNullable<typeof counters>['get']>[0]): number => counters?.get(name) ?? 0;
    return {
      commits: count('commits'),
      groups: count('groups'),
      checkpoints: count('checkpoints'),
      uncheckpointedTransactions: count('uncheckpointedTransactions'),
      uncheckpointedBytes: count('uncheckpointedBytes'),
      openDescriptors: count('openDescriptors'),
      queued: count('queued'),
      waiting: count('waiting'),
      activeTransactions: this.#active,
      log: this.#access.log.stats(),
    };
  }

  /** Finishes what is under way and lets go of the store, within two seconds. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#status = 'closed';
    await this.#settleRelaxed();
    await this.#parts.committer?.close();
    this.#parts.closeLog();
  }

  /** For whoever opens the store: what the committer reports reaches channels, the logger and the status. */
  hear(event: CommitterEvent): void {
    switch (event.type) {
      case 'log':
        this.#logger[event.level](event.details, event.message);
        break;
      case 'poisoned':
        if (this.#status === 'open') this.#status = 'poisoned';
        this.#logger.error({ cause: event.cause }, 'the store is poisoned: close it and open it again');
        break;
      case 'commit':
      case 'checkpoint':
      case 'recover': {
        const named = channel(`forewrit:${event.type}`);
        if (named.hasSubscribers) named.publish({ root: this.root, ...event });
        break;
      }
    }
  }

  async #commitRelaxed(committer: Committer, request: CommitRequest, id: string): Promise<Commit> {
    return await new Promise<Commit>((resolve, reject) => {
      let accepted = false;
      const done = committer.commit(request, (revision) => {
        accepted = true;
        const paths = new Set<StorePath>();
        for (const operation of request.operations) if ('path' in operation) paths.add(operation.path);
        resolve({ transaction: id, revision, paths: [...paths], bytes: 0 });
      });
      this.#relaxed.add(done);
      const forget = (): void => {
        this.#relaxed.delete(done);
      };
      done.then(
        (commit) => {
          forget();
          resolve(commit);
        },
        (error: unknown) => {
          forget();
          if (accepted) this.#logger.error({ error, transaction: id }, 'a relaxed commit failed after it was accepted');
          const named = channel('forewrit:commit');
          if (accepted && named.hasSubscribers) named.publish({ root: this.root, type: 'failed', transaction: id, error });
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  async #settleRelaxed(): Promise<void> {
    while (this.#relaxed.size > 0) await Promise.allSettled(this.#relaxed);
  }

  async #readable(op: string): Promise<void> {
    if (this.#status === 'closed') throw closed(op);
    await this.#settleRelaxed();
  }

  #writable(op: string): Committer {
    if (this.#status === 'closed') throw closed(op);
    if (this.#status === 'poisoned') {
      throw new StoreError('ERR_STORE_POISONED', 'The store is poisoned: the outcome of a write is unknown', {
        op,
        hint: 'Close the store and open it again: recovery decides what was committed.',
      });
    }
    if (this.#parts.committer === undefined) {
      throw new StoreError('ERR_PERMISSION', 'The store was opened read-only', { op });
    }
    return this.#parts.committer;
  }
}

function splitOptions(options: SaveOptions | BufferEncoding | undefined): {
  begin: BeginOptions;
  file: FileOptions | BufferEncoding | undefined;
} {
  if (options === undefined || typeof options === 'string') return { begin: {}, file: options };
  const { signal, durability, ...file } = options;
  return {
    begin: { ...(signal === undefined ? {} : { signal }), ...(durability === undefined ? {} : { durability }) },
    file,
  };
}

function closed(op: string): StoreError {
  return new StoreError('ERR_STORE_CLOSED', 'The store is closed', { op, hint: 'Open it again.' });
}

