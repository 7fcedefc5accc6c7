/** What a manager allows, and the checks of it. */

import { InvalidArgumentError } from '@forewrit/core';

export interface ManagerOptions {
  /** Default: 1 hour. */
  readonly cleanupIntervalMs?: number;
  /** What is staged is kept so long after its last advance, what has ended is remembered so long. Default: 24 hours. */
  readonly maxStagingAgeMs?: number;
  /** Further ones wait for their turn. Default: 10. */
  readonly maxConcurrentOperations?: number;
  /** Default: 100 MB. */
  readonly maxFileSizeBytes?: number;
}

const hourMs = 60 * 60 * 1000;

export const managerDefaults = {
  cleanupIntervalMs: hourMs,
  maxStagingAgeMs: 24 * hourMs,
  maxConcurrentOperations: 10,
  maxFileSizeBytes: 100_000_000,
} as const satisfies Required<ManagerOptions> as Required<ManagerOptions>;

const atLeast: Readonly<Record<keyof ManagerOptions, number>> = {
  cleanupIntervalMs: 1,
  maxStagingAgeMs: 0,
  maxConcurrentOperations: 1,
  maxFileSizeBytes: 0,
};

export function checkManagerOptions(options: ManagerOptions): void {
  if (typeof options !== 'object' || options === null)
    throw new InvalidArgumentError('StagingManager', 'options must be an object');
  for (const [name, least] of Object.entries(atLeast)) {
    const value: unknown = options[name as keyof ManagerOptions];
    if (value === undefined || (typeof value === 'number' && value >= least)) continue;
    throw new InvalidArgumentError('StagingManager', `${name} must be a number, at least ${least}`);
  }
}
