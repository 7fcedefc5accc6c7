/**
 * Every value in the log is one or more frames:
 *
 * ```
 *  0        1        2                 4                 8                 8+n              16+n
 *  +--------+--------+-----------------+-----------------+-----------------+-----------------+
 *  | version| kind   | 0               | n, little-endian| payload: msgpack| xxh64, little-e.|
 *  +--------+--------+-----------------+-----------------+-----------------+-----------------+
 * ```
 *
 * The hash covers everything before it and is seeded with the hash of the table and key (and, in a value of several
 * frames, with the frame's position), so a frame that turns up elsewhere is as damaged as one whose bits changed. LMDB's
 * pages carry no checksum of their own. A version that is not ours is `ERR_UNSUPPORTED_FORMAT`, never "corrupt".
 *
 * Payloads are positional msgpack arrays without extensions; shapes are checked when they are read.
 */

import { Packr, RESET_BUFFER_MODE } from 'msgpackr';
import { hash64 } from './checksum.js';
import { InvalidArgumentError, StoreError } from '../errors.js';
import type { Table } from '../log/log.js';

export const formatVersion = 1;
export const frameOverheadBytes = 16;

export type Packable = null | boolean | number | bigint | string | Uint8Array | readonly Packable[];

const packr = new Packr({ useRecords: false, moreTypes: false, largeBigIntToFloat: false });

/** Seed for the frames of one value. */
export function frameSeed(table: Table, key: Uint8Array): bigint {
  return hash64(key, BigInt(table.charCodeAt(0)));
}

/** Valid until the next call. */
export function packPayload(payload: Packable): Uint8Array {
  return packr.pack(payload, RESET_BUFFER_MODE);
}

/** Bytes that frames are written into. */
export interface FrameBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function frameBuffer(sizeBytes: number): FrameBuffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  return { bytes, view: viewOf(bytes) };
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Writes a frame at `start`; there must be room for the payload and `frameOverheadBytes`. Returns the frame's hash. */
export function writeFrame(
  { bytes, view }: FrameBuffer,
  start: number,
  { kind, packed, seed }: { readonly kind: number; readonly packed: Uint8Array; readonly seed: bigint },
): bigint {
  view.setUint32(start, formatVersion | (kind << 8), true);
  view.setUint32(start + 4, packed.byteLength, true);
  bytes.set(packed, start + 8);
  const end = start + 8 + packed.byteLength;
  const hash = hash64(bytes.subarray(start, end), seed);
  view.setBigUint64(end, hash, true);
  return hash;
}

export function encodeFrame(kind: number, payload: Packable, seed: bigint): Uint8Array {
  const packed = packPayload(payload);
  const frame = frameBuffer(packed.byteLength + frameOverheadBytes);
  writeFrame(frame, 0, { kind, packed, seed });
  return frame.bytes;
}

export interface DecodedFrame {
  readonly kind: number;
  readonly fields: Fields;
  readonly hash: bigint;
  /** Where the next frame of the value begins. */
  readonly end: number;
}

export function decodeFrame(bytes: Uint8Array, start: number, seed: bigint, what: string): DecodedFrame {
  const { hash, end } = checkFrame(bytes, start, seed, what);
  const payload: unknown = packr.unpack(bytes.subarray(start + 8, end - 8));
  return { kind: bytes[start + 1]!, fields: new Fields(payload, what), hash, end };
}

/** Whether the frames of a value are whole, and under their key. */
export function checkFrames(table: Table, key: Uint8Array, value: Uint8Array): void {
  const seed = frameSeed(table, key);
  let count = 0n;
  for (let position = 0; position < value.byteLength || count === 0n; count += 1n) {
    position = checkFrame(value, position, seed + count, `a row of '${table}'`).end;
  }
}

function checkFrame(
  bytes: Uint8Array,
  start: number,
  seed: bigint,
  what: string,
): Pick<DecodedFrame, 'hash' | 'end'> {
  if (bytes.byteLength < start + 1) throw corrupt(what, 'it is empty');
  const version = bytes[start];
  if (version !== formatVersion) {
    throw new StoreError(
      'ERR_UNSUPPORTED_FORMAT',
      `${what} has format version ${version}, not ${formatVersion}`,
      {
        op: 'read log',
        hint: 'Open the store with the version of Forewrit that wrote it. Nothing was changed.',
      },
    );
  }
  if (bytes.byteLength < start + frameOverheadBytes) throw corrupt(what, 'it is cut short');
  const end = start + 8 + uint32At(bytes, start + 4);
  if (bytes.byteLength < end + 8) throw corrupt(what, 'it is cut short');
  const hash = uint64At(bytes, end);
  if (hash64(bytes.subarray(start, end), seed) !== hash) throw corrupt(what, 'its checksum does not match');
  return { hash, end: end + 8 };
}

