/** What the log holds that nobody finishes: transactions and locks of the dead, blocked ones, content that is gone. */

import {
  beforePath,
  checksumOfFile,
  type FileSystem,
  stagedPath,
  type Target,
  type Volume,
} from '@forewrit/core';
import type { InspectedLock, InspectedTransaction, Inspection } from '../inspect.js';
import { finding, type Finding, type FindingCode, forewrit, type Remedy, shown } from './finding.js';

export interface TransactionLook {
  readonly inspection: Inspection;
  readonly fileSystem: FileSystem;
  /** Whether content may be read that is large. */
  readonly readData: boolean;
}

export function checkTransactions(look: TransactionLook): Finding[] {
  const { inspection } = look;
  return [
    ...inspection.transactions.flatMap((transaction) => [
      ...undecided(look, transaction),
      ...missingCopies(look, transaction),
      ...staging(look, transaction),
    ]),
    ...notCheckpointed(inspection),
    ...owners(inspection),
    ...orphanedLocks(inspection),
  ];
}

const codes: Readonly<Record<NonNullable<InspectedTransaction['paths'][number]['blockedBy']>, FindingCode>> =
  {
    missing: 'content-missing',
    damaged: 'content-damaged',
    escapes: 'path-escapes',
    unreachable: 'place-unreachable',
  };

function undecided({ inspection }: TransactionLook, transaction: InspectedTransaction): Finding[] {
  const { root } = inspection;
  const { id, state, ownerAlive, paths, staging: staged } = transaction;
  const recover = { command: forewrit(root, 'recover') };
  const inTheWay = paths.flatMap(({ path, blockedBy }) =>
    blockedBy === undefined ? [] : [{ path, blockedBy }],
  );
  const found = inTheWay.map(({ path, blockedBy }) =>
    finding(codes[blockedBy], {
      path,
      transaction: id,
      message: `Transaction ${id} is committed and cannot write '${path}': ${reasons[blockedBy]}`,
      remedy: settle(root, transaction, blockedBy),
    }),
  );
  if (state === 'blocked') {
    const names = shown(paths.map(({ path }) => path));
    const cause = inTheWay[0]?.blockedBy;
    const message = `Transaction ${id} is blocked, and with it ${names}`;
    found.push(
      finding('transaction-blocked', {
        transaction: id,
        message,
        remedy: ownerAlive
          ? endOwner(inspection, transaction)
          : cause === undefined
            ? recover
            : settle(root, transaction, cause),
      }),
    );
  }
  if (found.length > 0 || ownerAlive || staged?.overdue === false) return found;
  if (staged !== undefined) {
    const message = `Content staged as '${staged.id}' was last continued ${new Date(staged.advancedAtMs).toISOString()}`;
    return [finding('staging-overdue', { transaction: id, message, remedy: recover })];
  }
  if (state === 'applied') return [];
  const names = paths.length === 0 ? 'nothing' : shown(paths.map(({ path }) => path));
  const message = `Transaction ${id} of a dead process is ${state} and not finished: ${names}`;
  return [finding('recovery-pending', { transaction: id, message, remedy: recover })];
}

/** A process may leave thousands of them. */
function notCheckpointed({ root, transactions }: Inspection): Finding[] {
  const left = transactions.filter(
    ({ state, ownerAlive, paths }) =>
      state === 'applied' && !ownerAlive && paths.every(({ blockedBy }) => blockedBy === undefined),
  );
  if (left.length === 0) return [];
  const ids = shown(left.map(({ id }) => id));
  const message = `${left.length} ${left.length === 1 ? 'transaction' : 'transactions'} carried out by a process that ended before its checkpoint: ${ids}`;
  return [finding('checkpoint-pending', { message, remedy: { command: forewrit(root, 'recover') } })];
}

const reasons = {
  missing: 'its content is gone from the staging area',
  damaged: 'its content fails its checksum',
  escapes: 'the way to it leads out of the store',
  unreachable: 'its root or file system is not there',
} as const;

function settle(root: string, { id, canGoBack }: InspectedTransaction, cause: keyof typeof reasons): Remedy {
  const directions = canGoBack === true ? ['back', 'forward', 'quarantine'] : ['forward', 'quarantine'];
  const [command, ...alternatives] = directions.map((way) => forewrit(root, 'repair', id, `--${way}`));
  if (cause === 'unreachable') {
    return {
      alternatives: [forewrit(root, 'recover')],
      advice: 'Mount that file system again, or open the store with that root, then recover.',
    };
  }
  return {
    ...(command === undefined ? {} : { command }),
    alternatives: cause === 'escapes' ? [forewrit(root, 'recover'), ...alternatives] : alternatives,
    advice:
      cause === 'escapes'
        ? 'If the directory can be put back in place of what leads away, do that and recover. Else settle it by hand.'
        : 'Whatever is replaced goes to .forewrit/conflicts first. --back restores the old files, --forward carries out ' +
          'what can be, --quarantine leaves the files as they are.',
  };
}

