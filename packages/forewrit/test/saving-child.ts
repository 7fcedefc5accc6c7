/** A process that opens a store, saves what it is told, and is killed where it is told. */

import type { Failpoint } from '@forewrit/core';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { openStore } from '#src/index.js';

export interface SavingRequest {
  readonly root: string;
  /** One transaction each. */
  readonly saves: readonly Readonly<Record<string, string>>[];
  readonly failpoint?: Failpoint;
  readonly inlineLimitBytes?: number;
  /** By default what is applied stays in the log for as long as a test looks at it. */
  readonly checkpointIntervalMs?: number;
}

export type SavingMessage = { readonly type: 'open' } | { readonly type: 'saved' };

async function main(): Promise<void> {
  const {
    root,
    saves,
    failpoint,
    inlineLimitBytes,
    checkpointIntervalMs = 60_000,
  } = requestOf<SavingRequest>();
  // Ends with the test.
  onCommand(() => undefined);
  const store = await openStore(root, {
    checkpointIntervalMs,
    ...(failpoint === undefined ? {} : { failpoint }),
    ...(inlineLimitBytes === undefined ? {} : { inlineLimitBytes }),
  });
  say({ type: 'open' });
  for (const files of saves) {
    await store.writeFiles(files);
    say({ type: 'saved' });
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
