/**
 * Watches every simulated process of every test, and ends the test process when an invariant of the protocol is broken,
 * whether or not anything comes of it:
 *
 * 1. Nothing outside the store's own directory changes but for a transaction whose commit is in the log, and not deferred
 *    there.
 * 2. When records are trimmed, what their transaction left is durable, unless a newer one answers for the path.
 * 3. The revision of a path never goes back.
 * 4. Every lock is of a transaction that is in the log, committed and not taken back.
 * 5. What a row of history names is durable when the row is.
 */

import {
  absent,
  ancestors,
  checksumOfFile,
  decodeTransaction,
  type FileRow,
  fileRow,
  type HistoryRow,
  historyRow,
  isBelow,
  lockRow,
  type LoggedTransaction,
  type MemoryLogState,
  parseTransactionKey,
  type Row,
  type StorePath,
} from '@forewrit/core';
import type { FileSystemCall, SimulatedDisk } from '@forewrit/testkit';

/** Of values as they are in the log: these never change, and all who have the same log share them. */
const decodedFileRows = new WeakMap<Uint8Array, FileRow | undefined>();
const decodedTransactions = new WeakMap<Uint8Array, Decoded>();

interface Decoded {
  readonly rows: readonly Row[];
  readonly transaction: LoggedTransaction | undefined;
}

const everything = { start: new Uint8Array(0) };
/** Of the seam to the file system, those that change something. */
export const changingMethods: ReadonlySet<string> = new Set([
  'create',
  'write',
  'truncate',
  'link',
  'rename',
  'unlink',
  'makeDirectory',
  'removeDirectory',
  'symlink',
]);

/** What a broken invariant is told to, before it is thrown where it was found. */
export type TellViolation = (error: unknown) => void;

export class Monitor {
  readonly #root: string;
  readonly #disk: SimulatedDisk;
  readonly #log: MemoryLogState;
  readonly #tell: TellViolation;
  #transactions: ReadonlyMap<string, LoggedTransaction>;
  #revisions: ReadonlyMap<StorePath, number>;
  #history: ReadonlySet<string>;

  constructor(root: string, disk: SimulatedDisk, log: MemoryLogState, tell: TellViolation = endProcess) {
    this.#root = root;
    this.#disk = disk;
    this.#log = log;
    this.#tell = tell;
    this.#transactions = this.#read();
    this.#revisions = this.#readRevisions();
    this.#history = this.#readHistory();
  }

  /** A process starts: what somebody has done to the log by hand is what there is from here on. */
  begin(): void {
    this.#transactions = this.#read();
    this.#revisions = this.#readRevisions();
    this.#history = this.#readHistory();
  }

  /** Before a call of a process that uses the store. */
  called(call: FileSystemCall): void {
    this.#insist(() => this.#checkCall(call));
  }

  /** After a batch of the log is flushed. */
  flushed(): void {
    this.#insist(() => this.#checkBatch());
  }

