/**
 * What passes between a supervisor and a shim: lines of JSON. On the pipes that the shim is started with, one order and
 * one answer; on its socket, requests with numbers, their answers, and events.
 *
 *     supervisor → shim   {"type":"hello","nonce":…}   first, and answered with welcome, or refused and hung up on
 *                         {"type":"stop",…}            answered by the event `exit`
 *                         {"type":"write","id":…}      answered with `wrote` once the command's pipe has taken it
 *     shim → supervisor   {"type":"output"}            more of it is in the files
 *                         {"type":"exit","exit":…}     after exit.json is durable; then the shim hangs up
 */

import type { ExitRecord, LaunchOrder, ShimIdentity } from '../supervision/supervisor.js';
import type { ShimFailpoint } from './failpoint.js';

export interface LaunchMessage {
  readonly order: LaunchOrder;
  readonly failpoint?: ShimFailpoint;
}

export type LaunchAnswer =
  /** The command runs, or its not being spawned is recorded. */
  | { readonly type: 'settled'; readonly shim: ShimIdentity }
  /** Somebody else has claimed the launch: the command is not run. */
  | { readonly type: 'claimed' }
  /** Before the claim: the command is not run. */
  | { readonly type: 'failed'; readonly message: string; readonly code?: string };

export type ControlRequest =
  | { readonly type: 'hello'; readonly nonce: string }
  | { readonly type: 'stop'; readonly signal?: NodeJS.Signals; readonly graceMs?: number }
  | { readonly type: 'write'; readonly id: number; readonly base64: string; readonly end?: boolean };

export type WriteFailure = 'no-pipe' | 'ended';

export type ControlAnswer =
  | { readonly type: 'welcome' }
  | { readonly type: 'refused' }
  | { readonly type: 'wrote'; readonly id: number; readonly failure?: WriteFailure }
  | { readonly type: 'output' }
  | { readonly type: 'exit'; readonly exit: ExitRecord };

/** Of one line: whoever sends more is hung up on. */
export const lineBytesMax = 1024 * 1024;
/** Of stdin in one request. */
export const writeBytesMax = 64 * 1024;

export function encodeLine(message: LaunchMessage | LaunchAnswer | ControlRequest | ControlAnswer): string {
  return `${JSON.stringify(message, withoutInfinity)}\n`;
}

/** It has no JSON. */
function withoutInfinity(_key: string, value: unknown): unknown {
  return value === Infinity ? Number.MAX_SAFE_INTEGER : value;
}

/** Cuts what arrives into lines; `undefined` when one is too long. */
export class LineCutter {
  #pieces: Buffer[] = [];
  #bytes = 0;

  push(chunk: Buffer): string[] | undefined {
    const lines: string[] = [];
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      lines.push(Buffer.concat([...this.#pieces, rest.subarray(0, end)]).toString());
      this.#pieces = [];
      this.#bytes = 0;
      rest = rest.subarray(end + 1);
    }
    if (rest.length > 0) this.#pieces.push(rest);
    this.#bytes += rest.length;
    return this.#bytes > lineBytesMax ? undefined : lines;
  }
}
