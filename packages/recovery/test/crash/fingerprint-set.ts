/** Millions of fingerprints, at eight bytes each and some room between them. */

import type { Fingerprint } from '@forewrit/testkit';

const slotsAtFirst = 1 << 10;
/** A set with more members forgets them all. */
const membersMaxDefault = 1 << 23;

export class FingerprintSet {
  readonly #membersMax: number;
  #slots = slotsAtFirst;
  #words = new Uint32Array(slotsAtFirst * 2);
  #size = 0;

  constructor(membersMax = membersMaxDefault) {
    this.#membersMax = membersMax;
  }

  get size(): number {
    return this.#size;
  }

  has({ high, low }: Fingerprint): boolean {
    const slot = this.#slotOf(high, low);
    return !isEmpty(this.#words, slot);
  }

  add(fingerprint: Fingerprint): void {
    if (this.has(fingerprint)) return;
    if (this.#size >= this.#membersMax) this.#startAnew(slotsAtFirst);
    else if (this.#size * 2 >= this.#slots) this.#grow();
    this.#put(fingerprint.high, fingerprint.low);
  }

  #put(high: number, low: number): void {
    const slot = this.#slotOf(high, low);
    this.#words[slot * 2] = high;
    this.#words[slot * 2 + 1] = lowOf(high, low);
    this.#size += 1;
  }

  /** Where it is, or where it would be. */
  #slotOf(high: number, givenLow: number): number {
    const low = lowOf(high, givenLow);
    const mask = this.#slots - 1;
    // Sums of hashes are as even as hashes.
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      if (isEmpty(this.#words, slot)) return slot;
      if (this.#words[slot * 2] === high && this.#words[slot * 2 + 1] === low) return slot;
    }
  }

  #grow(): void {
    const words = this.#words;
    this.#startAnew(this.#slots * 2);
    for (let index = 0; index < words.length; index += 2) {
      const high = words[index] as number;
      const low = words[index + 1] as number;
      if (high !== 0 || low !== 0) this.#put(high, low);
    }
  }

  #startAnew(slots: number): void {
    this.#slots = slots;
    this.#words = new Uint32Array(slots * 2);
    this.#size = 0;
  }
}

function isEmpty(words: Uint32Array, slot: number): boolean {
  return words[slot * 2] === 0 && words[slot * 2 + 1] === 0;
}

/** Two zeros are an empty slot. */
function lowOf(high: number, low: number): number {
  return high === 0 && low === 0 ? 1 : low;
}
