import fs from 'node:fs/promises';
import path from 'node:path';
import { TestProcess } from '@forewrit/testkit/child-process';
import { openStore, type Store } from 'forewrit';
import type { SavingMessage, SavingRequest } from '../children/saving.js';
import { betterSqlite3, lmdbSync } from '../contenders/databases.js';
import { plainReads } from '../contenders/single.js';
import { reference, type Series } from '../measurement.js';
import { inTurns, type Turn } from '../rounds.js';
import type { Scenario, World } from '../scenario.js';
import { contextPaths, contextSet } from './sets.js';

const savingScript = new URL('../children/saving.js', import.meta.url);
const savingTimeoutMs = 60_000;

export const nobodyWrites = 'nobody writes';
export const writerHere = 'a writer in this process';
export const writerElsewhere = 'a writer in another process';

export const read: Scenario = {
  name: 'read',
  title: 'Reading four files of one moment',
  about:
    '`store.readFiles` of a set of four files of 6 KB, against `fs.promises.readFile` of the same four files at once, which ' +
    'may be of two sets; while nobody writes, and while a writer saves that set without a pause. Milliseconds a set.',
  runs: 5,
  everywhere: false,
  plot: 'bars',
  measure: async (world) => {
    const directory = 'session';
    const root = path.join(world.directory, 'store');
    const paths = contextPaths(directory);
    const store = await openStore(root);
    try {
      await store.writeFiles(contextSet(0, directory));
      const ours: Turn[] = [
        { name: reference, act: async () => void (await store.readFiles(paths)) },
        {
          name: plainReads.name,
          act: async () => void (await Promise.all(paths.map((each) => fs.readFile(path.join(root, each))))),
        },
      ];
      const databases = await openDatabases(world, directory);
      return [
        ...(await measureCase(world, nobodyWrites, [...ours, ...databases])),
        ...(await besideWriter(store, directory, () => measureCase(world, writerHere, ours))),
        ...(await besideProcess({ root, directory }, () => measureCase(world, writerElsewhere, ours))),
      ];
    } finally {
      await store.close();
    }
  },
};

async function openDatabases(world: World, directory: string): Promise<Turn[]> {
  const open = await world.open([betterSqlite3, lmdbSync]);
  for (const { saver } of open) await saver.save(contextSet(0, directory));
  return open.map(({ name, saver }) => ({
    name,
    act: async () => void (await saver.read?.(contextPaths(directory))),
  }));
}

async function measureCase(world: World, title: string, turns: readonly Turn[]): Promise<Series[]> {
  const samples = await inTurns(turns, {
    rounds: world.quick ? 20 : 500,
    warmUpRounds: world.quick ? 3 : 100,
    random: world.random,
    onRound: (done, all) => world.progress(`${title}: round ${done} of ${all}`),
  });
  return [...samples].map(
    ([contender, times]): Series => ({ case: title, contender, measure: 'time', unit: 'ms', samples: times }),
  );
}

async function besideWriter<T>(store: Store, directory: string, action: () => Promise<T>): Promise<T> {
  const state = { stopped: false };
  const writer = (async () => {
    for (let version = 1; !state.stopped; version += 1)
      await store.writeFiles(contextSet(version, directory));
  })();
  try {
    // Whichever fails is heard of.
    return await Promise.race([action(), writer.then(() => new Promise<never>(() => undefined))]);
  } finally {
    state.stopped = true;
    await writer;
  }
}

async function besideProcess<T>(request: SavingRequest, action: () => Promise<T>): Promise<T> {
  const child = new TestProcess<SavingMessage>(savingScript, { request });
  try {
    await child.next('saving', savingTimeoutMs);
    const result = await action();
    if (child.hasEnded) throw new Error('the writer ended before the reader');
    return result;
  } finally {
    await child.kill();
  }
}
