/** The file systems whose power is cut, and how they are mounted: before the cut and after it alike. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { whyNoMount } from '@forewrit/testkit/mounts';
import type { ByteRange } from './crash-images.js';

export interface Configuration {
  readonly name: string;
  readonly type: 'ext4' | 'xfs' | 'btrfs';
  readonly make: readonly string[];
  readonly options: readonly string[];
  /**
   * It is overwritten in place, and with a checksum that is wrong nothing is mounted: so in this place the disk has to
   * write more than a sector in one piece.
   */
  readonly superblock: ByteRange;
}

const ext4 = {
  type: 'ext4',
  // With a journal, whatever this system's defaults are, and with the blocks of a large disk.
  make: ['mkfs.ext4', '-q', '-F', '-O', 'has_journal', '-b', '4096'],
  superblock: { offset: 1024, length: 1024 },
} as const;

export const configurations: readonly Configuration[] = [
  { name: 'ext4', ...ext4, options: [] },
  { name: 'ext4, noauto_da_alloc', ...ext4, options: ['noauto_da_alloc'] },
  {
    name: 'xfs',
    type: 'xfs',
    make: ['mkfs.xfs', '-q', '-f'],
    options: [],
    superblock: { offset: 0, length: 512 },
  },
  {
    name: 'btrfs',
    type: 'btrfs',
    make: ['mkfs.btrfs', '-q', '-f'],
    options: [],
    superblock: { offset: 65_536, length: 4096 },
  },
];

/** xfs takes none smaller. The image is sparse. */
export const imageBytes = 384 * 1024 * 1024;

/** Why no power can be cut here; `undefined` if it can. */
export function whyNoPowerCut({ type }: Configuration): string | undefined {
  return whyNoMount(type) ?? (existsSync('/dev/fuse') ? undefined : 'there is no /dev/fuse');
}

export function mountImage(image: string, point: string, { type, options }: Configuration): void {
  run(['mount', '-t', type, '-o', ['loop', ...options].join(','), image, point]);
}

/** Lazily if somebody still looks at it: the loop device goes with the last of them. */
export function unmount(point: string): void {
  if (spawnSync('umount', [point]).status !== 0) run(['umount', '-l', point]);
}

export function run([command = '', ...args]: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 30_000 });
  if (status === 0) return;
  throw new Error(`${command} failed: ${error?.message ?? (stderr.trim() || `code ${status}`)}`);
}
