/** From a root directory to the parts that a store is opened from: real paths, directories, the log. */

import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { codedNow, fromSystemError, InvalidArgumentError, StoreError, systemCode } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import { normalizationMarker, probeFolding } from '../record/key.js';
import { loadChecksum } from '../record/checksum.js';
import { checkFrames } from '../record/frame.js';
import { openLogToInspect } from '../log/lmdb-inspection.js';
import { openLmdbLog } from '../log/lmdb-log.js';
import type { Log } from '../log/log.js';
import { NodeFileSystem, realPath } from '../files/node-file-system.js';
import type { StoreOptions } from './options.js';
import type { Roots, StorePath } from '../path/path.js';
import { checkRoots } from '../path/path-parser.js';
import { type ProcessTable, systemProcessTable } from '../owner/process-identity.js';
import { identityOfToken, queueToken } from '../log/queue-token.js';
import { refuseSharedFileSystem } from '../files/shared-file-system.js';
import type { ContextParts } from './store-context.js';
import { refuseLostLog } from './store-identity.js';
import { refuseTakenStorePlace } from './store-place.js';
import { makeDirectoryIfMissing, storeLayout } from '../files/volume.js';

export interface OpenedRoot {
  readonly roots: Roots;
  readonly fileSystem: FileSystem;
}

/** Finds the real root and named roots; makes the root's directories if the store may be created. */
export function openRoot(root: string | URL, options: StoreOptions, op: string): OpenedRoot {
  return codedNow({ op, path: String(root) }, () => findRoot(root, options, op));
}

function findRoot(root: string | URL, options: StoreOptions, op: string): OpenedRoot {
  const fileSystem = options.fileSystem ?? new NodeFileSystem();
  const given = path.resolve(rootText(root, op));
  const simulated = options.fileSystem !== undefined;
  const real = (directory: string): string => (simulated ? directory : realDirectory(directory, op));
  const create = options.create !== false && options.readOnly !== true;
  if (create) makeRoot(fileSystem, given, op);
  const found = real(given);
  const stat = fileSystem.lstat(found);
  if (stat === undefined) throw noStore(given, op);
  if (stat.type !== 'directory') {
    throw new StoreError('ERR_NOT_DIRECTORY', `'${given}' is not a directory`, { op, path: given });
  }
  refuseTakenStorePlace(fileSystem, found, op);
  const named = new Map<string, string>();
  const aliases = new Map<string, StorePath>();
  if (given !== found) aliases.set(given, '');
  for (const [name, directory] of Object.entries(options.roots ?? {})) {
    if (typeof directory !== 'string') throw new InvalidArgumentError(op, `the root '${name}' is not a path`);
    const absolute = path.resolve(directory);
    named.set(name, real(absolute));
    if (absolute !== named.get(name)) aliases.set(absolute, `${name}:`);
  }
  const roots: Roots = { root: found, named, ...(aliases.size === 0 ? {} : { aliases }) };
  checkRoots(roots, op);
  if (options.allowSharedFileSystem !== true) {
    for (const directory of [found, ...named.values()]) refuseSharedFileSystem(fileSystem, directory);
  }
  return { roots, fileSystem };
}

function rootText(root: string | URL, op: string): string {
  if (root instanceof URL) {
    if (root.protocol !== 'file:')
      throw new InvalidArgumentError(op, 'the root must be a path or a file: URL');
    return fileURLToPath(root);
  }
  if (typeof root !== 'string' || root === '') throw new InvalidArgumentError(op, 'the root must be a path');
  if (root.includes('\0')) throw new StoreError('ERR_INVALID_PATH', 'The root contains a NUL', { op });
  return root;
}

