/** A process that makes a reference store, and leaves it closed or dies in its last step. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessTable } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { requestOf } from '@forewrit/testkit/child-process';
import { collection, inlineLimitBytes, type ReferenceRequest } from './reference-stores.js';

const { root, steps, killed } = requestOf<ReferenceRequest>();

const onAnotherBoot: ProcessTable = {
  identity: () => ({
    pid: 1234,
    startTime: '5678',
    bootId: '00000000-0000-4000-8000-000000000000',
    pidNamespace: 'pid:[4026531836]',
  }),
  look: () => undefined,
};

const store = await openStore(root, {
  committer: 'inline',
  processTable: onAnotherBoot,
  inlineLimitBytes,
  // What was applied stays in the log.
  ...(killed ? { checkpointIntervalMs: 1_000_000 } : {}),
  ...(killed ? { failpoint: { name: 'log.after', action: 'kill', skip: steps.length - 1 } } : {}),
});
for (const {
  checkpointed = false,
  writes = {},
  renames = {},
  removals = [],
  puts = {},
  deletions = [],
} of steps) {
  // By then what came before is recorded as applied: a failpoint counts commits, and there is none but ours now.
  await sleep(30);
  if (checkpointed) await store.checkpoint();
  const transaction = await store.begin();
  for (const [from, to] of Object.entries(renames)) transaction.rename(from, to);
  for (const [path, content] of Object.entries(writes)) await transaction.writeFile(path, content);
  for (const path of removals) transaction.rm(path);
  for (const [key, value] of Object.entries(puts)) transaction.put(collection, key, value);
  for (const key of deletions) transaction.delete(collection, key);
  await transaction.commit();
}
await store.close();
