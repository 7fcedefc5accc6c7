/**
 * The new content of a target: small content is written to its apply name and left open, larger content is fsynced
 * under its staged name and gets its apply name as a second link.
 */

import { assert } from '../assert.js';
import { hasCode, StoreError, systemCode } from '../errors.js';
import { copyDurably, linkRefusals, readFileAt, writeFully } from '../files/content.js';
import type { Descriptor, FileStat } from '../files/file-system.js';
import { volumeDirectory } from '../files/volume.js';
import { absolutePath } from '../path/path.js';
import type { Content } from '../plan/operation.js';
import type { FileNode } from '../plan/working-tree.js';
import { hash64, RunningChecksum } from '../record/checksum.js';
import { type Image, imageOf } from '../record/image.js';
import { attempt } from './attempt.js';
import { outdatedBy } from './plan-outdated.js';
import { stagedPath } from './staged-target.js';
import type { StagingJob } from './staging-job.js';

export function stageInline(job: StagingJob): { image: Image; descriptor: Descriptor } {
  const content = wholeContent(job);
  job.draft.content = content;
  const descriptor = takeSpare(job) ?? createApplyFile(job);
  try {
    writeFully(job.fileSystem, descriptor, content, 0);
    const stat = setOwnerAndMode(job, descriptor);
    return { image: checkedImage(job, stat, content.byteLength, hash64(content)), descriptor };
  } catch (error) {
    attempt(() => job.fileSystem.close(descriptor));
    throw error;
  }
}

