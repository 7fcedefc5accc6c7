/** A process that opens a store, saves what it is told, and is killed where it is told. */

import { type Failpoint, type ProcessTable, systemProcessTable } from '@forewrit/core';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { openStore } from '#src/index.js';

export interface SavingRequest {
  readonly root: string;
  /** One transaction each. */
  readonly saves: readonly Readonly<Record<string, string>>[];
  readonly failpoint?: Failpoint;
  readonly inlineLimitBytes?: number;
  readonly materialize?: 'deferred';
  /** The process says that it lives in this boot: for whoever comes later there was a reboot in between. */
  readonly bootId?: string;
}

export type SavingMessage = { readonly type: 'open' } | { readonly type: 'saved' };

async function main(): Promise<void> {
  const { root, saves, failpoint, inlineLimitBytes, materialize, bootId } = requestOf<SavingRequest>();
  // Ends with the test.
  onCommand(() => undefined);
  const store = await openStore(root, {
    // What is applied stays in the log for as long as a test looks at it.
    checkpointIntervalMs: 60_000,
    ...(failpoint === undefined ? {} : { failpoint }),
    ...(inlineLimitBytes === undefined ? {} : { inlineLimitBytes }),
    ...(materialize === undefined ? {} : { materialize }),
    ...(bootId === undefined ? {} : { committer: 'inline' as const, processTable: inBoot(bootId) }),
  });
  say({ type: 'open' });
  for (const files of saves) {
    await store.writeFiles(files);
    say({ type: 'saved' });
  }
}

function inBoot(bootId: string): ProcessTable {
  const table = systemProcessTable();
  return { ...table, identity: () => ({ ...table.identity(), bootId }) };
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
