/**
 * Files that move, which keep their inode, what comes back from history as the one that it was, and directories, which have
 * no content: made, moved or removed.
 */

import { assert } from '../assert.js';
import { hasCode, StoreError, systemCode } from '../errors.js';
import { linkRefusals, syncFile } from '../files/content.js';
import type { FileStat, FileSystem } from '../files/file-system.js';
import { lookVolume, volumeDirectory } from '../files/volume.js';
import { absolutePath, type StorePath } from '../path/path.js';
import type { KeptLink } from '../plan/operation.js';
import { otherFileSystem } from '../plan/plan.js';
import { notRegular } from '../plan/working-tree.js';
import { type Image, imageOf } from '../record/image.js';
import { outdatedBy, PlanOutdated } from './plan-outdated.js';
import { beforePath, stagedPath } from './staged-target.js';
import type { StagingJob } from './staging-job.js';

/** `OVERLAYFS_SUPER_MAGIC` of linux/magic.h. */
const overlayType = 0x794c7630;

/** Takes a second link of what is moved. `false` where that cannot be had, and a copy of a file has to do. */
export function linkMoved(job: StagingJob): boolean {
  const from = job.planned.inodePath;
  assert(from !== undefined, 'a move has a source');
  const source = job.absolute(from);
  const staged = stagedPath(job.volume, job.name);
  const stat = job.fileSystem.lstat(source);
  if (stat === undefined || stat.ino !== job.planned.inode) throw new PlanOutdated(from);
  if (stat.dev !== job.volume.device) {
    if (stat.type === 'other') throw notRegular('rename', from);
    return false;
  }
  try {
    job.fileSystem.link(source, staged);
  } catch (error) {
    if (stat.type === 'file' && hasCode(error, linkRefusals)) return false;
    throw outdatedBy(error, from);
  }
  const apply = `${job.name}.apply`;
  try {
    job.fileSystem.link(staged, stagedPath(job.volume, apply));
  } catch (error) {
    job.fileSystem.unlink(staged);
    if (stat.type === 'file' && hasCode(error, linkRefusals)) return false;
    throw error;
  }
  job.made.push(
    () => job.fileSystem.unlink(staged),
    () => job.fileSystem.unlink(stagedPath(job.volume, apply)),
  );
  job.draft.staged = job.name;
  job.draft.applyName = apply;
  job.mustSyncDirectory = true;
  return true;
}

export function stageMove(
  job: StagingJob,
  checksum: (path: StorePath, stat: FileStat) => bigint | undefined,
): Image {
  const staged = stagedPath(job.volume, job.name);
  const stat = job.fileSystem.lstat(staged);
  assert(stat !== undefined, 'a link that was just made is there');
  if (stat.ino !== job.planned.inode) throw new PlanOutdated(job.planned.path);
  if (stat.type === 'file') syncFile(job.fileSystem, staged);
  return imageOf(stat, checksum(job.planned.inodePath!, stat));
}

/**
 * Another link of a symbolic link, socket, pipe or device that history keeps: nobody can write into it as into a file, and it
 * is the one that was there. Where no link can be had, a symbolic one that leads to the same place.
 */
export function stageKeptLink(job: StagingJob, { type, volume: place, name }: KeptLink): Image {
  const { fileSystem, options, volume, planned } = job;
  const area = lookVolume(fileSystem, options.roots, place);
  const kept = area === undefined ? undefined : beforePath(area, name);
  if (kept === undefined || fileSystem.lstat(kept)?.type !== type) {
    throw new StoreError('ERR_INTEGRITY', `What was kept of '${planned.path}' is not there any more`, {
      op: 'undo',
      path: planned.path,
      hint: 'Nothing was changed.',
    });
  }
  const staged = stagedPath(volume, job.name);
  const apply = `${job.name}.apply`;
  linkOrMake(fileSystem, { from: kept, to: staged, path: planned.path });
  job.made.push(() => fileSystem.unlink(staged));
  linkOrMake(fileSystem, { from: staged, to: stagedPath(volume, apply), path: planned.path });
  job.made.push(() => fileSystem.unlink(stagedPath(volume, apply)));
  job.draft.staged = job.name;
  job.draft.applyName = apply;
  job.mustSyncDirectory = true;
  return imageOf(fileSystem.lstat(stagedPath(volume, apply)));
}

/** `path`: where it is to come. */
export function linkOrMake(
  fileSystem: FileSystem,
  { from, to, path }: { readonly from: string; readonly to: string; readonly path: StorePath },
): void {
  try {
    fileSystem.link(from, to);
  } catch (error) {
    if (!hasCode(error, linkRefusals) && systemCode(error) !== 'EXDEV') throw error;
    if (fileSystem.lstat(from)?.type === 'other') throw notLinked(path, error);
    fileSystem.symlink(fileSystem.readlink(from), to);
  }
}

function notLinked(path: StorePath, cause: unknown): StoreError {
  const what = `'${path}' was a socket, pipe or device, and the file system gives no other link of it`;
  return new StoreError('ERR_INVALID_PATH', what, {
    op: 'undo',
    path,
    hint: 'Put back by hand what else was there: it is in .forewrit/before. Nothing was changed.',
    cause,
  });
}

export function stageDirectory(job: StagingJob): Image {
  job.draft.applyName = `${job.directoryName}.apply`;
  const path = stagedPath(job.volume, job.draft.applyName);
  const { mode: asked = 0o777, exact } = job.planned;
  const mode = exact === true ? asked : asked & ~job.options.umask;
  job.fileSystem.makeDirectory(path, mode);
  job.made.push(() => job.fileSystem.removeDirectory(path));
  job.fileSystem.chmodPath(path, mode);
  return { type: 'directory', mode };
}

/**
 * An overlay cannot rename a directory of a lower layer. To rename it over a directory that is not empty always fails,
 * and if it is for this reason, says so.
 */
export function refuseUnmovable(job: StagingJob, path: StorePath | undefined): void {
  assert(path !== undefined, 'a directory that moves or goes is somewhere');
  const top = volumeDirectory(absolutePath(job.volume.path, job.options.roots), job.volume.path);
  if (job.fileSystem.space(top).type >>> 0 !== overlayType) return;
  try {
    job.fileSystem.rename(job.absolute(path), top);
  } catch (error) {
    if (systemCode(error) === 'EXDEV') throw otherFileSystem(path);
    return;
  }
  assert(false, 'nothing is ever renamed over the staging areas');
}

export function imageOfMovedDirectory(job: StagingJob): Image {
  const { basePath, stat } = job.planned;
  assert(basePath !== undefined, 'a directory that moves comes from somewhere');
  const now = job.fileSystem.lstat(job.absolute(basePath));
  if (now === undefined || now.ino !== stat?.ino) throw new PlanOutdated(job.planned.path);
  return { type: 'directory', ino: now.ino, mode: now.mode };
}
