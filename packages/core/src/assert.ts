/** Assertions are always on: a store that has lost its bearings must stop before it writes. */

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(`Forewrit: ${message}`);
}

export function unreachable(value: never): never {
  throw new AssertionError(`Forewrit: unexpected value ${JSON.stringify(value)}`);
}
