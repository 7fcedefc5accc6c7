/**
 * From a request to a staged proposal: resolve the paths, reduce to the net effect, look at rows and locks, stage.
 *
 * Rows are read *before* the files are looked at for their before-images: a row that still stands inside the commit
 * batch then proves that nobody of us changed the file in between.
 */

import { conflict } from '../commit/guard.js';
import { lockedBy } from '../commit/lock.js';
import { markKeysMax } from '../commit/mark.js';
import type { EntryOperation, PlanRead, Proposal } from '../commit/proposal.js';
import { checksumOfFile } from '../files/content.js';
import { StoreError } from '../errors.js';
import type { FileStat } from '../files/file-system.js';
import { requireSpace } from '../files/free-space.js';
import { fingerprintOf, sameFingerprint } from '../record/image.js';
import { type Folding, pathKey } from '../record/key.js';
import type { LogView } from '../log/log.js';
import { batchChangesMax } from '../log/log-limits.js';
import { type Operation, partSize, type TrackedRead } from './operation.js';
import {
  absolutePath,
  ancestors,
  isBelow,
  isReservedPath,
  joinPath,
  parentPath,
  type StorePath,
} from '../path/path.js';
import { netEffect, type PlannedTarget } from './plan.js';
import { type Target, transactionId, type TransactionNumber } from '../record/record.js';
import type { CommitRequest } from './request.js';
import { type FileRow, fileRow, type LockRow } from '../record/rows.js';
import type { StagedTransaction } from '../commit/staged-target.js';
import { registerVolume, type StoreContext } from '../store/store-context.js';
import type { Volume } from '../files/volume.js';
import { type BaseTree, WorkingTree } from './working-tree.js';

/** Targets of one transaction, and files below a directory that it moves or removes. */
export const targetsMax = 100_000;

/** What a batch holds beside the changes of one transaction: locks that it lets go of, the revision, its records. */
const changesMax = batchChangesMax - markKeysMax - 100;

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

