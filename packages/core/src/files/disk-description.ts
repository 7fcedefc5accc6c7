/**
 * The disks of this machine, for people to read. `node-disk-info` asks other programs, synchronously and without a time
 * limit (a network mount that does not answer stops it for good), so it runs in a process of its own that is ended when
 * it takes too long; what it said is good for a while. Sizes are not taken from it, for its units are not the same
 * everywhere: `space` of the seam has them.
 */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface DiskDescription {
  /** Device or kind, as the system calls it. */
  readonly fileSystem: string;
  readonly mountPoint: string;
  /** How much of it is in use, as `57%`. */
  readonly capacity: string;
}

const timeoutMs = 3000;
const outputBytesMax = 1 << 20;
const cachedMs = 60_000;

let cached: { readonly disks: Promise<readonly DiskDescription[]>; readonly untilMs: number } | undefined;

/** Empty where the system does not tell in time. Asked at most once a minute. */
export function describeDisks(nowMs: number = performance.now()): Promise<readonly DiskDescription[]> {
  if (cached === undefined || nowMs >= cached.untilMs)
    cached = { disks: askForDisks(), untilMs: nowMs + cachedMs };
  return cached.disks;
}

export function askForDisks(
  entry: URL = new URL('./disk-description-entry.js', import.meta.url),
  limitMs: number = timeoutMs,
): Promise<readonly DiskDescription[]> {
  return new Promise((resolve) => {
    const options = { timeout: limitMs, maxBuffer: outputBytesMax, killSignal: 'SIGKILL' as const };
    execFile(process.execPath, [fileURLToPath(entry)], options, (error, stdout) => {
      resolve(error === null ? parsed(stdout) : []);
    });
  });
}

function parsed(text: string): readonly DiskDescription[] {
  try {
    const disks: unknown = JSON.parse(text);
    return Array.isArray(disks) ? disks.filter(isDescription) : [];
  } catch {
    return [];
  }
}

function isDescription(value: unknown): value is DiskDescription {
  if (typeof value !== 'object' || value === null) return false;
  return ['fileSystem', 'mountPoint', 'capacity'].every(
    (name) => typeof (value as Record<string, unknown>)[name] === 'string',
  );
}
