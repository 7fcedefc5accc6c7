/**
 * From a request to a staged proposal: resolve the paths, reduce to the net effect, look at rows and locks, stage.
 *
 * Rows are read *before* the files are looked at for their before-images: a row that still stands inside the commit
 * batch then proves that nobody of us changed the file in between.
 */

import { assert } from '../assert.js';
import { conflict } from '../commit/guard.js';
import { newestRevisionBelow } from '../commit/file-row.js';
import { lockedBy } from '../commit/lock.js';
import { PlanOutdated } from '../commit/plan-outdated.js';
import type { Adoption, EntryOperation, PlanRead, Proposal, Vacancy } from '../commit/proposal.js';
import type { StagedTransaction } from '../commit/staged-target.js';
import { type ErrorCode, isStoreError, type StoreError } from '../errors.js';
import { checksumOfFile } from '../files/content.js';
import type { FileStat } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import type { LogView } from '../log/log.js';
import { absolutePath, ancestors, isBelow, parentPath, type StorePath } from '../path/path.js';
import { fingerprintOf, sameFingerprint } from '../record/image.js';
import { pathKey } from '../record/key.js';
import { transactionId, type TransactionNumber } from '../record/record.js';
import { type FileRow, fileRow, type LockRow } from '../record/rows.js';
import { registerVolume, type StoreContext } from '../store/store-context.js';
import { baseTree, directoryDigest } from './base-tree.js';
import type { Operation, TrackedRead } from './operation.js';
import { checkChanges, checkPermissions, checkSizes, estimateLogBytes, targetsMax } from './plan-check.js';
import { netEffect, type PlannedTarget } from './plan.js';
import type { CommitRequest } from './request.js';
import { type FileOperation, resolveOperation } from './resolution.js';
import { Spellings } from './spelling.js';
import { WorkingTree } from './working-tree.js';

/** What a plan says of what it finds. */
const ofTheTree: ReadonlySet<string> = new Set<ErrorCode>([
  'ERR_EXISTS',
  'ERR_IS_DIRECTORY',
  'ERR_NOT_DIRECTORY',
  'ERR_NOT_EMPTY',
  'ERR_NOT_FOUND',
]);

export interface Prepared {
  readonly kind: 'ready';
  readonly staged: StagedTransaction;
  readonly proposal: Proposal;
  /** Upper bound of what the batch adds to the log. */
  readonly logBytes: number;
  /** Every write was asked for with `force`. */
  readonly forced: boolean;
}

export type Preparation =
  | Prepared
  | { readonly kind: 'overlaps' }
  | { readonly kind: 'locked'; readonly lock: LockRow };

export class Planner {
  readonly #context: StoreContext;
  readonly #owner: number;
  readonly #isEnding: (transaction: TransactionNumber) => boolean;
  /** Paths that this group's transactions change, and directories that they move or remove. */
  readonly #taken = new Set<StorePath>();
  readonly #takenDirectories = new Set<StorePath>();
  /** The same paths as they were asked for: most overlaps are seen without planning. */
  readonly #asked = new Set<StorePath>();
  /** Paths and entries that transactions want which were not let into this group. */
  readonly #behind = new Set<string>();
  #oneAtATime = 0;
  #inGroup = 0;

  constructor(context: StoreContext, owner: number, isEnding: (transaction: TransactionNumber) => boolean) {
    this.#context = context;
    this.#owner = owner;
    this.#isEnding = isEnding;
  }

