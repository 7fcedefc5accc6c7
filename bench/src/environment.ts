/** What a figure was taken on: without it a figure says nothing. */

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

export interface Environment {
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
  readonly fileSystem: string;
}

export function describeEnvironment(directory: string): Environment {
  const cpus = os.cpus();
  return {
    node: process.version,
    platform: `${os.platform()} ${os.release()}`,
    cpu: cpus[0]?.model ?? 'unknown',
    cores: cpus.length,
    fileSystem: describeFileSystem(directory),
  };
}

/** Type of the file system, and for ext4 whether it has a journal: durable writes cost something else without. */
function describeFileSystem(directory: string): string {
  if (os.platform() !== 'linux') return 'unknown';
  const [device, type] =
    run('df', ['--output=source,fstype', directory]).split('\n').at(-1)?.split(/\s+/) ?? [];
  if (type !== 'ext4' || device === undefined) return type ?? 'unknown';
  const name = fs.realpathSync(device).split('/').at(-1);
  return fs.existsSync(`/proc/fs/jbd2/${name}-8`) ? 'ext4, journalled' : 'ext4, no journal seen';
}

function run(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}
