/**
 * The four-file save of 24 KB, one writer, against what people do today: `fs.promises.writeFile` four times in a row
 * (neither atomic nor durable) and write-file-atomic four times at once (each file atomic and durable, the set neither).
 * The three take turns in one run, so that a ratio holds when the machine's speed drifts.
 */

import fs from 'node:fs';
import path from 'node:path';
import { openStore } from 'forewrit';
import writeFileAtomic from 'write-file-atomic';
import { median, pairedRatio, percentile } from './statistics.js';

export interface SaveResult {
  readonly rounds: number;
  readonly storeMs: { readonly p50: number; readonly p95: number };
  readonly writeFileMs: { readonly p50: number; readonly p95: number };
  readonly writeFileAtomicMs: { readonly p50: number; readonly p95: number };
  /** The others with nothing else under way: in turn, the store's work after its answers slows them down as well. */
  readonly aloneMs: { readonly writeFile: number; readonly writeFileAtomic: number };
  /** Medians of the ratios, pair by pair. */
  readonly ratioToWriteFile: number;
  readonly ratioToWriteFileAtomic: number;
}

const names = ['messages.json', 'metadata.json', 'state.json', 'global_context.json'] as const;
const fileBytes = 6000;
/** Code runs at its speed after some hundred rounds: a store lives longer than a benchmark. */
const warmUpRounds = 500;

export async function measureSave(directory: string, rounds: number): Promise<SaveResult> {
  const plain = path.join(directory, 'plain');
  const atomic = path.join(directory, 'atomic');
  fs.mkdirSync(plain, { recursive: true });
  fs.mkdirSync(atomic, { recursive: true });
  const savePlain = async (content: string): Promise<void> => {
    for (const name of names) await fs.promises.writeFile(path.join(plain, name), content);
  };
  const saveAtomic = (content: string): Promise<unknown> =>
    Promise.all(names.map((name) => writeFileAtomic(path.join(atomic, name), content)));
  const aloneMs = {
    writeFile: await medianAlone(savePlain, rounds),
    writeFileAtomic: await medianAlone(saveAtomic, rounds),
  };
  const store = await openStore(path.join(directory, 'store'));
  const times: { store: number[]; plain: number[]; atomic: number[] } = { store: [], plain: [], atomic: [] };
  try {
    for (let round = 0; round < warmUpRounds + rounds; round += 1) {
      const content = contentOf(round);
      const storeMs = await time(() => store.writeFiles(names.map((name) => [name, content] as const)));
      const plainMs = await time(() => savePlain(content));
      const atomicMs = await time(() => saveAtomic(content));
      if (round < warmUpRounds) continue;
      times.store.push(storeMs);
      times.plain.push(plainMs);
      times.atomic.push(atomicMs);
    }
  } finally {
    await store.close();
  }
  return {
    rounds,
    aloneMs,
    storeMs: summary(times.store),
    writeFileMs: summary(times.plain),
    writeFileAtomicMs: summary(times.atomic),
    ratioToWriteFile: pairedRatio(times.store, times.plain),
    ratioToWriteFileAtomic: pairedRatio(times.store, times.atomic),
  };
}

function contentOf(round: number): string {
  return String.fromCharCode(97 + (round % 26)).repeat(fileBytes);
}

async function medianAlone(save: (content: string) => Promise<unknown>, rounds: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) times.push(await time(() => save(contentOf(round))));
  return median(times);
}

async function time(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

function summary(values: readonly number[]): { p50: number; p95: number } {
  return { p50: median(values), p95: percentile(values, 0.95) };
}
