/** What is promised of Forewrit's speed: this table, and nothing else, is what `--check` asserts. */

import { atomically, writeFileAtomic } from './contenders/atomic-files.js';
import { betterSqlite3 } from './contenders/databases.js';
import { forewritDeferred } from './contenders/forewrit.js';
import { limit } from './contenders/limit.js';
import { writeFileInTurn } from './contenders/plain-files.js';
import { plainReads, writeStream } from './contenders/single.js';
import { eventLoopDelay, reference } from './measurement.js';
import type { PlaceName } from './places.js';
import { growthWindows, inProbes, logSize, resident, windowCase } from './scenarios/growth.js';
import { moreMemory, oneFile as oneLargeFile } from './scenarios/large.js';
import { cleanAfter, opening, untilSaved, withIncomplete } from './scenarios/open.js';
import { writerElsewhere, writerHere } from './scenarios/read.js';
import { oneWriter } from './scenarios/save.js';
import { batchOf, caseOf as filesCase, oneFile } from './scenarios/wide.js';
import { actCase } from './scenarios/tasks.js';
import { caseOf as writersCase, setsOfTheirOwn } from './scenarios/writers.js';

export interface Figure {
  readonly case: string;
  readonly contender: string;
  readonly measure: string;
}

export interface Limit {
  readonly scenario: string;
  /** For people. */
  readonly title: string;
  readonly ours: Figure;
  /** Ours is given in units of this; without it, in its own. */
  readonly theirs?: Figure;
  readonly percentile: 'p50' | 'p99';
  readonly atMost: number;
}

/** Figures of other file systems are shown, and nothing is promised of them. */
export const placesChecked: readonly PlaceName[] = ['plain', 'ext4'];

const time = (title: string, contender: string): Figure => ({ case: title, contender, measure: 'time' });

/** Ours in units of theirs, of the same case. */
function against(scenario: string, title: string, theirs: string, atMost: number, ours = reference): Limit {
  return {
    scenario,
    title: `${title}: ${ours} against ${theirs}`,
    ours: time(title, ours),
    theirs: time(title, theirs),
    percentile: 'p50',
    atMost,
  };
}

/** A figure of ours in units of another one of ours. */
function grows(
  scenario: string,
  title: string,
  [last, first]: readonly [Figure, Figure],
  atMost: number,
): Limit {
  return { scenario, title, ours: last, theirs: first, percentile: 'p50', atMost };
}

function absolute(
  scenario: string,
  title: string,
  ours: Figure,
  { atMost, percentile = 'p50' }: { readonly atMost: number; readonly percentile?: Limit['percentile'] },
): Limit {
  return { scenario, title, ours, percentile, atMost };
}

const own = (title: string, measure: string): Figure => ({ case: title, contender: reference, measure });
const many = writersCase(64, setsOfTheirOwn);
const last = (measure: string): Figure => own(windowCase(growthWindows), measure);
const middle = (measure: string): Figure => own(windowCase(growthWindows / 2), measure);
const ends = (measure: string): [Figure, Figure] => [last(measure), own(windowCase(1), measure)];

export const limits: readonly Limit[] = [
  against('save', oneWriter, writeFileInTurn.name, 1.1),
  against('save', oneWriter, writeFileAtomic.name, 0.35),
  against('save', oneWriter, atomically.name, 0.5),
  against('save', oneWriter, limit.name, 2.2),
  against('writers', many, writeFileAtomic.name, 1 / 3.3),
  against('writers', many, betterSqlite3.name, 1),
  against('writers', many, betterSqlite3.name, 1 / 2, forewritDeferred.name),
  against('writers', many, writeFileAtomic.name, 1 / 10, forewritDeferred.name),
  absolute('writers', `${many}: delay of the event loop, p99, ms`, own(many, eventLoopDelay), {
    atMost: 20,
    percentile: 'p99',
  }),
  against('wide', filesCase(1000), writeFileAtomic.name, 0.5),
  grows(
    'wide',
    'a file of a batch of a thousand against one of ten',
    [own(batchOf(1000), oneFile), own(batchOf(10), oneFile)],
    1.5,
  ),
  against('large', oneLargeFile, writeStream.name, 1 / 0.9),
  absolute('large', 'most memory beyond rest, MiB', own(oneLargeFile, moreMemory), { atMost: 64 }),
  against('read', writerHere, plainReads.name, 1.3),
  against('read', writerElsewhere, plainReads.name, 1.3),
  grows(
    'open',
    'clean, after 100,000 transactions against none',
    [own(cleanAfter(100_000), opening), own(cleanAfter(0), opening)],
    1.25,
  ),
  absolute(
    'open',
    '10,000 incomplete transactions, until a save is acknowledged, ms',
    own(withIncomplete(10_000), untilSaved),
    {
      atMost: 2000,
    },
  ),
  ...[1000, 100_000].flatMap((ended) => [
    absolute('tasks', `${actCase('start', ended)}, ms`, own(actCase('start', ended), 'time'), { atMost: 3 }),
    absolute('tasks', `${actCase('get', ended)}, ms`, own(actCase('get', ended), 'time'), { atMost: 5 }),
    absolute('tasks', `${actCase('list', ended)}, ms`, own(actCase('list', ended), 'time'), { atMost: 5 }),
  ]),
  grows('growth', 'a save in probes, last window against first', ends(inProbes), 1.25),
  // It takes its size within the first windows: free pages lie between those in use.
  grows('growth', 'the log, last window against the middle one', [last(logSize), middle(logSize)], 1.1),
  absolute('growth', 'the log, last window, MiB', last(logSize), { atMost: 16 }),
  grows('growth', 'resident memory, last window against first', ends(resident), 1.25),
];
