/**
 * What a handle of the log calls itself in the writers' queue: a file name that says which process holds the place.
 *
 *     <pid>.<start time>.<boot id>.<pid namespace>.<nonce>      each percent-encoded, dots included
 *
 * The identity is in the name and not in the file: a name survives a power cut whole or not at all.
 */
import { assert } from '../assert.js';
import type { ProcessIdentity } from '../owner/process-identity.js';

export function queueToken(identity: ProcessIdentity, nonce: string): string {
  const { pid, startTime, bootId, pidNamespace } = identity;
  const token = [String(pid), startTime, bootId, pidNamespace, nonce].map(encode).join('.');
  assertQueueToken(token);
  return token;
}

/** Undefined for what `queueToken` did not make. */
export function identityOfToken(token: string): ProcessIdentity | undefined {
  const [pid = '', startTime, bootId, pidNamespace, nonce, ...more] = token.split('.').map(decode);
  if (startTime === undefined || bootId === undefined || pidNamespace === undefined) return undefined;
  if (nonce === undefined || more.length > 0 || !/^[1-9][0-9]*$/.test(pid)) return undefined;
  return { pid: Number(pid), startTime, bootId, pidNamespace };
}

export function assertQueueToken(token: string): void {
  assert(/^[A-Za-z0-9._%~-]{1,200}$/.test(token), `'${token}' cannot be a name in the queue of writers`);
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[.!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
