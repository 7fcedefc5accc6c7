/** Content as it crosses the protocol: text where it is text, else base64. */

import { InvalidArgumentError } from '@forewrit/core';
import { z } from 'zod';

export type Encoding = 'utf8' | 'base64';

export const encodingInput = z
  .enum(['utf8', 'base64'])
  .default('utf8')
  .describe('How `content` is written: plain text (utf8), or base64 for binary data.');

/** Keeps a byte order mark: what is read can be written back as it was. */
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** `undefined` if the bytes are no valid UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strictText.decode(bytes);
  } catch {
    return undefined;
  }
}

export function bytesOf(content: string, encoding: Encoding): Uint8Array {
  if (encoding === 'utf8') return Buffer.from(content);
  // Node passes over what is no base64, and would write something else than was meant.
  const bare = content.replaceAll(/\s/g, '');
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(bare)) {
    throw new InvalidArgumentError('content', 'it is not valid base64 with its padding');
  }
  return Buffer.from(bare, 'base64');
}

/** As text if it can be; `as` insists. */
export function contentOf(bytes: Uint8Array, as?: Encoding): { content: string; encoding: Encoding } {
  const text = as === 'base64' ? undefined : textOf(bytes);
  if (text !== undefined) return { content: text, encoding: 'utf8' };
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { content: buffer.toString('base64'), encoding: 'base64' };
}

/** Of the bytes at the end that begin a character whose rest is missing. */
export function cutCharacterBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
