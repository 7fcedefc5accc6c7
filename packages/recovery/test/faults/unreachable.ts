/** Call sites that the simulated world never comes to, and why. */

export interface Unreachable {
  readonly file: string;
  /** Of the compiled line. */
  readonly text: string;
  readonly why: string;
}

const overlay = 'only an overlay of several file systems does so: process/file-systems has a real one';
const looks = 'only for those who look at a store and change nothing';

export const unreachable: readonly Unreachable[] = [
  { file: 'core/commit/before-image.js', text: 'stat.ino !== job.fileSystem.lstat(from)?.ino', why: overlay },
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
    file: 'core/files/shared-file-system.js',
    text: 'fileSystem.space(directory)',
    why: 'asked before there is an engine',
  },
  { file: 'core/files/volume.js', text: 'const stat = fileSystem.lstat(base)', why: looks },
  { file: 'core/files/volume.js', text: 'mount: fileSystem.mountId(base)', why: looks },
];