/** A file that was made ahead of need: creating one is the slow part of staging. */
function takeSpare(job: StagingJob): Descriptor | undefined {
  const spare = job.volume.path === '' ? job.options.spares?.take() : undefined;
  if (spare === undefined) return undefined;
  const name = `${job.name}.apply`;
  const path = stagedPath(job.volume, name);
  try {
    job.fileSystem.rename(spare.path, path);
  } catch (error) {
    attempt(() => job.fileSystem.close(spare.descriptor));
    // Somebody has removed the spare: make a file as if there had been none.
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  job.made.push(() => job.fileSystem.unlink(path));
  job.draft.applyName = name;
  return spare.descriptor;
}

function createApplyFile(job: StagingJob): Descriptor {
  job.draft.applyName = `${job.name}.apply`;
  // Nobody else can look into the staging area, so the file may have its mode from the start.
  return job.create(stagedPath(job.volume, job.draft.applyName), modeOf(job));
}

function wholeContent(job: StagingJob): Uint8Array {
  const { path } = job.planned;
  const file = fileOf(job);
  const parts = file.parts.map((part) => {
    assert(part.kind === 'bytes', 'inline content is bytes');
    return part.bytes;
  });
  if (file.copyOf !== undefined) {
    try {
      parts.unshift(readFileAt(job.fileSystem, job.absolute(file.copyOf)));
    } catch (error) {
      throw outdatedBy(error, path);
    }
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

export function stageLarge(job: StagingJob): { image: Image; descriptor?: undefined } {
  const file = fileOf(job);
  const only = file.parts[0];
  job.mustSyncDirectory = true;
  if (file.copyOf === undefined && file.parts.length === 1 && only?.kind === 'staged' && isOurs(job, only)) {
    job.draft.staged = only.name;
    return { image: linkApplyName(job, only.name, adopt(job, only)) };
  }
  job.draft.staged = job.name;
  const descriptor = job.create(stagedPath(job.volume, job.name), 0o600);
  try {
    const checksum = new RunningChecksum();
    let size = file.copyOf === undefined ? 0 : job.copyFrom(file.copyOf, descriptor, checksum, 0);
    for (const part of file.parts) size += writePart(job, part, descriptor, checksum, size);
    const stat = setOwnerAndMode(job, descriptor);
    job.fileSystem.sync(descriptor);
    const image = checkedImage(job, stat, size, checksum.digest());
    return { image: linkApplyName(job, job.name, image) };
  } finally {
    job.fileSystem.close(descriptor);
  }
}

function isOurs(job: StagingJob, part: Extract<Content, { kind: 'staged' }>): boolean {
  return part.volume === job.volume.path;
}

/** Content that the caller's thread has staged and fsynced becomes the durable copy as it is. */
function adopt(job: StagingJob, part: Extract<Content, { kind: 'staged' }>): Image {
  const descriptor = job.fileSystem.openRead(stagedPath(job.volume, part.name));
  try {
    const stat = setOwnerAndMode(job, descriptor);
    job.fileSystem.sync(descriptor);
    return checkedImage(job, stat, part.size, part.checksum);
  } finally {
    job.fileSystem.close(descriptor);
  }
}

/** Returns the image of what the apply will put in place: that of the durable copy, or of a copy of it. */
function linkApplyName(job: StagingJob, name: string, durable: Image): Image {
  job.draft.applyName = `${job.name}.apply`;
  const to = stagedPath(job.volume, job.draft.applyName);
  try {
    job.fileSystem.link(stagedPath(job.volume, name), to);
  } catch (error) {
    if (!hasCode(error, linkRefusals)) throw error;
    job.made.push(() => job.fileSystem.unlink(to));
    copyDurably(job.fileSystem, stagedPath(job.volume, name), to);
    const checksum = durable.type === 'file' ? durable.checksum : undefined;
    return imageOf(job.fileSystem.lstat(to), checksum);
  }
  job.made.push(() => job.fileSystem.unlink(to));
  return durable;
}

function writePart(
  job: StagingJob,
  part: Content,
  descriptor: Descriptor,
  checksum: RunningChecksum,
  position: number,
): number {
  if (part.kind === 'bytes') {
    checksum.update(part.bytes);
    writeFully(job.fileSystem, descriptor, part.bytes, position);
    return part.bytes.byteLength;
  }
  return job.copyAbsolute(`${stagedDirectory(job, part)}/${part.name}`, descriptor, checksum, position);
}

function stagedDirectory(job: StagingJob, part: Extract<Content, { kind: 'staged' }>): string {
  const top = absolutePath(part.volume, job.options.roots);
  return `${volumeDirectory(top, part.volume)}/staged`;
}

/** Sizes are compared after every write: a file system may take fewer bytes than it said. */
function checkedImage(job: StagingJob, stat: FileStat, size: number, checksum: bigint): Image {
  if (stat.size !== size) {
    throw new StoreError('ERR_IO', `Staged ${stat.size} bytes of ${size} for '${job.planned.path}'`, {
      op: 'stage',
      path: job.planned.path,
      hint: 'The file system lost bytes that it had accepted. Nothing was changed.',
    });
  }
  return imageOf(stat, checksum);
}

/** The content to write; for a move that cannot be linked, that of its source. */
function fileOf(job: StagingJob): FileNode {
  const { file, inodePath } = job.planned;
  if (file !== undefined) return file;
  assert(inodePath !== undefined, 'a write has content');
  const like = job.fileSystem.lstat(job.absolute(inodePath));
  return { type: 'file', copyOf: inodePath, parts: [], ...(like === undefined ? {} : { like }) };
}

function modeOf(job: StagingJob): number {
  const asked = job.planned.file?.mode;
  if (asked !== undefined) return asked & ~job.options.umask;
  return likeOf(job)?.mode ?? 0o666 & ~job.options.umask;
}

/** Whose mode and owner the new file gets. */
function likeOf(job: StagingJob): FileStat | undefined {
  const { stat } = job.planned;
  const file = job.planned.action === 'move' ? fileOf(job) : job.planned.file;
  return file?.like ?? (stat?.type === 'file' ? stat : undefined);
}

/** Gives the file the owner and mode that it is to have; returns what it then is. */
function setOwnerAndMode(job: StagingJob, descriptor: Descriptor): FileStat {
  const stat = job.fileSystem.stat(descriptor);
  const like = likeOf(job);
  const foreign =
    like !== undefined && job.options.privileged && (stat.uid !== like.uid || stat.gid !== like.gid);
  if (foreign) job.fileSystem.chown(descriptor, like);
  const mode = modeOf(job);
  // After the owner: changing it may clear set-id bits.
  if (foreign || stat.mode !== mode) job.fileSystem.chmod(descriptor, mode);
  return { ...stat, mode, ...(foreign ? { uid: like.uid, gid: like.gid } : {}) };
}
