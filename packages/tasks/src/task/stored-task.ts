/**
 * A task as the store keeps it: what was asked for, and the phase that it is in. One entry of the collection `tasks`
 * under its id. Everything else that is written of a task (`index-rows.ts`) follows from this.
 */

import type { CommandIdentity, ShimIdentity } from '../supervision/supervisor.js';
import type { RetryPolicy, SettledState, TaskCause } from './task.js';

/** A `TaskSpec` with its defaults filled in, without the values of `secretEnv`. */
export interface StoredSpec {
  readonly command: string | { readonly file: string; readonly args: readonly string[] };
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly secretNames: readonly string[];
  readonly stdin: 'none' | 'pipe' | { readonly text: string };
  readonly label?: string;
  readonly tags: readonly string[];
  /** '' for none: those tasks are a group of their own. */
  readonly group: string;
  readonly priority: number;
  readonly dependsOn: readonly Dependency[];
  readonly idempotencyKey?: string;
  readonly timeoutMs: number;
  readonly killGraceMs: number;
  readonly retry?: RetryPolicy;
  readonly output: {
    readonly maxBytes: number;
    readonly segmentBytes: number;
    readonly overflow: 'drop-oldest' | 'drop-new' | 'kill';
  };
  readonly survive: 'restart' | 'never';
  readonly ttlMs?: number;
}

export interface Dependency {
  readonly id: string;
  readonly on: 'success' | 'finish';
}

/** One spawn, told apart from every other; its directory is `<task>/<number>`. */
export interface Launch {
  readonly nonce: string;
  readonly number: number;
  readonly atMs: number;
  /** Whose work the spawn is. */
  readonly engine: EngineIdentity;
}

/** One open engine: a process may have several. */
export interface EngineIdentity extends ShimIdentity {
  readonly engine: string;
}

/** Counts of the output, and what was there of it. */
export interface OutputCounts {
  readonly outputBytes: number;
  readonly droppedBytes: number;
  readonly complete: boolean;
}

export interface PendingPhase {
  readonly state: 'pending';
  /** Waits for this moment; absent when it may start as soon as there is room. */
  readonly notBeforeMs?: number;
}
export interface BlockedPhase {
  readonly state: 'blocked';
  readonly notBeforeMs?: number;
}
export interface StartingPhase {
  readonly state: 'starting';
  readonly launch: Launch;
  /** Somebody wants it stopped as soon as it runs. */
  readonly stopping?: boolean;
}
export interface RunningPhase {
  readonly state: 'running';
  readonly launch: Launch;
  readonly startedAtMs: number;
  readonly stopping?: boolean;
}
export interface OrphanedPhase {
  readonly state: 'orphaned';
  readonly launch: Launch;
  readonly startedAtMs: number;
  readonly command: CommandIdentity;
}
export interface SettledPhase extends OutputCounts {
  readonly state: SettledState;
  readonly cause: TaskCause;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly startedAtMs?: number;
  readonly endedAtMs: number;
  readonly survivors: readonly CommandIdentity[];
  readonly detail?: string;
  /** The launch whose output is kept; absent if there was none. */
  readonly launch?: Launch;
}

export type Phase = PendingPhase | BlockedPhase | StartingPhase | RunningPhase | OrphanedPhase | SettledPhase;

export interface StoredTask {
  readonly id: string;
  /** Counts the changes of the record. */
  readonly version: number;
  readonly createdAtMs: number;
  /** 1 for the first. */
  readonly attempt: number;
  /** Attempts after the first that the retry policy has made since the task was started by somebody. */
  readonly retries: number;
  /** How many launches there were; also the number of the last one. */
  readonly launches: number;
  /** Launches of this attempt that failed. */
  readonly failedLaunches: number;
  readonly spec: StoredSpec;
  readonly phase: Phase;
  /** The only engine that can launch it: it alone has the secrets, or the command is to end with it. */
  readonly holder?: EngineIdentity;
  /** The id under which it was known where it was imported from. */
  readonly alias?: string;
  /** It came with an import; so did its output, which is an entry of its own. */
  readonly imported?: true;
  /** Its directory is being removed; nobody sees it any more. */
  readonly removed?: true;
}

export function isSettledPhase(phase: Phase): phase is SettledPhase {
  return 'endedAtMs' in phase;
}

export function launchOf(phase: Phase): Launch | undefined {
  return 'launch' in phase ? phase.launch : undefined;
}
