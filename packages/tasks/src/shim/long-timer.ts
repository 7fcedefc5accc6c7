/** A timer without the limit of 2³¹−1 ms, on the monotonic clock. For ever: `Infinity`. */

const timerMsMax = 2 ** 31 - 1;

export class LongTimer {
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, callback: () => void) {
    this.#arm(performance.now() + ms, callback);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  #arm(atMs: number, callback: () => void): void {
    const leftMs = atMs - performance.now();
    this.#timer =
      leftMs > timerMsMax
        ? setTimeout(() => this.#arm(atMs, callback), timerMsMax)
        : setTimeout(callback, Math.max(leftMs, 0));
  }
}
