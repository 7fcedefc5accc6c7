/**
 * The seam between the engine, which knows records, and the one process a task that runs its command. The engine never
 * touches a process or a task's directory except through this; `DetachedSupervisor` is the real one.
 *
 * A task's directory belongs to one attempt to run it. The shim alone writes into it, except for the claim: a file that
 * is created exclusively, by the shim before it spawns the command, or by `observe` for a launch that nobody vouches
 * for any more. Whoever creates it first decides whether the command ever runs: so it never runs twice.
 */

export interface ShimIdentity {
  readonly pid: number;
  /** Clock ticks from boot, in decimal; '' where the platform does not tell. */
  readonly startTime: string;
  readonly bootId: string;
}

export interface CommandIdentity {
  readonly pid: number;
  readonly startTime: string;
}

export interface LaunchOrder {
  /** Told apart from every other launch; also in the environment of the command (`FOREWRIT_TASK_NONCE`). */
  readonly nonce: string;
  /** A string is run by the shell. */
  readonly command: string | { readonly file: string; readonly args: readonly string[] };
  readonly cwd: string;
  /** The whole environment of the command, but for `secretEnv`. */
  readonly env: Readonly<Record<string, string>>;
  /** Handed over on an inherited descriptor, never written anywhere; replaced in the output from 8 bytes on. */
  readonly secretEnv: Readonly<Record<string, string>>;
  readonly stdin: 'none' | 'pipe' | { readonly text: string };
  readonly timeoutMs: number;
  readonly killGraceMs: number;
  readonly output: OutputLimits;
  /** The engine's process; the command is stopped when it dies (`survive: 'never'`). */
  readonly diesWith?: ShimIdentity;
}

export interface OutputLimits {
  readonly maxBytes: number;
  readonly segmentBytes: number;
  readonly overflow: 'drop-oldest' | 'drop-new' | 'kill';
}

/** How a command ended, as `exit.json` keeps it. */
export interface ExitRecord {
  readonly nonce: string;
  readonly cause: 'exit' | 'signal' | 'user' | 'timeout' | 'overflow' | 'spawn-error' | 'parent-died';
  readonly exitCode?: number;
  readonly signal?: string;
  /** Of a command that could not be started. */
  readonly error?: string;
  readonly startedAtMs?: number;
  readonly endedAtMs: number;
  readonly outputBytes: number;
  readonly droppedBytes: number;
  /** `false`: somebody still held the pipe when the bounded wait for the rest of the output ran out. */
  readonly complete: boolean;
  /** Processes that had left the group and live on. */
  readonly survivors: readonly CommandIdentity[];
}

export type Observation =
  | { readonly state: 'exited'; readonly exit: ExitRecord }
  /** The shim lives; the command may not have been spawned yet. */
  | { readonly state: 'running'; readonly shim: ShimIdentity; readonly command?: CommandIdentity }
  /** The shim is dead, the command (or what is left of its group) lives. */
  | { readonly state: 'orphaned'; readonly command: CommandIdentity }
  /** Claimed by this observation: the command has not been run and will not be. */
  | { readonly state: 'never-started' }
  | { readonly state: 'lost'; readonly cause: 'shim-died' | 'reboot' };

export interface StopOptions {
  /** `SIGTERM`. */
  readonly signal?: NodeJS.Signals;
  /** After it, SIGKILL to the whole group. */
  readonly graceMs?: number;
}

export interface OutputRequest {
  /** Of the whole output, both streams in the order of their arrival. Default: the oldest byte that is kept. */
  readonly offset?: number;
  /** Instead of `offset`: start so many lines before the end. */
  readonly tailLines?: number;
  readonly maxBytes?: number;
  /** Leaves out the bytes of the other one; offsets count both. */
  readonly stream?: 'stdout' | 'stderr';
}

export interface OutputBytes {
  readonly data: Uint8Array;
  /** Of the first byte looked at; later than asked for if the rest was dropped. */
  readonly offset: number;
  readonly nextOffset: number;
  /** Bytes lost before `offset`, counted from the beginning of the output. */
  readonly droppedBytes: number;
  /** Bytes written so far, dropped ones included. */
  readonly outputBytes: number;
}

export interface ShimConnection extends AsyncDisposable {
  /** Resolves when the command has ended and its exit record is durable. */
  stop(options?: StopOptions): Promise<ExitRecord>;
  /** Resolves when the command's pipe has taken the bytes. Rejects with `ERR_INVALID_ARGUMENT` without a pipe. */
  write(data: Uint8Array, options?: { readonly end?: boolean }): Promise<void>;
  /** Called when more output is in the files, when the command ended, and when the connection is lost. */
  onEvent(listener: (event: 'output' | 'exit' | 'closed') => void): void;
  close(): Promise<void>;
}

export interface Supervisor {
  /**
   * Starts the shim in its own session. Resolves when the shim runs or has recorded that the command could not be
   * spawned; it does not wait for the command. Creates `directory`.
   */
  launch(directory: string, order: LaunchOrder): Promise<ShimIdentity>;
  /** What became of a launch, whoever made it and whenever. Safe at any moment, from any process. */
  observe(directory: string, nonce: string): Promise<Observation>;
  /** `undefined`: the shim is not there (any more). */
  connect(directory: string, nonce: string): Promise<ShimConnection | undefined>;
  /** Stops an orphaned command and what is left of its tree; resolves with what could not be stopped. */
  stopOrphan(directory: string, nonce: string, options?: StopOptions): Promise<readonly CommandIdentity[]>;
  readOutput(directory: string, request: OutputRequest): Promise<OutputBytes>;
  /** Removes the directory of a command that does not run; a missing one is no error. */
  remove(directory: string): Promise<void>;
  /** Directories of tasks below `parent`, for those that nobody's record names any more. */
  list(parent: string): Promise<readonly string[]>;
}
