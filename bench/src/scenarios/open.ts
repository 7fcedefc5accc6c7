import fs from 'node:fs';
import path from 'node:path';
import { openStore } from 'forewrit';
import { reference, type Series } from '../measurement.js';
import { inTurns } from '../rounds.js';
import type { Scenario, World } from '../scenario.js';
import { leaveIncomplete } from './incomplete.js';

const concurrentSaves = 256;

export const cleanAfter = (transactions: number): string =>
  `clean, after ${transactions.toLocaleString('en-US')} transactions`;
export const withIncomplete = (count: number): string => `${count.toLocaleString('en-US')} incomplete`;
export const opening = 'open';
export const untilSaved = 'until a save is acknowledged';

export const open: Scenario = {
  name: 'open',
  title: 'Opening a store',
  about:
    'Until `openStore` resolves, in a process that has opened one before. Clean, after so many transactions over a thousand ' +
    'files; and with so many one-file transactions that were committed and not applied, by processes that were killed ' +
    'there: then recovery is in it, and until the first save is acknowledged, too. Milliseconds.',
  runs: 3,
  everywhere: false,
  plot: 'bars',
  measure: async (world) => [
    ...(await measureClean(world, world.quick ? [0, 200, 1000] : [0, 1000, 100_000])),
    ...(await measureIncomplete(world, { count: world.quick ? 100 : 1000, times: world.quick ? 1 : 5 })),
    ...(await measureIncomplete(world, { count: world.quick ? 500 : 10_000, times: world.quick ? 1 : 3 })),
  ],
};

async function measureClean(world: World, counts: readonly number[]): Promise<Series[]> {
  const turns = [];
  for (const count of counts) {
    const root = path.join(world.directory, `clean-${count}`);
    await fill(root, count, (done) => world.progress(`${done} of ${count} transactions`));
    turns.push({ name: cleanAfter(count), act: () => timeOpen(root) });
  }
  const samples = await inTurns(turns, {
    rounds: world.quick ? 3 : 21,
    warmUpRounds: world.quick ? 1 : 3,
    random: world.random,
  });
  return [...samples].map(
    ([name, times]): Series => ({
      case: name,
      contender: reference,
      measure: opening,
      unit: 'ms',
      samples: times,
    }),
  );
}

/** Saves over a thousand small files, many at once, as a busy program would. */
async function fill(root: string, transactions: number, onProgress: (done: number) => void): Promise<void> {
  const store = await openStore(root);
  for (let done = 0; done < transactions; done += concurrentSaves) {
    onProgress(done);
    const last = Math.min(done + concurrentSaves, transactions);
    const saves: Promise<unknown>[] = [];
    for (let each = done; each < last; each += 1) {
      saves.push(store.writeFile(`set-${each % 1000}/state.json`, `{"version":${each}}`));
    }
    await Promise.all(saves);
  }
  // Closing gives up after a second and a half: what was left would be recovered by the first open.
  await store.checkpoint();
  await store.close();
}

async function timeOpen(root: string): Promise<number> {
  const startedMs = performance.now();
  const store = await openStore(root);
  const elapsedMs = performance.now() - startedMs;
  await store.close();
  return elapsedMs;
}

async function measureIncomplete(
  world: World,
  { count, times }: { readonly count: number; readonly times: number },
): Promise<Series[]> {
  const openMs: number[] = [];
  const savedMs: number[] = [];
  for (let time = 0; time < times; time += 1) {
    world.progress(`${count} incomplete transactions: ${time + 1} of ${times}`);
    const root = path.join(world.directory, `incomplete-${count}-${time}`);
    await leaveIncomplete(root, { count, at: 'log.after' });
    const startedMs = performance.now();
    const store = await openStore(root);
    openMs.push(performance.now() - startedMs);
    await store.writeFile('first.json', '{}');
    savedMs.push(performance.now() - startedMs);
    const { redone, blocked, kept } = store.recovery;
    await store.close();
    if (redone.length !== count || blocked.length + kept.length > 0) {
      throw new Error(`of ${count} incomplete transactions recovery has finished ${redone.length}`);
    }
    fs.rmSync(root, { recursive: true });
  }
  const title = withIncomplete(count);
  return [
    { case: title, contender: reference, measure: opening, unit: 'ms', samples: openMs },
    { case: title, contender: reference, measure: untilSaved, unit: 'ms', samples: savedMs },
  ];
}
