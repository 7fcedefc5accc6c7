/**
 * Deferred transactions: committed, and in no file yet. The log alone has their content, and their locks keep everybody
 * else away until their files follow (`materialize.ts`). Here is what this owner has of them.
 *
 * For each path there is at most one of them. A deferred save of paths that others have already *absorbs* these: in the one
 * flushed batch their records go, and a new one has the targets of all, the newest content of each. So a stream of saves
 * costs the files one write for all that came in meanwhile, and no path is ever written by two unapplied transactions.
 *
 * In a store with history nothing is absorbed: there the files of each save follow before the next one over them, and so
 * each version has its entry.
 *
 * What an absorbed target would have replaced stays what it replaces (`before`), unless the path is saved anew: whoever
 * saves a path has looked at it.
 */

import { assert } from '../assert.js';
import { StoreError } from '../errors.js';
import type { LogBatch, LogView, Row } from '../log/log.js';
import type { StorePath } from '../path/path.js';
import { encodeCommitBatch } from '../record/codec.js';
import type { Image } from '../record/image.js';
import { type Folding, pathKey } from '../record/key.js';
import {
  type LogRecord,
  sameTransaction,
  type Target,
  transactionId,
  type TransactionId,
  type TransactionNumber,
} from '../record/record.js';
import { lockRow } from '../record/rows.js';
import { type CommitterIdentity, mountsOf } from './commit.js';
import { putFileRow } from './file-row.js';
import { changedSince } from './guard.js';
import { lockedBy } from './lock.js';
import type { Proposal, Verdict } from './proposal.js';
import { nextRevision } from './revision.js';

type Begin = Extract<LogRecord, { kind: 'begin' }>;

/** One path of a deferred transaction. */
export interface DeferredTarget {
  readonly target: Target;
  /** Of its row: the save that it is from may be older than others of the same transaction. */
  readonly revision: number;
  /** The transaction that its row names. */
  readonly holder: TransactionNumber;
}

export interface DeferredRecord {
  readonly number: TransactionNumber;
  readonly id: TransactionId;
  readonly revision: number;
  readonly begin: Begin;
  /** By `pathName`, in the order of their positions. */
  readonly targets: ReadonlyMap<string, DeferredTarget>;
  readonly contentBytes: number;
  /** As it is in the log. */
  readonly row: Row;
  /** When the first of its saves was committed, on the monotonic clock. */
  readonly sinceMs: number;
}

/** What a save wants of one path. */
export interface SaveTarget {
  readonly name: string;
  readonly target: Target;
  /** The mode was not asked for: it is that of what was there. */
  readonly inheritsMode: boolean;
  /** A deferred transaction of this owner had the path when it was planned: then no row tells that this still holds. */
  readonly wasDeferred: boolean;
}

/** A path as these maps know it: spellings of one file are one. */
export function pathName(path: StorePath, folding: Folding): string {
  return nameOfKey(pathKey(path, folding));
}

