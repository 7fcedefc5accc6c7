/** Digests of what passes: xxh64 against accidents, the others also against somebody. */

import { createHash, type Hash } from 'node:crypto';
import {
  formatChecksum,
  InvalidArgumentError,
  RunningChecksum,
  type Store,
  StoreError,
} from '@forewrit/core';

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

export interface VerifyOptions {
  /** Default: `xxh64`. */
  readonly checksum?: ChecksumAlgorithm;
  /** In hexadecimal digits. */
  readonly expectedChecksum: string;
}

/**
 * Compares a file with a digest that is known of it, whoever computed that. Reads all of it at once.
 *
 * @throws StoreError ERR_INTEGRITY if it is another one; those of `store.readFile`
 */
export async function verifyFile(
  store: Store,
  path: string,
  { checksum = 'xxh64', expectedChecksum }: VerifyOptions,
): Promise<void> {
  if (!checksumAlgorithms.includes(checksum))
    throw new InvalidArgumentError('verify', `checksum must be one of ${checksumAlgorithms.join(', ')}`);
  const digest = new Digest(checksum);
  digest.update(await store.readFile(path));
  const found = digest.digest();
  if (expectedChecksum.toLowerCase() === found) return;
  throw new StoreError('ERR_INTEGRITY', `'${path}' has ${checksum} ${found}, not ${expectedChecksum}`, {
    op: 'verify',
    path,
    hint: 'It was changed since, or is damaged: store.verify() tells which, if the store wrote it.',
  });
}
