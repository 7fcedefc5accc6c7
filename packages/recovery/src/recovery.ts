/**
 * Recovery as core asks for it: at every open, and whenever an owner is found dead. Where there is nothing to do, which
 * is nearly always, it reads a few keys and three directories, and writes nothing.
 */

import {
  assert,
  decodeTransaction,
  FailpointHit,
  isStoreError,
  type LogView,
  type Owner,
  ownerRange,
  parseTransactionKey,
  probeWitness,
  readVolumes,
  type Recoverer,
  type RecoveryReport,
  type StoreContext,
  unlinkIfThere,
  withStoreCode,
  witnessPrefix,
} from '@forewrit/core';
import { holdsOnlyWaiting, livingOwners, readTransactionRows, registeredOwners } from './analysis.js';
import { acquireRecoveryLock, releaseRecoveryLock } from './recovery-lock.js';
import { RecoveryPass } from './recovery-pass.js';
import { ReportWriter } from './report.js';
import { leftoversAmong, listStagingNames } from './undo.js';

export function createRecoverer(): Recoverer {
  return {
    async recover(context, dead, self) {
      try {
        return await recover(context, dead, self);
      } catch (error) {
        throw withStoreCode(error, { op: 'recover', path: context.roots.root });
      }
    },
  };
}

async function recover(context: StoreContext, dead: readonly Owner[], self: Owner): Promise<RecoveryReport> {
  const started = context.clock.monotonicMs();
  const report = new ReportWriter();
  const numbers = new Set(dead.map(({ number }) => number));
  assert(!numbers.has(self.number), 'an owner does not recover itself');
  // Others may have taken further staging areas into use since this store was opened.
  for (const place of context.log.view(readVolumes)) context.volumes.addIfThere(place);
  const orphans = await orphanedWitnesses(context);
  if (dead.length > 0 || hasWork(context)) {
    await acquireRecoveryLock(context, self, numbers);
    const gone = runPass(context, dead, self, report);
    for (const { witness } of gone) if (witness !== undefined) orphans.push(witness);
  }
  // Last: as long as a dead owner is registered, its witness is what proves its death.
  for (const name of orphans)
    if (unlinkIfThere(context.fileSystem, `${context.layout.log}/${name}`)) report.swept(1);
  return report.finish(context.clock.monotonicMs() - started);
}

function runPass(context: StoreContext, dead: readonly Owner[], self: Owner, report: ReportWriter): Owner[] {
  try {
    return new RecoveryPass(context, dead, report).run(self);
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
    const suspects = names.filter(({ owner }) => !living.has(owner));
    if (suspects.length === 0) return false;
    const hasHistory = view.range('history', { start: new Uint8Array(0), limit: 1 }).length > 0;
    const transactions = readTransactionRows(view).map(({ number, rows }) => decodeTransaction(number, rows));
    return leftoversAmong(suspects, { living, transactions, hasHistory }).length > 0;
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
