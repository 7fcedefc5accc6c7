/**
 * The before-image of a target that is staged: a hard link, taken before its fingerprint is, so that the fingerprint
 * belongs to the inode that we hold; or a copy, where no link can be had.
 */

import { hasCode } from '../errors.js';
import { linkRefusals } from '../files/content.js';
import type { FileStat } from '../files/file-system.js';
import type { StorePath } from '../path/path.js';
import type { Preimage } from '../plan/preimage.js';
import { notRegular } from '../plan/working-tree.js';
import { RunningChecksum } from '../record/checksum.js';
import { type Image, imageOf } from '../record/image.js';
import { outdatedBy, PlanOutdated } from './plan-outdated.js';
import { beforePath } from './staged-target.js';
import type { StagingJob } from './staging-job.js';

/** Of what goes by a rename: its name in `before/` is made by the apply. */
export function lookBefore(
  job: StagingJob,
  { basePath, stat: seen }: Preimage,
  checksum: bigint | undefined,
): Image {
  job.draft.beforeName = job.name;
  const stat = job.fileSystem.lstat(job.absolute(basePath));
  if (stat === undefined || stat.type !== seen.type) throw new PlanOutdated(basePath);
  refuseOther(job, { basePath, stat: seen }, stat);
  return imageOf(stat, stat.mtimeNs === seen.mtimeNs ? checksum : undefined);
}

/** What is moved and what goes from its old place, or is replaced there, must be the same file. */
function refuseOther(
  { planned }: StagingJob,
  { basePath, stat: seen }: Preimage,
  now: FileStat | undefined,
): void {
  if (planned.movedAway === true && now?.ino !== seen.ino) throw new PlanOutdated(basePath);
}

/** Links (or copies) what will be replaced, then takes the fingerprint of what the link holds. */
export function takeBefore(job: StagingJob, path: StorePath, checksum: bigint | undefined): Image {
  const from = job.absolute(path);
  const to = beforePath(job.volume, job.name);
  job.draft.beforeName = job.name;
  try {
    job.fileSystem.link(from, to);
  } catch (error) {
    if (!hasCode(error, linkRefusals)) throw outdatedBy(error, path);
    return copyBefore(job, path, checksum);
  }
  job.made.push(() => job.fileSystem.unlink(to));
  const stat = job.fileSystem.lstat(to);
  if (stat === undefined || stat.type !== job.planned.stat?.type) throw new PlanOutdated(path);
  if (stat.ino !== job.planned.stat.ino) {
    const now = job.fileSystem.lstat(from);
    refuseOther(job, { basePath: path, stat: job.planned.stat }, now);
    if (stat.ino !== now?.ino) {
      // An overlay of several file systems gives what comes from its lower layer another number with each name.
      job.fileSystem.unlink(to);
      return copyBefore(job, path, checksum);
    }
  }
  const same = stat.ino === job.planned.stat.ino && stat.mtimeNs === job.planned.stat.mtimeNs;
  return imageOf(stat, same ? checksum : undefined);
}

function copyBefore(job: StagingJob, path: StorePath, checksum: bigint | undefined): Image {
  const from = job.absolute(path);
  const stat = job.fileSystem.lstat(from);
  if (stat === undefined || stat.type !== job.planned.stat?.type) throw new PlanOutdated(path);
  refuseOther(job, { basePath: path, stat: job.planned.stat }, stat);
  // A copy of a pipe would be a file.
  if (stat.type === 'other') throw notRegular('rm', path);
  const copied = new RunningChecksum();
  if (stat.type === 'symlink') {
    job.fileSystem.symlink(job.fileSystem.readlink(from), beforePath(job.volume, job.name));
    job.made.push(() => job.fileSystem.unlink(beforePath(job.volume, job.name)));
  } else {
    const target = job.create(beforePath(job.volume, job.name), 0o600);
    try {
      job.copyFrom(path, target, copied, 0);
      // A roll-back puts this copy in the place of the file.
      if (job.options.privileged) job.fileSystem.chown(target, stat);
      job.fileSystem.chmod(target, stat.mode);
    } finally {
      job.fileSystem.close(target);
    }
  }
  job.draft.beforeCopied = true;
  const again = job.fileSystem.lstat(from);
  if (again?.ino !== stat.ino || again.mtimeNs !== stat.mtimeNs) throw new PlanOutdated(path);
  // Put back, a copy is known by its content alone.
  return imageOf(stat, stat.type === 'file' ? copied.digest() : checksum);
}
