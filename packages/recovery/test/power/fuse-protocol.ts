/**
 * As much of the protocol of Linux's FUSE (include/uapi/linux/fuse.h) as it takes to serve one file that is itself the
 * root of its mount (`rootmode=100000`): there are no names to look up, and a loop device on it asks for little more
 * than reads, writes and fsyncs.
 *
 *     request   length u32, opcode u32, unique u64, node u64, uid u32, gid u32, pid u32, extensions u32; arguments
 *     reply     length u32, error i32 (0 or −errno), unique u64; result
 *
 * All numbers are little-endian here: of the machine, in truth, but no other is tested on.
 */

export const requestHeaderBytes = 40;
export const replyHeaderBytes = 16;
/** Of one WRITE. The kernel wants room for it in whatever buffer it is read into. */
export const writeBytesMax = 1024 * 1024;
export const requestBytesMax = writeBytesMax + 4096;
const writeArgumentsBytes = 40;

export const opcodes = {
  forget: 2,
  getAttributes: 3,
  setAttributes: 4,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
} as const;

export const errnoNotImplemented = 38;
export const errnoInputOutput = 5;

const versionMajor = 7;
const versionMinor = 31;
const initBigWrites = 1 << 5;
const initMaxPages = 1 << 22;
/** The file's pages are kept by nobody: each write of the loop device comes here at once, and in its order. */
const openDirect = 1 << 0;
const regularFile = 0o100_600;
const pageBytes = 4096;

export interface FuseRequest {
  readonly opcode: number;
  readonly unique: bigint;
  /** A view, good until the next request is read into the same buffer. */
  readonly arguments: Buffer;
}

export function parseRequest(bytes: Buffer): FuseRequest {
  return {
    opcode: bytes.readUInt32LE(4),
    unique: bytes.readBigUInt64LE(8),
    arguments: bytes.subarray(requestHeaderBytes, bytes.readUInt32LE(0)),
  };
}

export function readRange({ arguments: bytes }: FuseRequest): { offset: number; length: number } {
  return { offset: Number(bytes.readBigUInt64LE(8)), length: bytes.readUInt32LE(16) };
}

export function writeOf({ arguments: bytes }: FuseRequest): { offset: number; bytes: Buffer } {
  const length = bytes.readUInt32LE(16);
  return {
    offset: Number(bytes.readBigUInt64LE(8)),
    bytes: bytes.subarray(writeArgumentsBytes, writeArgumentsBytes + length),
  };
}

/** Fills in the header of a reply whose result stands behind it already. */
export function finishReply(reply: Buffer, unique: bigint, error = 0): Buffer {
  reply.writeUInt32LE(reply.length, 0);
  reply.writeInt32LE(-error, 4);
  reply.writeBigUInt64LE(unique, 8);
  return reply;
}

export function emptyReply(resultBytes: number): Buffer {
  return Buffer.alloc(replyHeaderBytes + resultBytes);
}

export function initReply(): Buffer {
  const reply = emptyReply(64);
  const result = reply.subarray(replyHeaderBytes);
  result.writeUInt32LE(versionMajor, 0);
  result.writeUInt32LE(versionMinor, 4);
  result.writeUInt32LE(writeBytesMax, 8); // read ahead at most
  result.writeUInt32LE(initBigWrites | initMaxPages, 12);
  result.writeUInt16LE(16, 16); // requests in the background
  result.writeUInt16LE(12, 18); // when that is congested
  result.writeUInt32LE(writeBytesMax, 20);
  result.writeUInt32LE(1, 24); // grain of times, in ns
  result.writeUInt16LE(writeBytesMax / pageBytes, 28);
  return reply;
}

export function attributesReply(sizeBytes: number): Buffer {
  const reply = emptyReply(104);
  reply.writeBigUInt64LE(3600n, replyHeaderBytes); // valid for so many seconds
  const attributes = reply.subarray(replyHeaderBytes + 16);
  attributes.writeBigUInt64LE(1n, 0); // inode
  attributes.writeBigUInt64LE(BigInt(sizeBytes), 8);
  attributes.writeBigUInt64LE(BigInt(sizeBytes / 512), 16);
  attributes.writeUInt32LE(regularFile, 60);
  attributes.writeUInt32LE(1, 64); // links
  attributes.writeUInt32LE(pageBytes, 80); // good size of an I/O
  return reply;
}

export function openReply(): Buffer {
  const reply = emptyReply(16);
  reply.writeUInt32LE(openDirect, replyHeaderBytes + 8);
  return reply;
}

export function writeReply(writtenBytes: number): Buffer {
  const reply = emptyReply(8);
  reply.writeUInt32LE(writtenBytes, replyHeaderBytes);
  return reply;
}

export function statfsReply(): Buffer {
  const reply = emptyReply(80);
  const result = reply.subarray(replyHeaderBytes);
  result.writeUInt32LE(pageBytes, 40);
  result.writeUInt32LE(255, 44); // length of a name
  result.writeUInt32LE(pageBytes, 48);
  return reply;
}
