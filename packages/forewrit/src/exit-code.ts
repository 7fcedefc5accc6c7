/** What the command tells the shell. Part of the public surface: scripts rely on these numbers. */

import { isStoreError } from '@forewrit/core';

export const exitCodes = {
  /** All is well, or was put right. */
  clean: 0,
  /** Something was found that a person should look at, or the command failed. */
  findings: 1,
  /** The command was called in a way that it does not understand. */
  usage: 2,
  noStore: 10,
  locked: 11,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Operations that need a store and found none, or something else in its place. */
const opening = new Set(['open', 'inspect']);

export function exitCodeOf(error: unknown): ExitCode {
  if (!isStoreError(error)) return exitCodes.findings;
  switch (error.code) {
    case 'ERR_STORE_LOCKED':
      return exitCodes.locked;
    case 'ERR_NOT_FOUND':
    case 'ERR_NOT_DIRECTORY':
      return opening.has(error.op) ? exitCodes.noStore : exitCodes.findings;
    default:
      return exitCodes.findings;
  }
}
