/** Who has a store open as far as that can be seen without its log: sockets that accept. */

import { type FileSystem, witnessPrefix } from '@forewrit/core';

/** Their names in the directory of the log. */
export async function answeringWitnesses(
  fileSystem: FileSystem,
  log: string,
  ask: (path: string) => Promise<'refused' | 'accepted' | 'unknown'>,
): Promise<string[]> {
  if (fileSystem.lstat(log)?.type !== 'directory') return [];
  const answering: string[] = [];
  for (const name of fileSystem.list(log).sort())
    if (name.startsWith(witnessPrefix) && (await ask(`${log}/${name}`)) === 'accepted') answering.push(name);
  return answering;
}