  beginGroup(): void {
    this.#taken.clear();
    this.#takenDirectories.clear();
    this.#asked.clear();
    this.#behind.clear();
    this.#inGroup = 0;
    if (this.#oneAtATime > 0) this.#oneAtATime -= 1;
    this.#context.resolver.forget();
  }

  /** This one is not in the group: whoever comes later and wants the same must not overtake it. */
  putBack(request: CommitRequest): void {
    for (const wish of wishes(request)) this.#behind.add(wish);
  }

  /** The next groups hold one transaction each: a group was too large for the log. */
  oneAtATime(): void {
    this.#oneAtATime = 100;
  }

  prepare(request: CommitRequest): Preparation {
    if (this.#oneAtATime > 0 && this.#inGroup > 0) return { kind: 'overlaps' };
    const asked = askedPaths(request);
    if (asked.some((path) => this.#asked.has(path))) return { kind: 'overlaps' };
    if (this.#behind.size > 0 && wishes(request).some((wish) => this.#behind.has(wish)))
      return { kind: 'overlaps' };
    const operations = request.operations.filter(isFileOperation);
    try {
      return this.#prepare(request, { asked, operations });
    } catch (error) {
      const lock = isStoreError(error) && ofTheTree.has(error.code) ? this.#lockOn(operations) : undefined;
      if (lock === undefined) throw error;
      return { kind: 'locked', lock };
    }
  }

  /** What is half applied refuses what can be done before and after it, and lets nobody know. */
  #lockOn(operations: readonly FileOperation[]): LockRow | undefined {
    const { log, folding } = this.#context;
    const paths = operations.flatMap((each) => namedBy(each));
    const targets = paths.map((path) => ({ action: 'make-directory', path }) as const);
    return log.view((view) => lockedBy(view, { targets, entries: [] }, folding, this.#isEnding))?.lock;
  }

  #prepare(
    request: CommitRequest,
    {
      asked,
      operations,
    }: { readonly asked: readonly StorePath[]; readonly operations: readonly FileOperation[] },
  ): Preparation {
    const context = this.#context;
    const entries = request.operations.filter(isEntryOperation);
    const looked = new Map<StorePath, FileStat | undefined>();
    const tree = new WorkingTree(baseTree(context, looked));
    const requiredRevisions: { path: StorePath; revision: number }[] = [];
    const forced = new Set<StorePath>();
    const spellings = new Spellings(context.folding);
    const named = new Set<StorePath>();
    for (const operation of operations) {
      const resolved = resolveOperation(context, operation, { tree, looked });
      spellings.add(operation, resolved);
      if (resolved.type === 'write') {
        const { ifRevision, force } = resolved.options;
        if (ifRevision !== undefined) requiredRevisions.push({ path: resolved.path, revision: ifRevision });
        if (force === true) forced.add(resolved.path);
      }
      tree.apply(resolved);
      for (const path of namedBy(resolved)) named.add(path);
    }
    const { targets, vacated } = netEffect(tree, { maxTargets: targetsMax });
    checkChanges(targets, entries);
    checkSizes(context, targets);
    checkPermissions(context, targets);
    const relied = reliedOn(targets, named);
    if (this.#overlaps(targets, relied)) return { kind: 'overlaps' };

    const rows = context.log.view((view) => this.#readRows(view, { targets, entries, relied }));
    if ('lock' in rows) return { kind: 'locked', lock: rows.lock };
    for (const path of relied) if (looked.has(path)) this.#lookAgain(path, looked.get(path));
    const number = { owner: this.#owner, counter: request.counter };
    const volumes = new Map<StorePath, Volume>();
    const staged = context.stagingArea.stage(transactionId(number), targets, {
      volume: (target) => this.#volumeFor(target, looked, volumes),
      checksum: (path, stat) => knownChecksum(rows.found.get(path), stat),
      neverInline: request.neverInline === true,
      inlineLimitBytes: request.inlineLimitBytes,
    });
    // After the before-images were taken: what still is as it was read is what they hold.
    const required = requiredRevisions.flatMap(({ path }) => asRead(rows.found.get(path)));
    const changed = this.#changedRead([...request.reads, ...required], forced, staged);
    if (changed !== undefined) {
      context.stagingArea.discard(staged);
      throw changed;
    }
    this.#take(targets);
    this.#inGroup += 1;
    for (const path of asked) this.#asked.add(path);
    const plain = staged.targets.map(({ target }) => target);
    return {
      kind: 'ready',
      staged,
      proposal: {
        number,
        targets: plain,
        entries,
        reads: request.reads,
        adopts: operations.flatMap(adoptionOf),
        planReads: [...rows.values.values()],
        vacant: rows.vacancies,
        requiredRevisions,
        vacated,
      },
      logBytes: estimateLogBytes(plain, entries),
      forced:
        operations.length > 0 &&
        operations.every((each) => each.type === 'write' && each.options.force === true),
    };
  }

  #readRows(
    view: LogView,
    {
      targets,
      entries,
      relied,
    }: {
      readonly targets: readonly PlannedTarget[];
      readonly entries: readonly EntryOperation[];
      readonly relied: readonly StorePath[];
    },
  ):
    | { found: Map<StorePath, FileRow>; values: Map<StorePath, PlanRead>; vacancies: Vacancy[] }
    | { lock: LockRow } {
    const { folding } = this.#context;
    // As long as something is locked, what is there is not what is committed.
    const stoodOn = [...targets, ...relied.map((path) => ({ action: 'make-directory', path }) as const)];
    const lock = lockedBy(view, { targets: stoodOn, entries }, folding, this.#isEnding);
    if (lock !== undefined) return { lock: lock.lock };
    const found = new Map<StorePath, FileRow>();
    const values = new Map<StorePath, PlanRead>();
    const read = (path: StorePath): void => {
      if (values.has(path)) return;
      const key = pathKey(path, folding);
      const value = view.get('files', key);
      values.set(path, { key, value });
      if (value !== undefined) found.set(path, fileRow.decode(key, value));
    };
    const readWithParents = (path: StorePath): void => {
      read(path);
      for (const ancestor of ancestors(path)) read(ancestor);
    };
    for (const target of targets) for (const path of pathsOf(target)) readWithParents(path);
    for (const path of relied) readWithParents(path);
    const vacant = targets
      .filter(({ action, stat, path, basePath }) =>
        action === 'move-directory' ? basePath !== path : action !== 'make-parent' && stat === undefined,
      )
      .map(({ path }) => path);
    const newestBelow = (path: StorePath): number => newestRevisionBelow(view, path, folding);
    const vacancies = [...vacant, ...relied].map((path) => ({ path, newestBelow: newestBelow(path) }));
    return { found, values, vacancies };
  }

  /** What is no target is not looked at when it is staged: the rows must be those of what the plan has seen. */
  #lookAgain(path: StorePath, seen: FileStat | undefined): void {
    const { fileSystem, roots } = this.#context;
    const now = fileSystem.lstat(absolutePath(path, roots));
    if (now?.type !== seen?.type) throw new PlanOutdated(path);
  }

  /** Edits by programs that know nothing of us, since the transaction read. */
  #changedRead(
    reads: readonly TrackedRead[],
    forced: ReadonlySet<StorePath>,
    staged: StagedTransaction,
  ): StoreError | undefined {
    try {
      for (const read of reads) {
        if (read.kind === 'directory' && !this.#isStillDirectory(read)) return conflict(read.path);
        if (read.kind === 'file' && !forced.has(read.path) && !this.#isStillFile(read))
          return conflict(read.path);
      }
      return undefined;
    } catch (error) {
      this.#context.stagingArea.discard(staged);
      throw error;
    }
  }

  #isStillDirectory({ path, names }: Extract<TrackedRead, { kind: 'directory' }>): boolean {
    const tree = baseTree(this.#context);
    if (names === undefined) return tree.stat(path)?.type === 'directory';
    return directoryDigest(tree, path) === names;
  }

  #isStillFile({ path, fingerprint, checksum, recent }: Extract<TrackedRead, { kind: 'file' }>): boolean {
    const { fileSystem, roots } = this.#context;
    const absolute = absolutePath(path, roots);
    const stat = fileSystem.lstat(absolute);
    if (fingerprint === undefined || stat === undefined) return fingerprint === stat;
    // Within the clock's grain a second edit leaves no trace in the times.
    const decides = recent !== true || checksum === undefined;
    if (sameFingerprint(fingerprint, fingerprintOf(stat)) && decides) return true;
    if (checksum === undefined || stat.type !== 'file' || stat.size !== fingerprint.size) return false;
    return checksumOfFile(fileSystem, absolute) === checksum;
  }

  #overlaps(targets: readonly PlannedTarget[], relied: readonly StorePath[]): boolean {
    if (this.#taken.size === 0) return false;
    for (const path of relied) {
      for (const taken of this.#taken)
        if (taken === path || isBelow(taken, path) || isBelow(path, taken)) return true;
    }
    for (const target of targets) {
      for (const path of pathsOf(target)) {
        if (this.#taken.has(path)) return true;
        for (const ancestor of ancestors(path)) {
          if (this.#takenDirectories.has(ancestor)) return true;
        }
        if (!isDirectoryTarget(target)) continue;
        for (const taken of this.#taken) if (isBelow(taken, path)) return true;
      }
    }
    return false;
  }

  #take(targets: readonly PlannedTarget[]): void {
    for (const target of targets) {
      for (const path of pathsOf(target)) {
        this.#taken.add(path);
        if (isDirectoryTarget(target)) this.#takenDirectories.add(path);
      }
    }
  }

  /** The staging area on the file system that holds the target's directory. */
  #volumeFor(
    target: PlannedTarget,
    looked: ReadonlyMap<StorePath, FileStat | undefined>,
    cache: Map<StorePath, Volume>,
  ): Volume {
    const { volumes, fileSystem, roots, log } = this.#context;
    const parent = parentPath(target.path);
    assert(parent !== undefined, 'a target is no root');
    const cached = cache.get(parent);
    if (cached !== undefined) return cached;
    let volume = volumes.main;
    for (const directory of [parent, ...ancestors(parent)]) {
      const stat = looked.get(directory) ?? fileSystem.lstat(absolutePath(directory, roots));
      if (stat === undefined) continue;
      const place = volumes.placeFor(directory, stat.dev);
      if (place !== '' && volumes.get(place) === undefined) registerVolume(log, place);
      volume = volumes.add(place);
      break;
    }
    cache.set(parent, volume);
    return volume;
  }
}

function adoptionOf(operation: FileOperation): Adoption[] {
  if (!('content' in operation) || operation.content.kind !== 'staged') return [];
  const { name, size, checksum, resumable } = operation.content;
  return resumable === undefined ? [] : [{ ...resumable, name, size, checksum }];
}

/** What a transaction asks to change, files and entries. */
function wishes(request: CommitRequest): string[] {
  return request.operations.flatMap((each) => {
    if (!('path' in each)) return [`\0${each.collection}\0${each.key}`];
    return each.type === 'rename' ? [each.path, each.from] : [each.path];
  });
}

function askedPaths(request: CommitRequest): StorePath[] {
  return request.operations.flatMap((each) => ('path' in each ? [each.path] : []));
}

function isFileOperation(operation: Operation): operation is FileOperation {
  return operation.type !== 'put' && operation.type !== 'delete';
}

function isEntryOperation(operation: Operation): operation is EntryOperation {
  return operation.type === 'put' || operation.type === 'delete';
}

/** The paths of an operation, as they were resolved. */
function namedBy(operation: FileOperation): StorePath[] {
  switch (operation.type) {
    case 'write': {
      const { backup } = operation.options;
      return backup === undefined ? [operation.path] : [operation.path, backup];
    }
    case 'copy':
    case 'rename':
      return [operation.from, operation.path];
    default:
      return [operation.path];
  }
}

/**
 * Paths that decide on the net effect without being targets of their own: what is copied, and where nothing was to be
 * done, as nothing was there, or all of it already. The plan stands on them as it does on its targets.
 */
function reliedOn(targets: readonly PlannedTarget[], named: ReadonlySet<StorePath>): StorePath[] {
  const relied = new Set(named);
  for (const { file } of targets) if (file?.copyOf !== undefined) relied.add(file.copyOf);
  for (const target of targets) {
    relied.delete(target.path);
    if (target.from !== undefined) relied.delete(target.from);
  }
  return [...relied];
}

function isDirectoryTarget(target: PlannedTarget): boolean {
  return target.action !== 'write' && target.action !== 'move' && target.action !== 'remove';
}

function pathsOf(target: PlannedTarget): StorePath[] {
  const paths = new Set([target.path]);
  for (const path of [target.from, target.basePath, target.inodePath, target.file?.copyOf]) {
    if (path !== undefined) paths.add(path);
  }
  return [...paths];
}

/** Who asks for a revision has read it: an edit since by another program counts as well. */
function asRead(row: FileRow | undefined): TrackedRead[] {
  if (row?.image.type !== 'file') return [];
  const { path, revision, image } = row;
  const { fingerprint, checksum } = image;
  const read = { kind: 'file', path, revision, since: revision, fingerprint } as const;
  return [checksum === undefined ? read : { ...read, checksum }];
}

function knownChecksum(row: FileRow | undefined, stat: FileStat): bigint | undefined {
  if (row?.image.type !== 'file' || !sameFingerprint(row.image.fingerprint, fingerprintOf(stat)))
    return undefined;
  return row.image.checksum;
}
