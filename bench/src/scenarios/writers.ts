import type { Saver } from '../contenders/contender.js';
import { forManySavers } from '../contenders/index.js';
import { EventLoopWatch } from '../event-loop.js';
import { eventLoopDelay, type Series } from '../measurement.js';
import { inTurns, timed } from '../rounds.js';
import type { OpenContender, Scenario, World } from '../scenario.js';
import { contextSet } from './sets.js';

const writersMax = 64;

export const setsOfTheirOwn = 'sets of their own';
export const theSameSet = 'the same set';
export const caseOf = (writers: number, kind: string): string =>
  writers === 1 ? 'one writer' : `${writers} writers, ${kind}`;

export const writers: Scenario = {
  name: 'writers',
  title: 'Concurrent savers',
  about:
    'So many savers in one process, each saving four files of 6 KB and waiting for the answer before the next. A sample is the ' +
    'time of all of them over the number of sets: milliseconds a set. Beside it the delay of the event loop meanwhile.',
  runs: 5,
  everywhere: true,
  plot: { axis: 'writers, each with a set of its own', measure: 'time', logarithmic: true },
  measure: async (world) => {
    const directories = Array.from({ length: writersMax }, (_, index) => directoryOf(index));
    const open = await world.open(forManySavers, { directories });
    const series: Series[] = [];
    for (const count of [1, 4, 16, writersMax]) {
      series.push(...(await measureCase(world, open, { count, same: false })));
      if (count > 1) series.push(...(await measureCase(world, open, { count, same: true })));
    }
    return series;
  },
};

interface Case {
  readonly count: number;
  readonly same: boolean;
}

async function measureCase(
  world: World,
  open: readonly OpenContender[],
  { count, same }: Case,
): Promise<Series[]> {
  const title = caseOf(count, same ? theSameSet : setsOfTheirOwn);
  // Of many savers on sets of their own more: each contender is to bear itself what it leaves to its background.
  const setsEach = world.quick ? 1 : Math.max(64 / count, same ? 2 : 6);
  const warmUpRounds = world.quick ? 1 : 3;
  const watches = new Map(open.map(({ name }) => [name, new EventLoopWatch()]));
  const turns = open.map(({ name, saver }) => ({
    name,
    act: async (round: number) => {
      const saveAll = (): Promise<unknown> =>
        Promise.all(
          Array.from({ length: count }, (_, index) =>
            saveInTurn(saver, { directory: directoryOf(same ? 0 : index), version: round, sets: setsEach }),
          ),
        );
      const watch = round < warmUpRounds ? new EventLoopWatch() : watches.get(name)!;
      const elapsedMs = await watch.during(() => timed(saveAll));
      return elapsedMs / (count * setsEach);
    },
  }));
  const samples = await inTurns(turns, {
    rounds: world.quick ? 3 : 10,
    warmUpRounds,
    random: world.random,
    onRound: (done, all) => world.progress(`${title}: round ${done} of ${all}`),
  });
  const series: Series[] = [];
  for (const [contender, times] of samples) {
    const about = { case: title, contender, unit: 'ms' } as const;
    const delays = watches.get(contender)!.samples;
    series.push({ ...about, measure: 'time', samples: times, ...(same ? {} : { x: count }) });
    if (delays.length > 0) series.push({ ...about, measure: eventLoopDelay, samples: delays });
  }
  return series;
}

interface Work {
  readonly directory: string;
  readonly version: number;
  readonly sets: number;
}

async function saveInTurn(saver: Saver, { directory, version, sets }: Work): Promise<void> {
  for (let set = 0; set < sets; set += 1) await saver.save(contextSet(version * sets + set, directory));
}

function directoryOf(index: number): string {
  return `set-${index}`;
}
