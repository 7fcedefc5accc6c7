/** A process that carries out one transaction, is killed in it or after it, or else closes when it is told to. */
import type { StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';

export interface OnceRequest {
  readonly root: string;
  readonly options?: StoreOptions;
  readonly writes?: Readonly<Record<string, string>>;
  readonly renames?: Readonly<Record<string, string>>;
  readonly removals?: readonly string[];
}

export type OnceMessage =
  | { readonly type: 'done'; readonly revision: number }
  | { readonly type: 'failed'; readonly error: string }
  | { readonly type: 'closed' };

const { root, options, writes = {}, renames = {}, removals = [] } = requestOf<OnceRequest>();

// Whatever it is told, it is to close.
onCommand(() => {
  void store.close().then(() => say({ type: 'closed' }));
});

const store = await openStore(root, options);
const transaction = await store.begin();
for (const [path, content] of Object.entries(writes)) await transaction.writeFile(path, content);
for (const [from, to] of Object.entries(renames)) transaction.rename(from, to);
for (const path of removals) transaction.rm(path);
try {
  const { revision } = await transaction.commit();
  say({ type: 'done', revision });
} catch (error) {
  say({ type: 'failed', error: String(error) });
}
