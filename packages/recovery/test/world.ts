/**
 * A store on a simulated disk, used by simulated processes: each has an engine of its own, and all share one log. A
 * process can be killed at any call to its file system, the power can be cut, and recovery run by whoever comes next.
 */

import {
  type Commit,
  type CommitRequest,
  CommitterLoop,
  type ContextParts,
  Engine,
  type Failpoint,
  type FileSystem,
  type Job,
  type MaterializeReport,
  MemoryLogState,
  openContext,
  type Operation,
  type Owner,
  type ProcessTable,
  readOwners,
  type Recoverer,
  type RecoveryBacklog,
  type RecoveryReport,
  registerOwner,
  type StoreContext,
  storeLayout,
  type StoreOptions,
  type StorePath,
} from '@forewrit/core';
import { analyse } from '#src/analysis.js';
import { subjectOf } from '#src/completion.js';
import { recoveryContext } from '#src/recovery-context.js';
import { createRecoverer } from '#src/recovery.js';
import { FaultyLog, type LogFault, type LogMethod } from './faulty-log.js';
import { Monitor, type TellViolation } from './monitor.js';
import { planTransaction } from '#src/transaction-plan.js';
import {
  type CrashChoice,
  CrashSignal,
  FaultyFileSystem,
  type Fault,
  type FileSystemCall,
  type PersistenceModel,
  SimulatedDisk,
  type SimulatedFileSystem,
} from '@forewrit/testkit';

export const root = '/store';

export interface ProcessOptions
  extends Pick<StoreOptions, 'inlineLimitBytes' | 'lockTimeoutMs' | 'probeWitness' | 'history'> {
  readonly failpoint?: Failpoint;
  readonly faults?: readonly Fault[];
  readonly beforeCall?: (call: FileSystemCall) => void;
  /** Before a batch of the log is built. */
  readonly beforeCommit?: () => void;
  /** When it is durable, before its commit returns. */
  readonly afterCommit?: () => void;
  /** Before each call to the file system, and while a batch of the log is flushed. */
  readonly onStep?: (what: string) => void;
  /** Before each commit and view of the log: how it fails, if it does. */
  readonly onLog?: (method: LogMethod) => LogFault | undefined;
  /** As the superuser: owners of files are kept. */
  readonly privileged?: boolean;
  readonly roots?: Readonly<Record<string, string>>;
  /** Beyond these, recovery answers before all is durable. */
  readonly flushesMax?: number;
  /** What it has put in its place then is left to `finishBacklog`. */
  readonly keepsBacklog?: boolean;
}

/** The step at which a batch may survive a crash or not. */
export const flushing = 'while a commit of the log is flushed';

/** What becomes of a batch that is being flushed when the crash comes. */
type Unflushed = NonNullable<Parameters<MemoryLogState['clone']>[0]>;

export class World {
  disk: SimulatedDisk;
  log: MemoryLogState;
  readonly #monitor: Monitor;
  readonly #tell: TellViolation | undefined;
  readonly #alive: Set<number>;
  #nextPid: number;

  constructor(
    disk = new SimulatedDisk(),
    log = new MemoryLogState(),
    pids = { alive: new Set<number>(), next: 100 },
    /** Who hears of broken invariants; otherwise they end the process. */
    tell?: TellViolation,
  ) {
    this.disk = disk;
    this.log = log;
    this.#tell = tell;
    this.#monitor = new Monitor(root, disk, log, tell);
    this.#alive = pids.alive;
    this.#nextPid = pids.next;
    const fileSystem = disk.mount();
    for (const directory of [root, `${root}/.forewrit`, `${root}/.forewrit/log`]) {
      if (fileSystem.lstat(directory) !== undefined) continue;
      fileSystem.makeDirectory(directory, 0o755);
      fileSystem.syncDirectory('/');
      fileSystem.syncDirectory(directory);
      fileSystem.syncDirectory(root);
    }
  }

  /** A look and a hand from outside: a program that knows nothing of the store. */
  get outside(): SimulatedFileSystem {
    return this.disk.mount();
  }

