/**
 * A process that dies, by SIGKILL, in the middle of a group of transactions: after their commit is flushed and before any
 * of them is applied, or after their content is staged and before their commit. It is how a store comes by transactions that
 * are not finished.
 */

import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { openStore } from 'forewrit';
import { type DyingMessage, type DyingRequest, fileName } from '../scenarios/incomplete.js';

const content = JSON.stringify({ state: 'x'.repeat(200) });

async function main(): Promise<void> {
  const { root, at, transactions, firstFile } = requestOf<DyingRequest>();
  const store = await openStore(root, {
    committer: 'inline',
    failpoint: { name: at, action: 'kill' },
    // Content that is not in the log is staged.
    ...(at === 'stage.after' ? { inlineLimitBytes: 0 } : {}),
  });
  onCommand(() => {
    // All in one turn, so that they are one group; the process does not outlive it.
    for (let index = 0; index < transactions; index += 1) {
      store.writeFile(fileName(firstFile + index), content).catch((error: unknown) => {
        console.error(error);
        process.exit(1);
      });
    }
  });
  say({ type: 'open' } satisfies DyingMessage);
}

await main();
