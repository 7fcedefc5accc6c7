/** Digests of what passes: xxh64 against accidents, the others also against somebody. */

import { createHash, type Hash } from 'node:crypto';
import { formatChecksum, RunningChecksum, StoreError } from '@forewrit/core';

export const checksumAlgorithms = ['xxh64', 'sha256', 'sha512', 'blake2b512'] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

export class Digest {
  readonly algorithm: ChecksumAlgorithm;
  readonly #hash: RunningChecksum | Hash;

  constructor(algorithm: ChecksumAlgorithm) {
    this.algorithm = algorithm;
    this.#hash = algorithm === 'xxh64' ? new RunningChecksum() : createHash(algorithm);
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Of what there is so far, in hexadecimal digits. */
  digest(): string {
    return this.#hash instanceof RunningChecksum
      ? formatChecksum(this.#hash.digest())
      : this.#hash.copy().digest('hex');
  }
}

export function requireDigest(
  path: string,
  { algorithm, expected, found }: Record<'algorithm' | 'expected' | 'found', string>,
): void {
  if (expected.toLowerCase() === found) return;
  throw new StoreError('ERR_INTEGRITY', `'${path}' has ${algorithm} ${found}, not ${expected}`, {
    op: 'commit',
    path,
    hint: 'What was written is not what was announced. Nothing was changed.',
  });
}
