/** A process that uploads content under an id, goes on where it was durable, and kills itself at a byte. */

import { openStore } from '@forewrit/recovery';
import { StagingManager } from '#src/index.js';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { contentFrom } from './upload-content.js';

export interface UploadRequest {
  readonly root: string;
  readonly bytes: number;
  readonly seed: number;
  /** When it has written so many bytes of the content. */
  readonly killAt?: number;
}

export type UploadMessage =
  | { readonly type: 'begun'; readonly offset: number }
  | { readonly type: 'done'; readonly checksum: string; readonly offset: number };

const { root, bytes, seed, killAt } = requestOf<UploadRequest>();
const id = 'upload';

onCommand(() => process.exit(0));

const store = await openStore(root, { committer: 'inline' });
const manager = new StagingManager(store, { maxFileSizeBytes: 2 * bytes });
const options = { checksum: 'sha256', totalBytes: bytes } as const;
const isKnown = (await manager.get(id)) !== undefined;
const writer = isKnown ? await manager.resume(id, options) : await manager.open('upload', { ...options, id });
say({ type: 'begun', offset: writer.offset });
for (const piece of contentFrom(writer.offset, bytes, seed)) {
  const rest = killAt === undefined ? piece.length : killAt - writer.offset;
  await writer.write(piece.subarray(0, Math.max(0, rest)));
  if (rest <= piece.length && killAt !== undefined) process.kill(process.pid, 'SIGKILL');
}
const { offset } = writer;
const { checksum } = await writer.commit();
say({ type: 'done', checksum, offset });
await manager.close();
await store.close();
process.exit(0);