/** Where eight bytes are put to be read as a number: to make a view for each frame takes longer than to check it. */
const word = viewOf(new Uint8Array(8));

function uint32At(bytes: Uint8Array, start: number): number {
  for (let index = 0; index < 4; index += 1) word.setUint8(index, bytes[start + index]!);
  return word.getUint32(0, true);
}

function uint64At(bytes: Uint8Array, start: number): bigint {
  for (let index = 0; index < 8; index += 1) word.setUint8(index, bytes[start + index]!);
  return word.getBigUint64(0, true);
}

/** A value of exactly one frame. */
export function encodeValue(table: Table, key: Uint8Array, kind: number, payload: Packable): Uint8Array {
  return encodeFrame(kind, payload, frameSeed(table, key));
}

export function decodeValue(table: Table, key: Uint8Array, value: Uint8Array, kind: number): Fields {
  const what = `a row of '${table}'`;
  const frame = decodeFrame(value, 0, frameSeed(table, key), what);
  if (frame.kind !== kind || frame.end !== value.byteLength) throw corrupt(what, 'it is of another kind');
  return frame.fields;
}

/** Throws `InvalidArgumentError` for what does not come back as it was. */
export function packEntryValue(value: unknown): Uint8Array {
  checkPackable(value, 0);
  return Uint8Array.from(packr.pack(value));
}

const depthMax = 100;

function refuse(why: string): never {
  throw new InvalidArgumentError('put', `a value ${why}`);
}

function checkPackable(value: unknown, depth: number): void {
  if (depth > depthMax) refuse(`is nested more than ${depthMax} deep, or holds itself`);
  if (typeof value === 'function' || typeof value === 'symbol') refuse(`cannot hold a ${typeof value}`);
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value)
    refuse('cannot hold a bigint of over 64 bits');
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  if (Array.isArray(value)) {
    for (const item of value) checkPackable(item, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) refuse('holds plain objects and arrays only');
  for (const item of Object.values(value)) checkPackable(item, depth + 1);
}

export function unpackEntryValue(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}

export function corrupt(what: string, why: string): StoreError {
  return new StoreError('ERR_LOG_CORRUPT', `${what} is damaged: ${why}`, {
    op: 'read log',
    hint: 'Nothing was changed. `forewrit dump` shows what can still be read; keep a copy of .forewrit before mending.',
  });
}

/** Reads a positional array, checking each field's type. */
export class Fields {
  readonly #values: readonly unknown[];
  readonly #what: string;
  #next = 0;

  constructor(payload: unknown, what: string) {
    if (!Array.isArray(payload)) throw corrupt(what, 'it is not an array');
    this.#values = payload;
    this.#what = what;
  }

  #take(): unknown {
    return this.#values[this.#next++];
  }

  number(): number {
    const value = this.#take();
    if (typeof value === 'number') return value;
    throw corrupt(this.#what, `field ${this.#next} is not a number`);
  }

  string(): string {
    const value = this.#take();
    if (typeof value === 'string') return value;
    throw corrupt(this.#what, `field ${this.#next} is not a string`);
  }

  /** All that are left. */
  strings(): string[] {
    return Array.from({ length: this.#values.length - this.#next }, () => this.string());
  }

  boolean(): boolean {
    const value = this.#take();
    if (typeof value === 'boolean') return value;
    throw corrupt(this.#what, `field ${this.#next} is not a boolean`);
  }

  bigint(): bigint {
    const value = this.#take();
    if (typeof value === 'bigint') return value;
    if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
    throw corrupt(this.#what, `field ${this.#next} is not an integer`);
  }

  bytes(): Uint8Array {
    const value = this.#take();
    if (value instanceof Uint8Array) return value;
    throw corrupt(this.#what, `field ${this.#next} is not a byte string`);
  }

  fields(): Fields {
    return new Fields(this.#take(), this.#what);
  }

  list<T>(read: (fields: Fields) => T): T[] {
    const value = this.#take();
    if (!Array.isArray(value)) throw corrupt(this.#what, `field ${this.#next} is not a list`);
    return value.map((item) => read(new Fields(item, this.#what)));
  }

  /** `undefined` for null, otherwise what `read` makes of the field. */
  optional<T>(read: (fields: Fields) => T): T | undefined {
    const value = this.#values[this.#next];
    if (value === null || value === undefined) {
      this.#next += 1;
      return undefined;
    }
    return read(this);
  }
}
