/** Puts a store together: the committer (in a thread of its own, or in line) and the reading side. */

import { randomBytes } from 'node:crypto';
import { assert } from '../assert.js';
import { asyncOver } from '../files/async-file-system.js';
import type { Committer, CommitterEvent } from '../committer/committer.js';
import { CommitterLoop } from '../committer/committer-loop.js';
import { InvalidArgumentError, StoreError, withStoreCode } from '../errors.js';
import { unpackEntryValue } from '../record/frame.js';
import { requireSpace, spaceOf } from '../files/free-space.js';
import { entryKey } from '../record/key.js';
import type { Log } from '../log/log.js';
import { checkInlineLimit } from './check-arguments.js';
import { NodeAsyncFileSystem } from '../files/node-file-system.js';
import { openParts, openReadOnlyParts, openRoot } from './open-parts.js';
import { defaults, type StoreOptions, systemClock } from './options.js';
import { absolutePath, ancestors, parentPath, type StorePath } from '../path/path.js';
import { parsePath } from '../path/path-parser.js';
import { PathResolver } from '../path/path-resolver.js';
import { Reader } from './reader.js';
import { emptyRecoveryReport, type Recoverer } from '../committer/recoverer.js';
import { entryRow } from '../record/rows.js';
import { StagingPlaces } from './staging-places.js';
import type { StoreAccess } from './store-access.js';
import { type ContextParts, readFormat, refuseForeignLog } from './store-context.js';
import { Store, type StoreParts } from './store.js';
import { currentUmask } from '../files/umask.js';
import { WorkerCommitter } from '../committer/worker-committer.js';

/** What core does not have of its own; `@forewrit/recovery` brings it. */
export interface StoreServices {
  readonly recoverer: Recoverer | undefined;
  /** The entry module of the committer's thread. */
  readonly committerEntry: URL | undefined;
  readonly verify: StoreParts['verify'];
}

const injectable = ['clock', 'fileSystem', 'log', 'processTable', 'probeWitness'] as const;

export async function openStoreWith(
  root: string | URL,
  options: StoreOptions,
  services: StoreServices,
): Promise<Store> {
  checkOptions(options);
  const opened = openRoot(root, options, 'open');
  const early: CommitterEvent[] = [];
  let hear = (event: CommitterEvent): void => void early.push(event);
  const onEvent = (event: CommitterEvent): void => hear(event);
  const umask = currentUmask();
  const privileged = process.getuid?.() === 0;
  const inline = options.committer === 'inline' || services.committerEntry === undefined;
  let committer: Committer | undefined;
  let parts: ContextParts;
  if (options.readOnly === true) {
    parts = await openReadOnlyParts(opened, options, { umask, privileged, checkRowsAtOpen: true });
    refuseForeign(parts);
  } else if (inline) {
    parts = await openParts(opened, options, { umask, privileged });
    committer = await CommitterLoop.start({
      parts,
      recoverer: services.recoverer,
      nonce: options.nonce ?? randomBytes(8).toString('hex'),
      onEvent,
      withWitness: options.fileSystem === undefined,
    });
  } else {
    const { logger: _logger, ...plain } = options;
    committer = await WorkerCommitter.start({
      entry: services.committerEntry,
      roots: opened.roots,
      options: plain,
      umask,
      onEvent,
    });
    try {
      parts = await openParts(opened, options, { umask, privileged, looked: true });
    } catch (error) {
      await committer.close();
      throw error;
    }
  }
  const store = new Store({
    access: openAccess(parts, options, committer),
    committer,
    recovery: committer?.state.recovery ?? emptyRecoveryReport,
    options,
    verify: services.verify,
    closeLog: () => parts.log.close(),
  });
  hear = (event) => store.hear(event);
  for (const event of early) store.hear(event);
  return store;
}

function refuseForeign(parts: ContextParts): void {
  const { log, roots } = parts;
  try {
    const format = log.view(readFormat);
    if (format !== undefined) refuseForeignLog(parts, format);
  } catch (error) {
    log.close();
    throw withStoreCode(error, { op: 'open', path: roots.root });
  }
}