function realDirectory(directory: string, op: string): string {
  try {
    return realPath(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw noStore(directory, op);
    throw fromSystemError(error, { op, path: directory });
  }
}

function noStore(directory: string, op: string): StoreError {
  return new StoreError('ERR_NOT_FOUND', `There is no store at '${directory}'`, {
    op,
    path: directory,
    hint: 'Check the path, or leave out { create: false } to make one.',
  });
}

function makeRoot(fileSystem: FileSystem, directory: string, op: string): void {
  const missing: string[] = [];
  for (let at = directory; fileSystem.lstat(at) === undefined; at = path.dirname(at)) missing.push(at);
  for (const each of missing.toReversed()) {
    try {
      fileSystem.makeDirectory(each, 0o777);
    } catch (error) {
      // Somebody makes the same store: what is below may be missing still.
      if (systemCode(error) !== 'EEXIST') throw fromSystemError(error, { op, path: directory });
    }
    try {
      fileSystem.syncDirectory(path.dirname(each));
    } catch (error) {
      throw fromSystemError(error, { op, path: directory });
    }
  }
}

export interface PartsOptions {
  readonly umask: number;
  readonly cancelFlag?: Int32Array;
  /** Another thread of this process has the log open, and has looked at it before. */
  readonly looked?: boolean;
  readonly privileged: boolean;
}

/** Makes the store's directories where they are missing and opens the log. */
export async function openParts(
  opened: OpenedRoot,
  options: StoreOptions,
  more: PartsOptions,
): Promise<ContextParts> {
  await loadChecksum();
  return codedNow({ op: 'open', path: opened.roots.root }, () => makeParts(opened, options, more));
}

function makeParts(
  { roots, fileSystem }: OpenedRoot,
  options: StoreOptions,
  { umask, cancelFlag, looked, privileged }: PartsOptions,
): ContextParts {
  const layout = storeLayout(roots.root);
  const processTable = options.processTable ?? systemProcessTable();
  if (fileSystem.lstat(layout.directory) === undefined && options.create === false) {
    throw noStore(roots.root, 'open');
  }
  try {
    prepareDirectories(fileSystem, layout);
  } catch (error) {
    throw fromSystemError(error, { op: 'open', path: layout.directory });
  }
  if (options.log === undefined) {
    refuseLostLog(fileSystem, layout);
  }
  const log =
    options.log ?? openRealLog(layout.log, { fileSystem, processTable, options, cancelFlag, looked });
  return {
    roots,
    layout,
    fileSystem,
    log,
    processTable,
    folding: probeFolding(fileSystem, layout.directory),
    options,
    newStoreId: randomBytes(16).toString('hex'),
    umask,
    privileged,
  };
}

/**
 * The parts of a store that is only looked at: nothing is made, nothing written. With `checkRowsAtOpen`
 * a damaged row is refused at once, else when it is read.
 */
export async function openReadOnlyParts(
  opened: OpenedRoot,
  options: StoreOptions,
  more: ReadOnlyPartsOptions,
): Promise<ContextParts> {
  await loadChecksum();
  return codedNow({ op: 'open', path: opened.roots.root }, () => lookAtParts(opened, options, more));
}

type ReadOnlyPartsOptions = PartsOptions & { readonly checkRowsAtOpen: boolean };

function lookAtParts(
  { roots, fileSystem }: OpenedRoot,
  options: StoreOptions,
  { umask, privileged, checkRowsAtOpen }: ReadOnlyPartsOptions,
): ContextParts {
  const layout = storeLayout(roots.root);
  if (options.log === undefined) {
    refuseLostLog(fileSystem, layout);
  }
  const log =
    options.log ??
    openLogToInspect({
      directory: layout.log,
      fileSystem: new NodeFileSystem(),
      scratchDirectory: path.join(tmpdir(), `forewrit-${randomBytes(8).toString('hex')}`),
      checkRow: checkFrames,
      checkRowsAtOpen,
    });
  return {
    roots,
    layout,
    fileSystem,
    log,
    processTable: options.processTable ?? systemProcessTable(),
    folding: probeFolding(fileSystem, layout.directory),
    options,
    newStoreId: '',
    umask,
    privileged,
  };
}

function openRealLog(
  directory: string,
  {
    fileSystem,
    processTable,
    options,
    cancelFlag,
    looked,
  }: {
    readonly fileSystem: FileSystem;
    readonly processTable: ProcessTable;
    readonly options: StoreOptions;
    readonly cancelFlag: Int32Array | undefined;
    readonly looked: boolean | undefined;
  },
): Log {
  const nonce = randomBytes(8).toString('hex');
  const real = fileSystem instanceof NodeFileSystem ? fileSystem : new NodeFileSystem();
  return openLmdbLog({
    directory,
    fileSystem: real,
    queueToken: queueToken(processTable.identity(), nonce),
    isTokenAlive: (token) => isTokenAlive(token, processTable),
    checkRow: checkFrames,
    ...(looked === undefined ? {} : { looked }),
    ...(options.lockTimeoutMs === undefined ? {} : { lockTimeoutMs: options.lockTimeoutMs }),
    ...(options.reserveBytes === undefined ? {} : { reserveBytes: options.reserveBytes }),
    cancelFlag,
  });
}

/** Only what is proven dead is: another boot, or no such process any more in our own pid namespace. */
export function isTokenAlive(token: string, processTable: ProcessTable): boolean {
  const theirs = identityOfToken(token);
  const ours = processTable.identity();
  if (theirs === undefined) return true;
  if (theirs.bootId !== '' && ours.bootId !== '' && theirs.bootId !== ours.bootId) return false;
  if (theirs.pidNamespace === '' || theirs.pidNamespace !== ours.pidNamespace) return true;
  const look = processTable.look(theirs.pid);
  if (look === undefined) return true;
  if (!look.exists || look.zombie) return false;
  return theirs.startTime === '' || look.startTime === undefined || look.startTime === theirs.startTime;
}

function prepareDirectories(fileSystem: FileSystem, layout: ReturnType<typeof storeLayout>): void {
  if (fileSystem.lstat(layout.directory) === undefined) {
    makeDirectoryIfMissing(fileSystem, layout.directory);
    fileSystem.syncDirectory(path.dirname(layout.directory));
  }
  makeDirectoryIfMissing(fileSystem, layout.log);
  if (fileSystem.lstat(layout.gitignore) === undefined) {
    createFile(fileSystem, layout.gitignore, '*\n');
    createFile(fileSystem, `${layout.directory}/${normalizationMarker}`, '');
    fileSystem.syncDirectory(layout.directory);
  }
}

function createFile(fileSystem: FileSystem, file: string, content: string): void {
  try {
    const descriptor = fileSystem.create(file, 0o600);
    try {
      if (content !== '') fileSystem.write(descriptor, Buffer.from(content), 0);
      fileSystem.sync(descriptor);
    } finally {
      fileSystem.close(descriptor);
    }
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}
