/**
 * The commit batch: guards, then intents. Pure over a `LogBatch`: no file is looked at here.
 *
 * Guards, all inside the one log transaction that also writes: the owner is still registered (one that was declared dead
 * is fenced), nothing that the transaction touches is locked, every row that the plan stood on and every row that the
 * transaction read is as it was. A guard that fails means that nothing happened.
 */

import { assert } from '../assert.js';
import { entriesDigest } from '../store/collection-range.js';
import { encodeCommitBatch, encodeMark } from '../record/codec.js';
import { StoreError } from '../errors.js';
import { absent, type Image } from '../record/image.js';
import {
  entryKey,
  entryLockKey,
  type Folding,
  u32Key,
  pathKey,
  pathKeyBytesMax,
  subtreeRange,
  transactionKey,
} from '../record/key.js';
import type { LogBatch, LogView } from '../log/log.js';
import { batchChangesMax } from '../log/log-limits.js';
import type { Operation, TrackedRead } from '../plan/operation.js';
import { ancestors, isBelow, joinPath, pathNames, type StorePath } from '../path/path.js';
import { type EntryChange, sequences, type Target, type TransactionNumber } from '../record/record.js';
import {
  entryRow,
  fileRow,
  type FileRow,
  formatRow,
  type FormatRow,
  lockRow,
  type LockRow,
  metaKeys,
  numberRow,
  textRow,
} from '../record/rows.js';
import { recordMounts } from '../files/volume.js';

export type EntryOperation = Extract<Operation, { type: 'put' | 'delete' }>;

export interface Proposal {
  readonly number: TransactionNumber;
  readonly targets: readonly Target[];
  readonly entries: readonly EntryOperation[];
  readonly reads: readonly TrackedRead[];
  /** The rows that the plan stood on, as they were: bytes, so that comparing them costs nothing. */
  readonly planReads: readonly PlanRead[];
  readonly requiredRevisions: readonly { readonly path: StorePath; readonly revision: number }[];
  /** Directories that move or go, and where they move to: nothing below may be untrimmed. */
  readonly vacated: readonly StorePath[];
}

