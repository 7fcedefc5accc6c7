/**
 * The directory of a log in LMDB:
 *
 *     data.mdb              the environment; made as creating-<token>/data.mdb and renamed when it is complete and
 *                           durable, so that whatever is found under this name was once whole
 *     lock.mdb              LMDB's reader table; disposable, and never to be opened by other code (`lmdb-environment.ts`)
 *     queue/, queue-wanted  the writers' queue (`writer-queue.ts`)
 *     flush-failed          why a meta page may look damaged (`flush-failure.ts`)
 *
 * Whoever prepares it has the place in the queue.
 */
import { StoreError } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import { openEnvironment } from './lmdb-environment.js';
import { initialFileBytes, type LogFileSystem, LogRoom } from './log-room.js';
import type { SpaceFloor } from './space-floor.js';
import { newQueuePrefix, removeNewQueue } from './writer-queue.js';

export const dataFileName = 'data.mdb';
export const lockFileName = 'lock.mdb';
const creatingPrefix = 'creating-';
/** Room for about a thousand readers: threads and processes that have the log open. */
const lockFileBytes = 64 * 1024;

export interface LogDirectoryOptions {
  readonly directory: string;
  readonly fileSystem: LogFileSystem;
  readonly queueToken: string;
  readonly isTokenAlive: (token: string) => boolean;
  readonly mustExist: boolean;
  readonly mapSizeBytes: number;
  readonly floor: SpaceFloor;
}

/** Makes the directory itself, before there is a queue. */
export function requireDirectory({
  directory,
  fileSystem,
  mustExist,
}: Pick<LogDirectoryOptions, 'directory' | 'fileSystem' | 'mustExist'>): void {
  if (fileSystem.lstat(directory) !== undefined) return;
  if (mustExist) throw logMissing(directory);
  fileSystem.makeDirectory(directory, 0o700);
  fileSystem.syncDirectory(parentOf(directory));
}

/** Makes what is missing in it. */
export function prepareDirectory(options: LogDirectoryOptions): void {
  sweep(options);
  const { directory, fileSystem, mustExist } = options;
  if (fileSystem.lstat(`${directory}/${dataFileName}`) === undefined) {
    if (mustExist) throw logMissing(directory);
    createDataFile(options);
  }
  if (!hasLockFile(options)) createLockFile(options);
  else fileSystem.requireUpdate(`${directory}/${lockFileName}`);
}

/** LMDB ends the process (SIGSEGV) where it meets anything but a file under this name, or one that it may not write. */
function hasLockFile({
  directory,
  fileSystem,
}: Pick<LogDirectoryOptions, 'directory' | 'fileSystem'>): boolean {
  const path = `${directory}/${lockFileName}`;
  const stat = fileSystem.lstat(path);
  if (stat === undefined || stat.type === 'file') return stat !== undefined;
  throw new StoreError('ERR_IO', `'${path}' is a ${stat.type}, and should be a file`, {
    op: 'open',
    path,
    hint: 'Move it away: the store makes a new one. `forewrit check` has the command.',
  });
}

export function logMissing(directory: string): StoreError {
  return new StoreError('ERR_NOT_FOUND', `There is no log in '${directory}'`, {
    op: 'open',
    path: directory,
  });
}

/** Removes what processes left behind that died while they opened the log for the first time. */
function sweep({ directory, fileSystem, isTokenAlive }: LogDirectoryOptions): void {
  for (const name of fileSystem.list(directory)) {
    const path = `${directory}/${name}`;
    if (name.startsWith(creatingPrefix) && !isTokenAlive(name.slice(creatingPrefix.length))) {
      removeDirectory(fileSystem, path);
    } else if (name.startsWith(newQueuePrefix) && !isTokenAlive(name.slice(newQueuePrefix.length))) {
      removeNewQueue(fileSystem, path);
    }
  }
}

function createDataFile(options: LogDirectoryOptions): void {
  const { directory, fileSystem, floor, mapSizeBytes } = options;
  floor.requireForCommit(false);
  floor.requireForWrite(initialFileBytes, false);
  inFreshDirectory(options, (fresh) => {
    const file = `${fresh}/${dataFileName}`;
    fillWithZeros(fileSystem, `${fresh}/${lockFileName}`);
    // LMDB writes two pages when it makes a file; before it writes more there is room for it.
    const environment = openEnvironment(fresh, { readOnly: false, mapSizeBytes });
    const room = new LogRoom({ fileSystem, path: file, floor });
    try {
      room.grow(initialFileBytes, true);
      environment.openTables();
      room.sync();
    } finally {
      room.close();
      environment.close();
    }
    fileSystem.rename(file, `${directory}/${dataFileName}`);
  });
  fileSystem.syncDirectory(directory);
  fileSystem.syncDirectory(parentOf(directory));
}

/** LMDB would make this file of nothing but a length and write through a map: on a full disk, a SIGBUS. */
function createLockFile(options: LogDirectoryOptions): void {
  const { directory, fileSystem } = options;
  inFreshDirectory(options, (fresh) => {
    fillWithZeros(fileSystem, `${fresh}/${lockFileName}`);
    fileSystem.rename(`${fresh}/${lockFileName}`, `${directory}/${lockFileName}`);
  });
}

function inFreshDirectory(options: LogDirectoryOptions, body: (path: string) => void): void {
  const { directory, fileSystem, queueToken } = options;
  const path = `${directory}/${creatingPrefix}${queueToken}`;
  removeDirectory(fileSystem, path);
  fileSystem.makeDirectory(path, 0o700);
  try {
    fileSystem.overwriteInPlace(path);
    body(path);
  } finally {
    removeDirectory(fileSystem, path);
  }
}

function fillWithZeros(fileSystem: FileSystem, path: string): void {
  const descriptor = fileSystem.create(path, 0o600);
  try {
    for (let position = 0; position < lockFileBytes; ) {
      position += fileSystem.write(descriptor, new Uint8Array(lockFileBytes - position), position);
    }
  } finally {
    fileSystem.close(descriptor);
  }
}

export function removeDirectory(fileSystem: FileSystem, path: string): void {
  if (fileSystem.lstat(path) === undefined) return;
  for (const name of fileSystem.list(path)) fileSystem.unlink(`${path}/${name}`);
  fileSystem.removeDirectory(path);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 1));
}
