/**
 * The directory of one attempt to run a task (0700, its files 0600):
 *
 *     claim            who decides whether the command runs: the shim, or an observer who says that it never will
 *     shim.json        the shim and the command, once that is spawned
 *     control          the shim's socket
 *     output.<offset>, streams.<offset>, gap.<offset>      see output-files.ts
 *     exit.json        how it ended; final
 *     *.new, claim.*   half of a claim or a record, if there was a crash
 *
 * A claim is a file that is written elsewhere and linked to its name, which fails if there is one: so it is exclusive,
 * and never seen without its content. It is durable before the command is spawned, so no power cut makes a command that
 * has run look as if it had not. The records are written to another name, flushed, renamed, and the directory is
 * flushed. The room for them is taken before the claim: a full disk cannot keep an end from being recorded (where the
 * file system overwrites in place).
 */

import * as fs from 'node:fs';
import type { CommandIdentity, ExitRecord, ShimIdentity } from '../supervision/supervisor.js';

export const claimName = 'claim';
export const shimName = 'shim.json';
export const exitName = 'exit.json';
export const socketName = 'control';
export const faultName = 'shim-fault.txt';

const fileMode = 0o600;
const reservedBytes = 4096;

export interface ClaimingShim extends ShimIdentity {
  /** '' where there are none. */
  readonly pidNamespace: string;
}

export type Claim =
  | { readonly nonce: string; readonly by: 'observer' }
  | { readonly nonce: string; readonly by: 'shim'; readonly shim: ClaimingShim };

export interface ShimRecord {
  readonly nonce: string;
  readonly shim: ClaimingShim;
  readonly command: CommandIdentity;
  readonly startedAtMs: number;
  /** Absent: `control` in the directory. */
  readonly socket?: string;
}

/** False if somebody else has claimed it. Durable when it returns. */
export function claimLaunch(directory: string, claim: Claim): boolean {
  const temporary = `${directory}/${claimName}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  try {
    writeNew(temporary, JSON.stringify(claim), { durable: true });
    fs.linkSync(temporary, `${directory}/${claimName}`);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    fs.rmSync(temporary, { force: true });
  }
  syncDirectory(directory);
  return true;
}

export function readClaim(directory: string): Claim | undefined {
  return readRecord<Claim>(`${directory}/${claimName}`);
}

export function readShimRecord(directory: string): ShimRecord | undefined {
  return readRecord<ShimRecord>(`${directory}/${shimName}`);
}

export function readExitRecord(directory: string): ExitRecord | undefined {
  return readRecord<ExitRecord>(`${directory}/${exitName}`);
}

/** Takes the room that a record will need. */
export function reserveRecord(directory: string, name: string): void {
  writeNew(`${directory}/${name}.new`, '\0'.repeat(reservedBytes), { durable: false });
}

/** Durable when it returns. */
export function writeRecord(
  directory: string,
  name: string,
  { record, beforeRename }: { readonly record: ShimRecord | ExitRecord; readonly beforeRename?: () => void },
): void {
  const temporary = `${directory}/${name}.new`;
  const bytes = Buffer.from(JSON.stringify(record));
  const descriptor = fs.openSync(temporary, fs.constants.O_WRONLY | fs.constants.O_CREAT, fileMode);
  try {
    writeFully(descriptor, bytes);
    fs.ftruncateSync(descriptor, bytes.length);
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
  beforeRename?.();
  fs.renameSync(temporary, `${directory}/${name}`);
  syncDirectory(directory);
}

export function syncDirectory(directory: string): void {
  // Windows cannot, and does not need it.
  if (process.platform === 'win32') return;
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Records appear whole or not at all, so what is none is somebody else's doing. */
export class DamagedRecord extends Error {
  readonly path: string;
  constructor(path: string, cause: unknown) {
    super(`'${path}' is no record of a task`, { cause });
    this.path = path;
  }
}

function readRecord<T extends object>(path: string): T | undefined {
  let text: string;
  try {
    text = fs.readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const record = JSON.parse(text) as T | null;
    if (typeof record === 'object' && record !== null && 'nonce' in record) return record;
  } catch (error) {
    throw new DamagedRecord(path, error);
  }
  throw new DamagedRecord(path, undefined);
}

function writeNew(path: string, text: string, { durable }: { readonly durable: boolean }): void {
  const descriptor = fs.openSync(path, 'wx', fileMode);
  try {
    writeFully(descriptor, Buffer.from(text));
    if (durable) fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

function writeFully(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += fs.writeSync(descriptor, bytes, done, bytes.length - done, done);
  }
}
