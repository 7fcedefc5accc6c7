/** Where UTF-8 text may be cut: bytes in, positions out. Bytes that are no UTF-8 are cut as they come. */

const lineFeed = 10;
const carriageReturn = 13;
const characterBytesMax = 4;

/** A continuation byte looks like 10xxxxxx; every other one begins a character. */
export function isCharacterStart(byte: number): boolean {
  return (byte & 0xc0) !== 0x80;
}

/** The position at which the last character begins; the end, if what is there is no UTF-8. */
export function lastCharacterStart(bytes: Uint8Array): number {
  for (let at = bytes.byteLength - 1; at > 0 && at >= bytes.byteLength - characterBytesMax; at -= 1) {
    if (isCharacterStart(bytes[at]!)) return at;
  }
  return bytes.byteLength;
}

/** The position after the last line feed. */
export function lastLineEnd(bytes: Uint8Array): number | undefined {
  const at = bytes.lastIndexOf(lineFeed);
  return at === -1 ? undefined : at + 1;
}

/** The position after the last empty line. */
export function lastParagraphEnd(bytes: Uint8Array): number | undefined {
  for (let at = bytes.lastIndexOf(lineFeed); at > 0; at = bytes.lastIndexOf(lineFeed, at - 1)) {
    const before = bytes[at - 1] === carriageReturn ? at - 2 : at - 1;
    if (before >= 0 && bytes[before] === lineFeed) return at + 1;
  }
  return undefined;
}