type FileOperation = Exclude<Operation, EntryOperation>;

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
    const context = this.#context;
    const operations = request.operations.filter(isFileOperation);
    const entries = request.operations.filter(isEntryOperation);
    const looked = new Map<StorePath, FileStat | undefined>();
    const tree = new WorkingTree(baseTree(context, looked));
    const requiredRevisions: { path: StorePath; revision: number }[] = [];
    const forced = new Set<StorePath>();
    const spellings = new Spellings(context.folding);
    for (const operation of operations) {
      const resolved = resolveOperation(context, operation, { tree, looked });
      spellings.add(operation, resolved);
      if (resolved.type === 'write') {
        const { ifRevision, force } = resolved.options;
        if (ifRevision !== undefined) requiredRevisions.push({ path: resolved.path, revision: ifRevision });
        if (force === true) forced.add(resolved.path);
      }
      tree.apply(resolved);
    }
    const { targets, vacated } = netEffect(tree, { maxTargets: targetsMax });
    checkChanges(targets, entries);
    checkSizes(context, targets);
    checkPermissions(context, targets);
    if (this.#overlaps(targets)) return { kind: 'overlaps' };

    const rows = context.log.view((view) => this.#readRows(view, targets, entries));
    if ('lock' in rows) return { kind: 'locked', lock: rows.lock };
    const number = { owner: this.#owner, counter: request.counter };
    const volumes = new Map<StorePath, Volume>();
    const staged = context.stagingArea.stage(transactionId(number), targets, {
      volume: (target) => this.#volumeFor(target, volumes),
      checksum: (path, stat) => knownChecksum(rows.found.get(path), stat),
      neverInline: request.neverInline === true,
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
        planReads: [...rows.values.values()],
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
    targets: readonly PlannedTarget[],
    entries: readonly EntryOperation[],
  ): { found: Map<StorePath, FileRow>; values: Map<StorePath, PlanRead> } | { lock: LockRow } {
    const { folding } = this.#context;
    const lock = lockedBy(view, { targets, entries }, folding, this.#isEnding);
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
    for (const target of targets) {
      for (const path of pathsOf(target)) {
        read(path);
        for (const ancestor of ancestors(path)) read(ancestor);
      }
    }
    return { found, values };
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

  #overlaps(targets: readonly PlannedTarget[]): boolean {
    if (this.#taken.size === 0) return false;
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
  #volumeFor(target: PlannedTarget, cache: Map<StorePath, Volume>): Volume {
    const { volumes, fileSystem, roots, log } = this.#context;
    const parent = parentPath(target.path) ?? '';
    const cached = cache.get(parent);
    if (cached !== undefined) return cached;
    let volume = volumes.main;
    for (const directory of [parent, ...ancestors(parent)]) {
      const stat = fileSystem.lstat(absolutePath(directory, roots));
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

/** The tree as it is, for the reducer. */
export function baseTree(
  context: Pick<StoreContext, 'fileSystem' | 'roots'>,
  stats = new Map<StorePath, FileStat | undefined>(),
): BaseTree {
  return {
    stat(path) {
      if (stats.has(path)) return stats.get(path);
      const stat = context.fileSystem.lstat(absolutePath(path, context.roots));
      stats.set(path, stat);
      return stat;
    },
    children: (path) =>
      context.fileSystem
        .list(absolutePath(path, context.roots))
        .filter((name) => !isReservedPath(joinPath(path, name)))
        .sort(),
  };
}

export function directoryDigest(tree: BaseTree, path: StorePath): string {
  return tree.stat(path)?.type === 'directory' ? tree.children(path).join('\0') : '';
}

/**
 * The same operation on resolved paths. A symbolic link that the transaction has removed or replaced is followed no
 * more. What was seen on the way is kept in `looked`.
 */
export function resolveOperation(
  context: Pick<StoreContext, 'resolver'>,
  operation: FileOperation,
  { tree, looked }: { readonly tree: WorkingTree; readonly looked?: Map<StorePath, FileStat | undefined> },
): FileOperation {
  const { resolver } = context;
  const real = (path: StorePath, followLast: boolean): StorePath => {
    const resolved = resolver.resolve(path, { followLast, op: operation.type });
    if (resolved.via !== undefined && tree.changed.has(resolved.via)) return resolved.via;
    looked?.set(resolved.path, resolved.stat);
    return resolved.path;
  };
  switch (operation.type) {
    case 'write': {
      const path = real(operation.path, true);
      const { backup } = operation.options;
      if (backup === undefined) return { ...operation, path };
      return { ...operation, path, options: { ...operation.options, backup: real(backup, false) } };
    }
    case 'append':
      return { ...operation, path: real(operation.path, true) };
    case 'copy':
      return { ...operation, from: real(operation.from, true), path: real(operation.path, true) };
    case 'rename':
      return { ...operation, from: real(operation.from, false), path: real(operation.path, false) };
    case 'remove':
    case 'make-directory':
      return { ...operation, path: real(operation.path, false) };
  }
}

/** A transaction names each file that it changes in one way: who uses two takes them for two files. */
class Spellings {
  readonly #folding: Folding;
  readonly #given = new Map<string, StorePath>();

  constructor(folding: Folding) {
    this.#folding = folding;
  }

  add(given: FileOperation, resolved: FileOperation): void {
    this.#note(given.path, resolved.path);
    if (given.type === 'rename' && resolved.type === 'rename') this.#note(given.from, resolved.from);
  }

  #note(given: StorePath, resolved: StorePath): void {
    const { caseInsensitive, normalizing } = this.#folding;
    const folds = caseInsensitive || normalizing;
    const file = folds ? Buffer.from(pathKey(resolved, this.#folding)).toString('latin1') : resolved;
    const other = this.#given.get(file) ?? given;
    this.#given.set(file, given);
    if (other === given) return;
    throw new StoreError('ERR_PATH_ALIAS', `'${given}' and '${other}' are the same file`, {
      op: 'commit',
      path: given,
      hint: 'Use one spelling of a file in one transaction. Nothing was changed.',
    });
  }
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

/** Of a commit's batch, what this many targets write: a lock and a row each, and a tombstone of what goes. */
function checkChanges(targets: readonly PlannedTarget[], entries: readonly EntryOperation[]): void {
  let changes = 2 * entries.length;
  for (const { action } of targets) {
    if (action === 'move-directory') changes += 5;
    else if (action !== 'make-parent')
      changes += action === 'remove' || action === 'remove-directory' ? 3 : 2;
  }
  if (changes <= changesMax) return;
  throw new StoreError(
    'ERR_TOO_MANY',
    `The transaction changes more than fits into one commit (${targets.length} paths)`,
    {
      op: 'commit',
      hint: 'Split it into several transactions.',
    },
  );
}

function checkSizes(context: StoreContext, targets: readonly PlannedTarget[]): void {
  const { maxFileBytes, maxTransactionBytes, reserveBytes } = context.options;
  let total = 0;
  let toWrite = 0;
  for (const target of targets) {
    if (target.action !== 'write' || target.file === undefined) continue;
    const base = target.file.copyOf;
    const begun = base === undefined ? 0 : (baseTree(context).stat(base)?.size ?? 0);
    const size = target.file.parts.reduce((sum, part) => sum + partSize(part), begun);
    total += size;
    const alone = base === undefined && target.file.parts.length === 1;
    if (!alone || target.file.parts[0]?.kind === 'bytes') toWrite += size;
    if (maxFileBytes !== undefined && size > maxFileBytes) throw tooLarge(target.path, size, maxFileBytes);
  }
  if (maxTransactionBytes !== undefined && total > maxTransactionBytes) {
    throw tooLarge('the transaction', total, maxTransactionBytes);
  }
  // Small saves are covered by the floor that the log keeps; only what could eat into it is worth a look here. What the
  // caller's thread has staged is on the disk already.
  if (toWrite < spaceCheckBytes) return;
  requireSpace(context.fileSystem, context.layout.directory, { op: 'commit', bytes: toWrite, reserveBytes });
}

/** A directory that we may not change is found out here, before anything is staged. */
function checkPermissions({ fileSystem, roots }: StoreContext, targets: readonly PlannedTarget[]): void {
  if (fileSystem.mayChange === undefined) return;
  const asked = new Set<StorePath>();
  for (const target of targets) {
    for (const path of target.from === undefined ? [target.path] : [target.path, target.from]) {
      const parent = parentPath(path);
      if (parent === undefined || asked.has(parent)) continue;
      asked.add(parent);
      if (fileSystem.mayChange(absolutePath(parent, roots))) continue;
      throw new StoreError(
        'ERR_PERMISSION',
        `The directory '${parent === '' ? '.' : parent}' may not be changed`,
        {
          op: 'commit',
          path,
          hint: 'Check its owner and mode, and whether its file system is mounted read-only. Nothing was changed.',
        },
      );
    }
  }
}

const spaceCheckBytes = 1 << 20;

function tooLarge(what: string, size: number, limit: number): StoreError {
  return new StoreError('ERR_TOO_LARGE', `'${what}' has ${size} bytes; the limit is ${limit}`, {
    op: 'commit',
    path: what,
    hint: 'Raise maxFileBytes or maxTransactionBytes when opening the store. Nothing was changed.',
  });
}

function estimateLogBytes(targets: readonly Target[], entries: readonly EntryOperation[]): number {
  let bytes = 4096;
  for (const target of targets) {
    bytes += 1024 + 6 * target.path.length + (target.content?.byteLength ?? 0);
    for (const listed of target.listing ?? []) bytes += 80 + 3 * listed.name.length;
  }
  for (const entry of entries)
    bytes += 256 + 3 * entry.key.length + (entry.type === 'put' ? entry.value.byteLength : 0);
  return bytes;
}
