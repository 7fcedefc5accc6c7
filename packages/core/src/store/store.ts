/** The store as its user holds it: a thin, asynchronous client of the committer, and consistent reads. */

import { setTimeout as delay } from 'node:timers/promises';
import type { CheckpointReport } from '../commit/checkpoint.js';
import type { Commit } from '../commit/job.js';
import type { HistoryEntry } from '../history/history-entry.js';
import type { Committer, CommitterEvent } from '../committer/committer.js';
import type { RecoveryReport } from '../committer/recoverer.js';
import { coded, codedNow, InvalidArgumentError, isStoreError, StoreError, toError } from '../errors.js';
import type { StoreSpace } from '../files/free-space.js';
import type { ReaddirOptions } from '../files/listing.js';
import type { StorePath } from '../path/path.js';
import type { RemoveOptions } from '../plan/operation.js';
import type { TransactionId } from '../record/record.js';
import { decoded, encodingOf, type ReadOptions } from '../record/text.js';
import { falseBelowFile, missing } from './absence.js';
import {
  checkFlags,
  checkFunction,
  checkInlineLimit,
  checkOptions,
  checkPaths,
  fileOptions,
} from './check-arguments.js';
import { type Collection, openCollection } from './collection.js';
import { aborted, type Data } from './content-staging.js';
import { alias, pairsOf } from './file-pairs.js';
import { defaults, type Logger, silent, type StoreOptions } from './options.js';
import { RelaxedCommits } from './relaxed-commits.js';
import { Resumables, type StagedOperation, type StageOptions } from './resumables.js';
import { Snapshot, SnapshotMoved } from './snapshot.js';
import type { StagedContent } from './staged-content.js';
import { listingOfMoment } from './listing-of-moment.js';
import type { StoreAccess } from './store-access.js';
import { findForUndo, listHistory, notInHistory, undoIn } from './store-history.js';
import { statOfRead, type StoreStat } from './store-stat.js';
import { statsOf, type StoreStats } from './store-stats.js';
import { traceEnded } from './trace.js';
import { type BeginOptions, type FileOptions, Transaction } from './transaction.js';

/** Of a save in one call: how the files are written, and how it is committed. */
export type SaveOptions = FileOptions & BeginOptions;

type OwnOptions<T> = Omit<T, keyof BeginOptions> & { readonly encoding?: BufferEncoding };

/** Of an undo; its files are always in place when it resolves. */
export type UndoOptions = Omit<BeginOptions, 'materialize' | 'history'>;

export interface TransactOptions extends BeginOptions {
  /** How often the function runs again after a conflict. Default: 20. */
  readonly retries?: number;
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
  readonly #relaxed: RelaxedCommits;
  readonly #resumables: Resumables;
  #closing: Promise<void> | undefined;

