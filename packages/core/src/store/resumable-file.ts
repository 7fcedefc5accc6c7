/**
 * The file of one resumable operation, as the owner's thread writes it. What `sync` promises holds after a crash: the
 * bytes are fsynced first, and only then recorded. Calls are carried out one after the other, in their order.
 */

import type { StagingRequest } from '../commit/resumable-records.js';
import { fromSystemError, InvalidArgumentError, isStoreError, StoreError } from '../errors.js';
import type { AsyncFileSystem } from '../files/async-file-system.js';
import type { Descriptor } from '../files/file-system.js';
import type { StorePath } from '../path/path.js';
import type { Content } from '../plan/operation.js';
import type { RunningChecksum } from '../record/checksum.js';
import type { TransactionNumber } from '../record/record.js';
import { writeFullyInTime } from './write-fully.js';

export interface ResumableFileParts {
  readonly id: string;
  readonly number: TransactionNumber;
  readonly volume: StorePath;
  readonly name: string;
  readonly path: string;
  readonly descriptor: Descriptor;
  /** Of the first `offset` bytes, which are durable and recorded. */
  readonly checksum: RunningChecksum;
  readonly offset: number;
  readonly fileSystem: AsyncFileSystem;
  readonly sizeBytesMax: number | undefined;
  readonly requireSpace: (bytes: number) => void;
  readonly record: (request: StagingRequest) => Promise<void>;
  /** It is not open any more. */
  readonly onEnd: () => void;
}

type State =
  | 'open'
  /** A transaction is about to adopt it. */
  | 'held'
  | 'adopted'
  | 'discarded'
  | 'closed';

const spaceCheckBytes = 16 << 20;
const readPieceBytes = 1 << 20;

export class ResumableFile {
  readonly #parts: ResumableFileParts;
  #state: State = 'open';
  #failure: StoreError | undefined;
  #offset: number;
  #durable: number;
  #spaceUpTo: number;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ResumableFileParts) {
    this.#parts = parts;
    this.#offset = parts.offset;
    this.#durable = parts.offset;
    this.#spaceUpTo = parts.offset;
  }

  get name(): string {
    return this.#parts.name;
  }

  get offset(): number {
    return this.#offset;
  }

  get durable(): number {
    return this.#durable;
  }

  /** Of everything that was appended. */
  get checksum(): bigint {
    return this.#parts.checksum.digest();
  }

  /** What was appended so far. A piece is valid until the next one is asked for. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    this.#assertOpen('pieces');
    const { fileSystem, descriptor } = this.#parts;
    const end = this.#offset;
    const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(readPieceBytes, end)));
    for (let position = 0; position < end; ) {
      const into = buffer.subarray(0, Math.min(buffer.byteLength, end - position));
      const at = position;
      const count = await this.#inTurn(() =>
        this.#system('pieces', () => fileSystem.read(descriptor, into, at)),
      );
      if (count === 0)
        throw new StoreError('ERR_INTEGRITY', `${position} bytes are left of ${end}`, { op: 'pieces' });
      yield into.subarray(0, count);
      position += count;
    }
  }

  get isOpen(): boolean {
    return this.#state === 'open' || this.#state === 'held';
  }

  append(bytes: Uint8Array): Promise<void> {
    this.#assertOpen('append');
    return this.#inTurn(() => this.#append(bytes));
  }

  sync(): Promise<void> {
    this.#assertOpen('sync');
    return this.#inTurn(() => this.#sync());
  }

  async #append(bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength === 0) return;
    const { fileSystem, descriptor, sizeBytesMax, requireSpace, checksum } = this.#parts;
    const end = this.#offset + bytes.byteLength;
    if (sizeBytesMax !== undefined && end > sizeBytesMax) {
      throw new StoreError('ERR_TOO_LARGE', `'${this.#parts.id}' is larger than ${sizeBytesMax} bytes`, {
        op: 'append',
        hint: 'Raise maxFileBytes when opening the store. What was staged before is kept.',
      });
    }
    if (end > this.#spaceUpTo) {
      requireSpace(Math.max(spaceCheckBytes, bytes.byteLength));
      this.#spaceUpTo = this.#offset + Math.max(spaceCheckBytes, bytes.byteLength);
    }
    // What was written of a piece that fails is written over by the next one.
    await this.#system('append', () => writeFullyInTime(fileSystem, descriptor, bytes, this.#offset));
    checksum.update(bytes);
    this.#offset = end;
  }

  async #sync(): Promise<void> {
    const { id, number, fileSystem, descriptor, checksum, record } = this.#parts;
    if (this.#durable === this.#offset) return;
    const offset = this.#offset;
    try {
      await fileSystem.sync(descriptor);
    } catch (error) {
      // Never tried again: the pages are marked clean. Whoever takes it up goes on from what was durable before.
      this.#failure = fromSystemError(error, { op: 'sync' });
      throw this.#failure;
    }
    try {
      await record({ kind: 'advance', id, number, offset, checksum: checksum.digest() });
    } catch (error) {
      // It is not ours any more, or nobody knows whether that was recorded.
      if (isStoreError(error, 'ERR_CONFLICT') || isStoreError(error, 'ERR_STORE_POISONED'))
        this.#failure = error;
      throw error;
    }
    this.#durable = offset;
  }

  /** From now on it is the transaction's, until that lets go of it or has committed. */
  hold(op: string): void {
    this.#assertOpen(op);
    this.#state = 'held';
  }

  /** Complete and durable, for the transaction that holds it. */
  async content(): Promise<Extract<Content, { kind: 'staged' }>> {
    await this.#inTurn(() => this.#sync());
    const { id, number, volume, name, checksum } = this.#parts;
    return {
      kind: 'staged',
      volume,
      name,
      size: this.#offset,
      checksum: checksum.digest(),
      resumable: { id, number },
    };
  }

  /** The transaction did not commit. */
  letGo(): void {
    if (this.#state === 'held') this.#state = 'open';
  }

  async adopted(): Promise<void> {
    await this.#end('adopted');
  }

  async discard(): Promise<void> {
    this.#assertNotHeld('discard');
    if (!this.isOpen) return;
    const { id, number, fileSystem, path, record } = this.#parts;
    await this.#end('discarded');
    await record({ kind: 'discard', id, number });
    // What cannot be removed is swept by the next open.
    await fileSystem.unlink(path).catch(() => undefined);
  }

  /** Makes it durable, unless that has failed before, and lets go of it. */
  async close(): Promise<void> {
    this.#assertNotHeld('close');
    if (!this.isOpen) return;
    try {
      if (this.#failure === undefined) await this.#inTurn(() => this.#sync());
    } finally {
      await this.#end('closed');
    }
  }

  /** The store closes: only what is durable already is kept. */
  async abandon(): Promise<void> {
    if (this.isOpen) await this.#end('closed');
  }

  async #end(state: State): Promise<void> {
    this.#state = state;
    const { fileSystem, descriptor, onEnd } = this.#parts;
    await this.#turn.catch(() => undefined);
    await fileSystem.close(descriptor).catch(() => undefined);
    onEnd();
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(() => {
      if (this.#failure !== undefined) throw this.#failure;
      return action();
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #system<T>(op: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw fromSystemError(error, { op });
    }
  }

  #assertOpen(op: string): void {
    this.#assertNotHeld(op);
    if (this.#state === 'open') return;
    throw new InvalidArgumentError(op, `the staged content '${this.#parts.id}' is ${this.#state}`);
  }

  #assertNotHeld(op: string): void {
    if (this.#state !== 'held') return;
    throw new InvalidArgumentError(op, `a transaction is writing the staged content '${this.#parts.id}'`);
  }
}
