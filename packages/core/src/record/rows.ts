/** The rows of every table but `log`: what they hold and how they are encoded. Layout: `docs/format.md`. */

import { packImage, readImage } from './codec.js';
import { corrupt, decodeValue, encodeValue, type Fields } from './frame.js';
import type { Image } from './image.js';
import { type KeyRange, prefixRange, u32Key } from './key.js';
import type { Table } from '../log/log.js';
import type { Owner } from '../owner/owner.js';
import type { StorePath } from '../path/path.js';
import { type TransactionNumber, transactionId } from './record.js';

/** What the newest committed transaction left at a path. */
export interface FileRow {
  readonly path: StorePath;
  readonly revision: number;
  readonly transaction: TransactionNumber;
  readonly image: Image;
}

export interface LockRow {
  /** The locked path, or for an entry its collection and key. */
  readonly what: string;
  readonly transaction: TransactionNumber;
  /** Applying and rolling back both failed: locked until somebody repairs it. */
  readonly blocked: boolean;
}

export interface EntryRow {
  readonly revision: number;
  /** msgpack of the value. */
  readonly value: Uint8Array;
}

export interface FormatRow {
  readonly version: number;
  readonly storeId: string;
  readonly createdAtMs: number;
  readonly caseInsensitive: boolean;
  readonly normalizing: boolean;
}

export const kinds = {
  files: 16,
  locks: 17,
  owners: 18,
  entries: 19,
  format: 20,
  number: 21,
  text: 22,
  transaction: 23,
  /** `history-row.ts`. */
  history: 24,
} as const;

interface RowCodec<T> {
  encode(key: Uint8Array, row: T): Uint8Array;
  decode(key: Uint8Array, value: Uint8Array): T;
}

function packNumber(number: TransactionNumber): readonly [number, number] {
  return [number.owner, number.counter];
}

function readNumber(fields: Fields): TransactionNumber {
  return { owner: fields.number(), counter: fields.number() };
}

export const fileRow: RowCodec<FileRow> = {
  encode: (key, row) =>
    encodeValue('files', key, kinds.files, [
      row.path,
      row.revision,
      packNumber(row.transaction),
      packImage(row.image),
    ]),
  decode(key, value) {
    const fields = decodeValue('files', key, value, kinds.files);
    return {
      path: fields.string(),
      revision: fields.number(),
      transaction: readNumber(fields.fields()),
      image: readImage(fields.fields(), "a row of 'files'"),
    };
  },
};

export const lockRow: RowCodec<LockRow> = {
  encode: (key, row) =>
    encodeValue('locks', key, kinds.locks, [row.what, packNumber(row.transaction), row.blocked]),
  decode(key, value) {
    const fields = decodeValue('locks', key, value, kinds.locks);
    return { what: fields.string(), transaction: readNumber(fields.fields()), blocked: fields.boolean() };
  },
};

export const ownerRow: RowCodec<Owner> = {
  encode: (key, owner) =>
    encodeValue('owners', key, kinds.owners, [
      owner.number,
      owner.nonce,
      owner.identity.pid,
      owner.identity.startTime,
      owner.identity.bootId,
      owner.identity.pidNamespace,
      owner.witness ?? null,
      owner.mount ?? null,
      owner.openedAtMs,
    ]),
  decode(key, value) {
    const fields = decodeValue('owners', key, value, kinds.owners);
    const number = fields.number();
    const nonce = fields.string();
    const identity = {
      pid: fields.number(),
      startTime: fields.string(),
      bootId: fields.string(),
      pidNamespace: fields.string(),
    };
    const witness = fields.optional((f) => f.string());
    const mount = fields.optional((f) => f.string());
    return {
      number,
      id: number.toString(36),
      nonce,
      identity,
      ...(witness === undefined ? {} : { witness }),
      mount,
      openedAtMs: fields.number(),
    };
  },
};

export const entryRow: RowCodec<EntryRow> = {
  encode: (key, row) => encodeValue('entries', key, kinds.entries, [row.revision, row.value]),
  decode(key, value) {
    const fields = decodeValue('entries', key, value, kinds.entries);
    return { revision: fields.number(), value: fields.bytes() };
  },
};

export const formatRow: RowCodec<FormatRow> = {
  encode: (key, row) =>
    encodeValue('meta', key, kinds.format, [
      row.version,
      row.storeId,
      row.createdAtMs,
      row.caseInsensitive,
      row.normalizing,
    ]),
  decode(key, value) {
    const fields = decodeValue('meta', key, value, kinds.format);
    return {
      version: fields.number(),
      storeId: fields.string(),
      createdAtMs: fields.number(),
      caseInsensitive: fields.boolean(),
      normalizing: fields.boolean(),
    };
  },
};

