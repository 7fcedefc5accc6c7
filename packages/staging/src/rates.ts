/** How fast writes to a store were, and what that says of the next one. */

import type { Store } from '@forewrit/core';

export interface Work {
  readonly bytes: number;
  /** Default: 1. */
  readonly files?: number;
}

export interface Estimate {
  readonly durationMs: number;
  /** Needed at the same time: content that is replaced goes only after the new one is in place. */
  readonly spaceBytes: number;
  /** How many writes it stands on; with none it is a guess for an ordinary disk. */
  readonly measurements: number;
}

interface Rates {
  measurements: number;
  bytesPerMs: number;
  overheadMs: number;
}

const guess = { bytesPerMs: 200_000, overheadMs: 5 } as const;
/** Smaller writes say what a write costs at all, larger ones what a byte costs. */
const largeBytes = 1 << 20;
const blockBytes = 4096;
const weightOfNewest = 0.25;

const ratesOf = new WeakMap<Store, Rates>();

export function noteRate(store: Store, bytes: number, durationMs: number): void {
  if (!(durationMs > 0)) return;
  const rates = ratesOf.get(store) ?? { measurements: 0, ...guess };
  ratesOf.set(store, rates);
  const weight = rates.measurements === 0 ? 1 : weightOfNewest;
  rates.measurements += 1;
  if (bytes >= largeBytes)
    rates.bytesPerMs += (bytes / Math.max(1, durationMs - rates.overheadMs) - rates.bytesPerMs) * weight;
  else rates.overheadMs += (Math.max(0.1, durationMs - bytes / rates.bytesPerMs) - rates.overheadMs) * weight;
}

/** What a write will take, by what the writes of this store took so far. */
export function estimate(store: Store, { bytes, files = 1 }: Work): Estimate {
  const { measurements, bytesPerMs, overheadMs } = ratesOf.get(store) ?? { measurements: 0, ...guess };
  return {
    durationMs: overheadMs * files + bytes / bytesPerMs,
    spaceBytes: bytes + files * blockBytes,
    measurements,
  };
}
