/** A process that writes to another file system and moves files across, and is killed at it. */

import type { StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { writeFileAtomically } from '#src/index.js';
import { linesOf } from './crossing-content.js';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';

export interface CrossingRequest {
  readonly root: string;
  readonly options: StoreOptions;
  readonly does: 'write' | 'write with an id' | 'move' | 'move back';
  /** So many lines of it. */
  readonly lines: number;
}

const { root, options, does, lines } = requestOf<CrossingRequest>();
const content = linesOf(lines);

onCommand(() => process.exit(0));

const store = await openStore(root, options);
say({ type: 'open' });
if (does === 'move') await store.rename('here', 'other:there');
else if (does === 'move back') await store.rename('other:there', 'here');
else {
  const id = does === 'write' ? {} : { id: 'x' };
  await writeFileAtomically(store, 'other:there', content, id);
}
say({ type: 'done' });
await store.close();
process.exit(0);
