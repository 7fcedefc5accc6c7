/** A store for as long as a person's command takes: opened, which recovers, and closed again, all in this thread. */

import { randomBytes } from 'node:crypto';
import { CommitterLoop, currentUmask, openParts, openRoot, type StoreOptions } from '@forewrit/core';
import { createRecoverer } from './recovery.js';

export async function withRecovered<T>(
  root: string | URL,
  options: StoreOptions,
  body: (loop: CommitterLoop) => T | Promise<T>,
): Promise<T> {
  const existing = { ...options, create: false };
  const parts = await openParts(openRoot(root, existing, 'open'), existing, {
    umask: currentUmask(),
    privileged: process.getuid?.() === 0,
  });
  const loop = await CommitterLoop.start({
    parts,
    recoverer: createRecoverer({ flushesMax: Number.POSITIVE_INFINITY }),
    nonce: randomBytes(8).toString('hex'),
    onEvent: () => undefined,
    withWitness: true,
  });
  try {
    return await body(loop);
  } finally {
    await loop.close();
  }
}
