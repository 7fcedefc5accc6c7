/**
 * A process that saves a set again and again, and at the same time, as another program would, writes to the last of its
 * files: sooner or later in the middle of a save, which is then rolled back.
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isStoreError, type StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { contentOf } from './labelled-content.js';

export interface EditedSaveRequest {
  readonly root: string;
  readonly options: StoreOptions;
  readonly paths: readonly string[];
}

export type EditedSaveMessage =
  | { readonly type: 'saving'; readonly label: string }
  | { readonly type: 'rolled-back' };

const savesMax = 1000;
const editAfterMsMax = 8;

const { root, options, paths } = requestOf<EditedSaveRequest>();
onCommand(() => undefined);
const store = await openStore(root, options);
for (let save = 0; save < savesMax; save += 1) {
  const label = `save ${save}`;
  say({ type: 'saving', label });
  const saved = store
    .writeFiles(paths.map((path) => [path, contentOf({ label, sizeBytes: 3000 })] as const))
    .then(
      () => undefined,
      (error: unknown) => {
        if (!isStoreError(error, 'ERR_EXTERNAL_EDIT')) throw error;
        say({ type: 'rolled-back' });
      },
    );
  if (save > 0) {
    await sleep(Math.random() * editAfterMsMax);
    appendFileSync(`${root}/${paths.at(-1)}`, ` edited in ${label}`);
  }
  await saved;
}
process.exit(0);
