/**
 * Repair: ends a blocked transaction the way a person says.
 *
 * - `forward`: every path that can be redone is; what cannot stays as it is.
 * - `back`: every path gets its before-image again, if that passes its checksum; otherwise nothing is touched.
 * - `quarantine`: the tree stays as it is; what the transaction holds goes to `conflicts/`.
 *
 * Whatever is replaced is kept in `conflicts/` first. All of it is durable before the one batch that writes rows of what
 * is there now, lets go of the locks and forgets the transaction; until then the repair can be repeated.
 */

import { randomBytes } from 'node:crypto';
import {
  absolutePath,
  beforePath,
  checksumOfFile,
  CommitterLoop,
  currentUmask,
  decodeTransaction,
  entryKey,
  entryLockKey,
  type FileStat,
  fingerprintOf,
  freeName,
  imageOf,
  isLocking,
  lockRow,
  type LogBatch,
  type LoggedTransaction,
  nextRevision,
  openParts,
  openRoot,
  parseTransactionId,
  putFileRow,
  removeTree,
  sameFingerprint,
  showsImage,
  stagedPath,
  type StoreContext,
  StoreError,
  type StoreOptions,
  type StorePath,
  syncDirectoryIfThere,
  syncFile,
  type Target,
  type TransactionId,
  transactionRange,
  trimRecords,
  type Volume,
  writeFully,
} from '@forewrit/core';
import { readTransactionRows, lockKeysOf } from './analysis.js';
import { subjectOf } from './completion.js';
import { PathHistory } from './path-history.js';
import { directoryOf, recoveryContext, targetName } from './recovery-context.js';
import { createRecoverer } from './recovery.js';
import { planTransaction } from './transaction-plan.js';
import { TransactionRedo } from './transaction-redo.js';

export type RepairDirection = 'forward' | 'back' | 'quarantine';

export interface RepairReport {
  readonly transaction: TransactionId;
  readonly direction: RepairDirection;
  readonly paths: readonly { readonly path: StorePath; readonly did: 'redone' | 'restored' | 'removed' | 'kept' }[];
  readonly conflicts: readonly { readonly path: StorePath; readonly savedAs: string }[];
}

/**
 * Ends the blocked transaction `id` of the store at `root`. Durable on return.
 *
 * @throws StoreError ERR_NOT_FOUND for a transaction that the log does not hold, ERR_STORE_LOCKED while its owner lives,
 * ERR_CONFLICT if it is not blocked, ERR_INTEGRITY if a before-image is missing or damaged
 */
export async function repair(
  root: string | URL,
  id: TransactionId,
  direction: RepairDirection,
  options: StoreOptions = {},
): Promise<RepairReport> {
  const opened = openRoot(root, { ...options, create: false }, 'open');
  const parts = await openParts(opened, { ...options, create: false }, {
    umask: currentUmask(),
    privileged: process.getuid?.() === 0,
  });
  // Opening recovers: a transaction that only waited for its owner's end is not blocked any more afterwards.
  const loop = await CommitterLoop.start({
    parts,
    recoverer: createRecoverer(),
    nonce: randomBytes(8).toString('hex'),
    onEvent: () => undefined,
    withWitness: true,
  });
  try {
    return new Repair(loop.context, findBlocked(loop, id)).run(direction);
  } finally {
    await loop.close();
  }
}

function findBlocked(loop: CommitterLoop, id: TransactionId): LoggedTransaction {
  const { log } = loop.context;
  const number = parseTransactionId(id);
  const rows =
    number === undefined ? [] : log.view((view) => view.range('log', transactionRange(number.owner, number.counter)));
  if (number === undefined || rows.length === 0) {
    throw new StoreError('ERR_NOT_FOUND', `There is no transaction ${id} in the log`, {
      op: 'repair',
      transaction: id,
      hint: 'It may have been recovered just now. `forewrit status` lists what is blocked.',
    });
  }
  if (!loop.state.recovery.blocked.includes(id)) {
    throw new StoreError('ERR_STORE_LOCKED', `Transaction ${id} belongs to a process that is running`, {
      op: 'repair',
      transaction: id,
      hint: 'Let that process close the store first; the next open recovers the transaction.',
    });
  }
  return decodeTransaction(number, rows);
}

interface Subject {
  readonly target: Target;
  readonly volume: Volume;
  readonly absolute: string;
}

