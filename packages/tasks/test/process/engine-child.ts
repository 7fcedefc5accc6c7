/** An engine in a process of its own, which a test kills. */

import { openStore } from '@forewrit/recovery';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { openTasks } from '#src/index.js';
import type { TaskSpec } from '#src/index.js';

export interface EngineRequest {
  readonly root: string;
  readonly parallel: number;
}

export type EngineCommand =
  | { readonly type: 'start'; readonly specs: readonly TaskSpec[] }
  | { readonly type: 'close' };

export type EngineMessage =
  | { readonly type: 'open'; readonly recovered: number }
  | { readonly type: 'started'; readonly id: string; readonly key: string }
  | { readonly type: 'problem'; readonly message: string }
  | { readonly type: 'closed' };

async function main(): Promise<void> {
  const { root, parallel } = requestOf<EngineRequest>();
  const store = await openStore(root);
  const problem = (details: object, message: string): void => {
    const { cause } = details as { cause?: unknown };
    say({ type: 'problem', message: `${message}: ${cause instanceof Error ? cause.message : ''}` });
  };
  const engine = await openTasks(store, {
    parallel,
    logger: { debug: () => undefined, info: () => undefined, warn: problem, error: problem },
  });
  say({ type: 'open', recovered: Object.values(engine.recovery).flat().length });
  onCommand<EngineCommand>((command) => void carryOut(command));

  async function carryOut(command: EngineCommand): Promise<void> {
    if (command.type === 'close') {
      await engine.close();
      await store.close();
      say({ type: 'closed' });
      process.exit(0);
    }
    for (const spec of command.specs) {
      const { id } = await engine.start(spec);
      say({ type: 'started', id, key: spec.idempotencyKey });
    }
  }
}

main().catch((error: unknown) => {
  say({ type: 'problem', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.exit(1);
});
