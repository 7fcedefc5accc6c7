import { contenders } from '../contenders/index.js';
import type { Series } from '../measurement.js';
import { inTurns } from '../rounds.js';
import type { Scenario } from '../scenario.js';
import { contextSet } from './sets.js';

export const oneWriter = 'one writer';

export const save: Scenario = {
  name: 'save',
  title: 'Four files, 24 KB, one writer',
  about:
    'One set of four files of 6 KB is saved over and over, by one writer that waits for each save. Milliseconds a set.',
  runs: 5,
  everywhere: true,
  plot: 'bars',
  measure: async (world) => {
    const open = await world.open(contenders);
    const turns = open.map(({ name, saver }) => ({
      name,
      act: (round: number) => saver.save(contextSet(round)),
    }));
    const samples = await inTurns(turns, {
      rounds: world.quick ? 10 : 300,
      warmUpRounds: world.quick ? 2 : 200,
      random: world.random,
      onRound: (done, all) => world.progress(`round ${done} of ${all}`),
    });
    return [...samples].map(
      ([contender, times]): Series => ({
        case: oneWriter,
        contender,
        measure: 'time',
        unit: 'ms',
        samples: times,
      }),
    );
  },
};
