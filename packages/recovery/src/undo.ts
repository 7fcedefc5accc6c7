/**
 * Undo: sweeps what belongs to nobody. A transaction that did not commit has changed no file; all it left are names in
 * the staging areas. So have those whose records were trimmed a moment before a crash.
 *
 * A name is swept if the owner in it is not living, and no record in the log has it, nor a row of history. (What is resumable keeps its name
 * when another owner takes it over.) The directories are listed *before*
 * the log is read: an owner registers before it makes its first name, so every name that is found is of an owner that
 * the log knows, or knew.
 */

import {
  type FileSystem,
  findHistory,
  freeName,
  type LoggedTransaction,
  type LogView,
  parseTransactionId,
  removeTree,
  type StorePath,
  transactionId,
  type TransactionId,
  type TransactionNumber,
  treeSuffix,
  type Volume,
} from '@forewrit/core';
import type { SavedConflict } from './conflicts.js';

export interface StagingName {
  readonly volume: Volume;
  readonly place: 'staged' | 'before';
  readonly name: string;
  readonly owner: number;
  readonly transaction: TransactionId;
}

/** Names as this store makes them: `<owner>-<counter>-…`. Others are not ours, and stay. */
export function listStagingNames(fileSystem: FileSystem, volumes: readonly Volume[]): StagingName[] {
  const found: StagingName[] = [];
  for (const volume of volumes) {
    for (const place of ['staged', 'before'] as const) {
      if (fileSystem.lstat(volume[place])?.type !== 'directory') continue;
      for (const name of fileSystem.list(volume[place])) {
        const number = parseStagingName(name);
        if (number === undefined) continue;
        found.push({ volume, place, name, owner: number.owner, transaction: transactionId(number) });
      }
    }
  }
  return found;
}

/** The transaction that a name in a staging area begins with; `undefined` for one that we did not make. */
export function parseStagingName(name: string): TransactionNumber | undefined {
  return parseTransactionId(/^([0-9a-z]+-[0-9a-z]+)-./.exec(name)?.[1] ?? '');
}

export interface Belongings {
  readonly living: ReadonlySet<number>;
  readonly transactions: readonly LoggedTransaction[];
  /** What history keeps, by `nameKey`. */
  readonly kept: ReadonlySet<string>;
}

/** Which of these names history keeps: rows are found by the transaction that a name begins with. */
export function keptAmong(view: LogView, names: readonly StagingName[]): Set<string> {
  const kept = new Set<string>();
  const seen = new Set<TransactionId>();
  for (const { place, transaction } of names) {
    if (place !== 'before' || seen.has(transaction)) continue;
    seen.add(transaction);
    const row = findHistory(view, parseTransactionId(transaction)!);
    for (const { volume, kept: name } of row?.targets ?? []) {
      if (name !== undefined) kept.add(nameKey(volume, 'before', name));
    }
  }
  return kept;
}

export function isKept({ volume, place, name }: StagingName, kept: ReadonlySet<string>): boolean {
  return place === 'before' && kept.has(nameKey(volume.path, place, name));
}

export function leftoversAmong(
  names: readonly StagingName[],
  { living, transactions, kept }: Belongings,
): StagingName[] {
  const recorded = new Set(
    transactions.flatMap(recordedPlaces).map(({ volume, place, name }) => nameKey(volume, place, name)),
  );
  return names.filter((each) => {
    const { volume, place, name, owner } = each;
    if (living.has(owner)) return false;
    if (isKept(each, kept)) return false;
    return !recorded.has(nameKey(volume.path, place, name));
  });
}

export interface Swept {
  readonly files: number;
  readonly saved?: SavedConflict;
}

/**
 * Removes a name, and says how many files went with it. A directory that was made and never put in its place is empty;
 * if it is not, others have put there what it holds, and it is kept. What an undo had staged is a copy of what history keeps.
 */
export function sweepName(fileSystem: FileSystem, { volume, place, name }: StagingName): Swept {
  const path = `${volume[place]}/${name}`;
  const isMade =
    place === 'staged' && !name.endsWith(treeSuffix) && fileSystem.lstat(path)?.type === 'directory';
  if (!isMade || fileSystem.list(path).length === 0) return { files: removeTree(fileSystem, path) };
  const savedAs = freeName(fileSystem, `${volume.conflicts}/${name.replace(/\.apply$/, '')}`);
  fileSystem.rename(path, savedAs);
  fileSystem.syncDirectory(volume.conflicts);
  return { files: 0, saved: { path: volume.path, savedAs } };
}

/** Only what was never applied still has the name that its apply would have consumed. */
export function isOfUnapplied({ place, name }: StagingName): boolean {
  return place === 'staged' && name.endsWith('.apply');
}

/** What a transaction has in the staging areas that are there; some of it has gone with the apply. */
export function recordedNames(
  transaction: LoggedTransaction,
  volumeOf: (path: StorePath) => Volume | undefined,
): StagingName[] {
  const { id, number } = transaction;
  return recordedPlaces(transaction).flatMap(({ volume: path, place, name }) => {
    const volume = volumeOf(path);
    return volume === undefined ? [] : [{ volume, place, name, owner: number.owner, transaction: id }];
  });
}

function recordedPlaces({ targets, resumable }: LoggedTransaction): RecordedName[] {
  if (resumable !== undefined) return [{ volume: resumable.volume, place: 'staged', name: resumable.staged }];
  return targets.flatMap(({ volume, staged, applyName, beforeName }): RecordedName[] => [
    ...(staged === undefined ? [] : [{ volume, place: 'staged' as const, name: staged }]),
    ...(applyName === undefined ? [] : [{ volume, place: 'staged' as const, name: applyName }]),
    ...(beforeName === undefined ? [] : [{ volume, place: 'before' as const, name: beforeName }]),
  ]);
}

interface RecordedName {
  readonly volume: StorePath;
  readonly place: 'staged' | 'before';
  readonly name: string;
}

function nameKey(volume: StorePath, place: string, name: string): string {
  return `${place}/${name} ${volume}`;
}