function endOwner({ root, owners: known }: Inspection, { owner }: InspectedTransaction): Remedy {
  const pid = known.find(({ number }) => number === owner)?.pid;
  return {
    ...(pid === undefined ? {} : { command: ['kill', String(pid)] }),
    alternatives: [forewrit(root, 'recover')],
    advice: 'Its process is running. Let it close the store, or end it; then recover, and check again.',
  };
}

/** Copies that must be there until the checkpoint. */
function missingCopies(
  { inspection, fileSystem }: TransactionLook,
  { id, state, ownerAlive, records }: InspectedTransaction,
): Finding[] {
  const { root, areas } = inspection;
  const found: Finding[] = [];
  const isGone = (place: string): boolean => fileSystem.lstat(place) === undefined;
  for (const target of records.targets) {
    const volume = areas.find(({ path }) => path === target.volume)?.volume;
    if (volume === undefined) continue;
    const living = ownerAlive && (state === 'applied' || state === 'committed');
    if (living && target.staged !== undefined && isGone(stagedPath(volume, target.staged))) {
      found.push(
        finding('durable-copy-missing', {
          path: target.path,
          transaction: id,
          message: `The durable copy of '${target.path}' is gone: ${stagedPath(volume, target.staged)}`,
          remedy: {
            advice:
              'Its process is running: its next checkpoint, or closing the store, makes the file durable.',
          },
        }),
      );
    }
    const before = expectedBefore(target, volume);
    if ((state === 'committed' || state === 'blocked') && before !== undefined && isGone(before)) {
      found.push(
        finding('before-missing', {
          path: target.path,
          transaction: id,
          message: `The before-image of '${target.path}' is gone: ${before}`,
          remedy: ownerAlive
            ? { advice: 'Its process is running, and needs it only if it cannot carry the save out.' }
            : { command: forewrit(root, state === 'blocked' ? 'check' : 'recover') },
        }),
      );
    }
  }
  return found;
}

/** What is removed gets its name in `before/` by its removal; what is replaced has it from staging on. */
function expectedBefore({ action, before, beforeName }: Target, volume: Volume): string | undefined {
  if (beforeName === undefined || before.type !== 'file') return undefined;
  return action === 'write' || action === 'move' ? beforePath(volume, beforeName) : undefined;
}

function staging(
  { inspection, fileSystem, readData }: TransactionLook,
  { id: transaction, records }: InspectedTransaction,
): Finding[] {
  const { resumable } = records;
  const volume = inspection.areas.find(({ path }) => path === resumable?.volume)?.volume;
  if (resumable === undefined || volume === undefined) return [];
  const { id, offset, checksum, staged } = resumable;
  const path = stagedPath(volume, staged);
  const stat = fileSystem.lstat(path);
  const remedy = { command: forewrit(inspection.root, 'recover', '--discard', id, '--yes') };
  if (stat?.type !== 'file') {
    const message = `The content staged as '${id}' is not there: ${path}`;
    return [finding('staging-missing', { path, transaction, message, remedy })];
  }
  const isShort = stat.size < offset;
  if (!isShort && !(readData && checksumOfFile(fileSystem, path, offset) !== checksum)) return [];
  const why = isShort ? `it has ${stat.size} bytes of ${offset}` : 'it fails its checksum';
  const message = `The content staged as '${id}' is damaged: ${why}`;
  return [finding('staging-damaged', { path, transaction, message, remedy })];
}

function owners({ root, owners: known, locks, transactions }: Inspection): Finding[] {
  const remedy = { command: forewrit(root, 'recover') };
  return known.flatMap((owner) => {
    if (owner.alive) return [];
    const theirs = locks.filter((lock) => lock.owner === owner.number && !lock.blocked);
    const who = `Owner ${owner.id} (process ${owner.pid}) is dead (${owner.why})`;
    if (theirs.length > 0) {
      const message = `${who} and holds ${counted(theirs)}: ${shown(theirs.map(({ what }) => what))}`;
      return [finding('lock-dead-owner', { message, remedy })];
    }
    if (transactions.some((transaction) => transaction.owner === owner.number)) return [];
    return [finding('owner-dead', { message: `${who} and still registered`, remedy })];
  });
}

function orphanedLocks({ root, locks }: Inspection): Finding[] {
  const orphaned = locks.filter(({ recorded }) => !recorded);
  if (orphaned.length === 0) return [];
  const message = `${counted(orphaned)} of transactions that the log does not hold: ${shown(orphaned.map(({ what }) => what))}`;
  return [finding('lock-orphaned', { message, remedy: { command: forewrit(root, 'recover') } })];
}

function counted(locks: readonly InspectedLock[]): string {
  return locks.length === 1 ? '1 lock' : `${locks.length} locks`;
}
