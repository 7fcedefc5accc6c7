/**
 * xxh64 (Yann Collet, https://xxhash.com): a fast checksum against accidents, not against an adversary. It guards
 * every record of the log and every content that a transaction writes.
 *
 * The hash runs in WebAssembly, which can only be compiled asynchronously: `loadChecksum` is awaited once while a
 * store opens. The compiled instance is a constant of the module, not state.
 */

import xxhash, { type XXHashAPI } from 'xxhash-wasm';
import { assert } from '../assert.js';

/** The instance copies its input into memory that never shrinks: longer input goes through in pieces. */
const pieceBytes = 1 << 20;

let compiled: XXHashAPI | undefined;

export async function loadChecksum(): Promise<void> {
  compiled ??= await xxhash();
}

function instance(): XXHashAPI {
  assert(compiled !== undefined, 'loadChecksum() must be awaited before a checksum is taken');
  return compiled;
}

export function hash64(bytes: Uint8Array, seed = 0n): bigint {
  if (bytes.byteLength <= pieceBytes) return instance().h64Raw(bytes, seed);
  const hash = new RunningChecksum(seed);
  hash.update(bytes);
  return hash.digest();
}

/** The checksum of content that passes in pieces. */
export class RunningChecksum {
  readonly #hash;

  constructor(seed = 0n) {
    this.#hash = instance().create64(seed);
  }

  update(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.byteLength; start += pieceBytes) {
      this.#hash.update(bytes.subarray(start, start + pieceBytes));
    }
  }

  digest(): bigint {
    return this.#hash.digest();
  }
}

/** A checksum as users see it: 16 hexadecimal digits. */
export function formatChecksum(checksum: bigint): string {
  return checksum.toString(16).padStart(16, '0');
}
