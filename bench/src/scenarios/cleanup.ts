import fs from 'node:fs';
import path from 'node:path';
import { openStore, type Store } from 'forewrit';
import { recursiveRemove } from '../contenders/single.js';
import { reference, type Series } from '../measurement.js';
import { inTurns, timed } from '../rounds.js';
import type { Scenario, World } from '../scenario.js';
import { leaveIncomplete } from './incomplete.js';

const removedFiles = 1000;

export const cleanup: Scenario = {
  name: 'cleanup',
  title: 'Clearing up',
  about:
    'A checkpoint after so many saves of four files of 100 bytes: their files and directories are fsynced, the log is trimmed, ' +
    'before-images go. A directory of a thousand files removed, in one transaction, and by `fs.promises.rm`, which is neither ' +
    'atomic nor durable. What a killed process had staged and not committed, swept as the store is opened. Content that was ' +
    'staged under an id, discarded. Milliseconds.',
  runs: 3,
  everywhere: false,
  plot: 'bars',
  measure: async (world) => {
    const store = await openStore(path.join(world.directory, 'store'));
    try {
      return [
        ...(await measureCheckpoint(world, store, 100)),
        ...(await measureCheckpoint(world, store, world.quick ? 200 : 1000)),
        ...(await measureRemoval(world, store)),
        ...(await measureSweep(world)),
        ...(await measureDiscard(world, store)),
      ];
    } finally {
      await store.close();
    }
  },
};

const ofForewrit = (title: string, samples: readonly number[]): Series => ({
  case: title,
  contender: reference,
  measure: 'time',
  unit: 'ms',
  samples,
});

async function measureCheckpoint(world: World, store: Store, saves: number): Promise<Series[]> {
  const title = `checkpoint after ${saves.toLocaleString('en-US')} saves`;
  const samples: number[] = [];
  for (let round = 0; round < (world.quick ? 2 : 10); round += 1) {
    world.progress(`${title}: ${round}`);
    await store.checkpoint();
    // Quicker than the interval after which one would begin by itself.
    await Promise.all(
      Array.from({ length: saves }, (_, save) =>
        store.writeFiles(
          ['a', 'b', 'c', 'd'].map((name): [string, string] => [
            `set-${save}/${name}`,
            `${round} `.padEnd(100, name),
          ]),
        ),
      ),
    );
    samples.push(await timed(() => store.checkpoint()));
  }
  return [ofForewrit(title, samples)];
}

async function measureRemoval(world: World, store: Store): Promise<Series[]> {
  const names = Array.from({ length: removedFiles }, (_, index) => `${index}.json`);
  const plain = path.join(world.directory, 'plain');
  const turns = [
    {
      name: reference,
      act: async () => {
        await store.writeFiles(names.map((name): [string, string] => [`removed/${name}`, name]));
        await store.checkpoint();
        const elapsedMs = await timed(() => store.rm('removed', { recursive: true }));
        await store.checkpoint();
        return elapsedMs;
      },
    },
    {
      name: recursiveRemove.name,
      act: async () => {
        fs.mkdirSync(plain);
        for (const name of names) fs.writeFileSync(path.join(plain, name), name);
        return await timed(() => fs.promises.rm(plain, { recursive: true }));
      },
    },
  ];
  const samples = await inTurns(turns, {
    rounds: world.quick ? 2 : 10,
    warmUpRounds: 1,
    random: world.random,
    onRound: (done, all) => world.progress(`removal: round ${done} of ${all}`),
  });
  const title = 'removing 1,000 files';
  return [...samples].map(([contender, times]) => ({ ...ofForewrit(title, times), contender }));
}

async function measureSweep(world: World): Promise<Series[]> {
  const count = world.quick ? 50 : 1000;
  const samples: number[] = [];
  for (let round = 0; round < (world.quick ? 1 : 3); round += 1) {
    world.progress(`sweep: ${round}`);
    const root = path.join(world.directory, `swept-${round}`);
    await leaveIncomplete(root, { count, at: 'stage.after' });
    const startedMs = performance.now();
    const store = await openStore(root);
    samples.push(performance.now() - startedMs);
    const { sweptFiles } = store.recovery;
    await store.close();
    if (sweptFiles < count) throw new Error(`of ${count} staged files ${sweptFiles} were swept`);
    fs.rmSync(root, { recursive: true });
  }
  return [ofForewrit(`open, sweeping ${count.toLocaleString('en-US')} staged files`, samples)];
}

async function measureDiscard(world: World, store: Store): Promise<Series[]> {
  const count = world.quick ? 5 : 50;
  const content = Buffer.alloc(100_000, 'staged ');
  const samples: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const staged = await store.stage(`discarded-${index}`);
    await staged.append(content);
    await staged.sync();
    await staged.close();
    samples.push(await timed(() => store.discardStaged(`discarded-${index}`)));
  }
  return [ofForewrit('discarding staged content of 100 KB', samples)];
}
