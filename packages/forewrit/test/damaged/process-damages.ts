/** What processes leave behind that are killed, and what then happens to that. */

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { lockRow, pathKey } from '@forewrit/core';
import { runCommand } from '../command-run.js';
import type { Damage } from './damage.js';
import type { DamagedStore } from './damaged-store.js';

const saved = { 'a.txt': 'new a\n', 'd/b.txt': 'new b\n', 'n.txt': 'new n\n' } as const;
const dieAt = (name: string, skip = 0) => ({
  saves: [saved],
  failpoint: { name, action: 'kill' as const, skip },
});
/** So that content is staged, and not in the log. */
const large = { inlineLimitBytes: 1 };

function removeNames(store: DamagedStore, place: 'staged' | 'before', which: RegExp): void {
  const names = readdirSync(`${store.own}/${place}`).filter((name) => which.test(name));
  if (names.length === 0) throw new Error(`nothing in ${place} is called ${String(which)}`);
  for (const name of names) unlinkSync(`${store.own}/${place}/${name}`);
}

async function stage(store: DamagedStore): Promise<string> {
  await store.use(async (it) => {
    const content = await it.stage('upload-7');
    await content.append('the first part of it\n');
    await content.sync();
    await content.close();
  });
  const [name] = store.names('staged');
  if (name === undefined) throw new Error('nothing is staged');
  return `${store.own}/staged/${name}`;
}

export const processDamages: readonly Damage[] = [
  {
    name: 'a process killed while it staged a save',
    damage: (store) => store.die(dieAt('stage.after')),
    finds: ['staged-orphan', 'before-orphan', 'owner-dead'],
    mends: ['recover'],
  },
  {
    name: 'a process killed right after its commit',
    damage: (store) => store.die(dieAt('log.after')),
    finds: ['recovery-pending', 'lock-dead-owner'],
    mends: ['recover'],
    files: saved,
  },
  {
    name: 'a process killed between the first and the second file of a save',
    damage: (store) => store.die(dieAt('apply.target', 1)),
    finds: ['recovery-pending', 'lock-dead-owner'],
    mends: ['recover'],
    files: saved,
  },
  {
    name: 'the same, and a file edited before recovery ran',
    damage: async (store) => {
      await store.die(dieAt('apply.target', 1));
      writeFileSync(`${store.root}/d/b.txt`, 'edited by hand\n');
    },
    finds: ['recovery-pending', 'lock-dead-owner'],
    mends: ['recover'],
    files: { ...saved, 'd/b.txt': 'edited by hand\n' },
    kept: ['new b\n'],
    exitCode: 1,
  },
  {
    name: 'the same, and a before-image deleted',
    damage: async (store) => {
      await store.die(dieAt('apply.target', 1));
      removeNames(store, 'before', /-[12]$/);
    },
    finds: ['recovery-pending', 'lock-dead-owner', 'before-missing'],
    mends: ['recover'],
    files: saved,
  },
  {
    name: 'a process killed in its checkpoint, before it removed what nobody needs any more',
    damage: (store) => store.die({ ...dieAt('checkpoint.sweep'), checkpointIntervalMs: 1 }),
    finds: ['before-orphan', 'owner-dead'],
    mends: ['recover'],
    files: saved,
  },
  {
    name: 'a recovery killed in the middle',
    damage: async (store) => {
      await store.die(dieAt('apply.target', 1));
      await store.die({ saves: [], failpoint: { name: 'recover.target', action: 'kill', skip: 1 } });
    },
    finds: ['recovery-pending', 'lock-dead-owner', 'owner-dead'],
    mends: ['recover'],
    files: saved,
  },
  {
    name: 'a process killed right after it had noted a save as carried out',
    damage: (store) => store.die(dieAt('applied.after')),
    finds: ['checkpoint-pending'],
    mends: ['recover'],
    files: saved,
  },
  {
    name: 'a committed save whose staged content was deleted',
    damage: async (store) => {
      await store.die({ ...dieAt('apply.target', 1), ...large });
      removeNames(store, 'staged', /-2$/);
    },
    finds: ['content-missing', 'lock-dead-owner'],
    mends: ['repair 2-1 --back'],
    files: { 'a.txt': 'old a\n' },
    kept: ['new a\n'],
  },
  {
    name: 'a committed save whose staged content has rotted',
    damage: (store) => store.block(saved),
    finds: ['content-damaged', 'lock-dead-owner'],
    mends: ['repair 2-1 --back'],
    files: { 'a.txt': 'old a\n' },
    kept: ['new a\n'],
  },
  {
    name: 'the same, found by recovery',
    damage: async (store) => {
      await store.block(saved);
      await runCommand(['recover', '--root', store.root]);
    },
    finds: ['content-damaged', 'transaction-blocked'],
    mends: ['repair 2-1 --back'],
    files: { 'a.txt': 'old a\n' },
    kept: ['new a\n'],
  },
  {
    name: 'the same, and a before-image deleted: it can only go forward',
    damage: async (store) => {
      await store.block(saved);
      removeNames(store, 'before', /-0$/);
    },
    finds: ['content-damaged', 'lock-dead-owner', 'before-missing'],
    mends: ['repair 2-1 --forward'],
    files: { 'a.txt': 'new a\n', 'n.txt': 'new n\n' },
    kept: ['rotten'],
  },
  {
    name: 'a directory replaced by a link that leads out of the store',
    damage: async (store) => {
      await store.die(dieAt('log.after'));
      renameSync(`${store.root}/d`, `${store.directory}/elsewhere`);
      symlinkSync(`${store.directory}/elsewhere`, `${store.root}/d`);
    },
    finds: ['path-escapes', 'lock-dead-owner'],
    mends: ['repair 2-1 --back'],
  },
  {
    name: 'a lock of a transaction that is not in the log',
    damage: (store) =>
      store.editLog((batch) => {
        const key = pathKey('a.txt', { caseInsensitive: false, normalizing: false });
        const transaction = { owner: 900, counter: 1 };
        batch.put('locks', key, lockRow.encode(key, { what: 'a.txt', transaction, blocked: false }));
      }),
    finds: ['lock-orphaned'],
    mends: ['recover'],
  },
  {
    name: 'content staged over time, its file deleted',
    damage: async (store) => unlinkSync(await stage(store)),
    finds: ['staging-missing'],
    mends: ['recover --discard upload-7 --yes'],
  },
  {
    name: 'content staged over time, its file cut off',
    damage: async (store) => truncateSync(await stage(store), 9),
    finds: ['staging-damaged'],
    mends: ['recover --discard upload-7 --yes'],
    kept: ['the first'],
  },
  {
    name: 'content staged over time, other bytes in its file',
    damage: async (store) => store.overwrite(await stage(store), Buffer.from('THE'), 0),
    finds: ['staging-damaged'],
    readData: true,
    mends: ['recover --discard upload-7 --yes'],
    kept: ['THE first part of it\n'],
  },
  {
    name: 'a store that was never finished: its process died before there was a log',
    damage: (store) => {
      rmSync(store.own, { recursive: true });
      mkdirSync(store.log, { recursive: true, mode: 0o700 });
      chmodSync(store.own, 0o700);
    },
    finds: ['creation-unfinished'],
    mends: ['recover'],
    entries: {},
  },
];
