/**
 * Who may talk to the HTTP server. It listens on 127.0.0.1 only, but every page in a browser of this machine can send requests
 * there. So the Host must be ours (a name that was made to point at 127.0.0.1 is not), an Origin must be ours, and whoever calls
 * must know the token.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export interface Refusal {
  readonly status: 401 | 403;
  readonly message: string;
}

export interface Guard {
  readonly port: number;
  readonly token: string;
  /** Further origins, as `https://example.org`. */
  readonly allowedOrigins: readonly string[];
}

const ownHosts = ['127.0.0.1', 'localhost'];

export function refusalOf({ headers }: IncomingMessage, guard: Guard): Refusal | undefined {
  const { port, allowedOrigins } = guard;
  const hosts = ownHosts.map((host) => `${host}:${port}`);
  // Clients leave out the port that a scheme has anyway.
  if (port === 80) hosts.push(...ownHosts);
  if (!hosts.includes(headers.host?.toLowerCase() ?? '')) {
    return { status: 403, message: 'This Host is not served' };
  }
  const { origin } = headers;
  const origins = [...hosts.map((host) => `http://${host}`), ...allowedOrigins];
  if (origin !== undefined && !origins.includes(origin.toLowerCase())) {
    return { status: 403, message: 'This Origin is not allowed' };
  }
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  if (given === undefined || !isSame(given, guard.token)) {
    return { status: 401, message: 'A bearer token is required: Authorization: Bearer <token>' };
  }
  return undefined;
}

/** In a time that says nothing about either. */
function isSame(one: string, other: string): boolean {
  return timingSafeEqual(digestOf(one), digestOf(other));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
