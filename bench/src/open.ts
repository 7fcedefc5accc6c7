/** Opening a clean store after few and after many past transactions: it must not grow with their number. */

import path from 'node:path';
import { openStore } from 'forewrit';
import { median, pairedRatio } from './statistics.js';

export interface OpenResult {
  readonly few: { readonly transactions: number; readonly p50Ms: number };
  readonly many: { readonly transactions: number; readonly p50Ms: number };
  readonly ratio: number;
}

const fewTransactions = 10;
const concurrentSaves = 256;
const repetitions = 21;

export async function measureOpen(directory: string, manyTransactions: number): Promise<OpenResult> {
  const few = path.join(directory, 'few');
  const many = path.join(directory, 'many');
  await fill(few, fewTransactions);
  await fill(many, manyTransactions);
  const fewMs: number[] = [];
  const manyMs: number[] = [];
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    fewMs.push(await timeOpen(few));
    manyMs.push(await timeOpen(many));
  }
  return {
    few: { transactions: fewTransactions, p50Ms: median(fewMs) },
    many: { transactions: manyTransactions, p50Ms: median(manyMs) },
    ratio: pairedRatio(manyMs, fewMs),
  };
}

/** Saves over a thousand small sets, many at once, as a busy program would. */
async function fill(root: string, transactions: number): Promise<void> {
  const store = await openStore(root);
  for (let done = 0; done < transactions; done += concurrentSaves) {
    const saves: Promise<unknown>[] = [];
    for (let each = done; each < Math.min(done + concurrentSaves, transactions); each += 1) {
      saves.push(store.writeFile(`set-${each % 1000}/state.json`, `{"version":${each}}`));
    }
    await Promise.all(saves);
  }
  await store.close();
}

async function timeOpen(root: string): Promise<number> {
  const started = performance.now();
  const store = await openStore(root);
  const elapsed = performance.now() - started;
  await store.close();
  return elapsed;
}
