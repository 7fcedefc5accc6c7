/**
 * One pass of recovery, synchronous from beginning to end, under the recovery lock:
 *
 *     analyse → name what is deferred → claim locks → redo winners, the oldest first → flush directories → save edited before-images
 *             → complete, the newest first → sweep → deregister the dead
 *
 * It may end anywhere, and be repeated any number of times: until its completion is flushed a transaction is decided
 * anew, from what is on the disk; after that nobody asks for it.
 */

import {
  absolutePath,
  beforePath,
  buryTombstones,
  decodeTransaction,
  type FileSystem,
  type LoggedTransaction,
  metaKeys,
  type Owner,
  saveEditedBefore,
  type StoreContext,
  syncDirectoryIfThere,
  type Target,
  u32Key,
  type Volume,
} from '@forewrit/core';
import {
  type Analysis,
  analyse,
  bootOf,
  holdsOnlyWaiting,
  livingOwners,
  readTransactionRows,
} from './analysis.js';
import {
  claim,
  type Completion,
  inBatches,
  lockAgain,
  noteUnflushed,
  unmarkedLocks,
  weightOf,
  writeCompletion,
} from './completion.js';
import { nameDeferred } from './deferred-winners.js';
import { type RecoveryContext, recoveryContext } from './recovery-context.js';
import { heldBy } from './recovery-lock.js';
import type { ReportWriter } from './report.js';
import { planTransaction, type TransactionPlan } from './transaction-plan.js';
import { type NewImages, Surprise, TransactionRedo } from './transaction-redo.js';
import { isOfUnapplied, leftoversAmong, listStagingNames, sweepName } from './undo.js';

/** How often a transaction is decided anew because somebody changes its files meanwhile. */
const decisionsMax = 10;
const noImages: NewImages = new Map();

export class RecoveryPass {
  readonly #store: StoreContext;
  readonly #context: RecoveryContext;
  readonly #fileSystem: FileSystem;
  readonly #dead: readonly Owner[];
  readonly #deadNumbers: ReadonlySet<number>;
  readonly #report: ReportWriter;
  readonly #touched = new Set<string>();
  readonly #completions: Completion[] = [];

  constructor(store: StoreContext, dead: readonly Owner[], report: ReportWriter) {
    this.#store = store;
    this.#context = recoveryContext(store);
    this.#fileSystem = store.fileSystem;
    this.#dead = dead;
    this.#deadNumbers = new Set(dead.map(({ number }) => number));
    this.#report = report;
  }

