/**
 * Looks at a store without opening it: what `status`, `dump`, `check` and `recover --dry-run` show. Nothing is written,
 * nothing recovered. What is damaged is reported, and the rest shown all the same.
 */

import {
  type ContextParts,
  decodeTransaction,
  type FileSystem,
  type Folding,
  fromSystemError,
  isOverdue,
  isStoreError,
  type Liveness,
  lockRow,
  type LoggedTransaction,
  type LogStats,
  type LogView,
  lookVolume,
  metaKeys,
  numberRow,
  openReadOnlyParts,
  openRoot,
  type Owner,
  PathResolver,
  probeOwner,
  readFormat,
  readOwners,
  readVolumes,
  type Resumable,
  type StoreOptions,
  type StorePath,
  systemCode,
  type TransactionId,
  transactionId,
  type Volume,
} from '@forewrit/core';
import { readTransactionRows, revisionOf } from './analysis.js';
import { subjectOf } from './completion.js';
import { PathHistory } from './path-history.js';
import { mountLook, type RecoveryContext } from './recovery-context.js';
import type { Subject } from './target-observation.js';
import { planTransaction } from './transaction-plan.js';
import { leftoversAmong, listStagingNames } from './undo.js';

export interface InspectedOwner {
  readonly id: string;
  readonly number: number;
  readonly pid: number;
  readonly openedAtMs: number;
  readonly alive: boolean;
  /** What proves it, or that nothing proves its death. */
  readonly why: Liveness['why'];
}

export interface InspectedPath {
  readonly path: StorePath;
  readonly action: string;
  /** What recovery would do, and by which row of its table; only for transactions that it would take up. */
  readonly verdict?: string;
  readonly row?: number;
  readonly reason?: string;
}

export interface InspectedTransaction {
  readonly id: TransactionId;
  readonly owner: number;
  readonly ownerAlive: boolean;
  /** `staging`: content that is being staged, or may be continued. `deferred`: committed, and the log alone has it yet. */
  readonly state: 'uncommitted' | 'staging' | 'deferred' | 'committed' | 'applied' | 'aborted' | 'blocked';
  /** Of content that is staged over time. */
  readonly staging?: {
    readonly id: string;
    readonly durableBytes: number;
    readonly advancedAtMs: number;
    readonly ttlMs: number;
    /** The next recovery removes it. */
    readonly overdue: boolean;
  };
  readonly revision?: number;
  readonly startedAtMs?: number;
  readonly paths: readonly InspectedPath[];
  /** As the log has it. */
  readonly records: LoggedTransaction;
}

export interface InspectedProblem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export interface Inspection {
  readonly root: string;
  readonly storeId?: string;
  readonly formatVersion?: number;
  readonly createdAtMs?: number;
  /** The newest. */
  readonly revision: number;
  readonly owners: readonly InspectedOwner[];
  /** Everything in the log, the oldest first: applied ones wait for their checkpoint. */
  readonly transactions: readonly InspectedTransaction[];
  /** Names in the staging areas that belong to nobody. */
  readonly leftovers: readonly string[];
  /** Content that recovery has put aside for somebody to look at. */
  readonly conflicts: readonly string[];
  readonly log?: LogStats;
  /** What is damaged or cannot be read. */
  readonly problems: readonly InspectedProblem[];
  /** Nothing is damaged or blocked, and recovery would find nothing to do. */
  readonly clean: boolean;
}

export interface InspectOptions
  extends Pick<StoreOptions, 'roots' | 'processTable' | 'probeWitness' | 'allowSharedFileSystem'> {
  /** Ids of owners to be taken for dead. */
  readonly ownersDead?: readonly string[];
}

/**
 * @throws StoreError ERR_NOT_FOUND where there is no store, ERR_PERMISSION where it may not be read
 */
export async function inspect(root: string | URL, options: InspectOptions = {}): Promise<Inspection> {
  const { ownersDead: _dead, ...rest } = options;
  const opened = openRoot(root, { ...rest, readOnly: true }, 'inspect');
  const problems: InspectedProblem[] = [];
  const empty = {
    root: opened.roots.root,
    revision: 0,
    owners: [],
    transactions: [],
    leftovers: [],
    conflicts: [],
  };
  let parts: Awaited<ReturnType<typeof openReadOnlyParts>>;
  try {
    parts = await openReadOnlyParts(
      opened,
      { ...rest, readOnly: true },
      {
        umask: 0o22,
        privileged: false,
        checkRowsAtOpen: false,
      },
    );
  } catch (error) {
    if (!isStoreError(error) || !damageCodes.has(error.code)) throw error;
    return { ...empty, problems: [problemOf(error)], clean: false };
  }
  try {
    return { ...empty, ...(await look(parts, options, problems)) };
  } finally {
    parts.log.close();
  }
}

