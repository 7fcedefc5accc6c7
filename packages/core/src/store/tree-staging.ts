/**
 * A directory that an undo brings back, copied from what history keeps to a staging area by the caller's thread. When it is
 * complete and durable, names and all, one rename puts it in its place: so it may hold any number of files.
 *
 * Calls that take no time are made as they are; whatever reads, writes or flushes is waited for.
 */

import { linkOrMake } from '../commit/staged-move.js';
import type { StoreError } from '../errors.js';
import type { AsyncFileSystem } from '../files/async-file-system.js';
import type { FileSystem } from '../files/file-system.js';
import type { StorePath } from '../path/path.js';
import type { StagedTree } from '../plan/operation.js';
import { RunningChecksum } from '../record/checksum.js';
import type { KeptBelow } from '../record/history-row.js';
import { fingerprintOf } from '../record/image.js';
import { inTimePieces, openInTime } from './pieces.js';
import { writeFullyInTime } from './write-fully.js';

export interface TreeSource {
  /** Absolute. */
  readonly top: string;
  readonly mode: number;
  readonly below: readonly KeptBelow[];
  /** What is kept of this is not what it was, or is gone. */
  readonly damaged: (name: string) => StoreError;
}

export interface TreeTarget {
  readonly fileSystem: FileSystem;
  readonly asyncFileSystem: AsyncFileSystem;
  /** The staging area, absolute. */
  readonly area: string;
  readonly name: string;
  /** Where it is to come. */
  readonly path: StorePath;
  readonly privileged: boolean;
  readonly signal: AbortSignal | undefined;
}

type Below = StagedTree['listing'][number];

const filesAtOnce = 8;

/** What was made of it when this fails is the caller's to remove. */
export async function stageTree(source: TreeSource, target: TreeTarget): Promise<Below[]> {
  const { fileSystem, asyncFileSystem, area, name } = target;
  const top = `${area}/${name}`;
  const directories = source.below.filter(({ type }) => type === 'directory').sort(byName);
  for (const path of [top, ...directories.map((each) => `${top}/${each.name}`)]) {
    target.signal?.throwIfAborted();
    fileSystem.makeDirectory(path, 0o700);
  }
  const others = source.below.filter(({ type }) => type !== 'directory');
  const listing = await allOf(others, (each) => stageBelow(source, target, each));
  // The innermost first: what a directory may forbid is not to be done in it any more.
  for (const each of directories.toReversed()) {
    const path = `${top}/${each.name}`;
    await settle(target, path, each.mode);
    listing.push({ ...each, fingerprint: fingerprintOf((await asyncFileSystem.lstat(path))!) });
  }
  await settle(target, top, source.mode);
  await asyncFileSystem.syncDirectory(area);
  return listing.map(({ name: relative, type, fingerprint, checksum, mode }) => ({
    name: relative,
    type,
    fingerprint,
    mode,
    ...(checksum === undefined ? {} : { checksum }),
  }));
}

function byName(one: KeptBelow, other: KeptBelow): number {
  return one.name < other.name ? -1 : 1;
}

async function settle({ asyncFileSystem }: TreeTarget, directory: string, mode: number): Promise<void> {
  await asyncFileSystem.chmodPath(directory, mode);
  await asyncFileSystem.syncDirectory(directory);
}

/** Some at once: a disk flushes several files in hardly more time than one. The first that fails ends it, once all have stopped. */
async function allOf<Item, Result>(
  items: readonly Item[],
  use: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const rest = items.values();
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (const item of rest) {
      if (failure !== undefined) return;
      try {
        results.push(await use(item));
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, worker));
  if (failure !== undefined) throw failure.error;
  return results;
}

async function stageBelow(source: TreeSource, target: TreeTarget, each: KeptBelow): Promise<Below> {
  const { fileSystem, asyncFileSystem, area, name, path, signal } = target;
  signal?.throwIfAborted();
  const from = `${source.top}/${each.name}`;
  const to = `${area}/${name}/${each.name}`;
  if ((await asyncFileSystem.lstat(from))?.type !== each.type) throw source.damaged(each.name);
  if (each.type === 'file') return copyFile(source, target, each);
  linkOrMake(fileSystem, { from, to, path: `${path}/${each.name}` });
  return { ...each, fingerprint: fingerprintOf(fileSystem.lstat(to)!) };
}

/** With the mode that it had, and for root the owner. */
async function copyFile(source: TreeSource, target: TreeTarget, each: KeptBelow): Promise<Below> {
  const { fileSystem, asyncFileSystem, area, name } = target;
  const from = `${source.top}/${each.name}`;
  const reading = await openInTime(asyncFileSystem, from, () => source.damaged(each.name));
  try {
    const like = await asyncFileSystem.stat(reading);
    const writing = await asyncFileSystem.create(`${area}/${name}/${each.name}`, 0o600);
    try {
      const checksum = new RunningChecksum();
      let size = 0;
      for await (const piece of inTimePieces(asyncFileSystem, reading, like.size)) {
        checksum.update(piece);
        await writeFullyInTime(asyncFileSystem, writing, piece, size);
        size += piece.byteLength;
      }
      if (checksum.digest() !== each.checksum) throw source.damaged(each.name);
      if (target.privileged) fileSystem.chown(writing, like);
      await asyncFileSystem.chmod(writing, each.mode);
      await asyncFileSystem.sync(writing);
      return { ...each, fingerprint: fingerprintOf(await asyncFileSystem.stat(writing)) };
    } finally {
      await asyncFileSystem.close(writing);
    }
  } finally {
    await asyncFileSystem.close(reading);
  }
}

/** What cannot be removed is swept by the next open. */
export async function removeStagedTree(
  { fileSystem, asyncFileSystem }: Pick<TreeTarget, 'fileSystem' | 'asyncFileSystem'>,
  path: string,
): Promise<void> {
  if ((await asyncFileSystem.lstat(path))?.type !== 'directory') {
    await asyncFileSystem.unlink(path);
    return;
  }
  // It may have its mode already.
  await asyncFileSystem.chmodPath(path, 0o700);
  for (const name of fileSystem.list(path))
    await removeStagedTree({ fileSystem, asyncFileSystem }, `${path}/${name}`);
  fileSystem.removeDirectory(path);
}
