/** Readers beside a writer: what they get is of one moment, and of none before they began. */

import { isStoreError, StoreError } from '@forewrit/core';
import { contentIn, isAbsence, newAttempt, nextTurn } from './attempt.js';
import type { Member } from './member.js';
import { type Moment, type Oracle, violation } from './oracle.js';
import type { ReaderSpec } from './program.js';
import type { Timeline } from './timeline.js';

interface Reading {
  readonly member: Member;
  readonly oracle: Oracle;
  readonly timeline: Timeline;
  readonly spec: ReaderSpec;
  /** A transaction can go neither way, and is not recovered yet. */
  readonly mayBeBlocked: boolean;
}

type Found = ReadonlyMap<string, string | undefined>;

const roundsMax = 4;
const turnsMax = 1000;
/** A file that readers write, who want to know whether all that they have read still stands. */
const seenFile = 'seen';

/** Reads on the timeline of what the others have just done, and compares. */
export async function readBeside(reading: Reading, tell: (what: string) => void): Promise<void> {
  const { member, oracle, timeline, spec } = reading;
  member.window.play(timeline, spec.pace);
  let found: Found | 'missing' | 'judged';
  let shown: Member['window']['shown'];
  try {
    found = await read(reading);
  } catch (error) {
    if (!member.lives) return;
    throw error;
  } finally {
    shown = member.window.shown;
    member.window.stop();
  }
  if (found === 'judged') return;
  const first = shown.first ?? oracle.newest;
  const last = shown.last ?? oracle.newest;
  tell(
    `   ${member.name} reads ${found === 'missing' ? found : JSON.stringify([...found])} in ${first} to ${last}`,
  );
  const moments = oracle.history.slice(first, last + 1);
  const edited = new Set(moments.slice(1).flatMap((moment) => moment.edited ?? []));
  const paths = spec.paths.filter((path) => !oracle.isDisputed(path));
  const sure = paths.filter((path) => !edited.has(path));
  if (found === 'missing') {
    const isMissing = ({ state }: Moment): boolean => spec.paths.some((path) => !state.files.has(path));
    if (paths.length < spec.paths.length || moments.some(isMissing)) return;
    throw violation(`${member.name} misses a file of ${spec.paths.join(', ')}, and all are there`);
  }
  const contents = found;
  if (!moments.some(({ state }) => sure.every((path) => state.files.get(path) === contents.get(path))))
    throw violation(
      `${member.name} reads ${JSON.stringify([...contents])}, and there was no such moment: ` +
        moments.map(({ state }) => JSON.stringify(sure.map((path) => state.files.get(path)))).join(', '),
    );
  for (const path of paths) {
    if (!moments.some(({ state }) => state.files.get(path) === contents.get(path)))
      throw violation(`${member.name} reads ${contents.get(path)} in ${path}, which never held that`);
  }
}

async function read({ member, spec, mayBeBlocked }: Reading): Promise<Found | 'missing' | 'judged'> {
  const { store } = member;
  const { paths } = spec;
  try {
    switch (spec.how) {
      case 'readFiles':
        return await store.readFiles(paths, 'utf8');
      case 'snapshot':
        return await store.snapshot(async (view) => {
          const found = new Map<string, string | undefined>();
          for (const path of paths) {
            const isThere = await view.exists(path);
            found.set(path, isThere ? await view.readFile(path, 'utf8') : undefined);
          }
          return found;
        });
      case 'transaction':
        return await readInTransaction(member, paths);
    }
  } catch (error) {
    if (isAbsence(error)) return 'missing';
    if (mayBeBlocked && isStoreError(error, 'ERR_APPLY_BLOCKED')) return 'judged';
    throw error;
  }
}

/** Reads file by file and then commits: the commit judges, and the oracle judges the commit. */
async function readInTransaction(member: Member, paths: readonly string[]): Promise<'judged'> {
  const attempt = newAttempt(`a transaction of ${member.name} that reads`);
  const content = `<seen by ${member.name}>`;
  member.asking = attempt;
  const done = member.store.transact(
    async (tx) => {
      for (const path of paths)
        attempt.reads.push({ kind: 'file', path, content: await contentIn(tx, path) });
      attempt.changes.push({ type: 'write', path: seenFile, content });
      await tx.writeFile(seenFile, content);
    },
    { retries: 0 },
  );
  const answer = done.then(
    () => undefined,
    (error: unknown) => error,
  );
  for (let turn = 0; turn < turnsMax && !member.hasWork; turn += 1) await nextTurn();
  member.window.stop();
  for (let round = 0; round < roundsMax && member.hasWork; round += 1) {
    member.run();
    // What it has read waits for its file: that comes.
    if (member.hasWork) await member.recoverDead();
  }
  if (member.hasWork) member.giveUp(new StoreError('ERR_STORE_LOCKED', 'waited too long', { op: 'commit' }));
  const error = await answer;
  if (error !== undefined && !isStoreError(error)) throw error;
  return 'judged';
}
