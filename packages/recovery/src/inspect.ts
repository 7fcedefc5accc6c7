/**
 * Looks at a store without opening it: what `status`, `dump`, `check` and `recover --dry-run` show. Nothing is written,
 * nothing recovered. What is damaged is reported, and the rest shown all the same.
 */

import {
  decodeTransaction,
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
  type StoreError,
  type StoreOptions,
  type StorePath,
  type TransactionId,
  transactionId,
} from '@forewrit/core';
import { readTransactionRows, revisionOf } from './analysis.js';
import { subjectOf } from './completion.js';
import { PathHistory } from './path-history.js';
import type { RecoveryContext } from './recovery-context.js';
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
  readonly state: 'uncommitted' | 'committed' | 'applied' | 'aborted' | 'blocked';
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

export interface InspectOptions extends Pick<StoreOptions, 'roots' | 'processTable' | 'probeWitness' | 'allowSharedFileSystem'> {
  /** Ids of owners to be taken for dead. */
  readonly ownersDead?: readonly string[];
}

/**
 * @throws StoreError ERR_NOT_FOUND where there is no store, ERR_PERMISSION where it may not be read
 */
export async function inspect(root: string | URL, options: InspectOptions = {}): Promise<Inspection> {
  const { ownersDead = [], ...rest } = options;
  const opened = openRoot(root, { ...rest, readOnly: true }, 'inspect');
  const problems: InspectedProblem[] = [];
  const empty = { root: opened.roots.root, revision: 0, owners: [], transactions: [], leftovers: [], conflicts: [] };
  let parts: Awaited<ReturnType<typeof openReadOnlyParts>>;
  try {
    parts = await openReadOnlyParts(opened, { ...rest, readOnly: true }, { umask: 0o22, privileged: false });
  } catch (error) {
    if (!isStoreError(error) || !damageCodes.has(error.code)) throw error;
    return { ...empty, problems: [problemOf(error)], clean: false };
  }
  try {
    const { log, fileSystem, roots, layout, processTable } = parts;
    const noted = <T>(read: () => T, otherwise: T): T => {
      try {
        return read();
      } catch (error) {
        if (!isStoreError(error)) throw error;
        problems.push(problemOf(error));
        return otherwise;
      }
    };
    const format = noted(() => log.view(readFormat), undefined);
    const registered = noted(() => log.view(readOwners), []);
    const owners = await Promise.all(
      registered.map(async (owner): Promise<InspectedOwner> => {
        const liveness = await probeOwner(owner, {
          processTable,
          witnessDirectory: layout.log,
          ...(options.probeWitness === undefined ? {} : { probeWitness: options.probeWitness }),
        });
        const alive = liveness.alive && !ownersDead.includes(owner.id);
        return { ...describeOwner(owner), alive, why: liveness.why };
      }),
    );
    const living = new Set(owners.filter(({ alive }) => alive).map(({ number }) => number));
    const places = noted(() => log.view(readVolumes), []);
    const volumes = ['', ...places].flatMap((place) => lookVolume(fileSystem, roots, place) ?? []);
    const folding = format ?? parts.folding;
    const context: RecoveryContext = {
      fileSystem,
      roots,
      folding,
      resolver: new PathResolver(fileSystem, roots, { symlinks: 'follow' }),
      bootId: processTable.identity().bootId,
      mount: fileSystem.mountId(roots.root) ?? '',
      volume: (place) => volumes.find(({ path }) => path === place),
    };
    // Names before the log, as recovery does: what is made meanwhile has an owner that the log knows.
    const names = listStagingNames(fileSystem, volumes);
    const decoded = log.view((view) => decodeAll(view, problems));
    const transactions = noted(() => log.view((view) => describeAll(view, decoded, context, living)), []);
    const hasHistory = log.view((view) => view.range('history', { start: new Uint8Array(0), limit: 1 }).length > 0);
    const leftovers = leftoversAmong(names, { living, transactions: decoded, hasHistory }).map(
      ({ volume, place, name }) => `${volume[place]}/${name}`,
    );
    const conflicts = volumes.flatMap((volume) =>
      fileSystem.lstat(volume.conflicts) === undefined
        ? []
        : fileSystem.list(volume.conflicts).map((name) => `${volume.conflicts}/${name}`),
    );
    const revision = noted(() => log.view(newestRevision), 0);
    const pending = transactions.some(({ ownerAlive, state }) => !ownerAlive || state === 'blocked');
    return {
      ...empty,
      ...(format === undefined
        ? {}
        : { storeId: format.storeId, formatVersion: format.version, createdAtMs: format.createdAtMs }),
      revision,
      owners,
      transactions,
      leftovers,
      conflicts,
      log: log.stats(),
      problems,
      clean: problems.length === 0 && !pending && leftovers.length === 0,
    };
  } finally {
    parts.log.close();
  }
}

const damageCodes = new Set(['ERR_LOG_CORRUPT', 'ERR_UNSUPPORTED_FORMAT', 'ERR_STORE_MISMATCH']);

function problemOf({ code, message, hint }: StoreError): InspectedProblem {
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
      if (!isStoreError(error)) throw error;
      problems.push(problemOf(error));
    }
  }
  return decoded.sort((a, b) => revisionOf(a) - revisionOf(b));
}

function describeAll(
  view: LogView,
  decoded: readonly LoggedTransaction[],
  context: RecoveryContext,
  living: ReadonlySet<number>,
): InspectedTransaction[] {
  const history = new PathHistory(context.folding, decoded);
  const blocked = new Set<TransactionId>();
  for (const [key, value] of view.range('locks', { start: new Uint8Array(0) })) {
    const lock = lockRow.decode(key, value);
    if (lock.blocked) blocked.add(transactionId(lock.transaction));
  }
  return decoded.map((transaction): InspectedTransaction => {
    const { id, number, begin } = transaction;
    const ownerAlive = living.has(number.owner);
    const wouldRecover = !ownerAlive && transaction.commit !== undefined && transaction.abort === undefined;
    return {
      id,
      owner: number.owner,
      ownerAlive,
      state: blocked.has(id) ? 'blocked' : stateOf(transaction),
      ...(transaction.commit === undefined ? {} : { revision: transaction.commit.revision }),
      ...(begin === undefined ? {} : { startedAtMs: begin.startedAtMs }),
      paths: wouldRecover
        ? planTransaction(context, subjectOf(view, { transaction, living, folding: context.folding }), history).paths.map(
            ({ target, decision }) => ({
              path: target.path,
              action: target.action,
              verdict: decision.verdict,
              row: decision.row,
              reason: decision.reason,
            }),
          )
        : transaction.targets.map(({ path, action }) => ({ path, action })),
      records: transaction,
    };
  });
}

function stateOf({ commit, abort, applied }: LoggedTransaction): InspectedTransaction['state'] {
  if (commit === undefined) return 'uncommitted';
  if (abort !== undefined) return 'aborted';
  return applied === undefined ? 'committed' : 'applied';
}