  /** The same moment once more; its processes are dead. */
  fork(unflushed?: Unflushed): World {
    const pids = { alive: new Set<number>(), next: this.#nextPid };
    return new World(this.disk.fork(), this.log.clone(unflushed), pids, this.#tell);
  }

  /** The world after a power cut now. */
  powerCut(choice: CrashChoice = () => true, model: PersistenceModel = 'weakest'): World {
    const disk = this.disk.crash(choice, { model });
    return new World(disk, this.log.clone(), { alive: new Set(), next: this.#nextPid }, this.#tell);
  }

  async open(options: ProcessOptions = {}): Promise<SimulatedProcess> {
    const process = await this.start(options);
    await process.recover();
    return process;
  }

  /** Opens without recovering. */
  async start(options: ProcessOptions = {}): Promise<SimulatedProcess> {
    const { parts, pid, openPaths, kill } = this.#begin(options);
    const context = await openContext(parts);
    const owner = registerOwner(context, { nonce: `${pid}`, witness: undefined });
    const isDead = (each: Owner): boolean => this.#isDead(each);
    return new SimulatedProcess({ context, owner, isDead, openPaths, kill, options });
  }

  /** Opens as a store does, by the loop around the engine: what fails there is what a user would meet. */
  async openStore(options: ProcessOptions = {}): Promise<SimulatedProcess> {
    const { parts, pid, openPaths, kill } = this.#begin(options);
    try {
      const { context, engine, state } = await CommitterLoop.start({
        parts,
        recoverer: { recover: async (...of) => ({ report: await recoverWholly(recovererOf(options), of) }) },
        nonce: `${pid}`,
        onEvent: () => undefined,
        withWitness: false,
      });
      const { owner } = engine;
      const { recovery } = state;
      const isDead = (each: Owner): boolean => this.#isDead(each);
      return new SimulatedProcess({ context, owner, engine, recovery, isDead, openPaths, kill, options });
    } catch (error) {
      kill();
      throw error;
    }
  }

  /** What a process of its own is given that opens a `Store`. */
  seams(
    options: ProcessOptions = {},
  ): Pick<ContextParts, 'fileSystem' | 'log' | 'processTable'> & { readonly kill: () => void } {
    const { parts, kill } = this.#begin(options);
    const { fileSystem, log, processTable } = parts;
    return { fileSystem, log, processTable, kill };
  }

  #begin(
    options: ProcessOptions = {},
  ): Pick<Parts, 'openPaths' | 'kill'> & { parts: ContextParts; pid: number } {
    const pid = this.#nextPid++;
    this.#alive.add(pid);
    this.#monitor.begin();
    const inner = this.disk.mount();
    const fileSystem = new FaultyFileSystem(inner, {
      ...(options.faults === undefined ? {} : { faults: options.faults }),
      beforeCall: (call) => {
        options.beforeCall?.(call);
        this.#monitor.called(call);
        options.onStep?.(`before ${call.method} ${call.path}`);
      },
      records: false,
    });
    const life = { alive: true };
    const check = (): void => {
      if (!life.alive) throw new CrashSignal('the simulated process is dead');
    };
    const log = new FaultyLog(this.log, {
      onReserve: () => {
        check();
        options.beforeCommit?.();
      },
      onFlush: () => options.onStep?.(flushing),
      onFlushed: () => {
        this.#monitor.flushed();
        options.afterCommit?.();
      },
      onFault: (method) => options.onLog?.(method),
      notify: () => undefined,
    });
    const processTable = this.#processTable(pid);
    const roots = { root, named: new Map(Object.entries(options.roots ?? {})) };
    const { inlineLimitBytes, lockTimeoutMs, probeWitness, failpoint, history } = options;
    const parts: ContextParts = {
      roots,
      layout: storeLayout(root),
      fileSystem,
      log,
      processTable,
      folding: { caseInsensitive: false, normalizing: false },
      options: {
        clock: this.disk.clock,
        ...(inlineLimitBytes === undefined ? {} : { inlineLimitBytes }),
        ...(lockTimeoutMs === undefined ? {} : { lockTimeoutMs }),
        ...(probeWitness === undefined ? {} : { probeWitness }),
        ...(failpoint === undefined ? {} : { failpoint }),
        ...(history === undefined ? {} : { history }),
      },
      // Different for every open.
      newStoreId: `${pid}-simulated`,
      umask: 0o022,
      privileged: options.privileged ?? false,
    };
    const kill = (): void => {
      if (!life.alive) return;
      life.alive = false;
      this.#alive.delete(pid);
      inner.kill();
    };
    return { parts, pid, openPaths: () => inner.openPaths, kill };
  }

  #processTable(pid: number): ProcessTable {
    const identity = { pid, startTime: `${pid}`, bootId: this.disk.bootId, pidNamespace: 'pid:[1]' };
    return {
      identity: () => identity,
      look: (other) =>
        this.#alive.has(other)
          ? { exists: true, zombie: false, startTime: `${other}` }
          : { exists: false, zombie: false },
    };
  }

  #isDead({ identity }: Owner): boolean {
    return identity.bootId !== this.disk.bootId || !this.#alive.has(identity.pid);
  }
}

async function recoverWholly(
  recoverer: Recoverer,
  parts: Parameters<Recoverer['recover']>,
): Promise<RecoveryReport> {
  const { report, backlog } = await recoverer.recover(...parts);
  return backlog === undefined ? report : await finished(report, backlog);
}

async function finished(first: RecoveryReport, backlog: RecoveryBacklog): Promise<RecoveryReport> {
  let last: RecoveryReport | undefined;
  while (last === undefined) last = await backlog.next(() => true);
  return {
    redone: [...first.redone, ...last.redone],
    undone: [...first.undone, ...last.undone],
    kept: [...first.kept, ...last.kept],
    blocked: last.blocked,
    conflicts: [...first.conflicts, ...last.conflicts],
    sweptFiles: first.sweptFiles + last.sweptFiles,
    durationMs: first.durationMs + last.durationMs,
  };
}

function recovererOf({ flushesMax }: ProcessOptions): Recoverer {
  return createRecoverer(flushesMax === undefined ? {} : { flushesMax });
}

interface Parts {
  readonly options: ProcessOptions;
  readonly context: StoreContext;
  readonly owner: Owner;
  readonly engine?: Engine;
  readonly recovery?: RecoveryReport;
  readonly isDead: (owner: Owner) => boolean;
  /** What it has open. */
  readonly openPaths: () => readonly string[];
  readonly kill: () => void;
}

export class SimulatedProcess {
  readonly context: StoreContext;
  readonly owner: Owner;
  readonly engine: Engine;
  recovery: RecoveryReport | undefined;
  readonly #parts: Parts;
  #backlog: RecoveryBacklog | undefined;
  #counter = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.context = parts.context;
    this.owner = parts.owner;
    this.engine = parts.engine ?? new Engine(parts.context, parts.owner);
    this.recovery = parts.recovery;
  }

