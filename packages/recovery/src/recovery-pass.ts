/**
 * One pass of recovery, synchronous from beginning to end, under the recovery lock:
 *
 *     analyse → name what is deferred → claim locks → redo winners, the oldest first → flush directories → save edited before-images
 *             → make durable what history keeps → complete, the newest first → sweep → deregister the dead
 *
 * Where much is to be flushed there are several: the first puts everything in its place and records that, as an apply does,
 *
 *     analyse → name what is deferred → claim locks → redo winners, the oldest first → flush directories → in place
 *
 * and each that follows completes a few, the newest first, until what is left is little.
 *
 * A pass may end anywhere, and be repeated any number of times: until its completion is flushed a transaction is decided
 * anew, from what is on the disk; after that nobody asks for it.
 */

import {
  buryTombstones,
  decodeTransaction,
  type FileSystem,
  type LoggedTransaction,
  type LogView,
  metaKeys,
  type Owner,
  type StoreContext,
  syncDirectoryIfThere,
  type TransactionNumber,
  transactionRange,
  u32Key,
} from '@forewrit/core';
import {
  type Analysis,
  analyse,
  bootOf,
  holdsOnlyWaiting,
  isInPlace,
  livingOwners,
  readTransactions,
} from './analysis.js';
import {
  claim,
  type Completion,
  type EncodedHistory,
  inBatches,
  lockAgain,
  noteUnflushed,
  unmarkedLocks,
  weightOf,
  writeCompletion,
  writeInPlace,
} from './completion.js';
import { saveEdited } from './last-look.js';
import { nameDeferred } from './deferred-winners.js';
import { PathHistory } from './path-history.js';
import { type RecoveryContext, recoveryContext } from './recovery-context.js';
import { RecoveredHistory } from './history.js';
import { heldBy } from './recovery-lock.js';
import type { ReportWriter } from './report.js';
import { planTransaction, type TransactionPlan } from './transaction-plan.js';
import {
  type Flushes,
  type NewImages,
  noImages,
  type RedoHooks,
  Surprise,
  TransactionRedo,
} from './transaction-redo.js';
import {
  isOfUnapplied,
  keptAmong,
  leftoversAmong,
  listStagingNames,
  recordedNames,
  type StagingName,
  sweepName,
} from './undo.js';

/** How often a transaction is decided anew because somebody changes its files meanwhile. */
const decisionsMax = 10;

