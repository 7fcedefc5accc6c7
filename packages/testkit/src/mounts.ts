/**
 * File systems to test on, made for one command. It runs in a mount namespace of its own, which is gone with its last
 * process however that ends: nothing stays mounted, and nobody else sees it. Needs root and Linux; where they cannot be
 * had there is a reason for `test.skipIf`.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { temporaryDirectory } from './temp-directory.js';

/** `overlay` has its upper layer on the file system of the directory, `overlay-tmpfs` on a tmpfs. */
export type MountType = 'tmpfs' | 'overlay' | 'overlay-tmpfs' | 'ext4' | 'xfs' | 'btrfs';

export const mountTypes: readonly MountType[] = ['tmpfs', 'overlay', 'overlay-tmpfs', 'ext4', 'xfs', 'btrfs'];

/** xfs takes none smaller. The image is sparse. */
const imageBytesDefault = 384 * 1024 * 1024;
const commandTimeoutMs = 30_000;

const makers: Readonly<Record<'ext4' | 'xfs' | 'btrfs', readonly string[]>> = {
  // With a journal, whatever this system's defaults are.
  ext4: ['mkfs.ext4', '-q', '-F', '-O', 'has_journal'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
};

export interface PreparedMount {
  /** Where the file system is, for whoever runs under it. */
  readonly path: string;
  /** What an overlay shows as long as nothing was changed through it; on others there is none. */
  readonly lower: string | undefined;
  /** The command line to run a command under. */
  readonly under: readonly string[];
}

/** Makes what the mount needs in an empty directory. Throws where that is impossible. */
export function prepareMount(
  type: MountType,
  directory: string,
  { imageBytes = imageBytesDefault }: { readonly imageBytes?: number } = {},
): PreparedMount {
  const at = (name: string): string => `${directory}/${name}`;
  const path = at('mount');
  mkdirSync(path);
  const isOverlay = type === 'overlay' || type === 'overlay-tmpfs';
  const lower = isOverlay ? at('lower') : undefined;
  if (isOverlay) for (const name of ['lower', 'upper']) mkdirSync(at(name));
  const mounts = mountCommands(type, at, imageBytes);
  return { path, lower, under: ['unshare', '-m', 'sh', '-ec', `${mounts.join('\n')}\nexec "$@"`, 'sh'] };
}

function mountCommands(type: MountType, at: (name: string) => string, imageBytes: number): string[] {
  const path = quote(at('mount'));
  switch (type) {
    case 'tmpfs':
      return [`mount -t tmpfs -o size=256m tmpfs ${path}`];
    case 'overlay':
    case 'overlay-tmpfs': {
      const layers = `lowerdir=${at('lower')},upperdir=${at('upper/layer')},workdir=${at('upper/work')}`;
      return [
        ...(type === 'overlay' ? [] : [`mount -t tmpfs -o size=256m tmpfs ${quote(at('upper'))}`]),
        `mkdir ${quote(at('upper/layer'))} ${quote(at('upper/work'))}`,
        `mount -t overlay -o ${quote(layers)} overlay ${path}`,
      ];
    }
    case 'ext4':
    case 'xfs':
    case 'btrfs': {
      const image = at('image');
      const descriptor = openSync(image, 'wx');
      ftruncateSync(descriptor, imageBytes);
      closeSync(descriptor);
      const [command = '', ...args] = makers[type];
      run([command, ...args, image]);
      return [`mount -o loop ${quote(image)} ${path}`];
    }
  }
}

/** Why no such file system can be had here, found out by mounting one; `undefined` if it can. */
export function whyNoMount(type: MountType): string | undefined {
  if (process.platform !== 'linux') return 'mounts are made on Linux';
  if (process.getuid?.() !== 0) return `only root can mount a ${type}`;
  using directory = temporaryDirectory('mount');
  try {
    run([...prepareMount(type, directory.path).under, 'true']);
    return undefined;
  } catch (error) {
    return `no ${type}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Why nothing can be run under a command such as `unshare -m`; `undefined` if it can. */
export function whyNotUnder(under: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'namespaces are of Linux';
  try {
    run([...under, 'true']);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * The command line to run a command under another boot id, as after a reboot. The directory is for a file of it. What
 * one expects of a reboot besides, that processes and caches are gone, is not so.
 */
export function underOtherBoot(directory: string, bootId = '11111111-2222-3333-4444-555555555555'): string[] {
  const file = quote(`${directory}/boot-id`);
  const script = `echo ${bootId} > ${file}\nmount --bind ${file} /proc/sys/kernel/random/boot_id\nexec "$@"`;
  return ['unshare', '-m', 'sh', '-ec', script, 'sh'];
}

function run([command = '', ...args]: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: commandTimeoutMs });
  if (status === 0) return;
  throw new Error(`${command} failed: ${error?.message ?? stderr.trim().split('\n')[0] ?? `code ${status}`}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
