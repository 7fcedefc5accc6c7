/** A process that opens an engine, starts a task that runs for long, and has nothing more to do, or waits. */

import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '@forewrit/recovery';
import { requestOf, say } from '@forewrit/testkit/child-process';
import { openTasks } from '#src/index.js';

export interface IdleRequest {
  readonly root: string;
  readonly command: string;
  readonly waits: boolean;
}

export type IdleMessage =
  | { readonly type: 'idle'; readonly id: string }
  | { readonly type: 'waited'; readonly state: string };

async function main(): Promise<void> {
  const { root, command, waits } = requestOf<IdleRequest>();
  const engine = await openTasks(await openStore(root));
  const { id } = await engine.start({ command, stdin: 'pipe' });
  await engine.write(id, 'x\n');
  // Until it is watched.
  await delay(500);
  say({ type: 'idle', id });
  if (waits) say({ type: 'waited', state: (await engine.wait(id)).state });
}

main().catch((error: unknown) => {
  process.stderr.write(String(error));
  process.exit(1);
});
