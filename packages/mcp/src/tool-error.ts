/** Errors of tools, as a client gets them: a code to decide by, a message, and what to do about it. */

import { InvalidArgumentError, isStoreError, systemCode } from '@forewrit/core';

/** Beside the codes of the store: what only tools can find. */
export type ToolErrorCode = 'ERR_NO_MATCH' | 'ERR_AMBIGUOUS_MATCH' | 'ERR_NOT_TEXT' | 'ERR_OFFSET';

export class ToolError extends Error {
  override readonly name = 'ToolError';
  readonly code: ToolErrorCode;
  readonly hint: string;
  readonly path: string | undefined;
  readonly current: object | undefined;

  constructor(
    code: ToolErrorCode,
    message: string,
    details: { readonly hint: string; readonly path?: string; readonly current?: object },
  ) {
    super(message);
    this.code = code;
    this.hint = details.hint;
    this.path = details.path;
    this.current = details.current;
  }
}

export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly path?: string;
  readonly transaction?: string;
  /** What is there now, so that the call can be tried again with it. */
  readonly current?: object;
}

export function errorReport(error: unknown, current?: object): ErrorReport {
  const message = error instanceof Error ? error.message : String(error);
  const now = current === undefined ? {} : { current };
  if (error instanceof ToolError) {
    const { code, hint, path } = error;
    return {
      code,
      message,
      hint,
      ...(path === undefined ? {} : { path }),
      ...(error.current === undefined ? now : { current: error.current }),
    };
  }
  if (isStoreError(error)) {
    const { code, hint, path, transaction } = error;
    return {
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(path === undefined ? {} : { path }),
      ...(transaction === undefined ? {} : { transaction }),
      ...now,
    };
  }
  if (error instanceof InvalidArgumentError) {
    return { code: error.code, message, hint: 'Correct the arguments and call again.' };
  }
  return { code: systemCode(error) ?? 'ERR_INTERNAL', message, ...now };
}
