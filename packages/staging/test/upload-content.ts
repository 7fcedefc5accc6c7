/** Content of any size, known from its seed: the same bytes wherever one begins. */

import { createHash } from 'node:crypto';

const blockBytes = 1 << 16;

function blockAt(index: number, seed: number): Buffer {
  const block = Buffer.alloc(blockBytes, `block ${index} of ${seed} `);
  block.writeUInt32LE(index, 0);
  return block;
}

/** From an offset to the end. */
export function* contentFrom(offset: number, bytes: number, seed: number): Generator<Buffer> {
  for (let at = offset; at < bytes; ) {
    const within = at % blockBytes;
    const length = Math.min(blockBytes - within, bytes - at);
    yield blockAt(Math.floor(at / blockBytes), seed).subarray(within, within + length);
    at += length;
  }
}

export function digestOf(bytes: number, seed: number): string {
  const hash = createHash('sha256');
  for (const piece of contentFrom(0, bytes, seed)) hash.update(piece);
  return hash.digest('hex');
}
