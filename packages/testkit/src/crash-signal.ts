/**
 * The simulated process dies here. Code under test cannot survive it: whoever catches it and calls on gets it again,
 * because every later call of the same handle throws it too.
 */
export class CrashSignal extends Error {
  override readonly name = 'CrashSignal';
}

export function isCrashSignal(error: unknown): error is CrashSignal {
  return error instanceof CrashSignal;
}
