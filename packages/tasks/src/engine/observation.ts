/**
 * What becomes of a task that was launched, by what is observed of its launch: at open, while it is watched, and when an
 * engine that dies leaves it to another. A pure function.
 *
 *     record \ observed   exited    running    orphaned    never-started    lost
 *     starting            settled   running    orphaned    never-started    lost
 *     running             settled   running    orphaned    lost             lost
 *     orphaned            settled   running    orphaned    lost             lost
 *
 * A running command cannot become one that never started: whatever told of its end is gone, and it is lost. An exit
 * record decides over everything else, also where the shim still lives.
 */

import { unreachable } from '@forewrit/core';
import type { CommandIdentity, ExitRecord, Observation } from '../supervision/supervisor.js';
import type {
  OrphanedPhase,
  OutputCounts,
  RunningPhase,
  SettledPhase,
  StartingPhase,
} from '../task/stored-task.js';
import type { SettledState, TaskCause } from '../task/task.js';
import { defined } from '../task/task-record.js';

export type LaunchedPhase = StartingPhase | RunningPhase | OrphanedPhase;

export type Verdict =
  | { readonly kind: 'settled'; readonly end: SettledPhase }
  | { readonly kind: 'running' }
  | { readonly kind: 'orphaned'; readonly command: CommandIdentity }
  | { readonly kind: 'never-started' }
  | { readonly kind: 'lost'; readonly cause: 'shim-died' | 'reboot' };

export function judge(phase: LaunchedPhase, observation: Observation): Verdict {
  switch (observation.state) {
    case 'exited':
      return { kind: 'settled', end: endOf(phase, observation.exit) };
    case 'running':
      return { kind: 'running' };
    case 'orphaned':
      return { kind: 'orphaned', command: observation.command };
    case 'never-started':
      return phase.state === 'starting' ? { kind: 'never-started' } : { kind: 'lost', cause: 'shim-died' };
    case 'lost':
      return { kind: 'lost', cause: observation.cause };
    default:
      return unreachable(observation);
  }
}

export function endOf({ launch }: LaunchedPhase, exit: ExitRecord): SettledPhase {
  const [state, cause] = meaningOf(exit);
  return {
    state,
    cause,
    endedAtMs: exit.endedAtMs,
    outputBytes: exit.outputBytes,
    droppedBytes: exit.droppedBytes,
    complete: exit.complete,
    survivors: exit.survivors.map(({ pid, startTime }) => ({ pid, startTime })),
    launch,
    ...defined({
      exitCode: exit.exitCode,
      signal: exit.signal,
      startedAtMs: exit.startedAtMs,
      detail: exit.error,
    }),
  };
}

function meaningOf({ cause, exitCode }: ExitRecord): readonly [SettledState, TaskCause] {
  switch (cause) {
    case 'exit':
      return [exitCode === 0 ? 'completed' : 'failed', 'exit'];
    case 'signal':
      return ['failed', 'signal'];
    case 'user':
      return ['terminated', 'user'];
    case 'timeout':
      return ['timeout', 'timeout'];
    case 'overflow':
      return ['failed', 'overflow'];
    case 'spawn-error':
      return ['failed', 'spawn-error'];
    case 'parent-died':
      return ['terminated', 'engine-died'];
    default:
      return unreachable(cause);
  }
}

/** The end of a launched task that no exit record tells of. */
export function endWithout(
  phase: LaunchedPhase,
  how: {
    readonly state: SettledState;
    readonly cause: TaskCause;
    readonly nowMs: number;
    readonly counts: OutputCounts;
    readonly survivors?: readonly CommandIdentity[];
    readonly detail?: string;
  },
): SettledPhase {
  const { state, cause, nowMs, counts, survivors = [], detail } = how;
  return {
    state,
    cause,
    endedAtMs: nowMs,
    ...counts,
    survivors: survivors.map(({ pid, startTime }) => ({ pid, startTime })),
    launch: phase.launch,
    ...defined({ startedAtMs: phase.state === 'starting' ? undefined : phase.startedAtMs, detail }),
  };
}

/** The end of a task that was never launched. */
export function endUnlaunched(how: {
  readonly state: SettledState;
  readonly cause: TaskCause;
  readonly nowMs: number;
  readonly detail?: string;
}): SettledPhase {
  const { state, cause, nowMs, detail } = how;
  return {
    state,
    cause,
    endedAtMs: nowMs,
    outputBytes: 0,
    droppedBytes: 0,
    complete: true,
    survivors: [],
    ...defined({ detail }),
  };
}
