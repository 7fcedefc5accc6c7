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
  historyRow,
  isOverdue,
  isStoreError,
  type Liveness,
  lockRow,
  type LoggedTransaction,
  type LogStats,
  type LogView,
  lookVolume,
  metaKeys,
  NodeFileSystem,
  numberRow,
  type OpenedRoot,
  openReadOnlyParts,
  openRoot,
  type Owner,
  PathResolver,
  probeOwner,
  probeWitness,
  readFormat,
  readOwners,
  readVolumes,
  refuseForeignLog,
  type Resumable,
  storeLayout,
  type StoreOptions,
  type StorePath,
  systemCode,
  type TransactionId,
  transactionId,
  type Volume,
} from '@forewrit/core';
import { answeringWitnesses } from './answering.js';
import { readTransactionRows, revisionOf } from './analysis.js';
import { subjectOf } from './completion.js';
import { PathHistory } from './path-history.js';
import { foresee } from './foresight.js';
import { mountLook, rowLook, placeOf, type RecoveryContext } from './recovery-context.js';
import type { Subject } from './target-observation.js';
import { keptAmong, leftoversAmong, listStagingNames, type StagingName } from './undo.js';

export interface InspectedOwner {
  readonly id: string;
  readonly number: number;
  readonly pid: number;
  readonly openedAtMs: number;
  /** Name of its socket in the directory of the log. */
  readonly witness?: string;
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
  /** Why it blocks the transaction: of its content, or of the way to it. */
  readonly blockedBy?: 'missing' | 'damaged' | 'escapes' | 'unreachable';
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
  /** Whether every path that was changed has a sound before-image; only of what recovery would block. */
  readonly canGoBack?: boolean;
  /** As the log has it. */
  readonly records: LoggedTransaction;
}

export interface InspectedLock {
  /** The locked path, or for an entry its collection and key. */
  readonly what: string;
  readonly transaction: TransactionId;
  readonly owner: number;
  readonly ownerAlive: boolean;
  readonly blocked: boolean;
  /** Whether the log holds that transaction. */
  readonly recorded: boolean;
}

export interface InspectedArea {
  readonly path: StorePath;
  readonly volume?: Volume;
}

export interface InspectedProblem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** What is kept for undo. */
export interface InspectedHistory {
  readonly transactions: number;
  /** In `before/`. */
  readonly keptBytes: number;
  /** In the log. */
  readonly rowBytes: number;
}

export interface Inspection {
  readonly root: string;
  readonly storeId?: string;
  readonly formatVersion?: number;
  readonly createdAtMs?: number;
  /** The newest. Absent where the log does not tell. */
  readonly revision?: number;
  readonly owners: readonly InspectedOwner[];
  /** Whether the log tells who has the store open. Where it does not, `owners` is empty. */
  readonly ownersKnown: boolean;
  /** Sockets in the directory of the log where somebody listens who has it open; asked only where the log does not tell. */
  readonly answering: readonly string[];
  /** Everything in the log, the oldest first: applied ones wait for their checkpoint. */
  readonly transactions: readonly InspectedTransaction[];
  /** Names in the staging areas that belong to nobody. */
  readonly leftovers: readonly string[];
  /** Content that recovery has put aside for somebody to look at. */
  readonly conflicts: readonly string[];
  /** What is locked now. */
  readonly locks: readonly InspectedLock[];
  /** The staging areas: the store's own, and those on other file systems. Without a volume where one is not there. */
  readonly areas: readonly InspectedArea[];
  readonly history: InspectedHistory;
  /** Absent where the log cannot be read: then nothing is known of transactions, locks and history, either. */
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
    owners: [],
    ownersKnown: false,
    answering: [],
    transactions: [],
    leftovers: [],
    conflicts: [],
    locks: [],
    areas: [],
    history: { transactions: 0, keptBytes: 0, rowBytes: 0 },
  };
  const unreadable = async (error: unknown): Promise<Inspection> => {
    if (!isStoreError(error) || !damageCodes.has(error.code)) throw error;
    const answering = await witnessesOf(opened, options);
    return { ...empty, answering, problems: [problemOf(error)], clean: false };
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
    return await unreadable(error);
  }
  try {
    return { ...empty, ...(await look(parts, options, problems)) };
  } catch (error) {
    return await unreadable(error);
  } finally {
    parts.log.close();
  }
}

