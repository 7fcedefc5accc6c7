/** The guards of a commit batch: whether this owner may write, and whether what a transaction has read still stands. */

import { StoreError } from '../errors.js';
import type { LogView } from '../log/log.js';
import { ancestors, pathNames, type StorePath } from '../path/path.js';
import type { TrackedRead } from '../plan/operation.js';
import { isInLogOnly } from '../record/image.js';
import { entryKey, type Folding, transactionKey, u32Key } from '../record/key.js';
import { sequences, type TransactionNumber } from '../record/record.js';
import { entryRow, type FileRow, type FormatRow, formatRow, type LockRow, metaKeys } from '../record/rows.js';
import { entriesDigest } from '../store/collection-range.js';
import { newestRevisionBelow, rowOf, rowsBelow } from './file-row.js';
import { locksBelow } from './lock.js';
import type { Proposal, Verdict } from './proposal.js';
import { readResumable } from './resumable.js';
import { newestRevision } from './revision.js';

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

export function changedSince(view: LogView, proposal: Proposal, folding: Folding): Verdict | undefined {
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
    if (!readStands(view, read, folding)) {
      const what = 'path' in read ? read.path : `${read.collection}/${'key' in read ? read.key : '*'}`;
      return { kind: 'conflict', error: conflict(what) };
    }
    const lock = read.kind === 'directory' ? onItsWay(view, read, folding) : undefined;
    if (lock !== undefined) return { kind: 'locked', lock };
  }
  for (const { key, value } of proposal.planReads) {
    if (!sameBytes(view.get('files', key), value)) return { kind: 'outdated' };
  }
  for (const { path, newestBelow } of proposal.vacant) {
    if (newestRevisionBelow(view, path, folding) !== newestBelow) return { kind: 'outdated' };
  }
  return undefined;
}

/** What was staged is adopted only as its record has it, and by the owner that has the record. */
export function adoptable(view: LogView, { number, adopts }: Proposal): Verdict | undefined {
  for (const { id, number: staging, name, size, checksum } of adopts) {
    const found = staging.owner === number.owner ? readResumable(view, staging)?.resumable : undefined;
    if (found?.staged === name && found.offset === size && found.checksum === checksum) continue;
    return { kind: 'conflict', error: conflict(id) };
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
export function comeOrGoneSince(
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
export function listingStands(
  view: LogView,
  directory: StorePath,
  read: { readonly names: string; readonly since: number },
  folding: Folding,
): boolean {
  if (newestRevision(view) <= read.since) return true;
  const isListed = listing(directory, read.names);
  return rowsBelow(view, directory, folding).every((row) => row.revision <= read.since || isListed(row));
}

/**
 * The lock of a commit that was there when a directory was listed, and whose files were not, or not yet gone: what else
 * that commit has changed was read as it left it, or will be. Files that are in the log alone are listed.
 */
function onItsWay(
  view: LogView,
  { path: directory, names }: Extract<TrackedRead, { kind: 'directory' }>,
  folding: Folding,
): LockRow | undefined {
  if (names === undefined) return undefined;
  const isListed = listing(directory, names);
  return locksBelow(view, directory, folding).find(({ what }) => {
    const row = rowOf(view, what, folding);
    return row !== undefined && !isInLogOnly(row.image) && !isListed(row);
  });
}

/** Whether a listing has what a row says. */
function listing(directory: StorePath, names: string): (row: FileRow) => boolean {
  const listed = new Set(names.split('\0'));
  const depth = pathNames(directory).length;
  return ({ path, image }) => {
    const [name = '', ...deeper] = pathNames(path).slice(depth);
    return image.type === 'absent' ? deeper.length > 0 || !listed.has(name) : listed.has(name);
  };
}

/** A directory leaves, or comes, only when what was written below needs no recovery any more. */
export function untrimmed(view: LogView, proposal: Proposal, folding: Folding): Verdict | undefined {
  for (const directory of proposal.vacated) {
    for (const row of rowsBelow(view, directory, folding)) {
      const { owner, counter } = row.transaction;
      if (view.get('log', transactionKey(owner, counter, sequences.commitBatch)) === undefined) continue;
      return { kind: 'untrimmed', path: row.path, transaction: row.transaction };
    }
  }
  return undefined;
}
