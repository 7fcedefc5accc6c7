/** What those see who read and write the log: LMDB's tables, with its limits and errors turned into ours. */
import { assert } from '../assert.js';
import { convertErrors, type LmdbEnvironment } from './lmdb-environment.js';
import type { LogBatch, LogView, Range, Row, Table } from './log.js';
import { assertKey, assertRange, BatchSize } from './log-limits.js';

/** The upper levels of every tree. */
const pagesOfAnyBatch = 24;
/** A leaf, the one that it is split into or merged with, and the head of a large value. */
const pagesOfChange = 3;

export class LmdbView implements LogView {
  protected readonly environment: LmdbEnvironment;

  constructor(environment: LmdbEnvironment) {
    this.environment = environment;
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    assertKey(key);
    return convertErrors('read', () => this.environment.get(table, key));
  }

  range(table: Table, range: Range): Row[] {
    assertRange(range);
    return convertErrors('read', () => this.environment.range(table, range));
  }
}

export class LmdbBatch extends LmdbView implements LogBatch {
  readonly #size = new BatchSize();
  #ended = false;
  #pagesMax = pagesOfAnyBatch;

  /** At most so many pages are written because of what the batch holds. */
  get pagesMax(): number {
    return this.#pagesMax;
  }

  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    this.#assertOpen();
    assertKey(key);
    this.#size.put(key, value);
    this.#pagesMax += pagesOfChange + Math.ceil(value.length / this.environment.pageBytes);
    convertErrors('commit', () => this.environment.put(table, key, value));
  }

  delete(table: Table, key: Uint8Array): void {
    this.#assertOpen();
    assertKey(key);
    this.#size.delete();
    this.#pagesMax += pagesOfChange;
    convertErrors('commit', () => this.environment.remove(table, key));
  }

  override get(table: Table, key: Uint8Array): Uint8Array | undefined {
    this.#assertOpen();
    return super.get(table, key);
  }

  override range(table: Table, range: Range): Row[] {
    this.#assertOpen();
    return super.range(table, range);
  }

  end(): void {
    this.#ended = true;
  }

  #assertOpen(): void {
    assert(!this.#ended, 'a batch is used after its commit');
  }
}
