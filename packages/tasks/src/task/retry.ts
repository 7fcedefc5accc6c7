/** Whether a task that ended gets another attempt, and when. */

import type { RetryPolicy } from './task.js';
import type { SettledPhase } from './stored-task.js';

const delayMsDefault = 1000;
const factorDefault = 2;
const maxDelayMsDefault = 300_000;

export function deservesRetry(
  policy: RetryPolicy | undefined,
  retries: number,
  { cause, exitCode, state }: Pick<SettledPhase, 'cause' | 'exitCode' | 'state'>,
): boolean {
  if (policy === undefined || retries >= policy.limit) return false;
  switch (cause) {
    case 'exit':
      if (state !== 'failed') return false;
      return policy.onExitCodes === undefined || policy.onExitCodes.includes(exitCode!);
    // A list of exit codes is a list of all that is worth another attempt.
    case 'signal':
      return policy.onExitCodes === undefined;
    case 'timeout':
      return policy.onTimeout === true;
    case 'shim-died':
    case 'reboot':
      return policy.onLost === true && state === 'lost';
    default:
      return false;
  }
}

/** The pause before retry number `retries + 1`. `chance` from 0 to 1 decides about the random share. */
export function retryDelayMs(policy: RetryPolicy, retries: number, chance: number): number {
  const { delayMs = delayMsDefault, factor = factorDefault, jitter = 0 } = policy;
  const { maxDelayMs = maxDelayMsDefault } = policy;
  const grown = Math.min(delayMs * factor ** retries, maxDelayMs);
  return Math.round(grown * (1 - jitter) + grown * jitter * chance);
}
