/** A process that writes version after version of many files, each as one batch, until it is killed. */

import { openStore } from '@forewrit/recovery';
import { writeFilesBatch } from '#src/index.js';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';

export interface BatchRequest {
  readonly root: string;
  readonly files: number;
  readonly version: number;
}

export type BatchMessage = { readonly type: 'begun' | 'written'; readonly version: number };

const { root, files, version: last } = requestOf<BatchRequest>();

onCommand(() => process.exit(0));

const store = await openStore(root, { committer: 'inline' });
for (let version = last + 1; ; version += 1) {
  say({ type: 'begun', version });
  const content = `version ${version}\n${'x'.repeat(500)}`;
  await writeFilesBatch(
    store,
    Array.from({ length: files }, (_, index) => [`d${index % 10}/${index}`, content] as const),
  );
  say({ type: 'written', version });
}
