/** Content as the caller asked for it: bytes, or text in an encoding. */

import { InvalidArgumentError } from '../errors.js';

export type ReadOptions = BufferEncoding | { readonly encoding?: BufferEncoding | null } | null | undefined;

export function encodingOf(op: string, options: ReadOptions): BufferEncoding | undefined {
  const encoding = typeof options === 'object' ? options?.encoding : options;
  if (encoding === undefined || encoding === null) return undefined;
  checkEncoding(op, encoding);
  return encoding;
}

export function checkEncoding(op: string, encoding: unknown): void {
  if (encoding === undefined || (typeof encoding === 'string' && Buffer.isEncoding(encoding))) return;
  throw new InvalidArgumentError(
    op,
    typeof encoding === 'string' ? `'${encoding}' is not an encoding` : 'an encoding is a string',
  );
}

/** The same bytes as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function decoded(bytes: Uint8Array, encoding: BufferEncoding | undefined): Buffer | string {
  const buffer = asBuffer(bytes);
  return encoding === undefined ? buffer : buffer.toString(encoding);
}
