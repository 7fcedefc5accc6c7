/** A process that stages content in pieces, says how far it is durable, and writes it when it has all of it. */
import type { StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';

export interface StagingRequest {
  readonly root: string;
  readonly options?: StoreOptions;
  readonly id: string;
  /** The whole content; the child goes on where the store says. */
  readonly content: string;
  readonly pieceBytes: number;
  /** Writes it to this path in the end. */
  readonly path?: string;
}

export type StagingMessage =
  | { readonly type: 'staged' | 'synced'; readonly offset: number }
  | { readonly type: 'all' }
  | { readonly type: 'committed' }
  | { readonly type: 'failed'; readonly code: string };

const { root, options, id, content, pieceBytes, path } = requestOf<StagingRequest>();

onCommand(() => process.exit(0));

try {
  const store = await openStore(root, options);
  const staged = await store.stage(id);
  say({ type: 'staged', offset: staged.offset });
  while (staged.offset < content.length) {
    await staged.append(content.slice(staged.offset, staged.offset + pieceBytes));
    await staged.sync();
    say({ type: 'synced', offset: staged.offset });
  }
  say({ type: 'all' });
  if (path !== undefined) {
    await store.writeFile(path, staged);
    say({ type: 'committed' });
    await store.checkpoint();
  }
} catch (error) {
  say({ type: 'failed', code: (error as { code?: string }).code ?? String(error) });
}
