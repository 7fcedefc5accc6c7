/**
 * Repair: ends a blocked transaction the way a person says.
 *
 * - `forward`: every path that can be redone is; what cannot stays as it is, and ours is kept aside. It comes into history
 *   as any other, with the paths that it was carried out for.
 * - `back`: every path gets its before-image again, if that passes its checksum; otherwise nothing is touched. Content that
 *   had been staged before the transaction, which nobody can write again by repeating it, is kept aside.
 * - `quarantine`: the tree stays as it is; what the transaction holds goes to `conflicts/`.
 *
 * Whatever is replaced is kept in `conflicts/` first. All of it is durable before the one batch that writes rows of what
 * is there now, lets go of the locks and forgets the transaction; until then the repair can be repeated, in any
 * direction. It runs under the recovery lock: nobody decides about the same transaction at the same time.
 */

import {
  assert,
  absolutePath,
  ancestors,
  type CommitterLoop,
  decodeTransaction,
  entryLockKey,
  FlushError,
  forgetUnflushed,
  type Image,
  imageOf,
  inodeOf,
  isBelow,
  isLocking,
  isStoreError,
  type LogBatch,
  type LoggedTransaction,
  nextRevision,
  type Owner,
  parseTransactionId,
  rebase,
  putHistory,
  putRows,
  removeTree,
  beforePath,
  showsImage,
  stagedPath,
  type StoreContext,
  StoreError,
  type StoreOptions,
  type StorePath,
  syncDirectoryIfThere,
  syncFile,
  type TransactionId,
  transactionRange,
  trimRecords,
  writeAbort,
  withStoreCode,
} from '@forewrit/core';
import { lockKeysOf } from './analysis.js';
import { subjectOf, unlock } from './completion.js';
import type { SavedConflict } from './conflicts.js';
import { isReachable, type RecoveryContext, recoveryContext } from './recovery-context.js';
import { withRecovered } from './recovered-store.js';
import { acquireRecoveryLock, releaseRecoveryLock } from './recovery-lock.js';
import { goBack, keepAdopted, refuseWithoutBeforeImages } from './repair-back.js';
import { type CarriedOut, carryForward, keepForHistory } from './repair-forward.js';
import { quarantine, type RepairEffects, type RepairSubject } from './quarantine.js';

export type RepairDirection = 'forward' | 'back' | 'quarantine';

export interface RepairReport {
  readonly transaction: TransactionId;
  readonly direction: RepairDirection;
  readonly paths: readonly {
    readonly path: StorePath;
    readonly did: 'redone' | 'restored' | 'removed' | 'kept';
  }[];
  readonly conflicts: readonly { readonly path: StorePath; readonly savedAs: string }[];
}

/**
 * Ends the blocked transaction `id` of the store at `root`. Durable on return.
 *
 * @throws StoreError ERR_NOT_FOUND for a transaction that the log does not hold, or files that are not there;
 * ERR_STORE_LOCKED while its owner lives; ERR_INTEGRITY if a before-image is missing or damaged
 */
export async function repair(
  root: string | URL,
  id: TransactionId,
  direction: RepairDirection,
  options: StoreOptions = {},
): Promise<RepairReport> {
  // Opening recovers: a transaction that only waited for its owner's end is not blocked any more afterwards.
  return await withRecovered(root, { ...options, op: 'repair' }, async (loop) => {
    const { context, engine, state } = loop;
    const request = { id, direction, blocked: state.recovery.blocked };
    const report = await repairTransaction(context, engine.owner, request);
    await deregisterDead(loop);
    return report;
  });
}

/** Its owner may have nothing left now. The repair is done, whatever comes of this: the next open does it, too. */
async function deregisterDead(loop: CommitterLoop): Promise<void> {
  try {
    await loop.recoverDead();
  } catch (error) {
    if (!isStoreError(error)) throw error;
    loop.context.logger.warn({ error }, 'dead owners could not be recovered after a repair');
  }
}

export interface RepairRequest {
  readonly id: TransactionId;
  readonly direction: RepairDirection;
  /** What a recovery has just found blocked. */
  readonly blocked: readonly TransactionId[];
}

/** The same in a store that is open, and recovered. `self` is the owner on whose behalf it runs. */
export async function repairTransaction(
  context: StoreContext,
  self: Owner,
  { id, direction, blocked }: RepairRequest,
): Promise<RepairReport> {
  try {
    await acquireRecoveryLock(context, self, new Set());
    try {
      return new Repair(context, findBlocked(context, id, blocked)).run(direction);
    } finally {
      releaseRecoveryLock(context, self);
    }
  } catch (error) {
    throw error instanceof FlushError
      ? inDoubt(id, error)
      : withStoreCode(error, { op: 'repair', transaction: id });
  }
}

