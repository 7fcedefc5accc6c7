/**
 * Only one recovery runs at a time: a row of the log names the owner that runs it. Whoever finds it taken looks whether
 * that owner lives; the lock of a dead one is taken over, for what it left half done is what recovery is there for.
 */

import {
  defaults,
  type LogView,
  metaKeys,
  numberRow,
  type Owner,
  probeOwner,
  type StoreContext,
  StoreError,
} from '@forewrit/core';
import { registeredOwners } from './analysis.js';

const pollMs = 10;
/** A stopped process is alive: asking it again is worth less and less. */
const probeEveryMs = 250;
/** Ends the wait also where the clock stands still. */
const looksMax = 100_000;

/** On return this owner has the lock. `ERR_STORE_LOCKED` when another one keeps it too long. */
export async function acquireRecoveryLock(
  context: StoreContext,
  self: Owner,
  dead: ReadonlySet<number>,
): Promise<void> {
  const { clock, log, options } = context;
  const deadlineMs = clock.monotonicMs() + (options.lockTimeoutMs ?? defaults.lockTimeoutMs);
  const gone = new Set(dead);
  let nextProbeMs = 0;
  for (let look = 0; look < looksMax; look += 1) {
    const holder = log.view((view) => holderOf(view, { self: self.number, gone }));
    if (holder === undefined) {
      if (take(context, self, gone)) return;
      continue;
    }
    const nowMs = clock.monotonicMs();
    if (nowMs > deadlineMs) throw locked(holder);
    if (nowMs >= nextProbeMs) {
      nextProbeMs = nowMs + probeEveryMs;
      if (!(await isAlive(context, holder, self))) {
        gone.add(holder.number);
        continue;
      }
    }
    await pause(pollMs);
  }
  throw new StoreError('ERR_STORE_LOCKED', 'Waited too long for another recovery', { op: 'recover' });
}

export function releaseRecoveryLock(context: StoreContext, self: Owner): void {
  context.log.commit(
    (batch) => {
      if (heldBy(batch) === self.number) batch.delete('meta', metaKeys.recovery);
    },
    { essential: true },
  );
}

function take({ log }: StoreContext, self: Owner, gone: ReadonlySet<number>): boolean {
  return log.commit(
    (batch) => {
      if (holderOf(batch, { self: self.number, gone }) !== undefined) return false;
      batch.put('meta', metaKeys.recovery, numberRow.encode(metaKeys.recovery, self.number));
      return true;
    },
    { essential: true },
  );
}

export function heldBy(view: LogView): number | undefined {
  const value = view.get('meta', metaKeys.recovery);
  return value === undefined ? undefined : numberRow.decode(metaKeys.recovery, value);
}

/** Another owner that is registered, not known to be gone, and has the lock. */
function holderOf(
  view: LogView,
  { self, gone }: { readonly self: number; readonly gone: ReadonlySet<number> },
): Owner | undefined {
  const number = heldBy(view);
  if (number === undefined || number === self || gone.has(number)) return undefined;
  return registeredOwners(view).find((owner) => owner.number === number);
}

async function isAlive(
  { processTable, layout, options }: StoreContext,
  owner: Owner,
  self: Owner,
): Promise<boolean> {
  const { probeWitness } = options;
  const liveness = await probeOwner(owner, {
    processTable,
    witnessDirectory: layout.log,
    selfNumbers: new Set([self.number]),
    ...(probeWitness === undefined ? {} : { probeWitness }),
  });
  return liveness.alive;
}

function locked(holder: Owner): StoreError {
  return new StoreError('ERR_STORE_LOCKED', `Owner ${holder.id} has been recovering the store for too long`, {
    op: 'recover',
    hint: `The process ${holder.identity.pid} is at it, or stopped. \`forewrit status\` shows more.`,
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
