/**
 * What the files hold: from a part to its bytes, and back. What is damaged or of another shape is refused.
 */

import { InvalidArgumentError, StoreError } from '@forewrit/core';
import type { ContextPart } from './context-files.js';

/** What every save writes into `metadata.json`. */
export interface ContextStamp {
  /** When the data of the last save was taken: ISO 8601 in UTC, with milliseconds. */
  last_updated: string;
  /** The number of messages in it. */
  message_count: number;
}

const indentSpaces = 2;

/**
 * The bytes of a file. The value is taken as `JSON.stringify` takes it, `toJSON` included: `undefined` and
 * functions are left out, `NaN` becomes `null`.
 *
 * @throws InvalidArgumentError for a part that is not an array or object as it must be, and for what JSON
 * cannot hold (a cycle, a BigInt); then `cause` is the error of `JSON.stringify`.
 */
export function encodePart(part: ContextPart, value: unknown, op: string): Buffer {
  if (!hasShape(part, value)) throw new InvalidArgumentError(op, `${part} must be ${shapeOf(part)}`);
  const text = stringify(part, value, op);
  // An object may turn into anything by its toJSON(); what could not be loaded again is not saved.
  if (text?.startsWith(part === 'messages' ? '[' : '{') !== true) {
    throw new InvalidArgumentError(op, `${part} must become ${shapeOf(part)} in JSON`);
  }
  return Buffer.from(`${text}\n`);
}

function stringify(part: ContextPart, value: unknown, op: string): string | undefined {
  try {
    return JSON.stringify(value, undefined, indentSpaces);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const error = new InvalidArgumentError(op, `${part} cannot be written as JSON: ${reason}`);
    error.cause = cause;
    throw error;
  }
}

/**
 * @throws StoreError ERR_INTEGRITY with the path: not UTF-8 or not JSON (`cause` says why), or the wrong
 * shape.
 */
export function decodePart(
  part: ContextPart,
  { path, bytes }: { readonly path: string; readonly bytes: Uint8Array },
): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw damaged(path, 'does not hold UTF-8 JSON', cause);
  }
  if (hasShape(part, value)) return value;
  throw damaged(path, `does not hold ${shapeOf(part)}`);
}

export function damaged(path: string, what: string, cause?: unknown): StoreError {
  return new StoreError('ERR_INTEGRITY', `'${path}' ${what}`, {
    op: 'load',
    path,
    hint: 'Mend or restore the file; or write a whole context over all four with save({ force: true }).',
    cause,
  });
}

function hasShape(part: ContextPart, value: unknown): boolean {
  return part === 'messages' ? Array.isArray(value) : isRecord(value);
}

export function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shapeOf(part: ContextPart): string {
  return part === 'messages' ? 'an array' : 'an object';
}
