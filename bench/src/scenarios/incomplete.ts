/** Stores with transactions that nobody has finished, as processes leave them that were killed. */

import { TestProcess } from '@forewrit/testkit/child-process';
import { openStore } from 'forewrit';

export interface DyingRequest {
  readonly root: string;
  /** `log.after`: committed and not applied. `stage.after`: staged and not committed. */
  readonly at: 'log.after' | 'stage.after';
  /** At most as many as the committer takes at once. */
  readonly transactions: number;
  /** Of its first file; no two processes save the same one. */
  readonly firstFile: number;
}

export interface DyingMessage {
  readonly type: 'open';
}

const transactionsMax = 250;

const directories = 100;
export const fileName = (index: number): string => `incomplete/${index % directories}/${index}.json`;

const script = new URL('../children/dying.js', import.meta.url);
const openTimeoutMs = 120_000;

/**
 * Each process dies with one group. All are open before the first of them dies: whoever opens a store recovers what it
 * finds.
 */
export async function leaveIncomplete(
  root: string,
  { count, at }: { readonly count: number; readonly at: DyingRequest['at'] },
): Promise<void> {
  await makeDirectories(root);
  const processes: TestProcess<DyingMessage>[] = [];
  try {
    for (let firstFile = 0; firstFile < count; firstFile += transactionsMax) {
      const transactions = Math.min(transactionsMax, count - firstFile);
      const request: DyingRequest = { root, at, transactions, firstFile };
      const child = new TestProcess<DyingMessage>(script, { request });
      processes.push(child);
      await child.next('open', openTimeoutMs);
    }
    for (const child of processes) {
      child.tell({});
      const { signal, code } = await child.end(openTimeoutMs);
      if (signal !== 'SIGKILL')
        throw new Error(`a process was to be killed at ${at}, but ended with ${code ?? signal}`);
    }
  } finally {
    for (const child of processes) await child[Symbol.asyncDispose]();
  }
}

/** Transactions that make the same directory are no group. */
async function makeDirectories(root: string): Promise<void> {
  const store = await openStore(root);
  try {
    await store.transact((tx) => {
      for (let index = 0; index < directories; index += 1)
        tx.mkdir(`incomplete/${index}`, { recursive: true });
    });
  } finally {
    await store.close();
  }
}
