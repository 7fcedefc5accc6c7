/**
 * What a disk was asked for, in its order: writes and flushes, each with the moment at which it came, on the clock that
 * all processes share (`monotonicMs`). So whatever else happened can be put in its place among them afterwards.
 *
 *     entry   kind u32 (0 flush, 1 write), length u32, offset f64, moment f64; so many bytes
 */

export type DeviceEntry = DeviceWrite | { readonly type: 'flush'; readonly atMs: number };

export interface DeviceWrite {
  readonly type: 'write';
  readonly atMs: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

const headerBytes = 24;
const kindFlush = 0;
const kindWrite = 1;

export function encodeEntry(entry: DeviceEntry): Buffer {
  const bytes = entry.type === 'write' ? entry.bytes : Buffer.alloc(0);
  const encoded = Buffer.alloc(headerBytes + bytes.length);
  encoded.writeUInt32LE(entry.type === 'write' ? kindWrite : kindFlush, 0);
  encoded.writeUInt32LE(bytes.length, 4);
  encoded.writeDoubleLE(entry.type === 'write' ? entry.offset : 0, 8);
  encoded.writeDoubleLE(entry.atMs, 16);
  bytes.copy(encoded, headerBytes);
  return encoded;
}

/** An entry that is just being written is none yet. */
export function decodeJournal(encoded: Buffer): DeviceEntry[] {
  const entries: DeviceEntry[] = [];
  for (let at = 0; at + headerBytes <= encoded.length; ) {
    const length = encoded.readUInt32LE(at + 4);
    if (at + headerBytes + length > encoded.length) break;
    const offset = encoded.readDoubleLE(at + 8);
    const atMs = encoded.readDoubleLE(at + 16);
    const bytes = encoded.subarray(at + headerBytes, at + headerBytes + length);
    if (encoded.readUInt32LE(at) === kindWrite) entries.push({ type: 'write', atMs, offset, bytes });
    else entries.push({ type: 'flush', atMs });
    at += headerBytes + length;
  }
  return entries;
}
