/** A process of a session that saves what it is told, and then is killed where it is told, or lives on. */

import { type Failpoint, type ProcessTable, systemProcessTable } from '@forewrit/core';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { openStore, type StoreOptions } from '#src/index.js';

export interface DyingRequest extends Pick<StoreOptions, 'inlineLimitBytes' | 'materialize'> {
  readonly root: string;
  /** One transaction each. */
  readonly saves: readonly Readonly<Record<string, string>>[];
  readonly failpoint?: Failpoint;
  /** The process says that it lives in this boot: for whoever comes later there was a reboot in between. */
  readonly bootId?: string;
}

export type DyingMessage = { readonly type: 'saved' };

async function main(): Promise<void> {
  const { root, saves, bootId, ...options } = requestOf<DyingRequest>();
  // Ends with the session.
  onCommand(() => undefined);
  const store = await openStore(root, {
    // What is applied stays in the log for as long as a session looks at it.
    checkpointIntervalMs: 3_600_000,
    ...options,
    ...(bootId === undefined ? {} : { committer: 'inline' as const, processTable: inBoot(bootId) }),
  });
  for (const files of saves) await store.writeFiles(files);
  say({ type: 'saved' });
}

function inBoot(bootId: string): ProcessTable {
  const table = systemProcessTable();
  return { ...table, identity: () => ({ ...table.identity(), bootId }) };
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
