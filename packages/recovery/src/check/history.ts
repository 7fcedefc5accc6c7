/**
 * What history keeps, row by row: without it a transaction cannot be undone, and nobody is told before he tries. Others let
 * go of history meanwhile, a row always before what it names: so a row is looked for again before anything is said of it.
 */

import {
  hasHistoryOf,
  type HistoryRow,
  type FileSystem,
  type Log,
  newestHistory,
  type StorePath,
  type TransactionId,
  transactionId,
  type Volume,
} from '@forewrit/core';
import { type KeptProblem, lookAtKept } from '../verify-history.js';
import { finding, type Finding, type FindingCode, type Remedy, shown } from './finding.js';

const pageRows = 100;
/** Where more transactions have the same problem, one finding is about all of them. */
const eachMax = 5;

export interface HistoryLook {
  readonly log: Pick<Log, 'view'>;
  readonly fileSystem: FileSystem;
  /** The areas that are there: of others nothing can be said. */
  readonly volumes: ReadonlyMap<StorePath, Volume>;
  /** Compare content with its checksum. */
  readonly readData: boolean;
  /** After each transaction. */
  readonly progress: (done: number) => void;
  readonly signal?: AbortSignal | undefined;
}

type Problem = KeptProblem['problem'];

interface Tally {
  count: number;
  /** The newest of them. */
  readonly ids: TransactionId[];
  /** Of one transaction each, until there are too many. */
  readonly findings: Finding[];
}

export async function checkHistory(look: HistoryLook): Promise<Finding[]> {
  const tallies = new Map<Problem, Tally>();
  let done = 0;
  let before: number | undefined;
  for (;;) {
    const page = look.log.view((view) => newestHistory(view, { before, limit: pageRows }));
    for (const row of page) {
      const found = await problemsOf(look, row);
      if (found.length > 0 && look.log.view((view) => hasHistoryOf(view, row.revision)))
        count(tallies, row, found);
      done += 1;
      look.progress(done);
    }
    if (page.length < pageRows) break;
    before = page.at(-1)!.revision;
  }
  return [...tallies].flatMap(([problem, tally]) =>
    tally.count > eachMax ? [findingOfMany(problem, tally)] : tally.findings,
  );
}

async function problemsOf(look: HistoryLook, row: HistoryRow): Promise<KeptProblem[]> {
  const { fileSystem, volumes, readData, signal } = look;
  const found: KeptProblem[] = [];
  for (const target of row.targets) {
    const volume = volumes.get(target.volume);
    if (target.kept === undefined || volume === undefined) continue;
    for (const problem of lookAtKept({ fileSystem, volume, readData }, target)) {
      if (problem !== undefined) found.push(problem);
      // Others have their turn: a signal, for instance.
      if (readData) await new Promise(setImmediate);
      signal?.throwIfAborted();
    }
  }
  await new Promise(setImmediate);
  return found;
}

function count(tallies: Map<Problem, Tally>, row: HistoryRow, found: readonly KeptProblem[]): void {
  for (const problem of ['missing', 'damaged', 'unreadable'] as const) {
    const own = found.filter((each) => each.problem === problem);
    if (own.length === 0) continue;
    const tally = tallies.get(problem) ?? { count: 0, ids: [], findings: [] };
    tallies.set(problem, tally);
    tally.count += 1;
    if (tally.count > eachMax) continue;
    tally.ids.push(transactionId(row.number));
    tally.findings.push(findingOf(problem, row, own));
  }
}

const codes = {
  missing: 'history-missing',
  damaged: 'history-damaged',
  unreadable: 'history-unreadable',
} as const satisfies Record<Problem, FindingCode>;

const states = {
  missing: 'is gone',
  damaged: 'is not what it was',
  unreadable: 'cannot be read',
} as const satisfies Record<Problem, string>;

function findingOf(problem: Problem, row: HistoryRow, found: readonly KeptProblem[]): Finding {
  const transaction = transactionId(row.number);
  const names = found.map(({ path, file, why }) =>
    problem === 'missing' ? `'${path}' (${file})` : `'${path}' (${file} ${why})`,
  );
  return finding(codes[problem], {
    path: found[0]!.path,
    transaction,
    message: `What history keeps of transaction ${transaction} ${states[problem]}: ${shown(names)}`,
    remedy: remedyOf(problem, found[0]!.file),
  });
}

function findingOfMany(problem: Problem, { count: all, ids, findings }: Tally): Finding {
  const message = `What history keeps of ${all} transactions ${states[problem]}: ${shown(ids, all)}`;
  return finding(codes[problem], { message, remedy: findings[0]!.remedy });
}

function remedyOf(problem: Problem, file: string): Remedy {
  if (problem === 'unreadable') {
    const advice =
      'Give this user the right to read it, or look at the health of the disk, then check again.';
    return { command: ['ls', '-ld', file], advice };
  }
  return {
    advice:
      'Nothing has to be done: a program that keeps history lets go of the entry by its age. Only a backup can bring the content ' +
      'back, under the same name. To let go of all of history at once, open the store with { history: { maxBytes: 0 } } in a ' +
      'program, and call checkpoint().',
  };
}
