/** A file in pieces, each read while nobody waits for it. */

import { hasCode } from '../errors.js';
import type { AsyncFileSystem } from '../files/async-file-system.js';
import type { Descriptor } from '../files/file-system.js';

const pieceBytesMax = 1 << 20;
/** Of a small file nothing is read but that it has ended there. */
const pieceBytesMin = 4096;

const goneCodes: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

/** `gone`: what is thrown if it is not there any more. */
export async function openInTime(
  fileSystem: AsyncFileSystem,
  path: string,
  gone: () => Error,
): Promise<Descriptor> {
  try {
    return await fileSystem.openRead(path);
  } catch (error) {
    throw hasCode(error, goneCodes) ? gone() : error;
  }
}

/** `size`: what it is said to have; what it has is read. Each piece is a buffer of its own. */
export async function* inTimePieces(
  fileSystem: AsyncFileSystem,
  descriptor: Descriptor,
  size: number,
): AsyncGenerator<Uint8Array> {
  const pieceBytes = Math.min(Math.max(size + 1, pieceBytesMin), pieceBytesMax);
  for (let position = 0; ; ) {
    const piece = Buffer.allocUnsafe(pieceBytes);
    const count = await fileSystem.read(descriptor, piece, position);
    if (count === 0) return;
    position += count;
    yield piece.subarray(0, count);
  }
}