function findBlocked(
  { log }: StoreContext,
  id: TransactionId,
  blocked: readonly TransactionId[],
): LoggedTransaction {
  const number = parseTransactionId(id);
  const rows =
    number === undefined
      ? []
      : log.view((view) => view.range('log', transactionRange(number.owner, number.counter)));
  if (number === undefined || rows.length === 0) {
    throw new StoreError('ERR_NOT_FOUND', `There is no transaction ${id} in the log`, {
      op: 'repair',
      transaction: id,
      hint: 'It may have been recovered just now. `forewrit status` lists what is blocked.',
    });
  }
  if (!blocked.includes(id)) {
    throw new StoreError('ERR_STORE_LOCKED', `Transaction ${id} belongs to a process that is running`, {
      op: 'repair',
      transaction: id,
      hint: 'Let that process close the store first; the next open recovers the transaction.',
    });
  }
  return decodeTransaction(number, rows);
}

class Repair {
  readonly #store: StoreContext;
  readonly #context: RecoveryContext;
  readonly #transaction: LoggedTransaction;
  /** Of paths that no newer transaction has decided since. */
  readonly #subjects: readonly RepairSubject[];
  readonly #conflicts = new Map<string, SavedConflict>();
  readonly #touched = new Set<string>();
  readonly #did = new Map<StorePath, RepairReport['paths'][number]['did']>();

  constructor(store: StoreContext, transaction: LoggedTransaction) {
    this.#store = store;
    this.#context = recoveryContext(store);
    this.#transaction = transaction;
    const { superseded } = store.log.view((view) =>
      subjectOf(view, { transaction, living: new Set(), folding: store.folding }),
    );
    const targets = transaction.targets.filter(({ index }) => !superseded.has(index));
    this.#subjects = targets.map((target): RepairSubject => {
      const volume = this.#context.volume(target.volume);
      if (volume === undefined || !isReachable(this.#context, target))
        throw outOfReach(transaction.id, target.path);
      return {
        transaction: transaction.id,
        target,
        volume,
        absolute: absolutePath(target.path, store.roots),
      };
    });
  }

