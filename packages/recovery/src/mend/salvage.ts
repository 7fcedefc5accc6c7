/**
 * What a log that was set aside still tells, put where it can be found: entries of collections into the new store, and content
 * that was committed and is not in its place into `conflicts/`. Only a log of this tree, and only one whose pages are whole:
 * LMDB may die of others. A row that is damaged is passed over.
 */

import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import {
  absolutePath,
  checksumOfFile,
  decodeTransaction,
  entryRow,
  type FileSystem,
  isStoreError,
  type Log,
  type LoggedTransaction,
  type LogView,
  NodeFileSystem,
  openLogToInspect,
  parseEntryKey,
  readFileAt,
  readFormat,
  type Roots,
  type Store,
  storeLayout,
  type Target,
  unpackEntryValue,
} from '@forewrit/core';
import { readTransactionRows, revisionOf } from '../analysis.js';
import type { SavedConflict } from '../conflicts.js';
import { linkFresh, writeFresh } from '../fresh-file.js';
import { placeOf } from '../recovery-context.js';

export interface Salvaged {
  /** Entries of collections that are in the new log. */
  readonly entries: number;
  readonly contents: readonly SavedConflict[];
}

export interface SalvageSource {
  readonly fileSystem: FileSystem;
  readonly roots: Roots;
  /** Holds `log/`, `staged/` and `id`. */
  readonly aside: string;
}

const nothing: Salvaged = { entries: 0, contents: [] };
const entriesAtOnceMax = 500;
const everything = { start: new Uint8Array(0) };

export async function salvage(store: Store, source: SalvageSource): Promise<Salvaged> {
  const log = openOld(source);
  if (log === undefined) return nothing;
  try {
    if (!isOfThisTree(log, source)) return nothing;
    const entries = await putEntries(store, readEntries(log));
    const transactions = tolerant(() => log.view(readTransactions)) ?? [];
    return { entries, contents: transactions.flatMap((each) => saveContents(source, each)) };
  } finally {
    log.close();
  }
}

/** `undefined` if its pages are not whole. */
function openOld({ fileSystem, aside }: SalvageSource): Log | undefined {
  if (fileSystem.lstat(`${aside}/log/data.mdb`) === undefined) return undefined;
  return tolerant(() => {
    const log = openLogToInspect({
      directory: `${aside}/log`,
      fileSystem: new NodeFileSystem(),
      scratchDirectory: `${tmpdir()}/forewrit-${randomBytes(8).toString('hex')}`,
    });
    try {
      log.examine();
      return log;
    } catch (error) {
      log.close();
      throw error;
    }
  });
}

function isOfThisTree(log: Log, { fileSystem, aside }: SalvageSource): boolean {
  const format = tolerant(() => log.view(readFormat));
  if (fileSystem.lstat(`${aside}/id`) === undefined) return true;
  const id = Buffer.from(readFileAt(fileSystem, `${aside}/id`))
    .toString('latin1')
    .trim();
  return format?.storeId === id;
}

interface Entry {
  readonly collection: string;
  readonly key: string;
  readonly value: unknown;
}

function readEntries(log: Log): Entry[] {
  return log
    .view((view) => view.range('entries', everything))
    .flatMap(
      ([at, bytes]) =>
        tolerant((): Entry[] => {
          const { value } = entryRow.decode(at, bytes);
          return [{ ...parseEntryKey(at), value: unpackEntryValue(value) }];
        }) ?? [],
    );
}

/** What is in the new store already was put there since. */
async function putEntries(store: Store, entries: readonly Entry[]): Promise<number> {
  let put = 0;
  for (let begin = 0; begin < entries.length; begin += entriesAtOnceMax) {
    const chunk = entries.slice(begin, begin + entriesAtOnceMax);
    put += await store.transact(async (transaction) => {
      let count = 0;
      for (const { collection, key, value } of chunk) {
        if ((await transaction.get(collection, key)) !== undefined) continue;
        transaction.put(collection, key, value);
        count += 1;
      }
      return count;
    });
  }
  return put;
}

/** Those that were committed and not taken back, each with the targets that no newer one has replaced. */
function readTransactions(view: LogView): LoggedTransaction[] {
  const transactions = readTransactionRows(view)
    .flatMap(({ number, rows }) => tolerant(() => [decodeTransaction(number, rows)]) ?? [])
    .filter(({ commit, abort }) => commit !== undefined && abort === undefined)
    .sort((a, b) => revisionOf(b) - revisionOf(a));
  const decided = new Set<string>();
  return transactions.map((transaction) => {
    const targets = transaction.targets.filter(({ path }) => !decided.has(path));
    for (const { path } of targets) decided.add(path);
    return { ...transaction, targets };
  });
}

function saveContents(source: SalvageSource, { id, targets }: LoggedTransaction): SavedConflict[] {
  const { fileSystem, roots } = source;
  const conflicts = `${storeLayout(roots.root).directory}/conflicts`;
  const saved: SavedConflict[] = [];
  for (const target of targets) {
    const from = placeOf(target.path, roots);
    if (target.after.type !== 'file' || from === undefined || holds(fileSystem, from, target)) continue;
    const stem = `${conflicts}/${id}-${target.index.toString(36)}`;
    for (let k = 0; ; k += 1) {
      const savedAs = `${stem}-${k}`;
      if (fileSystem.lstat(savedAs) !== undefined) {
        if (holds(fileSystem, savedAs, target)) break;
        continue;
      }
      if (write(source, target, savedAs)) saved.push({ path: target.path, savedAs });
      break;
    }
  }
  if (saved.length > 0) fileSystem.syncDirectory(conflicts);
  return saved;
}

function write({ fileSystem, roots, aside }: SalvageSource, target: Target, path: string): boolean {
  const { content, staged, volume, after } = target;
  if (after.type !== 'file') return false;
  if (content !== undefined) {
    writeFresh(fileSystem, { path, mode: after.mode }, content);
    return true;
  }
  if (staged === undefined) return false;
  const area = volume === '' ? aside : `${absolutePath(volume, roots)}/.forewrit-staged`;
  const from = `${area}/staged/${staged}`;
  if (fileSystem.lstat(from)?.type !== 'file') return false;
  linkFresh(fileSystem, { path, mode: after.mode }, from);
  return true;
}

function holds(fileSystem: FileSystem, path: string, { after }: Target): boolean {
  const stat = fileSystem.lstat(path);
  if (after.type !== 'file' || stat?.type !== 'file' || stat.size !== after.fingerprint.size) return false;
  return after.checksum === undefined || tolerant(() => checksumOfFile(fileSystem, path)) === after.checksum;
}

/** What is damaged, or may not be read, is passed over: it is kept where it is. */
function tolerant<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isStoreError(error) || (error instanceof Error && 'syscall' in error)) return undefined;
    throw error;
  }
}
