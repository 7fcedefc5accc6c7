/** Packages that replace a file by a rename: each file by itself, a set of them as little as before. */

import path from 'node:path';
import { loadPeer } from '../peers.js';
import type { Contender, FileSet } from './contender.js';

type WriteFile = (file: string, content: string) => Promise<void>;

const everyFile = async (directory: string, set: FileSet, write: WriteFile): Promise<void> => {
  await Promise.all(set.map(([name, content]) => write(path.join(directory, name), content)));
};

export const writeFileAtomic: Contender = {
  name: 'write-file-atomic, at once',
  guarantees: { durable: true, fileAtomic: true, setAtomic: false, plainFiles: true, multiProcess: true },
  setting:
    'as it comes: `fsync` is on, mode and owner are those of the file that is replaced. It does not flush the directory, so ' +
    'strictly the rename may be lost; it counts as durable here. All files of a set at once, since different files do not ' +
    'wait for each other.',
  open: async (directory) => {
    const { default: write } = await loadPeer<{ default: WriteFile }>('write-file-atomic');
    return { save: (set) => everyFile(directory, set, write), close: async () => undefined };
  },
};

export const atomically: Contender = {
  name: 'atomically, at once',
  guarantees: { durable: true, fileAtomic: true, setAtomic: false, plainFiles: true, multiProcess: true },
  setting:
    'as it comes: `fsync` is on and waited for. Its README recommends `fsyncWait: false`, which answers before the content ' +
    'is on the disk, and `mode: false, chown: false`, which forgets both: neither would be like for like.',
  open: async (directory) => {
    const { writeFile } = await loadPeer<{ writeFile: WriteFile }>('atomically');
    return { save: (set) => everyFile(directory, set, writeFile), close: async () => undefined };
  },
};

interface StenoWriter {
  write(content: string): Promise<void>;
}

export const steno: Contender = {
  name: 'steno, at once',
  guarantees: { durable: false, fileAtomic: false, setAtomic: false, plainFiles: true, multiProcess: false },
  setting:
    'one `Writer` for each file, kept, as its README asks. It renames and never flushes, so after a power cut a file may be ' +
    'empty; its temporary name is the same in every process. Of several writes to one file that wait, it carries out the last.',
  open: async (directory) => {
    const { Writer } = await loadPeer<{ Writer: new (file: string) => StenoWriter }>('steno');
    const writers = new Map<string, StenoWriter>();
    const writerOf = (file: string): StenoWriter => {
      const known = writers.get(file) ?? new Writer(file);
      writers.set(file, known);
      return known;
    };
    return {
      save: (set) => everyFile(directory, set, (file, content) => writerOf(file).write(content)),
      close: async () => undefined,
    };
  },
};
