/** What Forewrit is compared with in one scenario only, where nobody saves a set. */

import type { Guarantees } from './contender.js';

export interface NamedContender {
  readonly name: string;
  readonly guarantees: Guarantees;
  readonly setting: string;
}

const plainFile: Guarantees = {
  durable: false,
  fileAtomic: false,
  setAtomic: false,
  plainFiles: true,
  multiProcess: true,
};

export const writeStream: NamedContender = {
  name: 'createWriteStream, then fsync',
  guarantees: { ...plainFile, durable: true },
  setting: 'a stream to a new file, then one fsync. Killed in between it leaves a part of the file.',
};

export const plainReads: NamedContender = {
  name: 'readFile, at once',
  guarantees: plainFile,
  setting:
    '`Promise.all` of `fs.promises.readFile`. The files may be of two sets, or what a power cut will take back.',
};

export const recursiveRemove: NamedContender = {
  name: 'fs.promises.rm, recursive',
  guarantees: plainFile,
  setting: 'one name after the other, in memory when it returns.',
};