  #insist(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#tell(error);
      throw error;
    }
  }

  #checkCall({ method, path, dest }: FileSystemCall): void {
    if (!changingMethods.has(method)) return;
    // Linking takes nothing from its source, and a descriptor knows the name it was opened with only.
    const changed = method === 'link' ? [dest!] : dest === undefined ? [path] : [path, dest];
    for (const each of changed) {
      const place = this.#placeOf(each);
      if (place === undefined || this.#isCommitted(place)) continue;
      throw violation(`${method} ${each} changes a target that no committed transaction has`);
    }
  }

  #checkBatch(): void {
    const before = this.#transactions;
    this.#transactions = this.#read();
    for (const [id, transaction] of before) {
      if (!this.#transactions.has(id)) this.#checkTrimmed(transaction);
    }
    const revisions = this.#readRevisions();
    for (const [path, revision] of revisions) {
      const earlier = this.#revisions.get(path);
      if (earlier !== undefined && revision < earlier)
        throw violation(`the revision of ${path} went back from ${earlier} to ${revision}`);
    }
    this.#revisions = revisions;
    this.#checkLocks(before);
    this.#checkHistory();
  }

  #rows(table: 'log' | 'files' | 'locks'): Row[] {
    return this.#log.rows(table).range(everything);
  }

  #read(): Map<string, LoggedTransaction> {
    const values = new Map<string, Row[]>();
    for (const row of this.#rows('log')) {
      const { owner, transaction: counter } = parseTransactionKey(row[0]);
      const id = `${owner}-${counter}`;
      const known = values.get(id);
      if (known === undefined) values.set(id, [row]);
      else known.push(row);
    }
    const found = new Map<string, LoggedTransaction>();
    for (const [id, rows] of values) {
      const transaction = decoded(rows);
      if (transaction !== undefined) found.set(id, transaction);
    }
    return found;
  }

  #readHistory(): Set<string> {
    const rows = this.#log.rows('history').range(everything);
    return new Set(rows.map(([key]) => Buffer.from(key).toString('hex')));
  }

  #readRevisions(): Map<StorePath, number> {
    return new Map(this.#fileRows().map(({ path, revision }) => [path, revision]));
  }

  #fileRows(): FileRow[] {
    const found: FileRow[] = [];
    for (const [key, value] of this.#rows('files')) {
      const row = decodedFileRow(key, value);
      if (row !== undefined) found.push(row);
    }
    return found;
  }

  /** `undefined` for what is the store's own, or outside. */
  #placeOf(path: string): StorePath | undefined {
    if (!path.startsWith(`${this.#root}/`)) return undefined;
    const place = path.slice(this.#root.length + 1);
    return /(?:^|\/)\.forewrit(?:-staged)?(?:\/|$)/.test(place) ? undefined : place;
  }

  #isCommitted(place: StorePath): boolean {
    for (const { begin, commit, targets } of this.#transactions.values()) {
      if (commit === undefined || begin?.deferred === true) continue;
      for (const { path, from } of targets) {
        // Parents are made again, and directories bring what they hold.
        if (path === place || from === place || isBelow(path, place) || isBelow(place, path)) return true;
      }
    }
    return false;
  }

  #checkTrimmed({ id, number, targets, abort, commit }: LoggedTransaction): void {
    if (commit === undefined || abort !== undefined) return;
    const rows = new Map(this.#fileRows().map((row) => [row.path, row]));
    const live = this.#disk.mount();
    const durable = this.#disk.crash(() => false).mount();
    for (const { path, action, after, content } of targets) {
      const row = rows.get(path);
      const decides = row?.transaction.owner === number.owner && row.transaction.counter === number.counter;
      const isAbsent = after.type === 'absent' && row === undefined;
      if (action === 'make-parent' || !(decides || isAbsent)) continue;
      if (after !== absent && after.type !== 'file' && after.type !== 'absent') continue;
      const now = live.lstat(`${this.#root}/${path}`);
      const shows = after.type === 'file' ? now?.ino === after.fingerprint.ino : now === undefined;
      // What somebody has done to it since is theirs.
      if (
        !shows ||
        ancestors(path).some((each) => each !== '' && live.lstat(`${this.#root}/${each}`) === undefined)
      )
        continue;
      const kept = durable.lstat(`${this.#root}/${path}`);
      // What somebody has written into it since is theirs to flush. Large content was durable before its commit.
      const isEdited = after.type === 'file' && now?.mtimeNs !== after.fingerprint.mtimeNs;
      const keepsOurs = isEdited && (content === undefined || kept?.size === after.fingerprint.size);
      if (kept?.ino === now?.ino && (keepsOurs || kept?.size === now?.size)) continue;
      throw violation(`${id} was trimmed before ${path} was durable`);
    }
  }

  #checkHistory(): void {
    const rows = this.#log.rows('history').range(everything);
    const known = this.#history;
    this.#history = this.#readHistory();
    const added = rows.filter(([key]) => !known.has(Buffer.from(key).toString('hex')));
    if (added.length === 0) return;
    const live = this.#disk.mount();
    const durable = this.#disk.crash(() => false).mount();
    for (const [key, value] of added) {
      for (const file of keptFiles(this.#root, historyRow.decode(key, value))) {
        // What somebody writes into it is theirs.
        if (live.lstat(file.path) !== undefined && checksumOfFile(live, file.path) !== file.checksum)
          continue;
        const isThere = durable.lstat(file.path)?.type === 'file';
        if (!isThere || checksumOfFile(durable, file.path) !== file.checksum)
          throw violation(`history names ${file.path} before it is durable`);
      }
    }
  }

  #checkLocks(before: ReadonlyMap<string, LoggedTransaction>): void {
    for (const [key, value] of this.#rows('locks')) {
      const { transaction, what } = lockRow.decode(key, value);
      const id = `${transaction.owner}-${transaction.counter}`;
      const logged = this.#transactions.get(id) ?? (before.has(id) ? undefined : 'never seen');
      if (logged === 'never seen' || (logged?.commit !== undefined && logged.abort === undefined)) continue;
      throw violation(`the lock on ${what} outlives its transaction`);
    }
  }
}

/** Of the store's own area. */
function keptFiles(
  root: string,
  { targets }: HistoryRow,
): { readonly path: string; readonly checksum: bigint | undefined }[] {
  return targets.flatMap(({ kept, volume, before, below = [] }) => {
    if (kept === undefined || volume !== '') return [];
    const path = `${root}/.forewrit/before/${kept}`;
    if (before.type === 'file') return [{ path, checksum: before.checksum }];
    return below
      .filter(({ type }) => type === 'file')
      .map(({ name, checksum }) => ({ path: `${path}/${name}`, checksum }));
  });
}

/** `undefined` for what a test has damaged. */
function decodedFileRow(key: Uint8Array, value: Uint8Array): FileRow | undefined {
  if (decodedFileRows.has(value)) return decodedFileRows.get(value);
  let row: FileRow | undefined;
  try {
    row = fileRow.decode(key, value);
  } catch {
    row = undefined;
  }
  decodedFileRows.set(value, row);
  return row;
}

/** `undefined` for what a test has damaged: recovery refuses it. */
function decoded(rows: readonly Row[]): LoggedTransaction | undefined {
  const [, first] = rows[0]!;
  const known = decodedTransactions.get(first);
  if (known?.rows.length === rows.length && rows.every((row, index) => row === known.rows[index])) {
    return known.transaction;
  }
  const transaction = decodedAnew(rows);
  decodedTransactions.set(first, { rows, transaction });
  return transaction;
}

function decodedAnew(rows: readonly Row[]): LoggedTransaction | undefined {
  const { owner, transaction: counter } = parseTransactionKey(rows[0]![0]);
  try {
    return decodeTransaction({ owner, counter }, rows);
  } catch {
    return undefined;
  }
}

class BrokenInvariant extends Error {
  override readonly name = 'BrokenInvariant';
}

export function isBrokenInvariant(error: unknown): boolean {
  return error instanceof BrokenInvariant;
}

function violation(message: string): Error {
  return new BrokenInvariant(`an invariant of the protocol is broken: ${message}`);
}

/** Thrown once more where nobody can take it for an error of the file system. */
function endProcess(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