export interface PassResult {
  /** Owners of whom nothing is left. */
  readonly gone: readonly Owner[];
  /** There if it is not at its end: transactions that are in their places, and yet to be made durable; the oldest first. */
  readonly inPlace?: readonly TransactionNumber[];
}

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

  /** All of it, unless more than `flushesMax` files would have to be flushed. */
  run(self: Owner, flushesMax: number): PassResult {
    const { log, folding, failpoints, clock } = this.#store;
    const nowMs = clock.nowMs();
    const analysis = log.view((view) => analyse(view, this.#deadNumbers, { folding, nowMs }));
    failpoints.hit('recover.before');
    if (isBacklog(this.#context, analysis, flushesMax)) return this.#putInPlace(analysis);
    this.#redoWinners(analysis, 'now');
    for (const transaction of [...analysis.aborted, ...analysis.losers]) {
      if (transaction.commit === undefined) this.#report.undone(transaction.id);
      this.#completions.push({ transaction, superseded: new Set(), images: noImages, blocked: false });
    }
    this.#completeDurably();
    failpoints.hit('recover.sweep');
    // Listed before the log is read.
    this.#sweep(listStagingNames(this.#fileSystem, this.#store.volumes.known), readTransactions);
    return { gone: this.#finish(self, nowMs) };
  }

  /** What is in its place already is looked at when it is made durable. */
  #putInPlace(analysis: Analysis): PassResult {
    const { winners } = analysis;
    const open = winners.filter((each) => !isInPlace(this.#context, each));
    this.#redoWinners({ ...analysis, winners: open }, 'later');
    this.#flushDirectories();
    this.#recordInPlace();
    const blocked = new Set(
      this.#completions.filter((each) => each.blocked).map(({ transaction }) => transaction.id),
    );
    return { gone: [], inPlace: winners.filter(({ id }) => !blocked.has(id)).map(({ number }) => number) };
  }

  #recordInPlace(): void {
    const weighed = this.#completions.map((completion) => ({ completion, weight: weightOf(completion) }));
    for (const chunk of inBatches(weighed)) {
      this.#store.log.commit(
        (batch) => {
          for (const { completion } of chunk) writeInPlace(batch, completion, this.#context);
        },
        { essential: true },
      );
    }
  }

  /** Makes durable, and completes, those of these transactions that are in their places. */
  finishInPlace(numbers: readonly TransactionNumber[]): void {
    const { log, folding } = this.#store;
    const read = (view: LogView): LoggedTransaction[] =>
      numbers.map(({ owner, counter }) =>
        decodeTransaction({ owner, counter }, view.range('log', transactionRange(owner, counter))),
      );
    const { winners, living } = log.view((view) => ({
      // Somebody else may have been at it since.
      winners: read(view).filter((each) => each.abort === undefined && isInPlace(this.#context, each)),
      living: livingOwners(view, this.#deadNumbers),
    }));
    this.#redoWinners({ winners, living, history: new PathHistory(folding, winners) }, 'now');
    this.#completeDurably();
    this.#sweep(
      winners.flatMap((each) => recordedNames(each, this.#context.volume)),
      read,
    );
  }

  #completeDurably(): void {
    this.#flushDirectories();
    for (const { transaction, blocked } of this.#completions) if (!blocked) this.#saveEdited(transaction);
    this.#keepHistory();
    this.#flushAside();
    this.#complete();
  }

  #flushDirectories(): void {
    for (const directory of this.#touched) syncDirectoryIfThere(this.#fileSystem, directory);
  }

  #redoWinners(analysis: Pick<Analysis, 'winners' | 'living' | 'history'>, flushes: Flushes): void {
    const { log } = this.#store;
    const winners = nameDeferred(log, this.#context, analysis.winners);
    for (const subject of claim(log, this.#context, { ...analysis, winners })) {
      const images = this.#redo(() => planTransaction(this.#context, subject, analysis.history), flushes);
      const blocked = images === undefined;
      if (blocked) this.#report.blocked(subject.transaction.id);
      const { transaction, superseded } = subject;
      this.#completions.push({ transaction, superseded, images: images ?? noImages, blocked });
    }
  }

  /** `undefined` if the transaction is blocked. */
  #redo(plan: () => TransactionPlan, flushes: Flushes): NewImages | undefined {
    for (let attempt = 0; attempt < decisionsMax; attempt += 1) {
      const planned = plan();
      if (planned.blocked) {
        this.#logBlocked(planned);
        return undefined;
      }
      try {
        const images = this.#carryOut(planned, flushes);
        this.#report.carriedOut(planned);
        return images;
      } catch (error) {
        if (!(error instanceof Surprise)) throw error;
      }
    }
    return undefined;
  }

  #carryOut(plan: TransactionPlan, flushes: Flushes): NewImages {
    const { failpoints, log, folding } = this.#store;
    const hooks: RedoHooks = {
      touched: (directory) => this.#touched.add(directory),
      saved: (conflict) => this.#report.saved(conflict),
      beforeTarget: () => failpoints.hit('recover.target'),
      lockAgain: ({ target }) => lockAgain(log, plan.transaction, target, folding),
      unflushed: (target) => noteUnflushed(log, plan.transaction, target),
    };
    return new TransactionRedo(this.#context, plan, hooks, flushes).run();
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

  /** Durable before the rows that name it; what cannot be kept is let go like everything else. */
  #keepHistory(): void {
    const history = new RecoveredHistory(this.#context, this.#store);
    for (const [index, completion] of this.#completions.entries()) {
      const kept = completion.blocked ? undefined : history.keep(completion);
      if (kept === undefined) continue;
      this.#completions[index] = { ...completion, history: kept };
      this.#saveEdited(completion.transaction, kept);
    }
    history.flush();
  }

  /** What a process that died, or this one, has put aside may have its new name and its old one not durable. */
  #flushAside(): void {
    if (this.#completions.length === 0) return;
    for (const { conflicts } of this.#store.volumes.known) {
      if (this.#fileSystem.list(conflicts).length > 0) this.#fileSystem.syncDirectory(conflicts);
    }
  }

  #saveEdited(transaction: LoggedTransaction, history?: EncodedHistory): void {
    for (const conflict of saveEdited(this.#context, transaction, history?.keeps))
      this.#report.saved(conflict);
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

  #sweep(names: readonly StagingName[], read: (view: LogView) => LoggedTransaction[]): void {
    const leftovers = this.#store.log.view((view) =>
      leftoversAmong(names, {
        living: livingOwners(view, this.#deadNumbers),
        transactions: read(view),
        kept: keptAmong(view, names),
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

/** Whether it is worth answering before all is durable; and all of it ran on this boot, of which nothing is lost. */
function isBacklog(context: RecoveryContext, { winners }: Analysis, flushesMax: number): boolean {
  const many = winners.reduce((sum, { targets }) => sum + targets.length, 0);
  if (many <= flushesMax) return false;
  return winners.every((each) => each.targets.every((target) => bootOf(context, each, target) === 'same'));
}
