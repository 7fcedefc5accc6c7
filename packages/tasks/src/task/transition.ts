/**
 * The states of a task, and everything that changes them, as one table. A pure function: the engine calls it inside a
 * transaction that has read the record, so of two who want to change it one wins, and the other is refused here.
 *
 *     event \ in        pending   blocked   starting   running    orphaned   settled
 *     unblock           -         pending   -          -          -          -
 *     due               pending   -         -          -          -          -
 *     claim             starting  -         -          -          -          -
 *     started           -         -         running    -          -          -
 *     orphan            -         -         orphaned   orphaned   -          -
 *     end               ended     ended     ended      ended      ended      -
 *     retry             -         -         pending    pending    pending    -
 *     requeue           -         -         pending    -          -          -
 *     stop              -         -         starting   -          -          -
 *     restart           -         -         -          -          -          pending
 *
 * A settled task stays as it is, whoever comes later: the first end wins. Only `restart` leaves it, and begins another
 * attempt. Events of a launch are refused when the task is in another one (`nonce`).
 */

import { unreachable } from '@forewrit/core';
import type { CommandIdentity } from '../supervision/supervisor.js';
import { isSettledPhase, type Launch, launchOf, type Phase, type SettledPhase } from './stored-task.js';

export type TaskEvent =
  /** What it waited for is there. */
  | { readonly type: 'unblock' }
  /** The moment that it was delayed to has come. */
  | { readonly type: 'due' }
  | { readonly type: 'claim'; readonly launch: Launch }
  | { readonly type: 'started'; readonly nonce: string; readonly startedAtMs: number }
  | { readonly type: 'orphan'; readonly nonce: string; readonly command: CommandIdentity }
  /** `nonce` absent: the end of one that was not launched. */
  | { readonly type: 'end'; readonly nonce?: string; readonly end: SettledPhase }
  | { readonly type: 'retry'; readonly nonce: string; readonly notBeforeMs: number }
  /** The launch never came to run the command, and never will. */
  | { readonly type: 'requeue'; readonly nonce: string; readonly notBeforeMs: number }
  | { readonly type: 'stop'; readonly nonce: string }
  | { readonly type: 'restart' };

export const eventTypes = [
  'unblock',
  'due',
  'claim',
  'started',
  'orphan',
  'end',
  'retry',
  'requeue',
  'stop',
  'restart',
] as const satisfies readonly TaskEvent['type'][];

/** The phase after the event, or `undefined` if it does not apply (any more). */
export function transition(phase: Phase, event: TaskEvent): Phase | undefined {
  const launch = isSettledPhase(phase) ? undefined : launchOf(phase);
  if ('nonce' in event && event.nonce !== undefined && event.nonce !== launch?.nonce) return undefined;
  switch (event.type) {
    case 'unblock':
      return phase.state === 'blocked' ? { ...phase, state: 'pending' } : undefined;
    case 'due':
      return phase.state === 'pending' && phase.notBeforeMs !== undefined ? { state: 'pending' } : undefined;
    case 'claim':
      return phase.state === 'pending' ? { state: 'starting', launch: event.launch } : undefined;
    case 'started':
      if (phase.state !== 'starting') return undefined;
      return { ...phase, state: 'running', startedAtMs: event.startedAtMs };
    case 'orphan':
      if (phase.state !== 'starting' && phase.state !== 'running') return undefined;
      return {
        state: 'orphaned',
        launch: phase.launch,
        startedAtMs: phase.state === 'running' ? phase.startedAtMs : phase.launch.atMs,
        command: event.command,
      };
    case 'end':
      if (isSettledPhase(phase)) return undefined;
      // What was launched ends by what became of the launch, and by nothing else.
      return (launch === undefined) === (event.nonce === undefined) ? event.end : undefined;
    case 'retry':
      return launch === undefined ? undefined : { state: 'pending', notBeforeMs: event.notBeforeMs };
    case 'requeue':
      return phase.state === 'starting' ? { state: 'pending', notBeforeMs: event.notBeforeMs } : undefined;
    case 'stop':
      return phase.state === 'starting' ? { ...phase, stopping: true } : undefined;
    case 'restart':
      return isSettledPhase(phase) ? { state: 'pending' } : undefined;
    default:
      return unreachable(event);
  }
}