class Repair {
  readonly #context: StoreContext;
  readonly #transaction: LoggedTransaction;
  readonly #subjects: readonly Subject[];
  readonly #conflicts: { path: StorePath; savedAs: string }[] = [];
  readonly #touched = new Set<string>();
  readonly #did = new Map<StorePath, RepairReport['paths'][number]['did']>();

  constructor(context: StoreContext, transaction: LoggedTransaction) {
    this.#context = context;
    this.#transaction = transaction;
    const { folding, log, volumes, roots } = context;
    const superseded = log.view(
      (view) => subjectOf(view, { transaction, living: new Set(), folding }).superseded,
    );
    this.#subjects = transaction.targets.flatMap((target): Subject[] => {
      const volume = volumes.get(target.volume);
      if (superseded.has(target.index) || volume === undefined) return [];
      return [{ target, volume, absolute: absolutePath(target.path, roots) }];
    });
  }

  run(direction: RepairDirection): RepairReport {
    switch (direction) {
      case 'forward':
        this.#forward();
        break;
      case 'back':
        this.#back();
        break;
      case 'quarantine':
        for (const subject of this.#subjects) {
          this.#quarantine(subject);
          this.#did.set(subject.target.path, 'kept');
        }
        break;
    }
    this.#makeDurable();
    this.#context.log.commit((batch) => this.#write(batch, direction), { essential: true });
    this.#removeNames();
    return {
      transaction: this.#transaction.id,
      direction,
      paths: [...this.#did].map(([path, did]) => ({ path, did })),
      conflicts: this.#conflicts,
    };
  }

  #forward(): void {
    const { log, folding } = this.#context;
    const context = recoveryContext(this.#context);
    const { subject, history } = log.view((view) => ({
      subject: subjectOf(view, { transaction: this.#transaction, living: new Set(), folding }),
      history: new PathHistory(
        folding,
        readTransactionRows(view).map(({ number, rows }) => decodeTransaction(number, rows)),
      ),
    }));
    const plan = planTransaction(context, subject, history);
    const paths = plan.paths.map((path) =>
      path.decision.verdict === 'block'
        ? { ...path, decision: { ...path.decision, verdict: 'keep' as const, save: 'nothing' as const } }
        : path,
    );
    new TransactionRedo(context, { ...plan, paths, blocked: false }, {
      touched: (directory) => this.#touched.add(directory),
      saved: (conflict) => this.#conflicts.push(conflict),
      beforeTarget: () => undefined,
      lockAgain: () => true,
    }).run();
    for (const { target, decision } of paths) {
      this.#did.set(target.path, decision.verdict === 'redo' ? 'redone' : 'kept');
    }
  }

  /** Everything is looked at before anything is touched. */
  #back(): void {
    const wrong = this.#subjects.filter((subject) => !this.#canGoBack(subject)).map(({ target }) => target.path);
    if (wrong.length > 0) {
      throw new StoreError('ERR_INTEGRITY', `No sound before-image of ${wrong.join(', ')}`, {
        op: 'repair',
        path: wrong[0],
        transaction: this.#transaction.id,
        hint: 'Nothing was changed. Use --forward, or --quarantine to keep the files as they are.',
      });
    }
    for (const subject of this.#subjects.toReversed()) this.#did.set(subject.target.path, this.#goBack(subject));
  }

  #canGoBack({ target, volume, absolute }: Subject): boolean {
    const { fileSystem } = this.#context;
    if (showsImage(fileSystem.lstat(absolute), target.before) || target.before.type === 'absent') return true;
    if (target.beforeName === undefined) return false;
    const path = beforePath(volume, target.beforeName);
    const stat = fileSystem.lstat(path);
    if (stat === undefined || stat.type !== target.before.type) return false;
    if (target.before.type !== 'file') return true;
    if (target.before.checksum !== undefined) return checksumOfFile(fileSystem, path) === target.before.checksum;
    return target.beforeCopied !== true && sameFingerprint(target.before.fingerprint, fingerprintOf(stat));
  }

  #goBack(subject: Subject): 'restored' | 'removed' | 'kept' {
    const { fileSystem, roots } = this.#context;
    const { target, volume, absolute } = subject;
    const now = fileSystem.lstat(absolute);
    if (target.action === 'make-parent') return 'kept';
    if (target.action === 'move-directory') {
      const from = absolutePath(target.from!, roots);
      if (now === undefined || fileSystem.lstat(from) !== undefined) return 'kept';
      fileSystem.rename(absolute, from);
      this.#touch(from);
      return 'restored';
    }
    if (showsImage(now, target.before)) return 'kept';
    if (now !== undefined) this.#setAside(subject, absolute, now);
    if (target.before.type === 'absent') return 'removed';
    fileSystem.rename(beforePath(volume, target.beforeName!), absolute);
    return 'restored';
  }

  /** What the transaction would have put there, where somebody can find it. */
  #quarantine(subject: Subject): void {
    const { fileSystem } = this.#context;
    const { target, volume } = subject;
    if (target.content !== undefined) {
      const to = this.#conflictName(subject);
      const descriptor = fileSystem.create(to, 0o600);
      try {
        writeFully(fileSystem, descriptor, target.content, 0);
        fileSystem.sync(descriptor);
      } finally {
        fileSystem.close(descriptor);
      }
      this.#conflicts.push({ path: target.path, savedAs: to });
    }
    const held = [
      ...(target.staged === undefined ? [] : [stagedPath(volume, target.staged)]),
      ...(target.beforeName === undefined ? [] : [beforePath(volume, target.beforeName)]),
    ];
    for (const path of held) {
      const stat = fileSystem.lstat(path);
      if (stat !== undefined) this.#setAside(subject, path, stat);
    }
  }

  #setAside(subject: Subject, path: string, stat: FileStat): void {
    const { fileSystem } = this.#context;
    if (stat.type === 'file') syncFile(fileSystem, path);
    const to = this.#conflictName(subject);
    fileSystem.rename(path, to);
    this.#conflicts.push({ path: subject.target.path, savedAs: to });
  }

  #conflictName({ target, volume }: Subject): string {
    this.#touched.add(volume.conflicts);
    return freeName(
      this.#context.fileSystem,
      `${volume.conflicts}/${targetName(this.#transaction.id, target)}`,
      undefined,
    )!;
  }

  #touch(absolute: string): void {
    this.#touched.add(directoryOf(absolute));
  }

  #makeDurable(): void {
    const { fileSystem } = this.#context;
    for (const { absolute } of this.#subjects) {
      if (fileSystem.lstat(absolute)?.type === 'file') syncFile(fileSystem, absolute);
      this.#touch(absolute);
    }
    for (const directory of this.#touched) syncDirectoryIfThere(fileSystem, directory);
  }

  #write(batch: LogBatch, direction: RepairDirection): void {
    const { folding, fileSystem } = this.#context;
    const { number, commit, targets } = this.#transaction;
    const revision = nextRevision(batch);
    for (const { target, absolute } of this.#subjects) {
      if (!isLocking(target)) continue;
      const stat = fileSystem.lstat(absolute);
      const known = [target.after, target.before].find((image) => image.type === 'file' && showsImage(stat, image));
      const checksum = known?.type === 'file' ? known.checksum : undefined;
      putFileRow(batch, { path: target.path, revision, transaction: number, image: imageOf(stat, checksum) }, folding);
    }
    for (const { collection, key, old } of commit?.entries ?? []) {
      if (direction === 'back') {
        if (old === undefined) batch.delete('entries', entryKey(collection, key));
        else batch.put('entries', entryKey(collection, key), old);
      }
      this.#unlock(batch, entryLockKey(collection, key));
    }
    for (const target of targets) for (const { key } of lockKeysOf(target, folding)) this.#unlock(batch, key);
    trimRecords(batch, number);
  }

  /** Where a newer transaction has superseded this one, the lock is that one's. */
  #unlock(batch: LogBatch, key: Uint8Array): void {
    const value = batch.get('locks', key);
    if (value === undefined) return;
    const { owner, counter } = lockRow.decode(key, value).transaction;
    const { number } = this.#transaction;
    if (owner === number.owner && counter === number.counter) batch.delete('locks', key);
  }

  #removeNames(): void {
    const { fileSystem } = this.#context;
    for (const { target, volume } of this.#subjects) {
      if (target.staged !== undefined) removeTree(fileSystem, stagedPath(volume, target.staged));
      if (target.applyName !== undefined) removeTree(fileSystem, stagedPath(volume, target.applyName));
      if (target.beforeName !== undefined) removeTree(fileSystem, beforePath(volume, target.beforeName));
    }
  }
}
