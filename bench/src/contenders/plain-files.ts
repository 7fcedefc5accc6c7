/** `fs.promises.writeFile`, as programs do it: in turn and at once, flushed and not. */

import fs from 'node:fs/promises';
import path from 'node:path';
import type { Contender, FileSet } from './contender.js';

type Save = (directory: string, set: FileSet) => Promise<void>;

const readTogether = (directory: string, paths: readonly string[]): Promise<unknown> =>
  Promise.all(paths.map((each) => fs.readFile(path.join(directory, each))));

function plain(name: string, durable: boolean, setting: string, save: Save): Contender {
  return {
    name,
    guarantees: { durable, fileAtomic: false, setAtomic: false, plainFiles: true, multiProcess: true },
    setting,
    open: async (directory) => ({
      save: (set) => save(directory, set),
      read: (paths) => readTogether(directory, paths),
      close: async () => undefined,
    }),
  };
}

async function writeFlushed(file: string, content: string): Promise<void> {
  const handle = await fs.open(file, 'w');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const writeFileInTurn = plain(
  'writeFile, in turn',
  false,
  '`fs.promises.writeFile` for one file after the other. Written in place, in memory when it returns.',
  async (directory, set) => {
    for (const [name, content] of set) await fs.writeFile(path.join(directory, name), content);
  },
);

export const writeFileAtOnce = plain(
  'writeFile, at once',
  false,
  '`Promise.all` of `fs.promises.writeFile`. Written in place, in memory when it returns.',
  async (directory, set) => {
    await Promise.all(set.map(([name, content]) => fs.writeFile(path.join(directory, name), content)));
  },
);

const flushedSetting =
  'each file is opened, written in place, fsynced and closed. The files are there before, so no directory needs a flush; ' +
  'a crash in between leaves them cut off.';

export const fsyncInTurn = plain(
  'writeFile and fsync, in turn',
  true,
  `One after the other ${flushedSetting}`,
  async (directory, set) => {
    for (const [name, content] of set) await writeFlushed(path.join(directory, name), content);
  },
);

export const fsyncAtOnce = plain(
  'writeFile and fsync, at once',
  true,
  `All at once, ${flushedSetting}`,
  async (directory, set) => {
    await Promise.all(set.map(([name, content]) => writeFlushed(path.join(directory, name), content)));
  },
);
