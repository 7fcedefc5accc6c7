/** What happens to that which history keeps. */

import { unlinkSync } from 'node:fs';
import type { Damage } from './damage.js';
import type { DamagedStore } from './damaged-store.js';

/** Where history keeps what a save has replaced, relative to the root. */
async function keep(store: DamagedStore): Promise<string> {
  await store.use(async (it) => void (await it.writeFile('a.txt', 'new a\n')), { history: {} });
  const [name, ...others] = store.names('before');
  if (name === undefined || others.length > 0) throw new Error('one before-image is to be kept');
  return `.forewrit/before/${name}`;
}

const person = 'waits until its age takes the entry from history, or empties history';

export const historyDamages: readonly Damage[] = [
  {
    name: 'what history keeps of a save deleted',
    damage: async (store) => unlinkSync(`${store.root}/${await keep(store)}`),
    finds: ['history-missing'],
    person,
  },
  {
    name: 'what history keeps of a save has rotted',
    damage: async (store) => store.rot(await keep(store)),
    finds: ['history-damaged'],
    readData: true,
    person,
  },
];
