/**
 * A seeded source of random numbers: the same seed gives the same run on every machine. sfc32, started by splitmix32;
 * fast, and good enough for choosing schedules. Not for secrets.
 */

const range32 = 2 ** 32;

export class Random {
  /** Print it when a run fails: `new Random(seed)` repeats the run. */
  readonly seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    let state = this.seed;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      return mix32(state);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    for (let round = 0; round < 12; round += 1) this.next32();
  }

  /** An integer from 0 to 2³² − 1. */
  next32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** An integer from 0 up to `limit`, excluded. */
  below(limit: number): number {
    if (!Number.isInteger(limit) || limit < 1 || limit > range32) {
      throw new RangeError(`Random.below(${limit}): a positive integer up to 2³² is wanted`);
    }
    // The bias of this is at most limit / 2³²: of no importance to a schedule.
    return Math.floor((this.next32() / range32) * limit);
  }

  chance(probability: number): boolean {
    return this.next32() < probability * range32;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** A new array with the same items in another order. */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = items.slice();
    for (let last = shuffled.length - 1; last > 0; last -= 1) {
      const other = this.below(last + 1);
      [shuffled[last], shuffled[other]] = [shuffled[other] as T, shuffled[last] as T];
    }
    return shuffled;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index += 1) bytes[index] = this.next32() >>> 24;
    return bytes;
  }

  /** Another source that depends on this one, so that a part of a run can draw as much as it likes. */
  fork(): Random {
    return new Random(this.next32());
  }
}

/** A good hash of a 32-bit integer to a signed one. */
export function mix32(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** The seed of an ordinary run: the same everywhere, so that a failure is a change of the code, never of luck. */
const ordinarySeed = 20_261_121;

/**
 * The seed of a random test, printed so that a failure can be run again. `FOREWRIT_TEST_SEED` gives another one, or with
 * `random` a new one each time, which is how new failures are looked for.
 */
export function announceSeed(name: string): number {
  const given = process.env['FOREWRIT_TEST_SEED'];
  const seed = given === 'random' ? Math.floor(Math.random() * range32) : Number(given ?? ordinarySeed);
  if (!Number.isInteger(seed)) throw new RangeError(`FOREWRIT_TEST_SEED=${given} is not an integer`);
  console.log(`${name}: FOREWRIT_TEST_SEED=${seed >>> 0}`);
  return seed >>> 0;
}
