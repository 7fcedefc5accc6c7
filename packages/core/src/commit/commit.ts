/**
 * The commit batch: guards, then intents. Pure over a `LogBatch`: no file is looked at here.
 *
 * Guards, all inside the one log transaction that also writes: the owner is still registered (one that was declared dead
 * is fenced), nothing that the transaction touches is locked, every row that the plan stood on and every row that the
 * transaction read is as it was. A guard that fails means that nothing happened.
 */

import { changesForHistory } from '../history/entry-changes.js';
import { keepEntries } from '../history/keep-entries.js';
import { recordMounts } from '../files/volume.js';
import type { LogBatch } from '../log/log.js';
import type { StorePath } from '../path/path.js';
import { encodeCommitBatch } from '../record/codec.js';
import { absent } from '../record/image.js';
import { entryKey, entryLockKey, type Folding, pathKey } from '../record/key.js';
import type { EntryChange, Target } from '../record/record.js';
import { entryRow } from '../record/rows.js';
import { moved, putFileRow, rowsBelow } from './file-row.js';
import { adoptable, changedSince, untrimmed } from './guard.js';
import { isLocking, lockedBy, LockWriter } from './lock.js';
import type { BuriedRow, Proposal, Verdict } from './proposal.js';
import { type FoundResumable, readResumable, removeResumable } from './resumable.js';
import { newestRevision, nextRevision } from './revision.js';
import { isBrought } from './staged-target.js';
import { putTombstones } from './tombstones.js';

export interface CommitterIdentity {
  readonly owner: number;
  readonly bootId: string;
  /** Of the root. */
  readonly mount: string;
  /** Of another staging area; '' where it is not known. */
  readonly mountOf: (volume: StorePath) => string;
  readonly nowMs: number;
  /** Before-images are kept for history. */
  readonly keeps?: boolean;
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
    adoptable(batch, proposal) ??
    untrimmed(batch, proposal, folding);
  if (refusal !== undefined) return refusal;
  return writeIntents(batch, proposal, folding, identity);
}

function writeIntents(
  batch: LogBatch,
  proposal: Proposal,
  folding: Folding,
  identity: CommitterIdentity,
): Verdict {
  const { number, targets } = proposal;
  const adopted = adopt(batch, proposal);
  // A transaction that has only read needs no revision of its own, and so no flush.
  if (targets.length + proposal.entries.length === 0) {
    return {
      kind: 'committed',
      revision: newestRevision(batch),
      lockKeys: [],
      entries: [],
      buried: [],
      adopted,
    };
  }
  const revision = nextRevision(batch);
  const locks = new LockWriter(batch, number);
  if (targets.length === 0) return writeEntriesAlone(batch, proposal, { revision, adopted }, identity);
  const entries: EntryChange[] = [];
  writeEntries(batch, proposal, revision, entries);
  for (const { collection, key } of entries) locks.add(entryLockKey(collection, key), `${collection}/${key}`);
  const buried: BuriedRow[] = [];
  const gone: StorePath[] = [];
  const bury = (path: StorePath): void => {
    putFileRow(batch, { path, revision, transaction: number, image: absent }, folding);
    gone.push(path);
  };
  for (const target of targets) {
    if (!isLocking(target)) continue;
    locks.add(pathKey(target.path, folding), target.path);
    if (target.before.type === 'directory') {
      for (const row of rowsBelow(batch, target.path, folding)) {
        // Of what this transaction has removed itself.
        if (row.revision === revision) continue;
        bury(row.path);
        buried.push({ index: target.index, row });
      }
    }
    if (target.action === 'move-directory' && target.from !== undefined) {
      if (target.before.type !== 'directory') forgetBelow(batch, target.path, folding);
      for (const row of rowsBelow(batch, target.from, folding)) {
        bury(row.path);
        if (row.image.type === 'absent') continue;
        const path = moved(row.path, target.from, target.path);
        putFileRow(batch, { path, revision, transaction: number, image: row.image }, folding);
      }
      // Of the staging areas, from where an undo brings a directory, nobody else makes use.
      if (!isBrought(target)) {
        locks.add(pathKey(target.from, folding), target.from);
        bury(target.from);
      }
    }
    if (target.after.type === 'absent') bury(target.path);
    else
      putFileRow(batch, { path: target.path, revision, transaction: number, image: target.after }, folding);
  }
  for (const each of proposal.brought) putFileRow(batch, { ...each, revision, transaction: number }, folding);
  putTombstones(batch, revision, gone);
  const [key, value] = encodeCommitBatch({
    number,
    begin: {
      kind: 'begin',
      bootId: identity.bootId,
      mount: mountsOf(targets, identity),
      startedAtMs: identity.nowMs,
      ...(identity.keeps === true ? { keeps: true } : {}),
    },
    targets,
    revision,
    entries,
  });
  batch.put('log', key, value);
  return { kind: 'committed', revision, lockKeys: locks.keys, entries, buried, adopted };
}

/** From here on the content is the transaction's, and nobody's to continue. */
function adopt(batch: LogBatch, { adopts }: Proposal): FoundResumable[] {
  return adopts.flatMap(({ id, number }) => {
    const found = readResumable(batch, number) ?? [];
    removeResumable(batch, number, id);
    return found;
  });
}

export function mountsOf(targets: readonly Target[], { mount, mountOf }: CommitterIdentity): string {
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

/** They are where they belong with this very batch: no lock, no record, and nothing left to do. */
function writeEntriesAlone(
  batch: LogBatch,
  proposal: Proposal,
  { revision, adopted }: { readonly revision: number; readonly adopted: readonly FoundResumable[] },
  { keeps, nowMs }: CommitterIdentity,
): Verdict {
  const { number, entries: operations } = proposal;
  const changes: EntryChange[] | undefined = keeps === true ? [] : undefined;
  writeEntries(batch, proposal, revision, changes);
  const committed = { kind: 'committed', revision, lockKeys: [], entries: [], buried: [], adopted } as const;
  if (changes === undefined) return committed;
  const entries = changesForHistory(changes, operations);
  return { ...committed, rowBytes: keepEntries(batch, { number, revision, committedAtMs: nowMs, entries }) };
}

function writeEntries(
  batch: LogBatch,
  proposal: Proposal,
  revision: number,
  changes: EntryChange[] | undefined,
): void {
  for (const operation of proposal.entries) {
    const { collection, key } = operation;
    const at = entryKey(collection, key);
    const old = batch.get('entries', at);
    if (operation.type === 'put') {
      batch.put('entries', at, entryRow.encode(at, { revision, value: operation.value }));
    } else {
      batch.delete('entries', at);
    }
    changes?.push({ collection, key, ...(old === undefined ? {} : { old }) });
  }
}
