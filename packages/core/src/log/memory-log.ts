/**
 * The log of simulated worlds: everything in memory, deterministic, and with the manners of the real one. Several
 * `MemoryLog` handles over one `MemoryLogState` play several processes; `MemoryLogState.clone` keeps a moment.
 *
 * A crash keeps every batch that was flushed, and any prefix of those that were not. There is at most one of these: a
 * batch is flushed before its commit returns, before anybody else can see it, and before the next one is begun. While
 * it is being flushed (`onFlush`), `clone` gives either world.
 */
import { assert } from '../assert.js';
import {
  type CommitOptions,
  FlushError,
  type Log,
  type LogBatch,
  type LogStats,
  type LogView,
  type Range,
  type Row,
  type Table,
  tables,
} from './log.js';
import {
  assertKey,
  assertRange,
  BatchSize,
  logClosed,
  logFull,
  logPoisoned,
  ordinaryFillMax,
} from './log-limits.js';

export interface MemoryLogOptions {
  /** Throws to refuse a batch before it is built, as a full disk would. */
  readonly onReserve?: (options: CommitOptions) => void;
  /**
   * Runs while a batch is being flushed: a crash now keeps it, or not. Throws to fail the flush with nothing written.
   */
  readonly onFlush?: () => void;
  /** Runs when the batch is durable. Throws to fail the flush although everything was written. */
  readonly onFlushed?: () => void;
  /** How listeners are called; by default as microtasks. */
  readonly notify?: (call: () => void) => void;
}

/** What the handles of one simulated store share. */
export class MemoryLogState {
  readonly capacityBytes: number;
  readonly #tables: Map<Table, SortedRows>;
  readonly #listeners = new Set<() => void>();
  /** A simulated world has one thread: somebody who is not done yet is further down the stack. */
  busy: 'no' | 'viewing' | 'committing' = 'no';
  /** What the batch under construction has changed, as it was before. */
  unflushed: readonly Change[] = [];

  constructor({ capacityBytes = 2 ** 30 }: { readonly capacityBytes?: number } = {}) {
    this.capacityBytes = capacityBytes;
    this.#tables = new Map(tables.map((table) => [table, new SortedRows()]));
  }

  /**
   * What a crash now leaves, with no handle and no listener: all that was flushed, and of a batch that is not, all or
   * nothing.
   */
  clone({ unflushed = 'lost' }: { readonly unflushed?: 'lost' | 'kept' } = {}): MemoryLogState {
    const copy = new MemoryLogState({ capacityBytes: this.capacityBytes });
    for (const table of tables) copy.rows(table).take(this.rows(table));
    if (unflushed === 'lost') takeBack(copy, this.unflushed);
    return copy;
  }

  rows(table: Table): SortedRows {
    const rows = this.#tables.get(table);
    assert(rows !== undefined, `there is no table ${table}`);
    return rows;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const rows of this.#tables.values()) bytes += rows.bytes;
    return bytes;
  }

  get listeners(): ReadonlySet<() => void> {
    return this.#listeners;
  }

  listen(listener: () => void): () => void {
    // A function of its own, so that the same listener can be registered twice.
    const entry = (): void => listener();
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }
}

export class MemoryLog implements Log {
  readonly #state: MemoryLogState;
  readonly #options: MemoryLogOptions;
  readonly #unlisten = new Set<() => void>();
  #closed = false;
  #flushFailure: FlushError | undefined;

  constructor(state: MemoryLogState = new MemoryLogState(), options: MemoryLogOptions = {}) {
    this.#state = state;
    this.#options = options;
  }

