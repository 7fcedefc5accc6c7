/** A process that saves one set to a store over and over, until it is ended. */

import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { openStore } from 'forewrit';
import { contextSet } from '../scenarios/sets.js';

export interface SavingRequest {
  readonly root: string;
  readonly directory: string;
}

export interface SavingMessage {
  readonly type: 'saving';
}

async function main(): Promise<never> {
  const { root, directory } = requestOf<SavingRequest>();
  const store = await openStore(root);
  for (let version = 0; ; version += 1) {
    await store.writeFiles(contextSet(version, directory));
    if (version === 0) say({ type: 'saving' } satisfies SavingMessage);
  }
}

onCommand(() => undefined);
await main();