  get fileSystem(): FileSystem {
    return this.context.fileSystem;
  }

  get isPrivileged(): boolean {
    return this.#parts.options.privileged === true;
  }

  /** What this process has open. */
  get openPaths(): readonly string[] {
    return this.#parts.openPaths();
  }

  /** SIGKILL: descriptors close, and nothing more comes of it. */
  kill(): void {
    this.#parts.kill();
  }

  async recover(): Promise<RecoveryReport> {
    const { keepsBacklog } = this.#parts.options;
    const recoverer = recovererOf(this.#parts.options);
    const { report, backlog } = await recoverer.recover(this.context, this.#dead(), this.owner);
    this.recovery = report;
    this.#backlog = backlog;
    return backlog === undefined || keepsBacklog === true ? report : await this.finishBacklog();
  }

  /** All that a recovery has left to be made durable; its report and theirs. */
  async finishBacklog(): Promise<RecoveryReport> {
    const backlog = this.#backlog;
    this.#backlog = undefined;
    if (backlog !== undefined) this.recovery = await finished(this.recovery!, backlog);
    return this.recovery!;
  }

  #dead(): Owner[] {
    return this.context.log.view(readOwners).filter((owner) => this.#parts.isDead(owner));
  }

  /** Commits and applies; what fails is thrown. A simulated death kills the process. */
  commit(...operations: readonly Operation[]): Commit {
    const outcome = this.attempt(...operations);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  attempt(...operations: readonly Operation[]): Commit | Error {
    return this.#attempt(operations, {});
  }

  /** Commits in the log alone; the files follow with `materialize`, or as soon as something needs them. */
  commitDeferred(...operations: readonly Operation[]): Commit {
    const outcome = this.attemptDeferred(...operations);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  attemptDeferred(...operations: readonly Operation[]): Commit | Error {
    return this.#attempt(operations, { deferred: true });
  }

  materialize(): MaterializeReport {
    return this.engine.materialize({ all: true });
  }

  /** A number for a transaction of this process. */
  nextCounter(): number {
    this.#counter += 1;
    return this.#counter;
  }

  #attempt(operations: readonly Operation[], how: { readonly deferred?: true }): Commit | Error {
    return this.attemptRequest({
      counter: this.nextCounter(),
      operations,
      reads: [],
      relaxed: false,
      ...how,
    });
  }

  attemptRequest(request: CommitRequest): Commit | Error {
    let outcome: Commit | Error | undefined;
    const job: Job = {
      request,
      deadlineMs: Number.POSITIVE_INFINITY,
      attempts: 0,
      forcedAttempts: 0,
      nextProbeMs: 0,
      accepted: () => undefined,
      resolve: (commit) => {
        outcome = commit;
      },
      reject: (error) => {
        outcome = error instanceof Error ? error : new Error(String(error));
      },
    };
    try {
      let jobs = [job];
      while (jobs.length > 0) {
        const { deferred, waiting } = this.engine.runGroup(jobs);
        if (waiting.length > 0) return new Error(`locked: ${waiting[0]?.lock.what}`);
        jobs = deferred;
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      outcome = error;
    }
    if (outcome === undefined) throw new Error('the engine did not answer');
    return outcome;
  }

  /** What recovery would do now, by path: the row of the table. */
  rows(): Record<string, number> {
    const dead = new Set(this.#dead().map(({ number }) => number));
    const context = recoveryContext(this.context);
    const { winners, living, history } = this.context.log.view((view) =>
      analyse(view, dead, { folding: this.context.folding, nowMs: this.context.clock.nowMs() }),
    );
    const subjects = this.context.log.view((view) =>
      winners.map((transaction) => subjectOf(view, { transaction, living, folding: this.context.folding })),
    );
    const paths = subjects.flatMap((subject) => planTransaction(context, subject, history).paths);
    return Object.fromEntries(paths.map(({ target, decision }) => [target.path, decision.row]));
  }

  checkpoint(): void {
    this.engine.checkpointNow();
  }

  /** What is applied is recorded as such, and unlocked. */
  flushMarks(): void {
    this.engine.flushMarks();
  }
}

export function write(path: StorePath, content: string | Uint8Array, mode?: number): Operation {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return {
    type: 'write',
    path,
    content: { kind: 'bytes', bytes },
    options: mode === undefined ? {} : { mode },
  };
}

export function remove(path: StorePath): Operation {
  return { type: 'remove', path, options: { recursive: true } };
}

export function move(from: StorePath, path: StorePath): Operation {
  return { type: 'rename', from, path, options: {} };
}

export function mkdir(path: StorePath): Operation {
  return { type: 'make-directory', path, options: {} };
}

/** What a file holds; `undefined` if there is none. */
export function contentOf(fileSystem: FileSystem, path: string): string | undefined {
  const absolute = path.startsWith('/') ? path : `${root}/${path}`;
  const stat = fileSystem.lstat(absolute);
  if (stat === undefined) return undefined;
  if (stat.type !== 'file') return `<${stat.type}>`;
  const descriptor = fileSystem.openRead(absolute);
  const bytes = Buffer.alloc(stat.size);
  fileSystem.read(descriptor, bytes, 0);
  fileSystem.close(descriptor);
  return bytes.toString();
}

/** Writes a file as an ordinary program does: in place, or as a new file that replaces the old one. */
export function edit(
  fileSystem: FileSystem,
  path: string,
  content: string,
  how: 'replace' | 'new' = 'replace',
): void {
  const absolute = path.startsWith('/') ? path : `${root}/${path}`;
  const to = how === 'new' ? absolute : `${absolute}~`;
  const descriptor = fileSystem.create(to, 0o644);
  fileSystem.write(descriptor, Buffer.from(content), 0);
  fileSystem.close(descriptor);
  if (how === 'replace') fileSystem.rename(to, absolute);
}

/**
 * Between the last look at a path and these lies a moment in which nobody can see an edit; that limit is documented, and not
 * tried.
 */
export const blind: ReadonlySet<string> = new Set(['rename', 'unlink', 'removeDirectory']);

/** All files and directories below the root, but for the store's own. */
export function tree(fileSystem: FileSystem, path = root): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of fileSystem.list(path)) {
    if ((path === root && name === '.forewrit') || name === '.forewrit-staged') continue;
    const absolute = `${path}/${name}`;
    const relative = absolute.slice(root.length + 1);
    if (fileSystem.lstat(absolute)?.type === 'directory') {
      found[`${relative}/`] = '';
      Object.assign(found, tree(fileSystem, absolute));
    } else found[relative] = contentOf(fileSystem, absolute) ?? '';
  }
  return found;
}

/** What is left in the staging areas. */
export function stagingNames(fileSystem: FileSystem, base = `${root}/.forewrit`): string[] {
  return ['staged', 'before'].flatMap((place) =>
    fileSystem.list(`${base}/${place}`).map((name) => `${place}/${name}`),
  );
}

export function conflictContents(fileSystem: FileSystem): string[] {
  const directory = `${root}/.forewrit/conflicts`;
  return fileSystem
    .list(directory)
    .sort()
    .map((name) => contentOf(fileSystem, `${directory}/${name}`) ?? '');
}
