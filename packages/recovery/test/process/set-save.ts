/** Carries out one version of a `SetHistory` as one transaction. */
import type { Commit, Store } from '@forewrit/core';
import { contentOf } from './labelled-content.js';
import type { SetOperation } from './set-history.js';

export async function saveVersion(store: Store, operations: readonly SetOperation[]): Promise<Commit> {
  const transaction = await store.begin();
  for (const operation of operations) {
    const { type, path } = operation;
    switch (type) {
      case 'write':
        await transaction.writeFile(path, contentOf(operation.content));
        break;
      case 'append':
        await transaction.appendFile(path, contentOf(operation.content));
        break;
      case 'copy':
        transaction.copyFile(operation.from, path);
        break;
      case 'rename':
        transaction.rename(operation.from, path);
        break;
      case 'remove':
        transaction.rm(path, { recursive: true });
        break;
      case 'make-directory':
        transaction.mkdir(path);
        break;
    }
  }
  return await transaction.commit();
}
