/** Where text begins and ends in bytes that were cut anywhere. */

/** How many bytes at the end are the beginning of a character whose rest is not there. */
export function unfinishedBytes(data: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, data.length); back += 1) {
    const byte = data[data.length - back]!;
    if (byte < 0x80) return 0;
    // A continuation: the beginning is further back.
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > back ? back : 0;
  }
  return 0;
}
