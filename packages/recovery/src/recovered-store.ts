/** A store for as long as a person's command takes: opened, which recovers, and closed again, all in this thread. */

import { randomBytes } from 'node:crypto';
import {
  CommitterLoop,
  FlushError,
  StoreError,
  withStoreCode,
  currentUmask,
  openParts,
  openRoot,
  type StoreOptions,
} from '@forewrit/core';
import { createRecoverer } from './recovery.js';

export async function withRecovered<T>(
  root: string | URL,
  options: StoreOptions & { readonly op: string },
  body: (loop: CommitterLoop) => T | Promise<T>,
): Promise<T> {
  const { op, ...ofStore } = options;
  const existing = { ...ofStore, create: false };
  const parts = await openParts(openRoot(root, existing, 'open'), existing, {
    umask: currentUmask(),
    privileged: process.getuid?.() === 0,
  });
  const loop = await CommitterLoop.start({
    parts,
    recoverer: createRecoverer({ flushesMax: Number.POSITIVE_INFINITY }),
    nonce: randomBytes(8).toString('hex'),
    onEvent: () => undefined,
    withWitness: options.fileSystem === undefined,
  });
  try {
    return await body(loop);
  } catch (error) {
    const path = loop.context.roots.root;
    throw error instanceof FlushError ? inDoubt(error, { op, path }) : withStoreCode(error, { op, path });
  } finally {
    await loop.close();
  }
}

function inDoubt(
  cause: FlushError,
  { op, path }: { readonly op: string; readonly path: string },
): StoreError {
  return new StoreError('ERR_STORE_POISONED', 'Nobody knows whether this is in the log', {
    op,
    path,
    hint: 'Check the disk, and then the store: `forewrit check` tells what is left to do.',
    cause,
  });
}
