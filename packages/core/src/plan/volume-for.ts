/** The staging area on the file system that holds a target's directory. */

import { assert } from '../assert.js';
import type { FileStat } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import { absolutePath, ancestors, parentPath, type StorePath } from '../path/path.js';
import { registerVolume, type StoreContext } from '../store/store-context.js';

/** `looked`: what the plan has seen so far. `known`: areas by directory, which grows. */
export function volumeFor(
  { volumes, fileSystem, roots, log }: StoreContext,
  { path }: { readonly path: StorePath },
  {
    looked,
    known,
  }: {
    readonly looked: ReadonlyMap<StorePath, FileStat | undefined>;
    readonly known: Map<StorePath, Volume>;
  },
): Volume {
  const parent = parentPath(path);
  assert(parent !== undefined, 'a target is no root');
  const found = known.get(parent);
  if (found !== undefined) return found;
  let volume = volumes.main;
  for (const directory of [parent, ...ancestors(parent)]) {
    const stat = looked.get(directory) ?? fileSystem.lstat(absolutePath(directory, roots));
    if (stat === undefined) continue;
    const place = volumes.placeFor(directory, stat.dev);
    if (place !== '' && volumes.get(place) === undefined) registerVolume(log, place);
    volume = volumes.add(place);
    break;
  }
  known.set(parent, volume);
  return volume;
}