  commit<T>(build: (batch: LogBatch) => T, options: CommitOptions = {}): T {
    this.#assertUsable('commit');
    if (this.#flushFailure !== undefined) throw logPoisoned('commit', this.#flushFailure);
    this.#assertIdle('commit');
    this.#options.onReserve?.(options);
    this.#refuseWhenFull(options);

    const batch = new MemoryBatch(this.#state);
    this.#state.busy = 'committing';
    try {
      const result = build(batch);
      this.#flush(batch);
      return result;
    } catch (error) {
      batch.undo();
      throw error;
    } finally {
      this.#state.busy = 'no';
      batch.end();
    }
  }

  view<T>(read: (view: LogView) => T): T {
    this.#assertUsable('view');
    this.#assertIdle('view');
    this.#state.busy = 'viewing';
    try {
      return read(new MemoryView(this.#state));
    } finally {
      this.#state.busy = 'no';
    }
  }

  watch(listener: () => void): () => void {
    this.#assertUsable('watch');
    const unlisten = this.#state.listen(listener);
    this.#unlisten.add(unlisten);
    return () => {
      unlisten();
      this.#unlisten.delete(unlisten);
    };
  }

  stats(): LogStats {
    this.#assertUsable('stats');
    this.#assertIdle('stats');
    const { usedBytes } = this.#state;
    return { usedBytes, fileBytes: usedBytes };
  }

  examine(): void {
    this.#assertUsable('examine');
    this.#assertIdle('examine');
  }

  close(): void {
    if (this.#closed) return;
    this.#assertIdle('close');
    this.#closed = true;
    for (const unlisten of this.#unlisten) unlisten();
    this.#unlisten.clear();
  }

  #flush(batch: MemoryBatch): void {
    if (!batch.changed) return;
    try {
      this.#options.onFlush?.();
    } catch (error) {
      this.#flushFailure = new FlushError(error);
      throw this.#flushFailure;
    }
    batch.keep();
    const { notify = queueMicrotask } = this.#options;
    for (const listener of this.#state.listeners) notify(listener);
    try {
      this.#options.onFlushed?.();
    } catch (error) {
      this.#flushFailure = new FlushError(error);
      throw this.#flushFailure;
    }
  }

  #refuseWhenFull({ sizeBytes = 0, essential = false }: CommitOptions): void {
    const { usedBytes, capacityBytes } = this.#state;
    const limit = essential ? capacityBytes : capacityBytes * ordinaryFillMax;
    if (usedBytes + sizeBytes > limit) throw logFull({ usedBytes, capacityBytes });
  }

  #assertUsable(op: string): void {
    if (this.#closed) throw logClosed(op);
  }

  #assertIdle(op: string): void {
    assert(this.#state.busy !== 'committing', `${op} inside a commit: read through the batch`);
    assert(this.#state.busy !== 'viewing', `${op} inside a view`);
  }
}

class MemoryView implements LogView {
  protected readonly state: MemoryLogState;

  constructor(state: MemoryLogState) {
    this.state = state;
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    assertKey(key);
    return this.state.rows(table).get(key);
  }

  range(table: Table, range: Range): Row[] {
    assertRange(range);
    return this.state.rows(table).range(range);
  }
}

/** A row of a batch as it was before it. */
interface Change {
  readonly table: Table;
  readonly key: Uint8Array;
  readonly before: Uint8Array | undefined;
}

function takeBack(state: MemoryLogState, changes: readonly Change[]): void {
  for (const { table, key, before } of changes.toReversed()) state.rows(table).set(key, before);
}

class MemoryBatch extends MemoryView implements LogBatch {
  readonly #size = new BatchSize();
  #changes: Change[] = [];
  #ended = false;

  override get(table: Table, key: Uint8Array): Uint8Array | undefined {
    this.#assertOpen();
    return super.get(table, key);
  }

  override range(table: Table, range: Range): Row[] {
    this.#assertOpen();
    return super.range(table, range);
  }

  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    this.#assertOpen();
    assertKey(key);
    this.#size.put(key, value);
    // Copies: the caller may use its buffers again.
    this.#write(table, key.slice(), value.slice());
  }

  delete(table: Table, key: Uint8Array): void {
    this.#assertOpen();
    assertKey(key);
    this.#size.delete();
    this.#write(table, key.slice(), undefined);
  }

  get changed(): boolean {
    return this.#changes.length > 0;
  }

  keep(): void {
    this.#begin();
  }

  undo(): void {
    takeBack(this.state, this.#changes);
    this.#begin();
  }

  end(): void {
    this.#ended = true;
  }

  #assertOpen(): void {
    assert(!this.#ended, 'a batch is used after its commit');
  }

  #write(table: Table, key: Uint8Array, value: Uint8Array | undefined): void {
    const rows = this.state.rows(table);
    const before = rows.get(key);
    rows.set(key, value);
    this.#changes.push({ table, key, before });
    this.state.unflushed = this.#changes;
  }

  #begin(): void {
    this.#changes = [];
    this.state.unflushed = this.#changes;
  }
}

/** Rows in the order of their keys. */
class SortedRows {
  #rows: Row[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  take(other: SortedRows): void {
    this.#rows = [...other.#rows];
    this.#bytes = other.#bytes;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const row = this.#rows[this.#firstNotBelow(key)];
    return row !== undefined && Buffer.compare(row[0], key) === 0 ? row[1] : undefined;
  }

  set(key: Uint8Array, value: Uint8Array | undefined): void {
    const index = this.#firstNotBelow(key);
    const row = this.#rows[index];
    const found = row !== undefined && Buffer.compare(row[0], key) === 0;
    if (found) this.#bytes -= row[0].length + row[1].length;
    if (value === undefined) {
      if (found) this.#rows.splice(index, 1);
      return;
    }
    this.#bytes += key.length + value.length;
    this.#rows.splice(index, found ? 1 : 0, [key, value]);
  }

  range({ start, end, reverse = false, limit = Number.POSITIVE_INFINITY }: Range): Row[] {
    const from = this.#firstNotBelow(start);
    const to = end === undefined ? this.#rows.length : this.#firstNotBelow(end);
    const count = Math.min(limit, Math.max(to - from, 0));
    if (!reverse) return this.#rows.slice(from, from + count);
    return this.#rows.slice(Math.max(to, from) - count, Math.max(to, from)).toReversed();
  }

  #firstNotBelow(key: Uint8Array): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.#rows[middle];
      assert(row !== undefined, 'a hole in a sorted table');
      if (Buffer.compare(row[0], key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