  /** Returns the owners that are gone for good: nothing of theirs is left. */
  run(self: Owner): Owner[] {
    const { log, folding, failpoints, clock } = this.#store;
    const nowMs = clock.nowMs();
    const analysis = log.view((view) => analyse(view, this.#deadNumbers, { folding, nowMs }));
    failpoints.hit('recover.before');
    this.#redoWinners(analysis);
    for (const transaction of [...analysis.aborted, ...analysis.losers]) {
      if (transaction.commit === undefined) this.#report.undone(transaction.id);
      this.#completions.push({ transaction, superseded: new Set(), images: noImages, blocked: false });
    }
    for (const directory of this.#touched) syncDirectoryIfThere(this.#fileSystem, directory);
    for (const { transaction, blocked } of this.#completions) if (!blocked) this.#saveEdited(transaction);
    this.#complete();
    failpoints.hit('recover.sweep');
    this.#sweep();
    return this.#finish(self, nowMs);
  }

  #redoWinners(analysis: Analysis): void {
    const { log } = this.#store;
    const winners = nameDeferred(log, this.#context, analysis.winners);
    for (const subject of claim(log, this.#context, { ...analysis, winners })) {
      const images = this.#redo(() => planTransaction(this.#context, subject, analysis.history));
      const blocked = images === undefined;
      if (blocked) this.#report.blocked(subject.transaction.id);
      this.#completions.push({ ...subject, images: images ?? noImages, blocked });
    }
  }

  /** `undefined` if the transaction is blocked. */
  #redo(plan: () => TransactionPlan): NewImages | undefined {
    for (let attempt = 0; attempt < decisionsMax; attempt += 1) {
      const planned = plan();
      if (planned.blocked) {
        this.#logBlocked(planned);
        return undefined;
      }
      try {
        const images = this.#carryOut(planned);
        this.#report.carriedOut(planned);
        return images;
      } catch (error) {
        if (!(error instanceof Surprise)) throw error;
      }
    }
    return undefined;
  }

  #carryOut(plan: TransactionPlan): NewImages {
    const { failpoints, log, folding } = this.#store;
    const redo = new TransactionRedo(this.#context, plan, {
      touched: (directory) => this.#touched.add(directory),
      saved: (conflict) => this.#report.saved(conflict),
      beforeTarget: () => failpoints.hit('recover.target'),
      lockAgain: ({ target }) => lockAgain(log, plan.transaction, target, folding),
      unflushed: (target) => noteUnflushed(log, plan.transaction, target),
    });
    return redo.run();
  }

  #logBlocked({ transaction, paths }: TransactionPlan): void {
    const reasons = paths
      .filter(({ decision }) => decision.verdict === 'block')
      .map(({ target, decision, observed }) => ({
        path: target.path,
        reason: decision.reason,
        source: observed?.source,
        escapes: observed?.escapes,
      }));
    this.#store.logger.error({ transaction: transaction.id, reasons }, 'a transaction is blocked');
  }

  /** The last look at what is let go: content that somebody wrote into a before-image is not ours to drop. */
  #saveEdited(transaction: LoggedTransaction): void {
    for (const target of transaction.targets) {
      const volume = this.#context.volume(target.volume);
      if (volume === undefined || this.#isTornBefore(transaction, target, volume)) continue;
      const absolute = absolutePath(target.path, this.#context.roots);
      const saved = saveEditedBefore(this.#fileSystem, { target, volume, absolute }, transaction.id);
      for (const conflict of saved) this.#report.saved(conflict);
    }
  }

  /** After a power cut a before-image may have lost its last writes. Only a newer mtime is a sign of somebody. */
  #isTornBefore(transaction: LoggedTransaction, target: Target, volume: Volume): boolean {
    const { before, beforeName } = target;
    if (before.type !== 'file' || beforeName === undefined) return false;
    if (bootOf(this.#context, transaction, target) === 'same') return false;
    const stat = this.#fileSystem.lstat(beforePath(volume, beforeName));
    return stat?.type === 'file' && stat.mtimeNs <= before.fingerprint.mtimeNs;
  }

  /** Newest first, and so a blocked one is marked before what it needs of its elders is looked at. */
  #complete(): void {
    const { log, folding, failpoints } = this.#store;
    const waiting = log.view((view) =>
      this.#completions.filter((each) => !each.blocked || unmarkedLocks(view, each, folding).length > 0),
    );
    if (waiting.length === 0) return;
    failpoints.hit('recover.complete');
    const newestFirst = waiting
      .toReversed()
      .map((completion) => ({ completion, weight: weightOf(completion) }));
    for (const chunk of inBatches(newestFirst)) {
      log.commit(
        (batch) => {
          for (const { completion } of chunk) writeCompletion(batch, completion, folding);
        },
        { essential: true },
      );
    }
  }

  #sweep(): void {
    const { log, volumes } = this.#store;
    const names = listStagingNames(this.#fileSystem, volumes.known);
    const leftovers = log.view((view) =>
      leftoversAmong(names, {
        living: livingOwners(view, this.#deadNumbers),
        transactions: readTransactionRows(view).map(({ number, rows }) => decodeTransaction(number, rows)),
        hasHistory: view.range('history', { start: new Uint8Array(0), limit: 1 }).length > 0,
      }),
    );
    const done = this.#completions.filter(({ blocked }) => !blocked);
    const completed = new Set(done.map(({ transaction }) => transaction.id));
    for (const name of leftovers) {
      const { files, saved } = sweepName(this.#fileSystem, name);
      if (saved !== undefined) this.#report.saved(saved);
      // Those of a transaction that was just completed have served their time, and are no news.
      if (completed.has(name.transaction)) continue;
      this.#report.swept(files);
      if (isOfUnapplied(name)) this.#report.undone(name.transaction);
    }
  }

  /** Deregisters the dead of whom nothing is left but what may be continued, and lets go of the recovery lock. */
  #finish(self: Owner, nowMs: number): Owner[] {
    const { log, folding } = this.#store;
    return log.commit(
      (batch) => {
        const gone = this.#dead.filter(({ number }) => holdsOnlyWaiting(batch, number, nowMs));
        for (const { number } of gone) batch.delete('owners', u32Key(number));
        buryTombstones(batch, folding);
        if (heldBy(batch) === self.number) batch.delete('meta', metaKeys.recovery);
        return gone;
      },
      { essential: true },
    );
  }
}
