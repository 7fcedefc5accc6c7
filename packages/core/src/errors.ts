/**
 * What can go wrong, each with a stable code. Codes never change within a major version; messages may.
 * `docs/errors.md` says for each code what it means and what to do.
 */

export type ErrorCode =
  | 'ERR_ABORTED'
  | 'ERR_APPLY_BLOCKED'
  | 'ERR_APPLY_ROLLED_BACK'
  | 'ERR_CONFLICT'
  | 'ERR_EXISTS'
  | 'ERR_EXTERNAL_EDIT'
  | 'ERR_INTEGRITY'
  | 'ERR_INVALID_PATH'
  | 'ERR_IO'
  | 'ERR_IS_DIRECTORY'
  | 'ERR_LOG_CORRUPT'
  | 'ERR_LOG_FULL'
  | 'ERR_NETWORK_FS'
  | 'ERR_NOT_DIRECTORY'
  | 'ERR_NOT_EMPTY'
  | 'ERR_NOT_FOUND'
  | 'ERR_NO_SPACE'
  | 'ERR_PATH_ALIAS'
  | 'ERR_PATH_ESCAPE'
  | 'ERR_PATH_RESERVED'
  | 'ERR_PERMISSION'
  | 'ERR_RECOVERY_REQUIRED'
  | 'ERR_STORE_CLOSED'
  | 'ERR_STORE_LOCKED'
  | 'ERR_STORE_MISMATCH'
  | 'ERR_STORE_POISONED'
  | 'ERR_TOO_LARGE'
  | 'ERR_TOO_MANY'
  | 'ERR_UNSUPPORTED_FORMAT';

export interface StoreErrorDetails {
  /** The operation that failed, e.g. `writeFile`, `commit`, `open`. */
  readonly op: string;
  readonly path?: string | undefined;
  readonly transaction?: string | undefined;
  /** What the caller can do about it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** Every operating error of Forewrit. Compare `code`, never the message. */
export class StoreError extends Error {
  readonly code: ErrorCode;
  readonly op: string;
  readonly path?: string;
  readonly transaction?: string;
  readonly hint?: string;

  constructor(code: ErrorCode, message: string, details: StoreErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = code === 'ERR_ABORTED' ? 'AbortError' : 'StoreError';
    this.code = code;
    this.op = details.op;
    if (details.path !== undefined) this.path = details.path;
    if (details.transaction !== undefined) this.transaction = details.transaction;
    if (details.hint !== undefined) this.hint = details.hint;
  }
}

/** A programmer's mistake: a wrong type or value in a call. Never caused by the state of the disk. */
export class InvalidArgumentError extends TypeError {
  readonly code = 'ERR_INVALID_ARGUMENT';
  readonly op: string;
  constructor(op: string, message: string) {
    super(`${op}: ${message}`);
    this.op = op;
  }
}

export function isStoreError(error: unknown, code?: ErrorCode): error is StoreError {
  return error instanceof StoreError && (code === undefined || error.code === code);
}

/** The `code` of a system error (`ENOSPC`, `EACCES`, …), if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether it is a system error with one of these codes. */
export function hasCode(error: unknown, codes: ReadonlySet<string>): boolean {
  const code = systemCode(error);
  return code !== undefined && codes.has(code);
}

/** What the system answers where a file or its parent is gone, or has become something else. */
export const changedCodes: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP']);

/** Whatever was thrown, as an error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

const codeOfSystemError: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  EACCES: ['ERR_PERMISSION', 'Check the permissions of the file and of the directory that holds it.'],
  EPERM: ['ERR_PERMISSION', 'Check the permissions of the file and of the directory that holds it.'],
  EROFS: ['ERR_PERMISSION', 'The file system is mounted read-only.'],
  ENOSPC: ['ERR_NO_SPACE', 'Free some space, then try again: nothing was changed.'],
  EDQUOT: [
    'ERR_NO_SPACE',
    'The disk quota is used up. Free some space, then try again: nothing was changed.',
  ],
  EFBIG: ['ERR_TOO_LARGE', 'The file system cannot hold a file of this size.'],
  ENOENT: ['ERR_NOT_FOUND', 'There is no such file or directory.'],
  ENOTDIR: ['ERR_NOT_DIRECTORY', 'A part of the path is a file, not a directory.'],
  EISDIR: ['ERR_IS_DIRECTORY', 'The path is a directory.'],
  EEXIST: ['ERR_EXISTS', 'There is something at this path already.'],
  ENOTEMPTY: [
    'ERR_NOT_EMPTY',
    'The directory is not empty; pass { recursive: true } to remove it with its content.',
  ],
  ENAMETOOLONG: ['ERR_INVALID_PATH', 'A name in the path is longer than the file system allows.'],
  ELOOP: ['ERR_INVALID_PATH', 'The path runs through too many symbolic links.'],
  EINVAL: ['ERR_IO', 'The file system refused the request.'],
};

/** Turns a system error into a `StoreError`, keeping it as the cause. A `StoreError` passes through. */
export function fromSystemError(error: unknown, details: Omit<StoreErrorDetails, 'cause'>): StoreError {
  if (error instanceof StoreError) return error;
  const system = systemCode(error);
  const [code, hint] = (system === undefined ? undefined : codeOfSystemError[system]) ?? [
    'ERR_IO' as const,
    'The cause says what the operating system answered.',
  ];
  const where = details.path === undefined ? '' : ` '${details.path}'`;
  return new StoreError(code, `${details.op}${where} failed: ${toError(error).message}`, {
    hint,
    ...details,
    cause: error,
  });
}

/** For what may be thrown beside system errors: only these become a `StoreError`, anything else passes through. */
export function withStoreCode(error: unknown, details: Omit<StoreErrorDetails, 'cause'>): unknown {
  return error instanceof Error && 'syscall' in error ? fromSystemError(error, details) : error;
}

/** Of what is done here the system's answers have a code. */
export function codedNow<T>(details: Omit<StoreErrorDetails, 'cause'>, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw withStoreCode(error, details);
  }
}

/** The same of what is done in time. */
export async function coded<T>(
  details: Omit<StoreErrorDetails, 'cause'>,
  action: () => T | Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw withStoreCode(error, details);
  }
}

/** A store error as plain data, so that it can cross from the committer's thread to the caller's. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
  readonly details?: Omit<StoreErrorDetails, 'cause'>;
  readonly cause?: PlainError;
}

export function toPlainError(thrown: unknown): PlainError {
  const error = toError(thrown);
  const code = systemCode(error);
  return {
    name: error.name,
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(code === undefined ? {} : { code }),
    ...(error instanceof StoreError
      ? { details: { op: error.op, path: error.path, transaction: error.transaction, hint: error.hint } }
      : {}),
    ...(error.cause === undefined ? {} : { cause: toPlainError(error.cause) }),
  };
}

export function fromPlainError(plain: PlainError): Error {
  const cause = plain.cause === undefined ? undefined : fromPlainError(plain.cause);
  if (plain.details !== undefined) {
    return new StoreError(plain.code as ErrorCode, plain.message, { ...plain.details, cause });
  }
  const error =
    plain.code === 'ERR_INVALID_ARGUMENT'
      ? Object.assign(new TypeError(plain.message), { code: plain.code })
      : new Error(plain.message, cause === undefined ? undefined : { cause });
  error.name = plain.name;
  if (plain.stack !== undefined) error.stack = plain.stack;
  return plain.code === undefined ? error : Object.assign(error, { code: plain.code });
}
