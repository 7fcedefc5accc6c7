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
  const store = await openStore(path.join(directory, 'store'));
  const times: { store: number[]; plain: number[]; atomic: number[] } = { store: [], plain: [], atomic: [] };
  try {
    for (let round = 0; round < warmUpRounds + rounds; round += 1) {
      const content = String.fromCharCode(97 + (round % 26)).repeat(fileBytes);
      const storeMs = await time(() => store.writeFiles(names.map((name) => [name, content] as const)));
      const plainMs = await time(async () => {
        for (const name of names) await fs.promises.writeFile(path.join(plain, name), content);
      });
      const atomicMs = await time(() =>
        Promise.all(names.map((name) => writeFileAtomic(path.join(atomic, name), content))),
      );
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
    storeMs: summary(times.store),
    writeFileMs: summary(times.plain),
    writeFileAtomicMs: summary(times.atomic),
    ratioToWriteFile: pairedRatio(times.store, times.plain),
    ratioToWriteFileAtomic: pairedRatio(times.store, times.atomic),
  };
}

async function time(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

function summary(values: readonly number[]): { p50: number; p95: number } {
  return { p50: median(values), p95: percentile(values, 0.95) };
}