/** The reading side of a store. */
export function openAccess(
  parts: ContextParts,
  options: StoreOptions,
  committer: Committer | undefined,
): StoreAccess {
  const { roots, fileSystem, log } = parts;
  const format = log.view(readFormat);
  const folding = format ?? parts.folding;
  const resolverOptions = { symlinks: options.symlinks ?? 'follow' } as const;
  const resolver = new PathResolver(fileSystem, roots, resolverOptions);
  const asyncFileSystem =
    options.fileSystem === undefined ? new NodeAsyncFileSystem() : asyncOver(fileSystem);
  const reader = new Reader({
    log,
    fileSystem,
    asyncFileSystem,
    roots,
    resolver: new PathResolver(fileSystem, roots, resolverOptions),
    folding,
    onForeignLock: async () => {
      if (committer !== undefined) await committer.recoverDead();
    },
    isOwn: (owner) => owner === committer?.state.ownerNumber,
    readOnly: committer === undefined,
  });
  const resolve: StoreAccess['resolve'] = (path, op, isReplaced) => {
    resolver.forget();
    return resolver.resolve(path, { followLast: true, op, isReplaced });
  };
  const stagingPlaces = new StagingPlaces({
    fileSystem,
    roots,
    resolve: (path) => resolve(path, 'stage').path,
    openArea: async (volume) => {
      assert(committer !== undefined, 'a store that only reads stages nothing');
      await committer.stage({ kind: 'open-area', volume });
    },
  });
  return {
    roots,
    fileSystem,
    asyncFileSystem,
    log,
    folding,
    resolver,
    reader,
    durability: options.durability ?? 'full',
    deferred: options.materialize === 'deferred',
    inlineLimitBytes: options.inlineLimitBytes ?? defaults.inlineLimitBytes,
    maxFileBytes: options.maxFileBytes,
    privileged: parts.privileged,
    requireSpace: (op, bytes, directory = roots.root) =>
      requireSpace(fileSystem, directory, { op, bytes, reserveBytes: options.reserveBytes }),
    space(path) {
      const isThere = (at: StorePath): boolean =>
        fileSystem.lstat(absolutePath(at, roots))?.type === 'directory';
      const directory = [path, ...ancestors(path)].find(isThere) ?? '';
      return spaceOf(fileSystem, absolutePath(directory, roots), options.reserveBytes);
    },
    stagingPlaces,
    parse(path, op, mayBeRoot) {
      const parsed = parsePath(path, roots, op);
      if (mayBeRoot || parentPath(parsed) !== undefined) return parsed;
      throw new StoreError('ERR_IS_DIRECTORY', `'${String(path)}' is the root of the store`, {
        op,
        path: String(path),
        hint: 'Name a file below it.',
      });
    },
    resolve,
    nowMs: () => (options.clock ?? systemClock).nowMs(),
    entry: (collection, key) => readEntry(log, collection, key),
    unpack: unpackEntryValue,
    settled: () => Promise.resolve(),
    commitRelaxed: (theirs, request) => theirs.commit(request),
  };
}

function readEntry(log: Log, collection: string, key: string) {
  const at = entryKey(collection, key);
  const value = log.view((view) => view.get('entries', at));
  return value === undefined ? undefined : entryRow.decode(at, value);
}

function wrong(message: string): never {
  throw new InvalidArgumentError('openStore', message);
}

function checkHistory(history: unknown): void {
  if (history === undefined) return;
  if (typeof history !== 'object' || history === null || Array.isArray(history))
    wrong('history must be an object: {} for its defaults');
  for (const [name, value] of Object.entries(history)) {
    if (name !== 'maxAgeMs' && name !== 'maxBytes') wrong(`history has no option '${name}'`);
    if (value === undefined) continue;
    if (typeof value !== 'number' || !(value >= 0)) wrong(`history.${name} must be a number, not negative`);
  }
}

function checkOptions(options: StoreOptions): void {
  if (typeof options !== 'object' || options === null) wrong('options must be an object');
  const positive = [
    'inlineLimitBytes',
    'maxFileBytes',
    'maxTransactionBytes',
    'maxConcurrentTransactions',
    'reserveBytes',
    'materializeWithinMs',
    'checkpointIntervalMs',
    'checkpointBytes',
    'lockTimeoutMs',
  ] as const;
  for (const name of positive) {
    const value: unknown = options[name];
    if (value === undefined) continue;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      wrong(`${name} must be a number, not negative`);
  }
  const choices = {
    durability: ['full', 'relaxed'],
    materialize: ['immediate', 'deferred'],
    symlinks: ['follow', 'refuse'],
    committer: ['worker', 'inline'],
  } as const;
  for (const [name, allowed] of Object.entries(choices)) {
    const value: unknown = options[name as keyof typeof choices];
    if (value !== undefined && !(allowed as readonly unknown[]).includes(value)) {
      wrong(`${name} must be ${allowed.map((each) => `'${each}'`).join(' or ')}`);
    }
  }
  checkHistory(options.history);
  checkInlineLimit('openStore', options.inlineLimitBytes);
  if (options.committer === 'inline') return;
  for (const name of injectable) {
    if (options[name] !== undefined) wrong(`${name} can only be given with { committer: 'inline' }`);
  }
}