/** Whoever may not look there sees nobody. */
async function witnessesOf(
  { roots }: OpenedRoot,
  { probeWitness: ask = probeWitness }: InspectOptions,
): Promise<string[]> {
  try {
    return await answeringWitnesses(new NodeFileSystem(), storeLayout(roots.root).log, ask);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return [];
  }
}

type Found = Omit<Inspection, 'root'>;

async function look(
  parts: ContextParts,
  options: InspectOptions,
  problems: InspectedProblem[],
): Promise<Found> {
  const { log, fileSystem, roots, processTable } = parts;
  const format = noted(problems, () => log.view(readFormat), undefined);
  if (format !== undefined) noted(problems, () => refuseForeignLog(parts, format), undefined);
  const registered = noted(problems, () => log.view(readOwners), undefined);
  const owners = await lookAtOwners(parts, options, registered ?? []);
  const living = new Set(owners.filter(({ alive }) => alive).map(({ number }) => number));
  const places = noted(problems, () => log.view(readVolumes), []);
  const areas = ['', ...places].map((path) => lookArea(parts, path));
  const volumes = areas.flatMap(({ volume }) => volume ?? []);
  const volume = (place: StorePath): Volume | undefined => volumes.find(({ path }) => path === place);
  const folding = format ?? parts.folding;
  const context: RecoveryContext = {
    fileSystem,
    roots,
    folding,
    resolver: new PathResolver(fileSystem, roots, { symlinks: 'follow' }),
    bootId: processTable.identity().bootId,
    volume,
    mountOf: mountLook({ fileSystem, roots, volume }),
    rowAt: rowLook(log, folding),
  };
  // Names before the log, as recovery does: what is made meanwhile has an owner that the log knows.
  const names = noted(problems, () => listStagingNames(fileSystem, volumes), []);
  const read = log.view((view) => readLog(view, { living, folding, problems, names }));
  // What a damaged record names is not known to belong to nobody.
  const leftovers = problems.length > 0 ? [] : leftoversAmong(names, { living, ...read });
  const transactions = describeAll(read, { nowMs: Date.now(), context, living, problems });
  const revision = noted(problems, () => log.view(newestRevision), undefined);
  // Rows that none of these have read, and what opening the store would refuse.
  if (problems.length === 0) noted(problems, () => log.examine(), undefined);
  const pending = transactions.some(
    ({ ownerAlive, state, staging }) =>
      state === 'blocked' || (!ownerAlive && !(state === 'staging' && staging?.overdue === false)),
  );
  return {
    ...(format === undefined
      ? {}
      : { storeId: format.storeId, formatVersion: format.version, createdAtMs: format.createdAtMs }),
    ...(revision === undefined ? {} : { revision }),
    owners,
    ownersKnown: registered !== undefined,
    answering: registered === undefined ? await witnessesOf(parts, options) : [],
    transactions,
    leftovers: leftovers.map(({ volume, place, name }) => `${volume[place]}/${name}`),
    conflicts: noted(problems, () => volumes.flatMap((volume) => listConflicts(fileSystem, volume)), []),
    locks: read.locks.map((lock) => ({ ...lock, ownerAlive: living.has(lock.owner) })),
    areas,
    history: read.history,
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

/** An area below a root that was not given is not there, either. */
function lookArea({ fileSystem, roots }: ContextParts, path: StorePath): InspectedArea {
  const volume = placeOf(path, roots) === undefined ? undefined : lookVolume(fileSystem, roots, path);
  return { path, ...(volume === undefined ? {} : { volume }) };
}

function listConflicts(fileSystem: FileSystem, { conflicts }: Volume): string[] {
  if (fileSystem.lstat(conflicts) === undefined) return [];
  return fileSystem.list(conflicts).map((name) => `${conflicts}/${name}`);
}

function noted<T>(problems: InspectedProblem[], read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    problems.push(problemOf(error));
    return otherwise;
  }
}

const damageCodes = new Set(['ERR_LOG_CORRUPT', 'ERR_UNSUPPORTED_FORMAT', 'ERR_STORE_MISMATCH']);

/** Whatever the log and the disk answer is a problem to show; anything else is a mistake of ours. */
function problemOf(error: unknown): InspectedProblem {
  if (!isStoreError(error) && systemCode(error) === undefined) throw error;
  const { code, message, hint } = fromSystemError(error, { op: 'inspect' });
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

function describeOwner(owner: Owner): Omit<InspectedOwner, 'alive' | 'why'> {
  const { id, number, identity, openedAtMs, witness } = owner;
  return { id, number, pid: identity.pid, openedAtMs, ...(witness === undefined ? {} : { witness }) };
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
  readonly locks: readonly Omit<InspectedLock, 'ownerAlive'>[];
  readonly kept: ReadonlySet<string>;
  readonly history: InspectedHistory;
}

function readLog(
  view: LogView,
  {
    living,
    folding,
    problems,
    names,
  }: {
    readonly living: ReadonlySet<number>;
    readonly folding: Folding;
    readonly problems: InspectedProblem[];
    readonly names: readonly StagingName[];
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
  const history = historyIn(view, problems);
  // A damaged row of history leaves in doubt what it names.
  let kept = new Set<string>();
  try {
    kept = keptAmong(view, names);
  } catch (error) {
    problems.push(problemOf(error));
  }
  const locks = readLocks(view, { transactions, problems });
  const blocked = new Set(locks.flatMap((lock) => (lock.blocked ? [lock.transaction] : [])));
  return { transactions, subjects, blocked, locks, kept, history };
}

interface Surroundings {
  readonly nowMs: number;
  readonly context: RecoveryContext;
  readonly living: ReadonlySet<number>;
  readonly problems: InspectedProblem[];
}

function historyIn(view: LogView, problems: InspectedProblem[]): InspectedHistory {
  let transactions = 0;
  let keptBytes = 0;
  let rowBytes = 0;
  for (const [key, value] of view.range('history', { start: new Uint8Array(0) })) {
    transactions += 1;
    rowBytes += value.byteLength;
    try {
      keptBytes += historyRow.decode(key, value).keptBytes;
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  return { transactions, keptBytes, rowBytes };
}

function describeAll(
  { transactions, subjects, blocked }: LogRead,
  around: Surroundings,
): InspectedTransaction[] {
  const history = new PathHistory(around.context.folding, transactions);
  return transactions.map((transaction): InspectedTransaction => {
    const { id, number, begin, resumable, commit, targets } = transaction;
    const subject = subjects.get(id);
    const foreseen =
      subject === undefined
        ? undefined
        : noted(around.problems, () => foresee(around.context, subject, history), undefined);
    return {
      id,
      owner: number.owner,
      ownerAlive: around.living.has(number.owner),
      state: blocked.has(id) ? 'blocked' : stateOf(transaction),
      ...(resumable === undefined ? {} : { staging: stagingOf(resumable, around.nowMs) }),
      ...(commit === undefined ? {} : { revision: commit.revision }),
      ...(begin === undefined ? {} : { startedAtMs: begin.startedAtMs }),
      ...(foreseen?.canGoBack === undefined ? {} : { canGoBack: foreseen.canGoBack }),
      paths: foreseen?.paths ?? targets.map(({ path, action }) => ({ path, action })),
      records: transaction,
    };
  });
}

function readLocks(
  view: LogView,
  {
    transactions,
    problems,
  }: { readonly transactions: readonly LoggedTransaction[]; readonly problems: InspectedProblem[] },
): LogRead['locks'] {
  const recorded = new Set<string>(transactions.map(({ id }) => id));
  return view.range('locks', { start: new Uint8Array(0) }).flatMap(([key, value]) => {
    const lock = noted(problems, () => lockRow.decode(key, value), undefined);
    if (lock === undefined) return [];
    const transaction = transactionId(lock.transaction);
    const { what, blocked } = lock;
    return [
      { what, transaction, owner: lock.transaction.owner, blocked, recorded: recorded.has(transaction) },
    ];
  });
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