function plainRow<T extends string | number>(
  table: Table,
  kind: number,
  read: (fields: Fields) => T,
): RowCodec<T> {
  return {
    encode: (key, row) => encodeValue(table, key, kind, [row]),
    decode: (key, value) => read(decodeValue(table, key, value, kind)),
  };
}

/** Counters of `meta`: the newest revision, the newest owner number. */
export const numberRow = plainRow<number>('meta', kinds.number, (fields) => fields.number());
/** Texts of `meta`: where a root or a volume is. */
export const textRow = plainRow<string>('meta', kinds.text, (fields) => fields.string());

/** In `meta`: paths that are gone. */
export const tombstoneRow: RowCodec<readonly StorePath[]> = {
  encode: (key, paths) => encodeValue('meta', key, kinds.text, paths),
  decode: (key, value) => decodeValue('meta', key, value, kinds.text).strings(),
};

/** In `meta`: which transaction an id of the user's stands for. */
export const transactionRow: RowCodec<TransactionNumber> = {
  encode: (key, number) => encodeValue('meta', key, kinds.transaction, packNumber(number)),
  decode: (key, value) => readNumber(decodeValue('meta', key, value, kinds.transaction)),
};

export const metaKeys = {
  format: Buffer.from('format'),
  revision: Buffer.from('revision'),
  owner: Buffer.from('owner'),
  recovery: Buffer.from('recovery'),
  root: (name: string): Uint8Array => Buffer.from(`root\0${name}`),
  roots: { start: Buffer.from('root\0'), end: Buffer.from('root\x01') },
  volume: (path: StorePath): Uint8Array => Buffer.from(`volume\0${path}`),
  /** An owner that waits for another's locks. Owners that go on and on let go for a while when they see one. */
  waiting: (owner: number): Uint8Array => Buffer.from(`waiting\0${owner.toString(36)}`),
  waitings: { start: Buffer.from('waiting\0'), end: Buffer.from('waiting\x01') },
  volumes: { start: Buffer.from('volume\0'), end: Buffer.from('volume\x01') },
  /** A resumable operation, by the id that its user has given it. */
  staged: (id: string): Uint8Array => Buffer.from(`staged\0${id}`),
  stagings: { start: Buffer.from('staged\0'), end: Buffer.from('staged\x01') },
  /** In revision order, so that the oldest come first. */
  tombstone(revision: number, index: number): Uint8Array {
    const key = Buffer.alloc(22);
    key.write('tombstone\0', 'latin1');
    key.writeBigUInt64BE(BigInt(revision), 10);
    key.writeUInt32BE(index, 18);
    return key;
  },
  tombstones: { start: Buffer.from('tombstone\0'), end: Buffer.from('tombstone\x01') },
  /**
   * A flush of this target has failed, and its content is not written anew yet: what the disk holds of it is not known,
   * and whoever flushes it next is told that all is well.
   */
  unflushed({ owner, counter }: TransactionNumber, index: number): Uint8Array {
    return Buffer.concat([Buffer.from('unflushed\0'), u32Key(owner, counter, index)]);
  },
  unflushedOf({ owner, counter }: TransactionNumber): KeyRange {
    return prefixRange(Buffer.concat([Buffer.from('unflushed\0'), u32Key(owner, counter)]));
  },
  unflusheds: prefixRange(Buffer.from('unflushed\0')),
  /** The revision under which history has this transaction. */
  kept({ owner, counter }: TransactionNumber): Uint8Array {
    return Buffer.concat([Buffer.from('kept\0'), u32Key(owner, counter)]);
  },
  kepts: prefixRange(Buffer.from('kept\0')),
  /** Bytes that history keeps in `before/`, and those of its rows. */
  keptBytes: Buffer.from('keptBytes'),
  historyRowBytes: Buffer.from('historyRowBytes'),
} as const;

/** The revision in the key of a tombstone. */
export function tombstoneRevision(key: Uint8Array): number {
  if (key.byteLength !== 22)
    throw corrupt('the key of a tombstone', `it has ${key.byteLength} bytes, not 22`);
  return Number(Buffer.from(key.buffer, key.byteOffset, key.byteLength).readBigUInt64BE(10));
}

export function describeHolder(row: LockRow): string {
  return transactionId(row.transaction);
}
