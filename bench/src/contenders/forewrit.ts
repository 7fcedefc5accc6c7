/** Forewrit itself, as it comes, and with what it can be told to give up or put off. */

import type { StoreOptions } from 'forewrit';
import { reference } from '../measurement.js';
import type { Contender, Guarantees } from './contender.js';

const all: Guarantees = {
  durable: true,
  fileAtomic: true,
  setAtomic: true,
  plainFiles: true,
  multiProcess: true,
};

function ours(name: string, guarantees: Guarantees, setting: string, options: StoreOptions): Contender {
  return {
    name,
    guarantees,
    setting,
    open: async (directory) => {
      // Loaded when it is opened, as the others are: in the memory of a process, code counts.
      const { openStore } = await import('forewrit');
      const store = await openStore(directory, options);
      return {
        save: async (set) => void (await store.writeFiles(set)),
        read: (paths) => store.readFiles(paths),
        close: () => store.close(),
      };
    },
  };
}

export const forewrit = ours(
  reference,
  all,
  'as it comes: `store.writeFiles(set)`. Durable, all or nothing, and every file in its place when it resolves.',
  {},
);

export const forewritRelaxed = ours(
  'forewrit, relaxed',
  { ...all, durable: false },
  "`durability: 'relaxed'`: resolves before the flush. A power cut may take the last sets, each of them whole.",
  { durability: 'relaxed' },
);

export const forewritDeferred = ours(
  'forewrit, deferred',
  all,
  "`materialize: 'deferred'`: resolves when the set is flushed in the log; the files follow within 100 ms, at close, or at " +
    'recovery. Readers of the library see the newest at once.',
  { materialize: 'deferred' },
);
