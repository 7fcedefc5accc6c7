/** What an engine can be opened with. What is injectable is there for tests. */

import { type Logger, InvalidArgumentError } from '@forewrit/core';
import type { ShimIdentity, Supervisor } from '../supervision/supervisor.js';
import { duration } from '../task/check-spec.js';
import type { Timers } from './timers.js';

export interface RetentionPolicy {
  /** Since the creation, but never before the end. Default: 24 h. */
  readonly maxAgeMs?: number;
  /** Of output that is kept, of all tasks that have ended; the oldest go first. Default: 1 GiB. */
  readonly maxBytes?: number;
  /** Tasks that have ended; the oldest go first. Default: 10,000. */
  readonly maxCount?: number;
}

export interface TaskEngineOptions {
  /** Tasks that run at once in a group that was given no limit, and of those without a group. Default: 32. */
  readonly parallel?: number;
  /** `false`: watches, stops and shows, but starts nothing that is pending; another engine does. Default: true. */
  readonly starts?: boolean;
  /** What is kept of tasks that have ended. */
  readonly retention?: RetentionPolicy;
  /** How often it looks for old tasks by itself; 0: never. Default: 5 min. */
  readonly pruneIntervalMs?: number;
  /** How often it looks for what other engines have done. Default: 500 ms. */
  readonly pollIntervalMs?: number;
  /** What the commands inherit. Default: that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Hears of what fails in the background. Silent by default. */
  readonly logger?: Logger;
  readonly supervisor?: Supervisor;
  readonly timers?: Timers;
  /** This engine's process, and whether another one's still runs. */
  readonly processes?: Processes;
  /** From 0 to 1; jitter and ids. */
  readonly random?: () => number;
}

export interface Processes {
  identity(): ShimIdentity;
  /** `true` unless it is certain that it ended. */
  mayLive(process: ShimIdentity): boolean;
}

export const engineDefaults = {
  parallel: 32,
  pollIntervalMs: 500,
  pruneIntervalMs: 300_000,
  retention: { maxAgeMs: 86_400_000, maxBytes: 1024 ** 3, maxCount: 10_000 },
} as const;

export function checkEngineOptions(options: TaskEngineOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('openTasks', 'options must be an object');
  }
  if (options.parallel !== undefined) checkParallel('openTasks', options.parallel);
  if (options.pollIntervalMs !== undefined) duration('pollIntervalMs', options.pollIntervalMs, 1);
  if (options.pruneIntervalMs !== undefined) duration('pruneIntervalMs', options.pruneIntervalMs);
  if (options.retention !== undefined) checkRetention('openTasks', options.retention);
}

export function checkParallel(op: string, parallel: unknown): number {
  if (typeof parallel === 'number' && Number.isSafeInteger(parallel) && parallel >= 1) return parallel;
  throw new InvalidArgumentError(
    op,
    'parallel must be a whole number from 1; pause the group to start nothing',
  );
}

export function checkRetention(op: string, policy: RetentionPolicy): RetentionPolicy {
  if (typeof policy !== 'object' || policy === null) {
    throw new InvalidArgumentError(op, 'the policy must be { maxAgeMs?, maxBytes?, maxCount? }');
  }
  for (const name of ['maxAgeMs', 'maxBytes', 'maxCount'] as const) {
    const value = policy[name];
    // Infinity is a way to say that there is no limit.
    if (value === undefined || (typeof value === 'number' && value >= 0)) continue;
    throw new InvalidArgumentError(op, `${name} must be a number, not negative`);
  }
  return policy;
}
