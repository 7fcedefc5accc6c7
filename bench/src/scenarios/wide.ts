import path from 'node:path';
import { writeFilesBatch } from '@forewrit/staging';
import { openStore, type Store } from 'forewrit';
import { contenders } from '../contenders/index.js';
import { reference, type Series } from '../measurement.js';
import { inTurns, timed } from '../rounds.js';
import type { Scenario, World } from '../scenario.js';
import { contentOf } from './sets.js';

const fileBytes = 1000;
export const caseOf = (files: number): string => `${files.toLocaleString('en-US')} files`;
export const batchOf = (files: number): string => `batch of ${files.toLocaleString('en-US')}`;
export const oneFile = 'time of a file';

export const wide: Scenario = {
  name: 'wide',
  title: 'Many small files in one transaction',
  about:
    'So many files of 1 KB, all replaced in one transaction (or, where there is none, one after the other or all at once). ' +
    'Milliseconds for all of them. And what a file of 2 KB costs in a batch (`writeFilesBatch`) of ten and of a thousand.',
  runs: 5,
  everywhere: true,
  plot: 'bars',
  measure: async (world) => [
    ...(await measureWidth(world, { files: 100, rounds: world.quick ? 3 : 20 })),
    ...(await measureWidth(world, { files: 1000, rounds: world.quick ? 2 : 8 })),
    ...(await measureBatches(world)),
  ],
};

async function measureWidth(
  world: World,
  { files, rounds }: { readonly files: number; readonly rounds: number },
): Promise<Series[]> {
  const open = await world.open(contenders, { directories: ['many'] });
  const names = Array.from({ length: files }, (_, index) => `many/${index}.json`);
  const turns = open.map(({ name, saver }) => ({
    name,
    act: (round: number) => saver.save(names.map((each) => [each, contentOf(round, fileBytes)])),
  }));
  const title = caseOf(files);
  const samples = await inTurns(turns, {
    rounds,
    warmUpRounds: world.quick ? 1 : 3,
    random: world.random,
    onRound: (done, all) => world.progress(`${title}: round ${done} of ${all}`),
  });
  return [...samples].map(
    ([contender, times]): Series => ({ case: title, contender, measure: 'time', unit: 'ms', samples: times }),
  );
}

async function measureBatches(world: World): Promise<Series[]> {
  const store = await openStore(path.join(world.directory, 'batches'));
  try {
    const turns = [10, 1000].map((files) => ({
      name: batchOf(files),
      act: async (round: number) => (await timed(() => writeBatch(store, files, round))) / files,
    }));
    const samples = await inTurns(turns, {
      rounds: world.quick ? 2 : 10,
      warmUpRounds: world.quick ? 1 : 3,
      random: world.random,
      onRound: (done, all) => world.progress(`batches: round ${done} of ${all}`),
    });
    return [...samples].map(
      ([name, times]): Series => ({
        case: name,
        contender: reference,
        measure: oneFile,
        unit: 'ms',
        samples: times,
      }),
    );
  } finally {
    await store.close();
  }
}

async function writeBatch(store: Store, files: number, version: number): Promise<void> {
  const content = contentOf(version, 2 * fileBytes);
  await writeFilesBatch(
    store,
    Array.from({ length: files }, (_, index): [string, string] => [`batch-${files}/${index}`, content]),
  );
}
