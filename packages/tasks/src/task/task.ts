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
  | 'reboot';

export interface TaskSpec {
  /** A string is run by the shell (`/bin/sh -c`); a file with arguments is run as it is. */
  readonly command: string | { readonly file: string; readonly args?: readonly string[] };
  /** The store's root. */
  readonly cwd?: string;
  /** On top of the engine's own environment; only the names are kept in the record. */
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
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  readonly timeoutMs: number;
  /** 1 for the first. */
  readonly attempt: number;
  readonly label?: string;
  readonly tags?: readonly string[];
  readonly group?: string;
  readonly outputBytes: number;
  readonly droppedBytes: number;
  /** Whether all of the output was read to its end. */
  readonly complete: boolean;
}
