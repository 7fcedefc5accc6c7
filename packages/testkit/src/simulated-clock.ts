const nsPerMs = 1_000_000n;

export interface SimulatedClockOptions {
  /** The wall clock at the start, since 1970. */
  readonly startMs?: number;
  /** By how much every look at the time moves it on: with 0 it stands still until `advance`. */
  readonly tickNs?: number;
}

/** Time in the simulated world: it passes when it is told to, and a little with every look. */
export class SimulatedClock {
  readonly #tickNs: bigint;
  #wallNs: bigint;
  #elapsedNs = 0n;

  constructor({ startMs = 1_700_000_000_000, tickNs = 1_000 }: SimulatedClockOptions = {}) {
    this.#wallNs = BigInt(startMs) * nsPerMs;
    this.#tickNs = BigInt(tickNs);
  }

  /** As `Date.now()`. */
  nowMs(): number {
    return Number(this.nowNs() / nsPerMs);
  }

  /** The wall clock, as the time stamps of files want it. */
  nowNs(): bigint {
    this.#pass(this.#tickNs);
    return this.#wallNs;
  }

  /** As `performance.now()`: never goes back. */
  monotonicMs(): number {
    this.#pass(this.#tickNs);
    return Number(this.#elapsedNs) / Number(nsPerMs);
  }

  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`SimulatedClock.advance(${ms}): time does not go back; see setWall`);
    this.#pass(BigInt(Math.round(ms * Number(nsPerMs))));
  }

  /** Somebody sets the wall clock, forwards or back; the monotonic one does not notice. */
  setWall(nowMs: number): void {
    this.#wallNs = BigInt(nowMs) * nsPerMs;
  }

  #pass(ns: bigint): void {
    this.#wallNs += ns;
    this.#elapsedNs += ns;
  }
}
