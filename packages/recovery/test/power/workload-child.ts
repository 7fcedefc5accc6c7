/** A process that saves version after version of a set and notes when each was begun and acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs, onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { Random } from '@forewrit/testkit/random';
import { SetHistory } from '../process/set-history.js';
import { openSaver, type SaverName } from './workload.js';

export interface WorkloadRequest {
  readonly saver: SaverName;
  readonly root: string;
  readonly seed: number;
}

export type WorkloadMessage =
  | { readonly type: 'begun' | 'saved'; readonly version: number; readonly atMs: number }
  | { readonly type: 'failed'; readonly error: string };

const { saver, root, seed } = requestOf<WorkloadRequest>();
const random = new Random(seed);

async function saveForEver(): Promise<void> {
  const save = await openSaver(saver, root);
  const history = new SetHistory({ seed });
  while (true) {
    const operations = history.advance();
    say({ type: 'begun', version: history.version, atMs: monotonicMs() } satisfies WorkloadMessage);
    await save(operations);
    say({ type: 'saved', version: history.version, atMs: monotonicMs() } satisfies WorkloadMessage);
    // Mostly busy; now and then so quiet that the store makes its checkpoint between two saves.
    if (random.chance(0.3)) await sleep(random.below(random.chance(0.1) ? 1500 : 60));
  }
}

onCommand(() => undefined);
saveForEver().catch((error: unknown) => {
  say({ type: 'failed', error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.exit(1);
});
