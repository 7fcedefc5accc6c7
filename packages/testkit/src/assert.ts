/** uvu's assertions, and those that a store of coded errors needs: tests compare codes, never messages. */
import {
  Assertion,
  fixture,
  instance,
  is,
  match,
  not,
  ok,
  equal,
  snapshot,
  throws,
  type,
  unreachable,
} from 'uvu/assert';

export { Assertion, equal, fixture, instance, is, match, not, ok, snapshot, throws, type, unreachable };

/** An error with a `code`, as Node's and the store's are. */
export interface CodedError extends Error {
  readonly code: string;
}

/** Fails unless the function throws an Error with this code; returns that error for further checks. */
export function throwsWithCode(body: () => unknown, code: string): CodedError {
  let returned: unknown;
  try {
    returned = body();
  } catch (error) {
    return assertCode(error, code);
  }
  throw missing(code, `returned ${describe(returned)}`);
}

/** Fails unless the promise, or what the function returns or throws, rejects with an Error of this code. */
export async function rejectsWithCode(
  promiseOrBody: PromiseLike<unknown> | (() => unknown),
  code: string,
): Promise<CodedError> {
  let resolved: unknown;
  try {
    resolved = await (typeof promiseOrBody === 'function' ? promiseOrBody() : promiseOrBody);
  } catch (error) {
    return assertCode(error, code);
  }
  throw missing(code, `resolved with ${describe(resolved)}`);
}

function assertCode(error: unknown, code: string): CodedError {
  if (!(error instanceof Error)) throw missing(code, `threw ${describe(error)}, which is no Error`);
  const actual = 'code' in error ? error.code : undefined;
  if (actual === code) return error as CodedError;
  const failure = new Assertion({
    message: `Expected an error with code ${code}, got ${describe(actual)}: ${error.message}`,
    operator: 'code',
    expects: code,
    actual,
  });
  // What was thrown instead is what one wants to read.
  failure.cause = error;
  failure.stack = `${failure.stack}\n    caused by ${error.stack}`;
  throw failure;
}

function missing(code: string, instead: string): Assertion {
  return new Assertion({
    message: `Expected an error with code ${code}, but it ${instead}`,
    operator: 'code',
    expects: code,
    actual: undefined,
  });
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