export interface PlanRead {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

export type Verdict =
  | {
      readonly kind: 'committed';
      readonly revision: number;
      readonly lockKeys: readonly Uint8Array[];
      readonly entries: readonly EntryChange[];
      /** Rows below removed directories, as they were: a roll-back writes them again. */
      readonly buried: readonly FileRow[];
    }
  | { readonly kind: 'conflict'; readonly error: StoreError }
  | { readonly kind: 'outdated' }
  | { readonly kind: 'untrimmed'; readonly path: StorePath; readonly transaction: TransactionNumber }
  | { readonly kind: 'locked'; readonly lock: LockRow };

export interface CommitterIdentity {
  readonly owner: number;
  readonly bootId: string;
  /** Of the root. */
  readonly mount: string;
  /** Of another staging area; '' where it is not known. */
  readonly mountOf: (volume: StorePath) => string;
  readonly nowMs: number;
}

/** Checks all guards and, if they hold, writes the transaction's intents. */
export function commitProposal(
  batch: LogBatch,
  proposal: Proposal,
  folding: Folding,
  identity: CommitterIdentity,
): Verdict {
  const refusal =
    lockedBy(batch, proposal, folding) ??
    changedSince(batch, proposal, folding) ??
    untrimmed(batch, proposal, folding);
  if (refusal !== undefined) return refusal;
  return writeIntents(batch, proposal, folding, identity);
}

/** A fenced owner must not write: somebody has proven it dead and is cleaning up after it. */
export function assertRegistered(batch: LogView, owner: number): void {
  if (batch.get('owners', u32Key(owner)) !== undefined) return;
  throw new StoreError('ERR_STORE_POISONED', 'This store was declared dead by another process', {
    op: 'commit',
    hint: 'Open the store again. Nothing of this transaction was written.',
  });
}

/** Another version must not have taken the store over. */
export function assertFormat(view: LogView, { version, storeId }: FormatRow): void {
  const value = view.get('meta', metaKeys.format);
  const now = value === undefined ? undefined : formatRow.decode(metaKeys.format, value);
  if (now?.version === version && now.storeId === storeId) return;
  throw new StoreError('ERR_UNSUPPORTED_FORMAT', 'The format of the store has changed while it was open', {
    op: 'commit',
    hint: 'Open the store again, with the version of Forewrit that has changed it. Nothing was written.',
  });
}

/** A transaction that another process has recovered meanwhile is not ours to take back. */
export function assertNotApplied(view: LogView, { owner, counter }: TransactionNumber): void {
  if (view.get('log', transactionKey(owner, counter, sequences.applied)) === undefined) return;
  throw new StoreError('ERR_STORE_POISONED', 'Another process has carried out this transaction', {
    op: 'commit',
    hint: 'Open the store again.',
  });
}

export function isLocking(target: Target): boolean {
  return target.action !== 'make-parent';
}

function isDirectoryChange(target: Pick<Target, 'action'>): boolean {
  return target.action === 'move-directory' || target.action === 'remove-directory';
}

/** The first lock that stands in the way of these targets and entries. */
export function lockedBy(
  view: LogView,
  proposal: {
    readonly targets: readonly Pick<Target, 'action' | 'path' | 'from'>[];
    readonly entries: readonly EntryOperation[];
  },
  folding: Folding,
  /** Locks that the next batch lets go of before it looks at any. */
  isEnding: (transaction: TransactionNumber) => boolean = () => false,
): { kind: 'locked'; lock: LockRow } | undefined {
  const looked = new Set<StorePath>();
  const decode = (key: Uint8Array, value: Uint8Array | undefined): LockRow | undefined => {
    const lock = value === undefined ? undefined : lockRow.decode(key, value);
    return lock === undefined || isEnding(lock.transaction) ? undefined : lock;
  };
  const look = (path: StorePath): LockRow | undefined => {
    if (looked.has(path)) return undefined;
    looked.add(path);
    const key = pathKey(path, folding);
    return decode(key, view.get('locks', key));
  };
  for (const target of proposal.targets) {
    for (const path of target.from === undefined ? [target.path] : [target.path, target.from]) {
      for (const at of [path, ...ancestors(path)]) {
        const lock = look(at);
        if (lock !== undefined) return { kind: 'locked', lock };
      }
      if (!isDirectoryChange(target)) continue;
      for (const [key, value] of view.range('locks', subtreeRange(path, folding))) {
        const lock = decode(key, value);
        if (lock !== undefined) return { kind: 'locked', lock };
      }
    }
  }
  for (const entry of proposal.entries) {
    const key = entryLockKey(entry.collection, entry.key);
    const lock = decode(key, view.get('locks', key));
    if (lock !== undefined) return { kind: 'locked', lock };
  }
  return undefined;
}

export function rowOf(view: LogView, path: StorePath, folding: Folding): FileRow | undefined {
  const key = pathKey(path, folding);
  const value = view.get('files', key);
  return value === undefined ? undefined : fileRow.decode(key, value);
}

function changedSince(view: LogView, proposal: Proposal, folding: Folding): Verdict | undefined {
  for (const { path, revision } of proposal.requiredRevisions) {
    const found = rowOf(view, path, folding)?.revision;
    if (found === revision) continue;
    const error = new StoreError(
      'ERR_CONFLICT',
      `'${path}' is at revision ${found ?? 'none'}, not ${revision}`,
      { op: 'commit', path, hint: 'Read the file again, then decide.' },
    );
    return { kind: 'conflict', error };
  }
  for (const read of proposal.reads) {
    if (readStands(view, read, folding)) continue;
    const what = 'path' in read ? read.path : `${read.collection}/${'key' in read ? read.key : '*'}`;
    return { kind: 'conflict', error: conflict(what) };
  }
  for (const { key, value } of proposal.planReads) {
    if (!sameBytes(view.get('files', key), value)) return { kind: 'outdated' };
  }
  return undefined;
}

function sameBytes(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return Buffer.compare(one, other) === 0;
}

export function conflict(what: string): StoreError {
  return new StoreError('ERR_CONFLICT', `'${what}' changed since this transaction read it`, {
    op: 'commit',
    path: what,
    hint: 'Run the transaction again on what is there now; transact() does so by itself.',
  });
}

function readStands(view: LogView, read: TrackedRead, folding: Folding): boolean {
  switch (read.kind) {
    case 'file': {
      const row = rowOf(view, read.path, folding);
      // What was deleted before it was read loses its row some time later.
      if (row === undefined && read.revision !== undefined) return read.fingerprint === undefined;
      return (
        row?.revision === read.revision && !comeOrGoneSince(view, ancestors(read.path), read.since, folding)
      );
    }
    case 'directory':
      return (
        !comeOrGoneSince(view, [read.path, ...ancestors(read.path)], read.since, folding) &&
        (read.names === undefined ||
          listingStands(view, read.path, { names: read.names, since: read.since }, folding))
      );
    case 'entry': {
      const key = entryKey(read.collection, read.key);
      const value = view.get('entries', key);
      return (value === undefined ? undefined : entryRow.decode(key, value).revision) === read.revision;
    }
    case 'entries':
      return entriesDigest(view, read) === read.digest;
  }
}

/** Whether one of these directories has come or gone: what is or was below it has a row only if the store wrote it. */
function comeOrGoneSince(
  view: LogView,
  directories: readonly StorePath[],
  since: number,
  folding: Folding,
): boolean {
  if (newestRevision(view) <= since) return false;
  return directories.some((directory) => {
    const row = rowOf(view, directory, folding);
    const { type } = row?.image ?? {};
    return row !== undefined && row.revision > since && (type === 'absent' || type === 'directory');
  });
}

/** Whether no commit since has made a name in a directory, or taken one away. */
function listingStands(
  view: LogView,
  directory: StorePath,
  read: { readonly names: string; readonly since: number },
  folding: Folding,
): boolean {
  if (newestRevision(view) <= read.since) return true;
  const names = new Set(read.names.split('\0'));
  const depth = pathNames(directory).length;
  return rowsBelow(view, directory, folding).every(({ path, revision, image }) => {
    if (revision <= read.since) return true;
    const [name = '', ...deeper] = pathNames(path).slice(depth);
    return image.type === 'absent' ? deeper.length > 0 || !names.has(name) : names.has(name);
  });
}

/** A directory leaves, or comes, only when what was written below needs no recovery any more. */
function untrimmed(view: LogView, proposal: Proposal, folding: Folding): Verdict | undefined {
  for (const directory of proposal.vacated) {
    for (const row of rowsBelow(view, directory, folding)) {
      const { owner, counter } = row.transaction;
      if (view.get('log', transactionKey(owner, counter, sequences.commitBatch)) === undefined) continue;
      return { kind: 'untrimmed', path: row.path, transaction: row.transaction };
    }
  }
  return undefined;
}

export function rowsBelow(view: LogView, directory: StorePath, folding: Folding): FileRow[] {
  const rows = view
    .range('files', subtreeRange(directory, folding))
    .map(([key, value]) => fileRow.decode(key, value));
  // The range of a very long directory holds others as well.
  return pathKey(directory, folding).length < pathKeyBytesMax
    ? rows
    : rows.filter(({ path }) => isBelow(path, directory));
}

/** Where a row's path is after a directory above it, however its path spells that, was moved to `to`. */
function moved(path: StorePath, directory: StorePath, to: StorePath): StorePath {
  return joinPath(to, pathNames(path).slice(pathNames(directory).length).join('/'));
}

export function newestRevision(view: LogView): number {
  const value = view.get('meta', metaKeys.revision);
  return value === undefined ? 0 : numberRow.decode(metaKeys.revision, value);
}

export function nextRevision(batch: LogBatch): number {
  const revision = newestRevision(batch) + 1;
  batch.put('meta', metaKeys.revision, numberRow.encode(metaKeys.revision, revision));
  return revision;
}

function writeIntents(
  batch: LogBatch,
  proposal: Proposal,
  folding: Folding,
  identity: CommitterIdentity,
): Verdict {
  const { number, targets } = proposal;
  // A transaction that has only read needs no revision of its own, and so no flush.
  if (targets.length + proposal.entries.length === 0) {
    return { kind: 'committed', revision: newestRevision(batch), lockKeys: [], entries: [], buried: [] };
  }
  const revision = nextRevision(batch);
  const locks = new LockWriter(batch, number);
  const entries = writeEntries(batch, proposal, revision, targets.length > 0 ? locks : undefined);
  const buried: FileRow[] = [];
  if (targets.length === 0) return { kind: 'committed', revision, lockKeys: [], entries, buried };
  let tombstones = 0;
  const bury = (path: StorePath): void => {
    putFileRow(batch, { path, revision, transaction: number, image: absent }, folding);
    const key = metaKeys.tombstone(revision, tombstones++);
    batch.put('meta', key, textRow.encode(key, path));
  };
  for (const target of targets) {
    if (!isLocking(target)) continue;
    locks.add(pathKey(target.path, folding), target.path);
    if (isDirectoryChange(target)) {
      const left = target.from ?? target.path;
      if (target.action === 'move-directory') forgetBelow(batch, target.path, folding);
      for (const row of rowsBelow(batch, left, folding)) {
        bury(row.path);
        if (target.action === 'remove-directory') buried.push(row);
        if (target.action !== 'move-directory' || row.image.type === 'absent') continue;
        const path = moved(row.path, left, target.path);
        putFileRow(batch, { path, revision, transaction: number, image: row.image }, folding);
      }
      if (target.from !== undefined) {
        locks.add(pathKey(target.from, folding), target.from);
        bury(target.from);
      }
    }
    if (target.after.type === 'absent') bury(target.path);
    else
      putFileRow(batch, { path: target.path, revision, transaction: number, image: target.after }, folding);
  }
  const [key, value] = encodeCommitBatch({
    number,
    begin: {
      kind: 'begin',
      bootId: identity.bootId,
      mount: mountsOf(targets, identity),
      startedAtMs: identity.nowMs,
    },
    targets,
    revision,
    entries,
  });
  batch.put('log', key, value);
  return { kind: 'committed', revision, lockKeys: locks.keys, entries, buried };
}

function mountsOf(targets: readonly Target[], { mount, mountOf }: CommitterIdentity): string {
  const places = new Set(targets.map(({ volume }) => volume));
  places.delete('');
  return recordMounts(
    mount,
    [...places].map((path) => ({ path, mount: mountOf(path) })),
  );
}

/** What rows say of a place that was empty does not hold of the directory that comes there. */
function forgetBelow(batch: LogBatch, directory: StorePath, folding: Folding): void {
  for (const { path } of rowsBelow(batch, directory, folding)) batch.delete('files', pathKey(path, folding));
}

export function putFileRow(batch: LogBatch, row: FileRow, folding: Folding): void {
  const key = pathKey(row.path, folding);
  batch.put('files', key, fileRow.encode(key, row));
}

class LockWriter {
  readonly keys: Uint8Array[] = [];
  readonly #batch: LogBatch;
  readonly #transaction: TransactionNumber;

