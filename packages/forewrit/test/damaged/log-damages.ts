/** What can happen to the log of a store, its identity and its format. */

import { copyFileSync, renameSync, rmSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { formatRow, metaKeys } from '@forewrit/core';
import { DamagedStore, firstEntries } from './damaged-store.js';
import type { Damage } from './damage.js';

const dying = { 'a.txt': 'new a\n', 'd/b.txt': 'new b\n', 'n.txt': 'new n\n' } as const;
const reset = 'recover --reset-log --yes';

export const logDamages: readonly Damage[] = [
  {
    name: 'the log file deleted',
    damage: (store) => unlinkSync(store.data),
    finds: ['log-missing'],
    mends: [reset],
    entries: {},
  },
  {
    name: 'the directory of the log deleted',
    damage: (store) => rmSync(store.log, { recursive: true }),
    finds: ['log-missing'],
    mends: [reset],
    entries: {},
  },
  {
    name: 'the log cut off in the middle',
    damage: (store) => truncateSync(store.data, 3 * 4096),
    finds: ['log-damaged'],
    mends: [reset],
    entries: {},
  },
  {
    name: 'the log empty',
    damage: (store) => truncateSync(store.data, 0),
    finds: ['log-damaged'],
    mends: [reset],
    entries: {},
  },
  {
    name: 'both meta pages of the log zeroed',
    damage: (store) => store.overwrite(store.data, Buffer.alloc(2 * 4096), 0),
    finds: ['log-damaged'],
    mends: [reset],
    entries: {},
  },
  {
    name: 'every other page of the log overwritten',
    damage: (store) => {
      for (let at = 2 * 4096; at < statSync(store.data).size; at += 2 * 4096)
        store.overwrite(store.data, Buffer.alloc(4096, 0xff), at);
    },
    finds: ['log-damaged'],
    mends: [reset],
    entries: {},
  },
  {
    name: 'something else in place of the log',
    damage: (store) => writeFileSync(store.data, 'not a log at all\n'.repeat(1000)),
    finds: ['log-damaged'],
    mends: [reset],
    entries: {},
  },
  {
    name: 'one bit of an entry flipped',
    damage: (store) => store.flipBit('entry two'),
    finds: ['log-damaged'],
    mends: [reset],
    entries: { one: firstEntries.one },
  },
  {
    name: 'one bit of the row of a file flipped',
    damage: (store) => store.flipBit('d/c.txt'),
    finds: ['log-damaged'],
    mends: [reset],
  },
  {
    name: 'one bit flipped in a save that a killed process had committed and not carried out',
    damage: async (store) => {
      await store.die({
        saves: [{ 'd/c.txt': 'newest c\n' }, dying],
        failpoint: { name: 'apply.target', action: 'kill', skip: 1 },
      });
      store.flipBit('new n\n');
    },
    finds: ['log-damaged'],
    mends: [reset],
    // What of the last save was carried out stays: the rest of it cannot be trusted.
    files: { 'd/c.txt': 'newest c\n' },
  },
  {
    name: 'one bit of an entry flipped, beside a save that a killed process had not carried out',
    damage: async (store) => {
      await store.die({ saves: [dying], failpoint: { name: 'apply.target', action: 'kill', skip: 1 } });
      store.flipBit('entry two');
    },
    finds: ['log-damaged'],
    mends: [reset],
    // The content that can be read goes to conflicts/, and a person puts the set together.
    files: { 'a.txt': 'new a\n' },
    entries: { one: firstEntries.one },
    kept: ['new b\n', 'new n\n'],
    exitCode: 1,
  },
  {
    name: 'the log of another store copied in',
    damage: async (store) => {
      await using other = new DamagedStore();
      await other.use(async (it) => void (await it.writeFile('a.txt', 'of another store\n')));
      copyFileSync(other.data, store.data);
    },
    finds: ['store-mismatch'],
    mends: [reset],
    entries: {},
  },
  {
    name: 'the id of another store in .forewrit',
    damage: (store) => writeFileSync(`${store.own}/id`, `${'0123456789abcdef'.repeat(2)}\n`),
    finds: ['store-mismatch'],
    mends: [reset],
    entries: {},
  },
  {
    name: 'the id removed from .forewrit',
    damage: (store) => unlinkSync(`${store.own}/id`),
    finds: ['identity-missing'],
    mends: ['recover'],
  },
  {
    name: 'a newer version of the format',
    damage: (store) =>
      store.editLog((batch) => {
        const format = formatRow.decode(metaKeys.format, batch.get('meta', metaKeys.format)!);
        batch.put('meta', metaKeys.format, formatRow.encode(metaKeys.format, { ...format, version: 2 }));
      }),
    finds: ['format-unsupported'],
    person: 'opens it with the version that wrote it',
  },
  {
    name: 'records of a newer version of the format',
    damage: (store) =>
      store.editLog((batch) => {
        for (const [key, value] of batch.range('files', { start: new Uint8Array(0) }))
          batch.put('files', key, Uint8Array.of(2, ...value.subarray(1)));
      }),
    finds: ['format-unsupported'],
    person: 'opens it with the version that wrote it',
  },
  {
    name: 'the table of readers deleted',
    damage: (store) => unlinkSync(`${store.log}/lock.mdb`),
    finds: [],
  },
  {
    name: 'the writers’ queue deleted',
    damage: (store) => rmSync(`${store.log}/queue`, { recursive: true }),
    finds: [],
  },
  {
    name: 'the mark of a failed flush',
    damage: (store) => store.touch('log/flush-failed'),
    finds: ['flush-failed'],
    mends: ['recover'],
  },
  {
    name: 'a reset of the log that was interrupted',
    damage: async (store) => {
      store.make('set-aside/1');
      store.touch('set-aside/1/unfinished');
      for (const name of ['log', 'staged', 'before', 'spare', 'id'])
        renameSync(`${store.own}/${name}`, `${store.own}/set-aside/1/${name}`);
      await store.use(async (it) => void (await it.writeFile('e.txt', 'later\n')));
    },
    finds: ['reset-unfinished'],
    mends: [reset],
  },
];