type Found = Omit<Inspection, 'root'>;

async function look(
  parts: ContextParts,
  options: InspectOptions,
  problems: InspectedProblem[],
): Promise<Found> {
  const { log, fileSystem, roots, processTable } = parts;
  const noted = <T>(read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      problems.push(problemOf(error));
      return otherwise;
    }
  };
  const format = noted(() => log.view(readFormat), undefined);
  const owners = await lookAtOwners(
    parts,
    options,
    noted(() => log.view(readOwners), []),
  );
  const living = new Set(owners.filter(({ alive }) => alive).map(({ number }) => number));
  const places = noted(() => log.view(readVolumes), []);
  const volumes = ['', ...places].flatMap((place) => lookVolume(fileSystem, roots, place) ?? []);
  const volume = (place: StorePath): Volume | undefined => volumes.find(({ path }) => path === place);
  const context: RecoveryContext = {
    fileSystem,
    roots,
    folding: format ?? parts.folding,
    resolver: new PathResolver(fileSystem, roots, { symlinks: 'follow' }),
    bootId: processTable.identity().bootId,
    volume,
    mountOf: mountLook({ fileSystem, roots, volume }),
  };
  // Names before the log, as recovery does: what is made meanwhile has an owner that the log knows.
  const names = noted(() => listStagingNames(fileSystem, volumes), []);
  const read = log.view((view) => readLog(view, { living, folding: context.folding, problems }));
  // What a damaged record names is not known to belong to nobody.
  const leftovers = problems.length > 0 ? [] : leftoversAmong(names, { living, ...read });
  const transactions = describeAll(read, { nowMs: Date.now(), context, living, problems });
  const revision = noted(() => log.view(newestRevision), 0);
  // Rows that none of these have read, and what opening the store would refuse.
  if (problems.length === 0) noted(() => log.examine(), undefined);
  const pending = transactions.some(
    ({ ownerAlive, state, staging }) =>
      state === 'blocked' || (!ownerAlive && !(state === 'staging' && staging?.overdue === false)),
  );
  return {
    ...(format === undefined
      ? {}
      : { storeId: format.storeId, formatVersion: format.version, createdAtMs: format.createdAtMs }),
    revision,
    owners,
    transactions,
    leftovers: leftovers.map(({ volume, place, name }) => `${volume[place]}/${name}`),
    conflicts: noted(() => volumes.flatMap((volume) => listConflicts(fileSystem, volume)), []),
    log: log.stats(),
    problems,
    clean: problems.length === 0 && !pending && leftovers.length === 0,
  };
}

async function lookAtOwners(
  { processTable, layout }: ContextParts,
  { ownersDead = [], probeWitness }: InspectOptions,
  registered: readonly Owner[],
): Promise<InspectedOwner[]> {
  const probe = {
    processTable,
    witnessDirectory: layout.log,
    ...(probeWitness === undefined ? {} : { probeWitness }),
  };
  return await Promise.all(
    registered.map(async (owner): Promise<InspectedOwner> => {
      const liveness = await probeOwner(owner, probe);
      const alive = liveness.alive && !ownersDead.includes(owner.id);
      return { ...describeOwner(owner), alive, why: liveness.why };
    }),
  );
}

function listConflicts(fileSystem: FileSystem, { conflicts }: Volume): string[] {
  if (fileSystem.lstat(conflicts) === undefined) return [];
  return fileSystem.list(conflicts).map((name) => `${conflicts}/${name}`);
}

const damageCodes = new Set(['ERR_LOG_CORRUPT', 'ERR_UNSUPPORTED_FORMAT', 'ERR_STORE_MISMATCH']);

