/** Call sites that the simulated world never comes to, and why. */

import type { CallSite } from './call-sites.js';

export interface Unreachable {
  readonly file: string;
  /** Of the compiled line; '' for all that there is in the file. */
  readonly text: string;
  readonly why: string;
}

const overlay = 'only an overlay of several file systems does so: process/file-systems has a real one';
const taken =
  'only where something else stands in the place of .forewrit: hard-stores and unusual-stores have that';
const looks = 'only for those who look at a store and change nothing';

const lmdb = 'below the log: that is LMDB on a real file system, which is not simulated';
const movesLog = 'it takes a damaged LMDB apart, on a real file system: damaged-stores has fifty of them';
const waits = 'only while the loop of a committer waits for others, by the clock of the system';

export const unreachable: readonly Unreachable[] = [
  {
    file: 'core/commit/before-image.js',
    text: 'const now = job.fileSystem.lstat(from)',
    why: 'only where somebody replaces a file between two looks (plan-meanwhile.test does), or on an overlay',
  },
  { file: 'core/commit/before-image.js', text: 'job.fileSystem.unlink(to);', why: overlay },
  {
    file: 'core/commit/staged-move.js',
    text: 'job.fileSystem.rename(job.absolute(path), top)',
    why: overlay,
  },
  {
    file: 'core/commit/staging-area.js',
    text: 'this.#fileSystem.sync(descriptor)',
    why: 'needs more files in one save than half of the descriptors that a process may have',
  },
  {
    file: 'core/commit/staging-area.js',
    text: 'this.#fileSystem.close(descriptor)',
    why: 'needs more files in one save than half of the descriptors that a process may have',
  },
  {
    file: 'core/store/content-staging.js',
    text: 'await this.#target.fileSystem.sync(descriptor)',
    why: 'needs a stream of 64 MiB: content-staging.test has one that fails there',
  },
  {
    file: 'core/files/shared-file-system.js',
    text: 'fileSystem.space(directory)',
    why: 'asked before there is an engine',
  },
  {
    file: 'core/store/snapshot.js',
    text: 'listingStands(view',
    why: 'only where a commit comes between what a snapshot lists and reads: listing.test of core has that',
  },
  {
    file: 'core/store/snapshot.js',
    text: 'comeOrGoneSince(view',
    why: 'only where a commit comes between two reads of a snapshot: listing.test of core has that',
  },
  { file: 'core/store/store-place.js', text: 'fileSystem.readlink(path)', why: taken },
  { file: 'core/store/store-place.js', text: 'fileSystem.lstat(target)', why: taken },
  {
    file: 'recovery/redo.js',
    text: 'this.#isDirectory(path) && fileSystem.list(path).length > 0',
    why: 'only after a power cut that lost the rename of a parent which two owners made: model-schedules has one',
  },
  { file: 'recovery/answering.js', text: '', why: looks },
  { file: 'recovery/inspect.js', text: '', why: looks },
  { file: 'recovery/follow.js', text: '', why: looks },
  { file: 'recovery/check/explain.js', text: '', why: looks },
  { file: 'recovery/check/files.js', text: '', why: looks },
  { file: 'recovery/check/history.js', text: '', why: looks },
  { file: 'recovery/check/places.js', text: '', why: looks },
  { file: 'recovery/check/taken.js', text: '', why: looks },
  { file: 'recovery/check/transactions.js', text: '', why: looks },
  { file: 'recovery/mend/reset-log.js', text: '', why: movesLog },
  { file: 'recovery/mend/salvage.js', text: '', why: movesLog },
  {
    file: 'core/store/store-identity.js',
    text: "!== 'ENOENT' ||",
    why: 'only where somebody sweeps what an open is just making: store-identity.test has it',
  },
  { file: 'core/log/flush-failure.js', text: '', why: lmdb },
  { file: 'core/log/lmdb-directory.js', text: '', why: lmdb },
  { file: 'core/log/lmdb-file.js', text: '', why: lmdb },
  { file: 'core/log/lmdb-inspection.js', text: '', why: lmdb },
  { file: 'core/log/log-room.js', text: '', why: lmdb },
  { file: 'core/log/space-floor.js', text: '', why: lmdb },
  { file: 'core/log/writer-queue.js', text: '', why: lmdb },
  { file: 'core/store/store-identity.js', text: 'const hadLog = ', why: lmdb },
  { file: 'core/store/store-identity.js', text: '!hadLog ||', why: lmdb },
  { file: 'core/store/store-identity.js', text: '(directory).length > 0', why: lmdb },
  { file: 'core/owner/witness.js', text: '', why: 'a witness is a socket of the kernel' },
  { file: 'core/committer/committer-loop.js', text: 'belongsToOthers', why: waits },
  { file: 'core/committer/turn-taking.js', text: '', why: waits },
  {
    file: 'core/committer/dead-owner.js',
    text: 'const left = ',
    why: 'only for a store without recovery, which no package opens',
  },
];

/** Which campaign meets the calls of a file. */
export const campaigns = {
  work: /^core\/(?:(?:commit|files|path|plan)\/|history\/(?!obstacle\.)|committer\/(?!(?:committer-loop|registration)\.)|store\/(?:store-context|tree-staging)\.)/,
  recovery: /^recovery\/(?!inspect\.|verify(?:-history)?\.|follow\.|check\/|mend\/)/,
  mend: /^recovery\/mend\//,
  surface:
    /^core\/(?:(?:log|owner|record)\/|history\/obstacle\.|store\/(?!(?:store-context|tree-staging)\.)|committer\/(?:committer-loop|registration)\.)|^recovery\/(?:(?:inspect|verify(?:-history)?|follow)\.|check\/)/,
} as const;

export function reachableOf(sites: readonly CallSite[]): CallSite[] {
  return sites.filter(({ place, text }) => {
    const file = place.slice(0, place.indexOf(':'));
    return !unreachable.some((each) => each.file === file && text.includes(each.text));
  });
}
