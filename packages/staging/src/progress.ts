/** How far a write is, how fast, and when it will be done. */

export interface Progress {
  readonly bytes: number;
  /** Survive a crash. */
  readonly durableBytes: number;
  /** Where it is known. */
  readonly totalBytes?: number;
  /** Of late: older measurements count less and less. */
  readonly bytesPerSecond: number;
  /** Until all is written, where the total is known and there is a rate. */
  readonly remainingMs?: number;
}

/** A measurement that is so old counts half. */
const halfLifeMs = 2000;

export class ProgressMeter {
  readonly #totalBytes: number | undefined;
  readonly #nowMs: () => number;
  #bytes: number;
  #lastMs: number;
  #rate = 0;
  /** How much has gone into the rate, up to 1. */
  #weight = 0;

  constructor({
    startBytes = 0,
    totalBytes,
    nowMs = () => performance.now(),
  }: {
    readonly startBytes?: number;
    readonly totalBytes?: number | undefined;
    readonly nowMs?: () => number;
  } = {}) {
    this.#bytes = startBytes;
    this.#totalBytes = totalBytes;
    this.#nowMs = nowMs;
    this.#lastMs = nowMs();
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const now = this.#nowMs();
    const passedMs = now - this.#lastMs;
    if (passedMs <= 0) return;
    const keep = 0.5 ** (passedMs / halfLifeMs);
    this.#rate = this.#rate * keep + ((bytes * 1000) / passedMs) * (1 - keep);
    this.#weight = this.#weight * keep + (1 - keep);
    this.#lastMs = now;
  }

  look(durableBytes: number): Progress {
    const bytesPerSecond = this.#weight === 0 ? 0 : this.#rate / this.#weight;
    const total = this.#totalBytes;
    const left = total === undefined ? undefined : Math.max(0, total - this.#bytes);
    return {
      bytes: this.#bytes,
      durableBytes,
      ...(total === undefined ? {} : { totalBytes: total }),
      bytesPerSecond,
      ...(left === undefined || (left > 0 && bytesPerSecond === 0)
        ? {}
        : { remainingMs: left === 0 ? 0 : (left / bytesPerSecond) * 1000 }),
    };
  }
}