  run(direction: RepairDirection): RepairReport {
    const effects = {
      saved: (conflict: SavedConflict) => void this.#conflicts.set(conflict.savedAs, conflict),
      touched: (directory: string) => void this.#touched.add(directory),
    };
    let carriedOut: CarriedOut | undefined;
    switch (direction) {
      case 'forward':
        carriedOut = carryForward(
          this.#store,
          { context: this.#context, transaction: this.#transaction },
          effects,
        );
        for (const { target, decision } of carriedOut.paths)
          this.#did.set(target.path, decision.verdict === 'redo' ? 'redone' : 'kept');
        break;
      case 'back':
        refuseWithoutBeforeImages(this.#context, this.#subjects);
        for (const subject of this.#subjects.toReversed()) {
          if (subject.target.action === 'move-directory') this.#flushBelow(subject.target.path);
          keepAdopted(this.#context, subject, effects);
          this.#did.set(subject.target.path, this.#goBack(subject, effects));
        }
        break;
      case 'quarantine':
        for (const subject of this.#subjects) {
          quarantine(this.#context, subject, effects);
          this.#did.set(subject.target.path, 'kept');
        }
        break;
    }
    this.#makeDurable();
    const history =
      carriedOut && keepForHistory(this.#store, { context: this.#context, carriedOut }, effects);
    const images = this.#images();
    this.#store.log.commit(
      (batch) => {
        this.#end(batch, { direction, images });
        if (history !== undefined) putHistory(batch, history.row, history.encoded);
      },
      { essential: true },
    );
    this.#removeNames(history?.keeps);
    return {
      transaction: this.#transaction.id,
      direction,
      paths: [...this.#did].map(([path, did]) => ({ path, did })),
      conflicts: [...this.#conflicts.values()],
    };
  }

  #goBack(subject: RepairSubject, effects: RepairEffects): 'restored' | 'removed' | 'kept' {
    const { fileSystem, roots } = this.#context;
    const { path } = subject.target;
    const left = this.#subjects.filter(
      ({ target: { action, from } }) =>
        action === 'move-directory' && from !== undefined && (path === from || isBelow(path, from)),
    );
    // The directory that had left the place is back, with all that it held: what had been put there has gone before.
    const isBack = left.some(
      ({ target: { from, after } }) => fileSystem.lstat(absolutePath(from!, roots))?.ino === inodeOf(after),
    );
    return isBack ? 'kept' : goBack(this.#context, { ...subject, inPlace: left.length > 0 }, effects);
  }

  /** Before a directory goes back with what it holds: a repair that is repeated after a power cut looks there no more. */
  #flushBelow(directory: StorePath): void {
    const { fileSystem, roots } = this.#context;
    const below = this.#subjects.filter(({ target }) => isBelow(target.path, directory));
    for (const { absolute } of below) {
      if (fileSystem.lstat(absolute)?.type === 'file') syncFile(fileSystem, absolute);
    }
    const above = new Set(below.flatMap(({ target }) => ancestors(target.path)));
    for (const path of above) {
      if (path === directory || isBelow(path, directory))
        syncDirectoryIfThere(fileSystem, absolutePath(path, roots));
    }
  }

  #makeDurable(): void {
    const { fileSystem, roots } = this.#context;
    const moves = this.#subjects.filter(({ target }) => target.action === 'move-directory');
    for (const { target, absolute } of this.#subjects) {
      if (fileSystem.lstat(absolute)?.type === 'file') syncFile(fileSystem, absolute);
      // What has moved back with a directory is where that came from.
      const origins = moves
        .filter(({ target: move }) => isBelow(target.path, move.path))
        .map(({ target: move }) => rebase(target.path, move.path, move.from ?? move.path));
      for (const path of [target.path, ...origins]) {
        for (const above of ancestors(path)) this.#touched.add(absolutePath(above, roots));
      }
    }
    for (const directory of this.#touched) syncDirectoryIfThere(fileSystem, directory);
  }

  #end(
    batch: LogBatch,
    {
      direction,
      images,
    }: { readonly direction: RepairDirection; readonly images: ReadonlyMap<StorePath, Image> },
  ): void {
    const { folding } = this.#store;
    const { number, commit, targets } = this.#transaction;
    assert(commit !== undefined, 'only what was committed is repaired');
    const { entries } = commit;
    if (direction === 'back') {
      // A roll-back, only later: with it the rows of what had moved with a directory move back.
      const back = this.#subjects.map(({ target }) => target);
      const mark = { number, lockKeys: [] };
      writeAbort(batch, { mark, targets: back, entries, buried: [], images }, folding);
    } else {
      const rows = [...images].map(([path, image]) => ({ path, transaction: number, image }));
      putRows(batch, nextRevision(batch), rows, folding);
    }
    for (const target of targets) {
      for (const { key } of lockKeysOf(target, folding)) unlock(batch, key, this.#transaction);
    }
    for (const { collection, key } of entries)
      unlock(batch, entryLockKey(collection, key), this.#transaction);
    trimRecords(batch, number);
    forgetUnflushed(batch, [number]);
  }

  /** What is at each path now, with its checksum where the transaction knows it. */
  #images(): Map<StorePath, Image> {
    const moves = this.#subjects.filter(({ target }) => target.action === 'move-directory');
    const images = new Map<StorePath, Image>();
    for (const { target, absolute } of this.#subjects) {
      const { path, before, after } = target;
      // Where a directory has moved back, what was in it is elsewhere again.
      const stays = !moves.some((move) => isBelow(path, move.target.path));
      if (!isLocking(target) || target.action === 'move-directory' || !stays) continue;
      const stat = this.#context.fileSystem.lstat(absolute);
      const known = [after, before].find((image) => image.type === 'file' && showsImage(stat, image));
      images.set(path, imageOf(stat, known?.type === 'file' ? known.checksum : undefined));
    }
    return images;
  }

  #removeNames(keeps: ReadonlySet<number> = new Set()): void {
    const { fileSystem } = this.#context;
    for (const { target, volume } of this.#subjects) {
      for (const name of [target.staged, target.applyName]) {
        if (name !== undefined) removeTree(fileSystem, stagedPath(volume, name));
      }
      if (target.beforeName === undefined || keeps.has(target.index)) continue;
      removeTree(fileSystem, beforePath(volume, target.beforeName));
    }
  }
}

function inDoubt(transaction: TransactionId, cause: FlushError): StoreError {
  return new StoreError(
    'ERR_STORE_POISONED',
    `Nobody knows whether the repair of ${transaction} is in the log`,
    {
      op: 'repair',
      transaction,
      hint: 'Open the store again: it tells whether the transaction is blocked still.',
      cause,
    },
  );
}

function outOfReach(transaction: TransactionId, path: StorePath): StoreError {
  return new StoreError(
    'ERR_NOT_FOUND',
    `'${path}' is below a root, or on a file system, that is not there`,
    {
      op: 'repair',
      path,
      transaction,
      hint: 'Mount it, and give the roots that the store was opened with. Nothing was changed.',
    },
  );
}
