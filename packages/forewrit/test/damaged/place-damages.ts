/** What happens to names and permissions in `.forewrit`, and to the files themselves. */

import { appendFileSync, chmodSync, mkdirSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Damage } from './damage.js';

const deadToken = '1.1.another-boot.none.0123';

export const placeDamages: readonly Damage[] = [
  {
    name: 'others may look into .forewrit',
    damage: (store) => chmodSync(store.own, 0o755),
    finds: ['permissions'],
    mends: ['chmod 700 .forewrit'],
  },
  {
    name: 'the log may be read by others, and not be written by its owner',
    damage: (store) => chmodSync(store.data, 0o444),
    finds: ['permissions'],
    mends: ['chmod 600 .forewrit/log/data.mdb'],
  },
  {
    name: 'files of somebody else among what is staged and in the log',
    damage: (store) => {
      store.touch('staged/my notes.txt', 'mine\n');
      store.touch('log/-rf', 'mine, too\n');
    },
    finds: ['foreign-name', 'foreign-name'],
    mends: [
      'mv -n -- .forewrit/log/-rf .forewrit/conflicts/',
      "mv -n -- '.forewrit/staged/my notes.txt' .forewrit/conflicts/",
    ],
    kept: ['mine\n', 'mine, too\n'],
  },
  {
    name: 'a staged file and a before-image of nobody',
    damage: (store) => {
      store.touch('staged/9-1-0.apply', 'rubbish\n');
      store.touch('before/9-1-0', 'rubbish\n');
    },
    finds: ['staged-orphan', 'before-orphan'],
    mends: ['recover'],
  },
  {
    name: 'spare files of nobody',
    damage: (store) => store.touch('spare/9-0'),
    finds: ['spare-orphan'],
    mends: ['recover'],
  },
  {
    name: 'the socket of a process that died while it opened the store',
    damage: (store) => store.leaveSocket('witness-0123456789abcdef'),
    finds: ['socket-stale'],
    mends: ['recover'],
  },
  {
    name: 'what first opens leave behind that die at different moments',
    damage: (store) => {
      store.touch('id.0123abcd', 'half');
      mkdirSync(`${store.log}/creating-${deadToken}`, { mode: 0o700 });
      mkdirSync(`${store.log}/queue-new-${deadToken}`, { mode: 0o700 });
    },
    finds: ['leftover', 'leftover', 'leftover'],
    mends: ['recover'],
  },
  {
    name: 'the staging directory removed',
    damage: (store) => rmdirSync(`${store.own}/staged`),
    finds: ['place-missing'],
    mends: ['recover'],
  },
  {
    name: 'a file in place of a directory of the store',
    damage: (store) => {
      rmdirSync(`${store.own}/before`);
      store.touch('before', 'a file\n');
    },
    finds: ['place-taken'],
    mends: ['mv -n -- .forewrit/before .forewrit/conflicts/', 'recover'],
    kept: ['a file\n'],
  },
  {
    name: 'a directory in place of the id of the store',
    damage: (store) => {
      unlinkSync(`${store.own}/id`);
      mkdirSync(`${store.own}/id`, { mode: 0o700 });
    },
    finds: ['place-taken'],
    mends: ['mv -n -- .forewrit/id .forewrit/conflicts/', 'recover'],
  },
  {
    name: 'a file in place of the directory of what is kept aside',
    damage: (store) => {
      rmdirSync(`${store.own}/conflicts`);
      store.touch('conflicts', 'a file\n');
    },
    finds: ['place-taken'],
    mends: ['mv -n -- .forewrit/conflicts forewrit-conflicts.aside', 'recover'],
    files: { 'forewrit-conflicts.aside': 'a file\n' },
  },
  {
    name: 'a file edited by another program',
    damage: (store) => appendFileSync(`${store.root}/a.txt`, 'one more line\n'),
    finds: ['file-changed'],
    readData: true,
    mends: ['accept --yes a.txt'],
    files: { 'a.txt': 'old a\none more line\n' },
  },
  {
    name: 'a file deleted by another program',
    damage: (store) => unlinkSync(`${store.root}/d/b.txt`),
    finds: ['file-missing'],
    readData: true,
    mends: ['accept --yes d/b.txt'],
    files: { 'd/b.txt': undefined },
  },
  {
    name: 'a directory in place of a file',
    damage: (store) => {
      unlinkSync(`${store.root}/a.txt`);
      mkdirSync(`${store.root}/a.txt`);
      writeFileSync(`${store.root}/a.txt/x`, 'x\n');
    },
    finds: ['file-changed'],
    readData: true,
    mends: ['accept --yes a.txt'],
    files: { 'a.txt': undefined, 'a.txt/x': 'x\n' },
  },
  {
    name: 'a file whose bytes have rotted',
    damage: (store) => store.rot('a.txt'),
    finds: ['file-damaged'],
    readData: true,
    mends: ['accept --yes a.txt'],
    files: { 'a.txt': '??????' },
  },
];
