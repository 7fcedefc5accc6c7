/** History on the simulated disk: what must hold of its rows and of what they name, and an undo by a simulated process. */

import {
  beforePath,
  checksumOfFile,
  coded,
  type Commit,
  type Committer,
  emptyRecoveryReport,
  entryRow,
  findForUndo,
  hash64,
  historyRow,
  historyTotals,
  type HistoryRow,
  lookVolume,
  MemoryLog,
  metaKeys,
  numberRow,
  openAccess,
  type Operation,
  parseEntryKey,
  type StoreAccess,
  StoreError,
  Transaction,
  transactionId,
  undoIn,
} from '@forewrit/core';
import { root, type SimulatedProcess, stagingNames, type World } from './world.js';

const everything = { start: new Uint8Array(0) };
const roots = { root, named: new Map<string, string>() };

export function historyRows({ log }: World): HistoryRow[] {
  return log
    .rows('history')
    .range(everything)
    .map(([key, value]) => historyRow.decode(key, value));
}

/** Names in the staging areas that history does not know. */
export function namesBesideHistory(world: World): string[] {
  const known = new Set(keptNames(world));
  return stagingNames(world.outside).filter((name) => !known.has(name));
}

function keptNames(world: World): string[] {
  return historyRows(world).flatMap(({ targets }) =>
    targets.flatMap(({ kept, volume }) => (kept === undefined || volume !== '' ? [] : [`before/${kept}`])),
  );
}

/** What is wrong with history: each row has its content, is found by its transaction, and counts in the sums. */
export function historyProblem(world: World): string | undefined {
  const rows = historyRows(world);
  for (const row of rows) {
    const id = transactionId(row.number);
    const at = metaKeys.kept(row.number);
    const index = world.log.rows('meta').get(at);
    if (index === undefined || numberRow.decode(at, index) !== row.revision) return `${id} is not found`;
    for (const target of row.targets) {
      const problem = contentProblem(world, target);
      if (problem !== undefined) return `history of ${id}: ${problem}`;
    }
  }
  const ofEntries = entriesProblem(world, rows);
  if (ofEntries !== undefined) return ofEntries;
  const found = {
    keptBytes: rows.reduce((sum, { keptBytes }) => sum + keptBytes, 0),
    rowBytes: world.log
      .rows('history')
      .range(everything)
      .reduce((sum, [, value]) => sum + value.byteLength, 0),
  };
  const counted = new MemoryLog(world.log).view(historyTotals);
  if (found.keptBytes !== counted.keptBytes || found.rowBytes !== counted.rowBytes)
    return `history has ${JSON.stringify(found)}, and counts ${JSON.stringify(counted)}`;
  const indexes = world.log.rows('meta').range(metaKeys.kepts).length;
  return indexes === rows.length ? undefined : `${indexes} transactions are found in ${rows.length} rows`;
}

/** Of a collection that only changes alone, and in stores that drop nothing: entries and history are of one revision. */
export const aloneCollection = 'alone';

function entriesProblem({ log }: World, rows: readonly HistoryRow[]): string | undefined {
  for (const [at, value] of log.rows('entries').range(everything)) {
    const { collection, key } = parseEntryKey(at);
    if (collection !== aloneCollection) continue;
    const entry = entryRow.decode(at, value);
    const about = rows.filter(({ entries }) => entries.some((each) => each.key === key));
    const newest = about.at(-1);
    if (newest?.revision !== entry.revision)
      return `${key} is of revision ${entry.revision}, and history has ${newest?.revision}`;
    const after = newest.entries.find((each) => each.key === key)?.after;
    if (after !== hash64(entry.value)) return `history has another value of ${key}`;
  }
  return undefined;
}

function contentProblem({ outside }: World, target: HistoryRow['targets'][number]): string | undefined {
  const { kept, volume: place, before, below = [], path } = target;
  if (kept === undefined) return undefined;
  const volume = lookVolume(outside, roots, place);
  if (volume === undefined) return `the area of ${path} is gone`;
  const at = beforePath(volume, kept);
  if (outside.lstat(at)?.type !== before.type) return `what was at ${path} is gone`;
  const files =
    before.type === 'file'
      ? [{ file: at, checksum: before.checksum }]
      : below
          .filter(({ type }) => type === 'file')
          .map(({ name, checksum }) => ({ file: `${at}/${name}`, checksum }));
  for (const { file, checksum } of files) {
    if (outside.lstat(file)?.type !== 'file') return `${file} is gone`;
    if (checksumOfFile(outside, file) !== checksum) return `${file} is not what was kept`;
  }
  return undefined;
}

export function put(collection: string, key: string, value: number): Operation {
  return { type: 'put', collection, key, value: Uint8Array.of(value) };
}

/** As `Store.undo` does it, on the engine of this process. */
export async function undo(process: SimulatedProcess, id: string): Promise<Commit> {
  const { access, tx } = begin(process);
  const row = findForUndo(access, id);
  if (row === undefined) throw new StoreError('ERR_NOT_FOUND', `history has no ${id}`, { op: 'undo' });
  try {
    return await coded({ op: 'undo' }, () => undoIn(access, tx, row));
  } catch (error) {
    await tx.abort();
    throw error;
  }
}

/** As `Store.begin` does it. */
export function begin(process: SimulatedProcess): { readonly access: StoreAccess; readonly tx: Transaction } {
  const { access, committer } = surfaceOf(process);
  const counter = process.nextCounter();
  const tx = new Transaction({ access, committer, counter, options: {}, onEnd: () => undefined });
  return { access, tx };
}

function surfaceOf(process: SimulatedProcess): {
  readonly access: StoreAccess;
  readonly committer: Committer;
} {
  const { context, owner, engine } = process;
  const unused = (): never => {
    throw new Error('a transaction asks the committer for nothing else');
  };
  const committer: Committer = {
    state: { ownerNumber: owner.number, ownerId: owner.id, recovery: emptyRecoveryReport },
    counters: undefined as never,
    async commit(request) {
      const outcome = process.attemptRequest(request);
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
    async stage(request) {
      const [refusal] = engine.resumables.run([request]);
      if (refusal !== undefined) throw refusal;
    },
    checkpoint: unused,
    materialize: unused,
    async recoverDead() {
      await process.recover();
    },
    close: unused,
  };
  const parts = { ...context, newStoreId: '', umask: 0o022, privileged: process.isPrivileged };
  const { fileSystem } = context;
  const access = openAccess(parts, { ...context.options, committer: 'inline', fileSystem }, committer);
  return { access, committer };
}
