/**
 * Replaces secrets in one stream by as many asterisks, wherever chunks are cut. All occurrences count, those that
 * overlap as well. Bytes that may be the beginning of a secret are held back until it is clear: so of a secret never
 * even a part is let through, and nothing else waits.
 */

export const secretBytesMin = 8;

const asterisk = 0x2a;

export class Redaction {
  readonly #secrets: readonly Buffer[];
  /** The bytes held back, as they came. */
  #held: Buffer = Buffer.alloc(0);
  /** So many of them are part of a secret that began before. */
  #heldMasked = 0;

  constructor(values: readonly string[]) {
    this.#secrets = values
      .map((value) => Buffer.from(value))
      .filter(({ length }) => length >= secretBytesMin);
  }

  /** What can be let through now. The chunk may be changed, and is the caller's no more. */
  push(chunk: Buffer): Buffer {
    if (this.#secrets.length === 0) return chunk;
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const ranges = this.#rangesIn(bytes);
    if (this.#heldMasked > 0) ranges.push([0, this.#heldMasked]);
    const keepFrom = this.#beginningOfSecret(bytes);
    this.#held = Buffer.from(bytes.subarray(keepFrom));
    this.#heldMasked = 0;
    for (const [start, end] of ranges) {
      // Those that begin in what is held back are found again.
      if (start < keepFrom || start === 0) this.#heldMasked = Math.max(this.#heldMasked, end - keepFrom);
      if (start < keepFrom) bytes.fill(asterisk, start, Math.min(end, keepFrom));
    }
    return bytes.subarray(0, keepFrom);
  }

  /** The stream has ended: what was held back was no secret, or a part of one that was found. */
  end(): Buffer {
    const bytes = this.#held;
    for (const [start, end] of this.#rangesIn(bytes)) bytes.fill(asterisk, start, end);
    bytes.fill(asterisk, 0, this.#heldMasked);
    this.#held = Buffer.alloc(0);
    this.#heldMasked = 0;
    return bytes;
  }

  #rangesIn(bytes: Buffer): [number, number][] {
    const ranges: [number, number][] = [];
    for (const secret of this.#secrets) {
      for (let at = bytes.indexOf(secret); at !== -1; at = bytes.indexOf(secret, at + 1)) {
        const last = ranges.at(-1);
        const end = at + secret.length;
        if (last !== undefined && at >= last[0] && at <= last[1]) last[1] = Math.max(last[1], end);
        else ranges.push([at, end]);
      }
    }
    return ranges;
  }

  /** The first position from which on everything is the beginning of a secret; the length if there is none. */
  #beginningOfSecret(bytes: Buffer): number {
    let first = bytes.length;
    for (const secret of this.#secrets) {
      const from = Math.max(0, bytes.length - secret.length + 1);
      for (
        let at = bytes.indexOf(secret[0]!, from);
        at !== -1 && at < first;
        at = bytes.indexOf(secret[0]!, at + 1)
      ) {
        const length = bytes.length - at;
        if (bytes.compare(secret, 0, length, at) === 0) first = at;
      }
    }
    return first;
  }
}