  /** Use `openStore`. */
  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.root = parts.access.roots.root;
    this.#logger = parts.options.logger ?? silent;
    this.#relaxed = new RelaxedCommits(this.root, this.#logger);
    this.#access = {
      ...parts.access,
      settled: () => this.#relaxed.settled(),
      commitRelaxed: (...rest) => this.#relaxed.commit(...rest),
    };
    this.#resumables = new Resumables(this.#access, () => this.#counter++);
    this.recovery = parts.recovery;
  }

  /** `poisoned`: the outcome of a write is unknown; writes are refused until the store is opened again. */
  get status(): 'open' | 'poisoned' | 'closed' {
    return this.#status;
  }

  /** Writes one file. Durable, atomic and visible when it resolves. Errors: see `Transaction.commit`. */
  writeFile(path: string | URL, data: Data, options?: SaveOptions | BufferEncoding): Promise<Commit> {
    return this.#save('writeFile', options, (tx, file) => tx.writeFile(path, data, file));
  }

  /**
   * Writes several files, all or nothing. Durable, atomic and visible when it resolves.
   *
   * @throws StoreError ERR_PATH_ALIAS if a file is named twice; and those of `Transaction.commit`
   */
  writeFiles(
    files: Readonly<Record<string, Data>> | Iterable<readonly [string, Data]>,
    options?: SaveOptions,
  ): Promise<Commit> {
    return this.#save('writeFiles', options, async (tx, file) => {
      const seen = new Map<StorePath, string>();
      for (const [path, data] of pairsOf(files)) {
        const target = this.#access.parse(path, 'writeFiles', false);
        if (seen.has(target)) throw alias(path, seen.get(target)!);
        seen.set(target, path);
        // Small content is taken at once: no turn is lost, so saves commit in the order in which they were asked for.
        const staging = tx.writeFile(path, data, file);
        if (staging !== undefined) await staging;
      }
    });
  }

  appendFile(
    path: string | URL,
    data: Data,
    options?:
      | (BeginOptions & { encoding?: BufferEncoding; mode?: number; parents?: boolean })
      | BufferEncoding,
  ): Promise<Commit> {
    return this.#save('appendFile', options, (tx, file) => tx.appendFile(path, data, file));
  }

  copyFile(
    from: string | URL,
    to: string | URL,
    options?: BeginOptions & { parents?: boolean; ifAbsent?: boolean },
  ): Promise<Commit> {
    return this.#save('copyFile', options, (tx, rest) => tx.copyFile(from, to, rest));
  }

  rename(
    from: string | URL,
    to: string | URL,
    options?: BeginOptions & { parents?: boolean },
  ): Promise<Commit> {
    return this.#save('rename', options, (tx, rest) => tx.rename(from, to, rest));
  }

  rm(path: string | URL, options?: BeginOptions & RemoveOptions): Promise<Commit> {
    return this.#save('rm', options, (tx, rest) => tx.rm(path, rest));
  }

  mkdir(
    path: string | URL,
    options?: BeginOptions & { recursive?: boolean; mode?: number },
  ): Promise<Commit> {
    return this.#save('mkdir', options, (tx, rest) => tx.mkdir(path, rest));
  }

  /**
   * Runs `fn` in a transaction and commits it. What `fn` reads is tracked; if any of it changed, `fn` runs again, so it
   * should have no effect outside the transaction. A throwing `fn` aborts.
   */
  async transact<T>(fn: (tx: Transaction) => Promise<T> | T, options: TransactOptions = {}): Promise<T> {
    checkFunction('transact', fn);
    const { retries = retriesDefault, ...begin } = checkOptions('transact', options) ?? {};
    if (!(retries >= 0)) throw new InvalidArgumentError('transact', 'retries must be a number, not negative');
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
      return Promise.resolve(this.#begin(checkOptions('begin', options) ?? {}));
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  #begin(options: BeginOptions): Transaction {
    const committer = this.#writable('begin');
    const { signal, durability, materialize, inlineLimitBytes, history } = options;
    if (signal?.aborted === true) throw aborted({ op: 'begin' }, signal.reason);
    if (durability !== undefined && durability !== 'full' && durability !== 'relaxed') {
      throw new InvalidArgumentError('begin', "durability must be 'full' or 'relaxed'");
    }
    if (materialize !== undefined && materialize !== 'immediate' && materialize !== 'deferred') {
      throw new InvalidArgumentError('begin', "materialize must be 'immediate' or 'deferred'");
    }
    checkInlineLimit('begin', inlineLimitBytes);
    if (history !== undefined && typeof history !== 'boolean')
      throw new InvalidArgumentError('begin', 'history must be true or false');
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
    const tx = this.#begin(options);
    try {
      await fill(tx);
      return await tx.commit();
    } catch (error) {
      await tx.abort();
      throw error;
    }
  }

  /** One operation as a transaction of its own; its options are those of both. */
  async #save<T extends BeginOptions>(
    op: string,
    options: T | BufferEncoding | undefined,
    fill: (tx: Transaction, rest: OwnOptions<T>) => void | Promise<void>,
  ): Promise<Commit> {
    const { signal, durability, materialize, inlineLimitBytes, history, ...rest } = fileOptions(op, options);
    return await this.#once((tx) => fill(tx, rest as unknown as OwnOptions<T>), {
      ...(signal === undefined ? {} : { signal }),
      ...(durability === undefined ? {} : { durability }),
      ...(materialize === undefined ? {} : { materialize }),
      ...(inlineLimitBytes === undefined ? {} : { inlineLimitBytes }),
      ...(history === undefined ? {} : { history }),
    });
  }

  /** Reads a file as the newest committed transaction left it, or as another program has edited it since. */
  async readFile(path: string | URL): Promise<Buffer>;
  async readFile(
    path: string | URL,
    encoding: BufferEncoding | { encoding: BufferEncoding },
  ): Promise<string>;
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
  async readFiles(
    paths: Iterable<string>,
    encoding: BufferEncoding | { encoding: BufferEncoding },
  ): Promise<Map<string, string>>;
  async readFiles(paths: Iterable<string>, options?: ReadOptions): Promise<Map<string, Buffer | string>> {
    const encoding = encodingOf('readFiles', options);
    checkPaths('readFiles', paths);
    await this.#readable('readFiles');
    const view = new Snapshot(this.#access);
    return encoding === undefined ? await view.readFiles(paths) : await view.readFiles(paths, encoding);
  }

  /** Runs `fn` on one moment of the store; runs it again if that moment cannot be served to its end. */
  async snapshot<T>(fn: (view: Snapshot) => Promise<T> | T): Promise<T> {
    checkFunction('snapshot', fn);
    const wanted = new Set<StorePath>();
    for (let attempt = 0; ; attempt += 1) {
      await this.#readable('snapshot');
      const view = new Snapshot(this.#access, wanted);
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
    return await falseBelowFile(async () => {
      const [read] = await this.#access.reader.readSet([target], { op: 'exists', only: 'stat' });
      return read!.stat !== undefined;
    });
  }

  /**
   * Names in a directory, sorted, without the store's own; with `recursive` relative paths of everything below. All names that
   * a commit makes or takes away, or none; unless they change without pause for half a second or so, then as the disk has them.
   */
  async readdir(path: string | URL, options: ReaddirOptions = {}): Promise<string[]> {
    checkFlags('readdir', options, ['recursive']);
    const parsed = this.#access.parse(path, 'readdir', true);
    await this.#readable('readdir');
    return await coded(
      { op: 'readdir', path: parsed },
      async () => (await listingOfMoment(this.#access, parsed, options ?? {})).names,
    );
  }

  /** Durable entries beside the files. `history: false`: what `put` and `delete` of it do is not in history. */
  collection<V = unknown>(name: string, options: Pick<BeginOptions, 'history'> = {}): Collection<V> {
    const { history } = checkOptions('collection', options) ?? {};
    return openCollection<V>(name, this.#access, {
      settled: () => this.#readable('collection'),
      transact: (fn) => this.#once(fn, history === undefined ? {} : { history }),
    });
  }

  /**
   * Content that arrives over time, under an id, durable as far as `sync()` was called. If there is content of that id, it
   * is taken up where it was durable last, once its checksum was compared; `options` count only for new content.
   *
   * @throws StoreError ERR_CONFLICT if it is open already, here or in a process that lives; ERR_INTEGRITY if what is there
   * is not what was staged (`discardStaged` forgets it); ERR_NO_SPACE
   */
  async stage(id: string, options: StageOptions = {}): Promise<StagedContent> {
    return await this.#resumables.stage(this.#writable('stage'), id, checkOptions('stage', options) ?? {});
  }

  /** What is staged under an id now, in the order of the ids. */
  async staged(): Promise<StagedOperation[]> {
    await this.#readable('staged');
    return this.#resumables.list(this.#parts.committer?.state.ownerNumber);
  }

  /**
   * Forgets what was staged under an id, in whatever state it is. `false` if there is nothing.
   *
   * @throws StoreError ERR_CONFLICT if it is open, here or in a process that lives
   */
  async discardStaged(id: string): Promise<boolean> {
    return await this.#resumables.discard(this.#writable('discardStaged'), id);
  }

  /**
   * Transactions that history has, the newest first: all, or those that changed a path or something below it.
   * What this process has applied is in it; what another one has applied a moment ago may come with its next checkpoint.
   */
  async *history(path?: string | URL): AsyncGenerator<HistoryEntry> {
    const asked = path === undefined ? undefined : this.#access.parse(path, 'history', true);
    await this.#readable('history');
    await this.#keepApplied();
    yield* listHistory(this.#access, asked);
  }

  /**
   * Puts back what a transaction has replaced, moved or removed, and takes away what it has made: as one transaction, durable,
   * all or nothing, which can be undone itself.
   *
   * @throws StoreError ERR_CONFLICT if a path or entry is not as that transaction left it; ERR_NOT_FOUND if history does
   * not have it; ERR_INTEGRITY if what it replaced is not kept, or not as it was; ERR_NO_SPACE if there is none for a copy of
   * what was replaced; ERR_INVALID_PATH if there was a pipe, socket or device in it, and the file system gives no other link
   * of that; and those of `Transaction.commit`
   */
  async undo(transaction: TransactionId, options: UndoOptions = {}): Promise<Commit> {
    this.#writable('undo');
    const begin = checkOptions('undo', options) ?? {};
    if (typeof transaction !== 'string')
      throw new InvalidArgumentError('undo', 'a transaction is named by its id');
    await this.#readable('undo');
    let row = findForUndo(this.#access, transaction);
    if (row === undefined) {
      await this.#keepApplied();
      row = findForUndo(this.#access, transaction);
    }
    if (row === undefined) throw notInHistory(transaction);
    const tx = this.#begin({ ...begin, materialize: 'immediate', history: true });
    try {
      return await coded({ op: 'undo', transaction }, () => undoIn(this.#access, tx, row));
    } catch (error) {
      await tx.abort();
      throw error;
    }
  }

  /** What is applied comes into history with its checkpoint. */
  async #keepApplied(): Promise<void> {
    const { committer, options } = this.#parts;
    if (committer === undefined || options.history === undefined || this.#status !== 'open') return;
    await committer.checkpoint();
  }

  /**
   * Looks at all of the log (unless `paths` are given), then compares files with the checksums that it has of them.
   * Changes nothing. `ERR_LOG_CORRUPT` if the log is damaged.
   */
  async verify(options: { paths?: readonly string[] } = {}): Promise<VerifyReport> {
    await this.#readable('verify');
    return await coded({ op: 'verify' }, () => this.#parts.verify(this.#access, options));
  }

  /** Makes everything that was applied durable where it is and trims the log. Happens by itself in the background. */
  async checkpoint(): Promise<CheckpointReport> {
    const committer = this.#writable('checkpoint');
    await this.#relaxed.settled();
    return await committer.checkpoint();
  }

  /**
   * Puts all that was deferred so far into the files, without waiting for its time.
   *
   * @throws StoreError why some of it cannot be put there now; it stays in the log, durable, and is tried again
   */
  async materialize(): Promise<void> {
    const committer = this.#writable('materialize');
    await this.#relaxed.settled();
    await committer.materialize();
  }

  /** What is free on the file system that holds this path, or will hold it; of the root by default. */
  space(path: string | URL = '.'): StoreSpace {
    const target = path === '.' ? '' : this.#access.parse(path, 'space', true);
    return codedNow({ op: 'space', path: target }, () => this.#access.space(target));
  }

  stats(): StoreStats {
    return statsOf(this.#parts.committer?.counters, this.#active, this.#access.log.stats());
  }

  /**
   * Finishes what is under way, makes what was saved durable in its files (a checkpoint), and lets go of the store. What
   * other processes do keeps it for two seconds at most; what it could not do then, the next open does. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#status = 'closed';
    // Saves that were asked for before reach the committer within this turn.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#resumables.close();
    // Relaxed commits that were accepted are finished by it, or told that they are not.
    await this.#parts.committer?.close();
    await this.#relaxed.settled();
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
      case 'checkpoint':
      case 'recover':
      case 'materialize':
        traceEnded(event.type, { root: this.root, ...event });
        break;
    }
  }

  async #readable(op: string): Promise<void> {
    if (this.#status === 'closed') throw closed(op);
    await this.#relaxed.settled();
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

function closed(op: string): StoreError {
  return new StoreError('ERR_STORE_CLOSED', 'The store is closed', { op, hint: 'Open it again.' });
}
