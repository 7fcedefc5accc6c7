/** Who saves the sets while the disk is recorded: the store, and what else one would take for it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore } from '@forewrit/recovery';
import { writeFile as writeAtomically } from 'atomically';
import writeFileAtomic from 'write-file-atomic';
import { contentOf } from '../process/labelled-content.js';
import { setFiles, type SetOperation } from '../process/set-history.js';
import { saveVersion } from '../process/set-save.js';

/** With its default options. */
export const forewrit = 'forewrit';
/** They save the four files of a set one after the other, and nothing else. */
const peers = ['fs.writeFile', 'write-file-atomic', 'atomically'] as const;

export type SaverName = typeof forewrit | (typeof peers)[number];

export const savers: readonly SaverName[] = [forewrit, ...peers];

type Save = (operations: readonly SetOperation[]) => Promise<unknown>;

export async function openSaver(name: SaverName, root: string): Promise<Save> {
  switch (name) {
    case 'forewrit': {
      const store = await openStore(root);
      return (operations) => saveVersion(store, operations);
    }
    case 'fs.writeFile':
      return (operations) => saveSet(operations, (path, bytes) => writeFile(join(root, path), bytes));
    case 'write-file-atomic':
      return (operations) => saveSet(operations, (path, bytes) => writeFileAtomic(join(root, path), bytes));
    case 'atomically':
      return (operations) => saveSet(operations, (path, bytes) => writeAtomically(join(root, path), bytes));
  }
}

async function saveSet(
  operations: readonly SetOperation[],
  write: (path: string, bytes: Buffer) => Promise<void>,
): Promise<void> {
  for (const operation of operations) {
    if (operation.type !== 'write' || !setFiles.some((path) => path === operation.path)) continue;
    await write(operation.path, contentOf(operation.content));
  }
}
