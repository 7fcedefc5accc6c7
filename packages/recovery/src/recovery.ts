/**
 * Recovery as core asks for it: at every open, and whenever an owner is found dead. Where there is nothing to do, which
 * is nearly always, it reads a few keys and three directories, and writes nothing.
 */

import {
  assert,
  FailpointHit,
  isStoreError,
  type LogView,
  type Owner,
  ownerRange,
  parseTransactionKey,
  probeWitness,
  readVolumes,
  type Recoverer,
  type Recovery,
  type StoreContext,
  type TransactionNumber,
  unlinkIfThere,
  withStoreCode,
  witnessPrefix,
} from '@forewrit/core';
import { Backlog } from './backlog.js';
import { holdsOnlyWaiting, livingOwners, readTransactions, registeredOwners } from './analysis.js';
import { acquireRecoveryLock, releaseRecoveryLock } from './recovery-lock.js';
import { type PassResult, RecoveryPass } from './recovery-pass.js';
import { ReportWriter } from './report.js';
import { isKept, keptAmong, leftoversAmong, listStagingNames } from './undo.js';

/** Files whose flush an open waits for; beyond that they are flushed while the store is in use. */
const flushesMaxDefault = 256;

export interface RecovererOptions {
  readonly flushesMax?: number;
}

export function createRecoverer({ flushesMax = flushesMaxDefault }: RecovererOptions = {}): Recoverer {
  return {
    async recover(context, dead, self) {
      try {
        return await recover(context, { dead, self, flushesMax });
      } catch (error) {
        throw withStoreCode(error, { op: 'recover', path: context.roots.root });
      }
    },
  };
}

interface Request {
  readonly dead: readonly Owner[];
  readonly self: Owner;
  readonly flushesMax: number;
}

async function recover(context: StoreContext, { dead, self, flushesMax }: Request): Promise<Recovery> {
  const started = context.clock.monotonicMs();
  const report = new ReportWriter();
  const numbers = new Set(dead.map(({ number }) => number));
  assert(!numbers.has(self.number), 'an owner does not recover itself');
  // Others may have taken further staging areas into use since this store was opened.
  for (const place of context.log.view(readVolumes)) context.volumes.addIfThere(place);
  const orphans = await orphanedWitnesses(context);
  let result: PassResult = { gone: [] };
  if (dead.length > 0 || hasWork(context)) {
    await acquireRecoveryLock(context, self, numbers);
    result = letGoOnFailure(context, self, () =>
      new RecoveryPass(context, dead, report).run(self, flushesMax),
    );
    for (const { witness } of result.gone) if (witness !== undefined) orphans.push(witness);
  }
  // Last: as long as a dead owner is registered, its witness is what proves its death.
  for (const name of orphans)
    if (unlinkIfThere(context.fileSystem, `${context.layout.log}/${name}`)) report.swept(1);
  const { inPlace } = result;
  const done = { report: report.finish(context.clock.monotonicMs() - started) };
  if (inPlace === undefined) return done;
  releaseRecoveryLock(context, self);
  return { ...done, backlog: backlogOf(context, { dead, self }, inPlace) };
}

function backlogOf(
  context: StoreContext,
  { dead, self }: Pick<Request, 'dead' | 'self'>,
  inPlace: readonly TransactionNumber[],
): Backlog {
  return new Backlog({
    context,
    dead: new Set(dead.map(({ number }) => number)),
    self,
    inPlace,
    finish: (portion) => {
      letGoOnFailure(context, self, () =>
        new RecoveryPass(context, dead, new ReportWriter()).finishInPlace(portion),
      );
      releaseRecoveryLock(context, self);
    },
    end: async () => {
      const { report } = await recover(context, { dead, self, flushesMax: Number.POSITIVE_INFINITY });
      return report;
    },
  });
}

function letGoOnFailure<T>(context: StoreContext, self: Owner, work: () => T): T {
  try {
    return work();
  } catch (error) {
    // A simulated death releases nothing.
    if (!(error instanceof FailpointHit)) release(context, self);
    throw error;
  }
}

/** Failing to let go hides no other error: a lock of ours is no obstacle to us, and dies with us. */
function release(context: StoreContext, self: Owner): void {
  try {
    releaseRecoveryLock(context, self);
  } catch (error) {
    if (!isStoreError(error)) context.logger.error({ error }, 'the recovery lock could not be released');
  }
}

/** Whether anybody who is not registered as living has left something. */
function hasWork(context: StoreContext): boolean {
  const { fileSystem, log, volumes } = context;
  // Before the log is read, as for the sweep.
  const names = listStagingNames(fileSystem, volumes.known);
  return log.view((view) => {
    const living = livingOwners(view, new Set());
    const nowMs = context.clock.nowMs();
    const isDone = (owner: number): boolean => living.has(owner) || holdsOnlyWaiting(view, owner, nowMs);
    if (!ownersInLog(view).every(isDone)) return true;
    const ofOthers = names.filter(({ owner }) => !living.has(owner));
    const kept = keptAmong(view, ofOthers);
    const suspects = ofOthers.filter((each) => !isKept(each, kept));
    if (suspects.length === 0) return false;
    const transactions = readTransactions(view);
    return leftoversAmong(suspects, { living, transactions, kept }).length > 0;
  });
}

/** Leaps from owner to owner, so that the records of a busy one need not be read. */
function ownersInLog(view: LogView): number[] {
  const owners: number[] = [];
  let start: Uint8Array = new Uint8Array(0);
  for (;;) {
    const [row] = view.range('log', { start, limit: 1 });
    if (row === undefined) return owners;
    const { owner } = parseTransactionKey(row[0]);
    owners.push(owner);
    const { end } = ownerRange(owner);
    start = end;
  }
}

/**
 * Witnesses that no registered owner names, of opens that died before or just after they registered. One may be of an
 * open that is about to register: only what refuses is dead.
 */
async function orphanedWitnesses(context: StoreContext): Promise<string[]> {
  const { fileSystem, layout, log, options } = context;
  if (fileSystem.lstat(layout.log)?.type !== 'directory') return [];
  const names = fileSystem.list(layout.log).filter((name) => name.startsWith(witnessPrefix));
  if (names.length === 0) return [];
  const known = new Set(log.view(registeredOwners).map(({ witness }) => witness));
  const ask = options.probeWitness ?? probeWitness;
  const orphans: string[] = [];
  for (const name of names) {
    if (!known.has(name) && (await ask(`${layout.log}/${name}`)) === 'refused') orphans.push(name);
  }
  return orphans;
}
