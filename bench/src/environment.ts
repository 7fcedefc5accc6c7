/** What a figure was taken on: without it a figure says nothing. */

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { peerVersions } from './peers.js';

export interface Environment {
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** One, five and fifteen minutes before: a busy machine measures itself. */
  readonly loadBefore: readonly number[];
  readonly commit: string;
  readonly versions: Readonly<Record<string, string>>;
}

const workspace = fileURLToPath(new URL('../..', import.meta.url));

export function describeEnvironment(): Environment {
  const cpus = os.cpus();
  return {
    node: process.version,
    platform: `${os.platform()} ${os.release()}`,
    cpu: cpus[0]?.model ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    loadBefore: os.loadavg().map((load) => Math.round(load * 100) / 100),
    commit: describeCommit(),
    versions: peerVersions(),
  };
}

function describeCommit(): string {
  const commit = run('git', ['-C', workspace, 'rev-parse', '--short=12', 'HEAD']);
  if (commit === '') return 'unknown';
  const changed = run('git', ['-C', workspace, 'status', '--porcelain', '--', '.', ':!bench/results']) !== '';
  return changed ? `${commit}, with changes` : commit;
}

/** Type of the file system, and for ext4 whether it has a journal: durable writes cost something else without. */
export function describeFileSystem(directory: string): string {
  if (os.platform() !== 'linux') return `a disk of ${os.platform()}`;
  const [device, type] =
    run('df', ['--output=source,fstype', directory]).split('\n').at(-1)?.split(/\s+/) ?? [];
  if (type !== 'ext4' || device === undefined) return type ?? 'unknown';
  try {
    const name = fs.realpathSync(device).split('/').at(-1);
    return fs.existsSync(`/proc/fs/jbd2/${name}-8`) ? 'ext4, journalled' : 'ext4, no journal seen';
  } catch {
    // A container may name a device that it cannot see.
    return 'ext4, journal unknown';
  }
}

function run(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}
