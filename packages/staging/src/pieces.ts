/** What is written at once. */

export const pieceBytesMax = 1 << 20;

/** Neighbours in one buffer are written as one, up to a size. */
export function* joined(chunks: readonly Uint8Array[]): Generator<Uint8Array> {
  let last: Uint8Array | undefined;
  for (const chunk of chunks) {
    const follows =
      last !== undefined &&
      last.buffer === chunk.buffer &&
      last.byteOffset + last.byteLength === chunk.byteOffset &&
      last.byteLength + chunk.byteLength <= pieceBytesMax;
    if (last !== undefined && follows) {
      last = new Uint8Array(last.buffer, last.byteOffset, last.byteLength + chunk.byteLength);
      continue;
    }
    if (last !== undefined) yield last;
    last = chunk;
  }
  if (last !== undefined) yield last;
}