/** Whatever the log and the disk answer is a problem to show; anything else is a mistake of ours. */
function problemOf(error: unknown): InspectedProblem {
  if (!isStoreError(error) && systemCode(error) === undefined) throw error;
  const { code, message, hint } = fromSystemError(error, { op: 'inspect' });
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

function describeOwner({ id, number, identity, openedAtMs }: Owner): Omit<InspectedOwner, 'alive' | 'why'> {
  return { id, number, pid: identity.pid, openedAtMs };
}

function newestRevision(view: LogView): number {
  const value = view.get('meta', metaKeys.revision);
  return value === undefined ? 0 : numberRow.decode(metaKeys.revision, value);
}

function decodeAll(view: LogView, problems: InspectedProblem[]): LoggedTransaction[] {
  const decoded: LoggedTransaction[] = [];
  for (const { number, rows } of readTransactionRows(view)) {
    try {
      decoded.push(decodeTransaction(number, rows));
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  return decoded.sort((a, b) => revisionOf(a) - revisionOf(b));
}

interface LogRead {
  readonly transactions: readonly LoggedTransaction[];
  /** Those that recovery would take up. */
  readonly subjects: ReadonlyMap<TransactionId, Subject>;
  readonly blocked: ReadonlySet<TransactionId>;
  readonly hasHistory: boolean;
}

function readLog(
  view: LogView,
  {
    living,
    folding,
    problems,
  }: {
    readonly living: ReadonlySet<number>;
    readonly folding: Folding;
    readonly problems: InspectedProblem[];
  },
): LogRead {
  const transactions = decodeAll(view, problems);
  const subjects = new Map<TransactionId, Subject>();
  for (const transaction of transactions) {
    const { id, number, commit, abort } = transaction;
    if (living.has(number.owner) || commit === undefined || abort !== undefined) continue;
    try {
      subjects.set(id, subjectOf(view, { transaction, living, folding }));
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  const hasHistory = view.range('history', { start: new Uint8Array(0), limit: 1 }).length > 0;
  return { transactions, subjects, blocked: blockedIn(view, problems), hasHistory };
}

interface Surroundings {
  readonly nowMs: number;
  readonly context: RecoveryContext;
  readonly living: ReadonlySet<number>;
  readonly problems: InspectedProblem[];
}

function describeAll(
  { transactions, subjects, blocked }: LogRead,
  around: Surroundings,
): InspectedTransaction[] {
  const history = new PathHistory(around.context.folding, transactions);
  return transactions.map((transaction): InspectedTransaction => {
    const { id, number, begin, resumable, commit, targets } = transaction;
    const subject = subjects.get(id);
    const foreseen = subject === undefined ? undefined : foresee(subject, history, around);
    return {
      id,
      owner: number.owner,
      ownerAlive: around.living.has(number.owner),
      state: blocked.has(id) ? 'blocked' : stateOf(transaction),
      ...(resumable === undefined ? {} : { staging: stagingOf(resumable, around.nowMs) }),
      ...(commit === undefined ? {} : { revision: commit.revision }),
      ...(begin === undefined ? {} : { startedAtMs: begin.startedAtMs }),
      paths: foreseen ?? targets.map(({ path, action }) => ({ path, action })),
      records: transaction,
    };
  });
}

/** What recovery would do as things are now; `undefined` where that cannot be told. */
function foresee(
  subject: Subject,
  history: PathHistory,
  { context, problems }: Surroundings,
): InspectedPath[] | undefined {
  try {
    return planTransaction(context, subject, history).paths.map(({ target, decision }) => ({
      path: target.path,
      action: target.action,
      verdict: decision.verdict,
      row: decision.row,
      reason: decision.reason,
    }));
  } catch (error) {
    problems.push(problemOf(error));
    return undefined;
  }
}

function blockedIn(view: LogView, problems: InspectedProblem[]): Set<TransactionId> {
  const blocked = new Set<TransactionId>();
  for (const [key, value] of view.range('locks', { start: new Uint8Array(0) })) {
    try {
      const lock = lockRow.decode(key, value);
      if (lock.blocked) blocked.add(transactionId(lock.transaction));
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  return blocked;
}

function stagingOf(resumable: Resumable, nowMs: number): NonNullable<InspectedTransaction['staging']> {
  const { id, offset, advancedAtMs, ttlMs } = resumable;
  return { id, durableBytes: offset, advancedAtMs, ttlMs, overdue: isOverdue(resumable, nowMs) };
}

function stateOf({
  begin,
  resumable,
  commit,
  abort,
  applied,
}: LoggedTransaction): InspectedTransaction['state'] {
  if (resumable !== undefined) return 'staging';
  if (commit === undefined) return 'uncommitted';
  if (begin?.deferred === true) return 'deferred';
  if (abort !== undefined) return 'aborted';
  return applied === undefined ? 'committed' : 'applied';
}