function nameOfKey(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

export class Deferred {
  readonly #records = new Map<number, DeferredRecord>();
  readonly #byPath = new Map<string, DeferredRecord>();
  #bytes = 0;

  get transactions(): number {
    return this.#records.size;
  }

  get targets(): number {
    return this.#byPath.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** In no order. */
  get records(): IterableIterator<DeferredRecord> {
    return this.#records.values();
  }

  get oldestFirst(): DeferredRecord[] {
    return [...this.#records.values()].sort((a, b) => a.revision - b.revision);
  }

  get({ counter }: TransactionNumber): DeferredRecord | undefined {
    return this.#records.get(counter);
  }

  at(name: string): DeferredRecord | undefined {
    return this.#byPath.get(name);
  }

  add(record: DeferredRecord): void {
    assert(!this.#records.has(record.number.counter), `${record.id} is deferred once`);
    this.#records.set(record.number.counter, record);
    this.#bytes += record.contentBytes;
    for (const name of record.targets.keys()) this.#byPath.set(name, record);
  }

  remove(record: DeferredRecord): void {
    this.#records.delete(record.number.counter);
    this.#bytes -= record.contentBytes;
    for (const name of record.targets.keys()) {
      if (this.#byPath.get(name) === record) this.#byPath.delete(name);
    }
  }
}

/** What one batch makes of the deferred transactions; nothing of it counts before the batch is flushed. */
export class DeferredBatch {
  readonly #deferred: Deferred;
  readonly #folding: Folding;
  readonly #identity: CommitterIdentity;
  readonly #nowMs: number;
  readonly #absorbed = new Set<DeferredRecord>();
  /** Made in this batch, still without their rows. */
  readonly #made = new Map<number, Draft>();
  readonly #byPath = new Map<string, Draft>();
  #written: DeferredRecord[] = [];

  constructor(
    deferred: Deferred,
    parts: { readonly folding: Folding; readonly identity: CommitterIdentity; readonly nowMs: number },
  ) {
    this.#deferred = deferred;
    this.#folding = parts.folding;
    this.#identity = parts.identity;
    this.#nowMs = parts.nowMs;
  }

  /** Checks all guards and, if they hold, takes the save in. `keeps`: before-images are kept for history. */
  commit(
    batch: LogBatch,
    proposal: Proposal,
    { saves, keeps }: { readonly saves: readonly SaveTarget[]; readonly keeps: boolean },
  ): Verdict {
    const had = new Map(saves.map(({ name }) => [name, this.#at(name)]));
    if (saves.some(({ name, wasDeferred }) => wasDeferred && had.get(name) === undefined))
      return { kind: 'outdated' };
    // What this owner's deferred transactions have is locked by them: nobody else has touched it since.
    const fresh = saves.filter(({ name }) => had.get(name) === undefined).map(({ target }) => target);
    const planReads = proposal.planReads.filter(({ key }) => had.get(nameOfKey(key)) === undefined);
    const refusal =
      lockedBy(batch, { targets: fresh, entries: [] }, this.#folding) ??
      changedSince(batch, { ...proposal, planReads }, this.#folding);
    if (refusal !== undefined) return refusal;
    const revision = nextRevision(batch);
    this.#absorb(batch, { number: proposal.number, revision, saves, keeps });
    return { kind: 'committed', revision, lockKeys: [], entries: [], buried: [], adopted: [] };
  }

  #at(name: string): Saved | undefined {
    const made = this.#byPath.get(name);
    if (made !== undefined) return made;
    const record = this.#deferred.at(name);
    return record === undefined || this.#absorbed.has(record) ? undefined : record;
  }

  #absorb(
    batch: LogBatch,
    {
      number,
      revision,
      saves,
      keeps,
    }: {
      readonly number: TransactionNumber;
      readonly revision: number;
      readonly saves: readonly SaveTarget[];
      readonly keeps: boolean;
    },
  ): void {
    const targets = new Map<string, DeferredTarget>();
    let sinceMs = this.#nowMs;
    for (const { name } of saves) {
      const older = this.#at(name);
      if (older === undefined || targets.has(name)) continue;
      for (const [each, target] of older.targets) targets.set(each, target);
      sinceMs = Math.min(sinceMs, older.sinceMs);
    }
    const absorbed = new Set(saves.flatMap(({ name }) => this.#at(name) ?? []));
    assert(absorbed.size === 0 || !keeps, 'what is kept for history takes no older save in');
    for (const older of absorbed) {
      if (!this.#made.delete(older.number.counter)) this.#absorbed.add(older as DeferredRecord);
    }
    for (const save of saves) {
      const target = over(save, targets.get(save.name)?.target);
      targets.set(save.name, { target, revision, holder: number });
      const { path, after } = target;
      putFileRow(batch, { path, revision, transaction: number, image: after }, this.#folding);
    }
    const draft: Draft = { number, revision, targets, sinceMs, keeps };
    this.#made.set(number.counter, draft);
    for (const name of targets.keys()) this.#byPath.set(name, draft);
  }

  /** Once all saves of the batch are taken in: only what is left of them is written. */
  write(batch: LogBatch): void {
    const absorbed = new Set([...this.#absorbed].map(({ id }) => id));
    for (const record of this.#absorbed) {
      assertStill(batch, record);
      batch.delete('log', record.row[0]);
    }
    this.#written = [...this.#made.values()].map((draft) => this.#writeOne(batch, draft, absorbed));
  }

  #writeOne(
    batch: LogBatch,
    { number, revision, targets, sinceMs, keeps }: Draft,
    absorbed: ReadonlySet<TransactionId>,
  ): DeferredRecord {
    const byPath = [...targets].sort(([, one], [, other]) => (one.target.path < other.target.path ? -1 : 1));
    const ordered = byPath.map(
      ([name, each], index) =>
        [name, { ...each, target: { ...each.target, index }, holder: number }] as const,
    );
    const begin: Begin = {
      kind: 'begin',
      bootId: this.#identity.bootId,
      mount: mountsOf(
        ordered.map(([, { target }]) => target),
        this.#identity,
      ),
      startedAtMs: this.#identity.nowMs,
      ...(keeps ? { keeps: true } : {}),
      deferred: true,
    };
    for (const [name, { target, revision: ofRow }] of ordered) {
      this.#lock(batch, target.path, { number, absorbed });
      if (sameTransaction(targets.get(name)!.holder, number)) continue;
      const row = { path: target.path, revision: ofRow, transaction: number, image: target.after };
      putFileRow(batch, row, this.#folding);
    }
    const record = recordOf({ number, revision, begin, targets: new Map(ordered), sinceMs });
    batch.put('log', ...record.row);
    return record;
  }

  #lock(
    batch: LogBatch,
    path: StorePath,
    {
      number,
      absorbed,
    }: { readonly number: TransactionNumber; readonly absorbed: ReadonlySet<TransactionId> },
  ): void {
    const key = pathKey(path, this.#folding);
    const held = batch.get('locks', key);
    const holder = held === undefined ? undefined : lockRow.decode(key, held).transaction;
    const isFree = holder === undefined || absorbed.has(transactionId(holder));
    // No path is ever written by two transactions of which neither is applied.
    assert(isFree, `'${path}' is locked by another transaction`);
    batch.put('locks', key, lockRow.encode(key, { what: path, transaction: number, blocked: false }));
  }

  /** The batch is flushed. */
  take(): { readonly gone: readonly DeferredRecord[]; readonly made: readonly DeferredRecord[] } {
    const gone = [...this.#absorbed];
    for (const record of gone) this.#deferred.remove(record);
    for (const record of this.#written) this.#deferred.add(record);
    return { gone, made: this.#written };
  }
}

type Saved = Pick<DeferredRecord, 'number' | 'revision' | 'targets' | 'sinceMs'>;
type Draft = Saved & { readonly keeps: boolean };

export function recordOf(
  draft: Pick<DeferredRecord, 'number' | 'revision' | 'begin' | 'targets' | 'sinceMs'>,
): DeferredRecord {
  const { number, begin, revision } = draft;
  const targets = [...draft.targets.values()].map(({ target }) => target);
  const row = encodeCommitBatch({ number, begin, targets, revision, entries: [] });
  return { ...draft, id: transactionId(number), row, contentBytes: contentBytesOf(targets) };
}

function contentBytesOf(targets: readonly Target[]): number {
  return targets.reduce((sum, { content }) => sum + (content?.byteLength ?? 0), 0);
}

/** The target of a save over that of an older one, which never came into its file. */
function over({ target, inheritsMode }: SaveTarget, older: Target | undefined): Target {
  if (older === undefined) return target;
  // Of an image that was seen before, the checksum may be known.
  const before = isSameImage(target.before, older.before) ? older.before : target.before;
  const { after } = target;
  const mode = older.after.type === 'file' && inheritsMode ? older.after.mode : undefined;
  return {
    ...target,
    before,
    after: after.type === 'file' && mode !== undefined ? { ...after, mode } : after,
  };
}

function isSameImage(one: Image, other: Image): boolean {
  if (one.type !== 'file' || other.type !== 'file') return one.type === other.type;
  const { ino, size, mtimeNs } = one.fingerprint;
  return (
    ino === other.fingerprint.ino && size === other.fingerprint.size && mtimeNs === other.fingerprint.mtimeNs
  );
}

/** Whoever has proven this owner dead may have carried it out: then it is not ours any more. */
export function assertStill(view: LogView, { id, row: [key, value] }: DeferredRecord): void {
  const now = view.get('log', key);
  if (now !== undefined && Buffer.compare(now, value) === 0) return;
  throw new StoreError('ERR_STORE_POISONED', `Another process has carried out transaction ${id}`, {
    op: 'commit',
    hint: 'Open the store again.',
  });
}