  constructor(batch: LogBatch, transaction: TransactionNumber) {
    this.#batch = batch;
    this.#transaction = transaction;
  }

  add(key: Uint8Array, what: string): void {
    // No path is ever written by two transactions of which neither is applied.
    const held = this.#batch.get('locks', key);
    const holder = held === undefined ? undefined : lockRow.decode(key, held).transaction;
    const isOurs = holder?.owner === this.#transaction.owner && holder.counter === this.#transaction.counter;
    assert(holder === undefined || isOurs, `'${what}' is locked by another transaction`);
    this.keys.push(key);
    this.#batch.put(
      'locks',
      key,
      lockRow.encode(key, { what, transaction: this.#transaction, blocked: false }),
    );
  }
}

function writeEntries(
  batch: LogBatch,
  proposal: Proposal,
  revision: number,
  locks: LockWriter | undefined,
): EntryChange[] {
  const changes: EntryChange[] = [];
  for (const operation of proposal.entries) {
    const { collection, key } = operation;
    const at = entryKey(collection, key);
    const old = batch.get('entries', at);
    if (operation.type === 'put') {
      batch.put('entries', at, entryRow.encode(at, { revision, value: operation.value }));
    } else {
      batch.delete('entries', at);
    }
    if (locks === undefined) continue;
    changes.push({ collection, key, ...(old === undefined ? {} : { old }) });
    locks.add(entryLockKey(collection, key), `${collection}/${key}`);
  }
  return changes;
}

/** Locks that one batch lets go of, beside what else it does. */
export const markKeysMax = batchChangesMax / 8;

/** A transaction whose targets all hold their after-images, waiting to be recorded as such. */
export interface AppliedMark {
  readonly number: TransactionNumber;
  readonly lockKeys: readonly Uint8Array[];
}

export function writeApplied(batch: LogBatch, marks: readonly AppliedMark[], bootId: string): void {
  for (const mark of marks) {
    const [key, value] = encodeMark(mark.number, { kind: 'applied', bootId });
    batch.put('log', key, value);
    for (const lock of mark.lockKeys) batch.delete('locks', lock);
  }
}

/**
 * The batch that ends a roll-back: `abort`, a new revision with the old images, the entries' old values, unlocked. The
 * roll-back made every target durable before; only the names in the staging areas are still to be removed.
 */
export function writeAbort(
  batch: LogBatch,
  rolledBack: {
    readonly mark: AppliedMark;
    readonly targets: readonly Target[];
    readonly entries: readonly EntryChange[];
    /** Rows below removed directories, as they were. */
    readonly buried: readonly FileRow[];
    /** What is at some paths now, where that is not the before-image itself. */
    readonly images?: ReadonlyMap<StorePath, Image>;
  },
  folding: Folding,
): number {
  const { mark, entries } = rolledBack;
  const revision = nextRevision(batch);
  let tombstones = 0;
  for (const [path, image] of imagesBefore(batch, rolledBack, folding)) {
    putFileRow(batch, { path, revision, transaction: mark.number, image }, folding);
    if (image.type !== 'absent') continue;
    const key = metaKeys.tombstone(revision, tombstones++);
    batch.put('meta', key, textRow.encode(key, path));
  }
  for (const entry of entries.toReversed()) {
    const key = entryKey(entry.collection, entry.key);
    if (entry.old === undefined) batch.delete('entries', key);
    else batch.put('entries', key, entry.old);
  }
  const [key, value] = encodeMark(mark.number, { kind: 'abort', revision });
  batch.put('log', key, value);
  for (const lock of mark.lockKeys) batch.delete('locks', lock);
  return revision;
}

/** What was at each path before the transaction. The rows that moved with a directory move back. */
function imagesBefore(
  view: LogView,
  { targets, buried, images }: Pick<Parameters<typeof writeAbort>[1], 'targets' | 'buried' | 'images'>,
  folding: Folding,
): Map<StorePath, Image> {
  const restored = new Map<StorePath, Image>();
  const gone = new Set<StorePath>();
  const moves = targets.filter(({ action }) => action === 'move-directory');
  const origin = (path: StorePath): StorePath => {
    let at = path;
    for (const { path: to, from } of moves.toReversed()) {
      if (from !== undefined && (at === to || isBelow(at, to))) at = moved(at, to, from);
    }
    return at;
  };
  for (const { path, image } of buried) restored.set(origin(path), image);
  for (const move of moves) {
    for (const { path, image } of rowsBelow(view, move.path, folding)) {
      gone.add(path);
      if (image.type !== 'absent') restored.set(origin(path), image);
    }
    gone.add(move.path);
    restored.set(origin(move.path), move.after);
  }
  for (const target of targets) {
    if (!isLocking(target) || target.action === 'move-directory') continue;
    gone.add(target.path);
    const path = origin(target.path);
    // Nothing there when it was applied: what had been there before has moved away, and comes back.
    if (target.before.type !== 'absent') restored.set(path, images?.get(target.path) ?? target.before);
    else if (path !== target.path) restored.set(path, absent);
  }
  for (const path of gone) if (!restored.has(path)) restored.set(path, absent);
  return restored;
}

export function trimRecords(batch: LogBatch, number: TransactionNumber): void {
  batch.delete('log', transactionKey(number.owner, number.counter, sequences.commitBatch));
  batch.delete('log', transactionKey(number.owner, number.counter, sequences.abort));
  batch.delete('log', transactionKey(number.owner, number.counter, sequences.applied));
}
