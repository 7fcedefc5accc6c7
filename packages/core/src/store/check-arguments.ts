/**
 * Arguments of calls, checked before anything is done: whatever is wrong with their types is the programmer's mistake
 * (`ERR_INVALID_ARGUMENT`), never a crash further in and never ignored.
 */

import { inlineLimitBytesMax } from '../log/log-limits.js';
import { InvalidArgumentError } from '../errors.js';

const entryBytesMax = 1899;

/** Options as Node's file functions take them: an encoding alone stands for `{ encoding }`. */
export function fileOptions<T extends object>(
  op: string,
  options: T | BufferEncoding | null | undefined,
): T & { readonly encoding?: BufferEncoding } {
  if (typeof options === 'string') return { encoding: options } as T & { readonly encoding: BufferEncoding };
  return (checkOptions(op, options) ?? {}) as T;
}

/** `undefined` or an object; `null` passes for `undefined`, as it does in Node. */
export function checkOptions<T extends object>(op: string, options: T | null | undefined): T | undefined {
  if (options === undefined || options === null) return undefined;
  if (typeof options === 'object' && !Array.isArray(options)) return options;
  throw new InvalidArgumentError(op, 'options must be an object');
}

export function checkFlags<T extends object>(
  op: string,
  options: T | null | undefined,
  names: readonly (keyof T & string)[],
): void {
  const checked = checkOptions(op, options);
  for (const name of names) {
    const value = checked?.[name];
    if (value === undefined || typeof value === 'boolean') continue;
    throw new InvalidArgumentError(op, `${name} must be true or false`);
  }
}

export function checkMode(op: string, mode: number | undefined): void {
  if (mode === undefined || (Number.isInteger(mode) && mode >= 0 && mode <= 0o7777)) return;
  throw new InvalidArgumentError(op, 'mode must be an integer from 0 to 0o7777');
}

export function checkRevision(op: string, revision: number | undefined): void {
  if (revision === undefined || (Number.isSafeInteger(revision) && revision >= 0)) return;
  throw new InvalidArgumentError(op, 'ifRevision must be a revision, as commits and stat give it');
}

/** The paths of a set. One text is not a list of its characters. */
export function checkPaths<T>(op: string, paths: Iterable<T>): T[] {
  if (typeof paths === 'object' && paths !== null && Symbol.iterator in paths) return [...paths];
  throw new InvalidArgumentError(op, 'the paths must be an iterable, such as an array');
}

export function checkCollection(op: string, collection: unknown): asserts collection is string {
  if (typeof collection !== 'string' || collection === '' || collection.includes('\0')) {
    throw new InvalidArgumentError(op, 'a collection has a name, without NUL');
  }
  if (!isWellFormed(collection)) throw halfSurrogate(op);
}

export function checkEntry(op: string, collection: unknown, key: unknown): void {
  checkCollection(op, collection);
  if (typeof key !== 'string' || key === '')
    throw new InvalidArgumentError(op, 'a key is a string, not empty');
  if (!isWellFormed(key)) throw halfSurrogate(op);
  if (Buffer.byteLength(collection) + Buffer.byteLength(key) > entryBytesMax) {
    throw new InvalidArgumentError(op, `collection and key together have at most ${entryBytesMax} bytes`);
  }
}

export function checkInlineLimit(op: string, bytes: unknown): void {
  if (bytes === undefined) return;
  if (typeof bytes === 'number' && bytes >= 0 && bytes <= inlineLimitBytesMax) return;
  throw new InvalidArgumentError(op, `inlineLimitBytes is a number of at most ${inlineLimitBytesMax}`);
}

export function checkSignal(op: string, signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new InvalidArgumentError(op, 'signal must be an AbortSignal');
}

export function checkFunction(op: string, value: unknown): void {
  if (typeof value !== 'function')
    throw new InvalidArgumentError(op, 'the first argument must be a function');
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Two such texts would become the same bytes. */
function halfSurrogate(op: string): InvalidArgumentError {
  return new InvalidArgumentError(op, 'half of a surrogate pair cannot be stored');
}

/** What the caller calls content that is staged over time. */
export function checkStagedId(op: string, id: unknown): asserts id is string {
  if (typeof id === 'string' && /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(id)) return;
  throw new InvalidArgumentError(
    op,
    "an id has 1 to 128 letters, digits, '.', '_' and '-', and no '.' at its beginning",
  );
}
