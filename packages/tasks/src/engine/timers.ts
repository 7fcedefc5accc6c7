/** Time as the engine knows it. Timers of any length, none of which keeps the process alive. */

export interface Timers {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Calls `run` once, that much later. Returns what takes it back. */
  after(ms: number, run: () => void): () => void;
}

/** Longer ones fire at once. */
const timerMsMax = 2 ** 31 - 1;

export const systemTimers: Timers = {
  nowMs: () => Date.now(),
  after(ms, run) {
    let timer: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, timerMsMax);
      timer = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : run()), stepMs).unref();
    };
    arm(Math.max(0, ms));
    return () => clearTimeout(timer);
  },
};
