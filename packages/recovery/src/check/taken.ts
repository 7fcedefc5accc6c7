/** Where something else stands in a place of the store's own: what it is, and the command that moves it out of the way. */

import { type FileSystem, storeLayout, takenStorePlace } from '@forewrit/core';
import { finding, type Finding } from './finding.js';
import { setAsideName } from './set-aside.js';

/** Below `.forewrit`. Of `data.mdb` the log itself says so. */
const places: readonly (readonly [name: string, wanted: 'directory' | 'file'])[] = [
  ['conflicts', 'directory'],
  ['log', 'directory'],
  ['log/lock.mdb', 'file'],
  ['log/queue', 'directory'],
  ['id', 'file'],
  ['staged', 'directory'],
  ['before', 'directory'],
  ['spare', 'directory'],
  ['tasks', 'directory'],
  [setAsideName, 'directory'],
];

/** What is there already, in the order in which to mend it: others are moved to `conflicts/`. */
export function takenPlaces(root: string, fileSystem: FileSystem): Finding[] {
  const store = takenStore(root, fileSystem);
  if (store !== undefined) return [store];
  const { directory } = storeLayout(root);
  return places.flatMap(([name, wanted]) => {
    const path = `${directory}/${name}`;
    const is = typeAt(fileSystem, path);
    return is === undefined || is === wanted ? [] : [takenPlace(path, { root, fileSystem, is, wanted })];
  });
}

export function takenPlace(
  path: string,
  {
    root,
    fileSystem,
    is,
    wanted,
  }: { readonly root: string; readonly fileSystem: FileSystem; readonly is: string; readonly wanted: string },
): Finding {
  const { directory } = storeLayout(root);
  const message = `${path} is a ${is}, and should be a ${wanted}`;
  const conflicts = `${directory}/conflicts`;
  const to =
    path !== conflicts && typeAt(fileSystem, conflicts) === 'directory'
      ? `${conflicts}/`
      : `${root}/forewrit-${path.slice(path.lastIndexOf('/') + 1)}.aside`;
  const then = madeByReset.has(path.slice(directory.length + 1))
    ? 'Then check again.'
    : `Then recover, which makes the ${wanted}.`;
  const advice = `The command moves it out of the way. ${then}`;
  return finding('place-taken', { path, message, remedy: { command: ['mv', '-n', '--', path, to], advice } });
}

/** What no recovery makes anew. */
const madeByReset: ReadonlySet<string> = new Set(['log', setAsideName]);

/** `.forewrit` itself. */
function takenStore(root: string, fileSystem: FileSystem): Finding | undefined {
  const taken = quietly(() => takenStorePlace(fileSystem, root));
  if (taken === undefined) return undefined;
  const { path, message, leadsTo } = taken;
  if (leadsTo !== undefined) {
    const command = ['sh', '-c', 'rm -- "$0" && mv -n -- "$1" "$0"', path, leadsTo];
    const advice =
      'The command removes the link and moves the directory back in its place. Close the programs that use it first.';
    return finding('place-taken', { path, message, remedy: { command, advice } });
  }
  const command = ['mv', '-n', '--', path, `${root}/forewrit.aside`];
  const advice =
    'The command moves it out of the way. If the directory of the store is somewhere, move it back in its place then; ' +
    'a disk that it is on may have to be mounted first.';
  return finding('place-taken', { path, message, remedy: { command, advice } });
}

function typeAt(fileSystem: FileSystem, path: string): string | undefined {
  return quietly(() => fileSystem.lstat(path)?.type);
}

/** Where we may not look, another finding says so. */
function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
