/** A task as its users see it: what they ask for, and what is known of it. */

export type TaskState =
  | 'pending'
  | 'blocked'
  | 'starting'
  | 'running'
  | 'orphaned'
  | 'completed'
  | 'failed'
  | 'timeout'
  | 'terminated'
  | 'lost';

/** Why a task is in the state it is in; kept apart from exit code and signal. */
export type TaskCause =
  | 'exit'
  | 'signal'
  | 'user'
  | 'timeout'
  | 'overflow'
  | 'spawn-error'
  | 'dependency-failed'
  | 'shim-died'
  | 'reboot'
  /** `survive: 'never'`, and the engine's process ended. */
  | 'engine-died';

export interface TaskSpec {
  /** A string is run by the shell (`/bin/sh -c`); a file with arguments is run as it is. */
  readonly command: string | { readonly file: string; readonly args?: readonly string[] };
  /** Relative to the store's root, which is the default. */
  readonly cwd?: string;
  /**
   * On top of the environment of the engine that launches it. Kept in the store, so that another engine can launch the
   * task; a record shows the names only.
   */
  readonly env?: Readonly<Record<string, string>>;
  /** As `env`, but never written to a disk, and replaced in the output where 8 bytes or longer. */
  readonly secretEnv?: Readonly<Record<string, string>>;
  /** `'none'`. */
  readonly stdin?: 'none' | 'pipe' | { readonly text: string };
  readonly label?: string;
  readonly tags?: readonly string[];
  readonly group?: string;
  /** Higher ones of a group first; 0. */
  readonly priority?: number;
  /** Milliseconds since the epoch, or a date. */
  readonly startAfter?: number | Date;
  readonly dependsOn?: readonly { readonly id: string; readonly on?: 'success' | 'finish' }[];
  /** A second start with the same key answers with the task of the first. */
  readonly idempotencyKey?: string;
  /** Of one attempt; 1 800 000. */
  readonly timeoutMs?: number;
  /** Between SIGTERM and SIGKILL; 5 000. */
  readonly killGraceMs?: number;
  readonly retry?: RetryPolicy;
  readonly output?: {
    readonly maxBytes?: number;
    readonly segmentBytes?: number;
    readonly overflow?: 'drop-oldest' | 'drop-new' | 'kill';
  };
  /** `'never'`: the command ends with the engine's process. `'restart'`. */
  readonly survive?: 'restart' | 'never';
  /** Off the disk so long after its creation, though never before its end. */
  readonly ttlMs?: number;
}

export interface RetryPolicy {
  /** Further attempts after the first. */
  readonly limit: number;
  readonly delayMs?: number;
  readonly factor?: number;
  readonly maxDelayMs?: number;
  /** Share of the delay that is random, 0 to 1. */
  readonly jitter?: number;
  /** All but 0. */
  readonly onExitCodes?: readonly number[];
  readonly onTimeout?: boolean;
  readonly onLost?: boolean;
}

export interface TaskRecord {
  readonly id: string;
  readonly state: TaskState;
  readonly cause?: TaskCause;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly command: TaskSpec['command'];
  readonly cwd: string;
  /** Names only, those of `secretEnv` among them. */
  readonly envNames: readonly string[];
  readonly stdin: 'none' | 'pipe' | 'text';
  readonly priority: number;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  readonly timeoutMs: number;
  /** 1 for the first. */
  readonly attempt: number;
  /** Not before; of a task that is delayed, or waits for its next attempt. */
  readonly startAfterMs?: number;
  readonly dependsOn?: readonly { readonly id: string; readonly on: 'success' | 'finish' }[];
  readonly label?: string;
  readonly tags?: readonly string[];
  readonly group?: string;
  readonly outputBytes: number;
  readonly droppedBytes: number;
  /** Whether all of the output was read to its end. */
  readonly complete: boolean;
  /** Processes of its tree that could not be ended with it. */
  readonly survivors: readonly { readonly pid: number; readonly startTime: string }[];
  /** What went wrong, or what to do about it, for people to read. */
  readonly detail?: string;
}

export const liveStates = ['pending', 'blocked', 'starting', 'running', 'orphaned'] as const;
export const settledStates = ['completed', 'failed', 'timeout', 'terminated', 'lost'] as const;
export type LiveState = (typeof liveStates)[number];
export type SettledState = (typeof settledStates)[number];

export function isSettled(state: TaskState): state is SettledState {
  return (settledStates as readonly string[]).includes(state);
}
