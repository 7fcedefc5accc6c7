/**
 * From a request to a staged proposal: resolve the paths, reduce to the net effect, look at rows and locks, stage.
 *
 * Rows are read *before* the files are looked at for their before-images: a row that still stands inside the commit
 * batch then proves that nobody of us changed the file in between.
 */

import { type Deferred, type DeferredRecord, pathName, type SaveTarget } from '../commit/deferred.js';
import { newestRevisionBelow, rowsBelow } from '../commit/file-row.js';
import { keepsHistory } from '../commit/job.js';
import { lockedBy } from '../commit/lock.js';
import { PlanOutdated } from '../commit/plan-outdated.js';
import type { Adoption, EntryOperation, PlanRead, Proposal, Vacancy } from '../commit/proposal.js';
import type { StagedTransaction } from '../commit/staged-target.js';
import type { FileStat } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import type { LogView } from '../log/log.js';
import { absolutePath, ancestors, isBelow, parentPath, type StorePath } from '../path/path.js';
import { pathKey } from '../record/key.js';
import { transactionId, type TransactionNumber } from '../record/record.js';
import { type FileRow, fileRow, type LockRow } from '../record/rows.js';
import type { StoreContext } from '../store/store-context.js';
import { baseTree, directoryDigest } from './base-tree.js';
import { deferredPlaces, type Place } from './deferred-plan.js';
import { DeferredPlanner } from './deferred-planner.js';
import { asRead, knownChecksum, refuseReads } from './read-check.js';
import { lockBehind, namedBy } from './named-paths.js';
import type { Operation } from './operation.js';
import {
  broughtFiles,
  checkChanges,
  checkPermissions,
  checkSizes,
  estimateLogBytes,
  targetsMax,
} from './plan-check.js';
import { netEffect, type PlannedTarget } from './plan.js';
import type { CommitRequest } from './request.js';
import { type FileOperation, isFileOperation, resolveOperation } from './resolution.js';
import { Spellings } from './spelling.js';
import { volumeFor } from './volume-for.js';
import { WorkingTree } from './working-tree.js';

export interface Prepared {
  readonly kind: 'ready';
  readonly staged: StagedTransaction;
  readonly proposal: Proposal;
  /** Upper bound of what the batch adds to the log. */
  readonly logBytes: number;
  /** Every write was asked for with `force`. */
  readonly forced: boolean;
  /** Of a deferred transaction, which stages nothing. */
  readonly saves?: readonly SaveTarget[];
}

export type Preparation =
  | Prepared
  | { readonly kind: 'overlaps' }
  /** What it is about is in the log alone: these must come into their files first. */
  | { readonly kind: 'deferred'; readonly records: readonly DeferredRecord[] }
  | { readonly kind: 'locked'; readonly lock: LockRow };

export class Planner {
  readonly #context: StoreContext;
  readonly #owner: number;
  readonly #deferred: Deferred;
  readonly #isEnding: (transaction: TransactionNumber) => boolean;
  readonly #deferredPlanner: DeferredPlanner;
  /** Paths that this group's transactions change, and directories that they move or remove. */
  readonly #taken = new Set<StorePath>();
  readonly #takenDirectories = new Set<StorePath>();
  /** Those of them that deferred saves change: without history these may overlap, as one takes the other in. */
  readonly #takenDeferred = new Set<StorePath>();
  /** With history none takes another in: the same paths, as `pathName` has them. */
  readonly #takenNames = new Set<string>();
  /** The same paths as they were asked for: most overlaps are seen without planning. */
  readonly #asked = new Set<StorePath>();
  readonly #askedDeferred = new Set<StorePath>();
  /** Paths and entries that transactions want which were not let into this group. */
  readonly #behind = new Set<string>();
  #oneAtATime = 0;
  #inGroup = 0;

  constructor(
    context: StoreContext,
    parts: {
      readonly owner: number;
      readonly deferred: Deferred;
      readonly isEnding: (transaction: TransactionNumber) => boolean;
    },
  ) {
    this.#context = context;
    this.#owner = parts.owner;
    this.#deferred = parts.deferred;
    this.#isEnding = parts.isEnding;
    this.#deferredPlanner = new DeferredPlanner(context, parts);
  }

  beginGroup(): void {
    this.#taken.clear();
    this.#takenDirectories.clear();
    this.#asked.clear();
    this.#takenDeferred.clear();
    this.#takenNames.clear();
    this.#askedDeferred.clear();
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
      const places = request.deferred === true ? deferredPlaces(this.#context, request) : undefined;
      if (places !== undefined) return this.#prepareDeferred(request, places);
      if (asked.some((path) => this.#askedDeferred.has(path))) return { kind: 'overlaps' };
      const records = this.#deferredAt(asked);
      if (records.length > 0) return { kind: 'deferred', records };
      return this.#prepare(request, { asked, operations });
    } catch (error) {
      const { log, folding } = this.#context;
      const isEnding = this.#isEnding;
      const lock = log.view((view) => lockBehind(error, view, { operations, folding, isEnding }));
      if (lock === undefined) throw error;
      return this.#held(lock);
    }
  }

  #prepareDeferred(request: CommitRequest, places: readonly Place[]): Preparation {
    if (this.#overlapsOrdinary(places.map(({ path }) => path))) return { kind: 'overlaps' };
    const keeps = this.#context.options.history !== undefined;
    const names = keeps ? places.map(({ name }) => name) : [];
    if (names.some((name) => this.#takenNames.has(name))) return { kind: 'overlaps' };
    const planned = this.#deferredPlanner.prepare(request, places);
    if (planned.kind !== 'ready') return planned;
    this.#takeDeferred(request, places);
    for (const name of names) this.#takenNames.add(name);
    return planned;
  }

  #held(lock: LockRow): Preparation {
    const record = this.#deferredOf(lock);
    return record === undefined ? { kind: 'locked', lock } : { kind: 'deferred', records: [record] };
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
    const listings = new Map<StorePath, readonly string[]>();
    const tree = new WorkingTree(baseTree(context, looked, listings));
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
    checkChanges(targets, entries, { undone: keepsHistory(context, { request }) });
    checkSizes(context, targets);
    checkPermissions(context, targets);
    const relied = reliedOn(targets, named);
    if (this.#overlaps(targets, relied)) return { kind: 'overlaps' };

    const rows = context.log.view((view) => this.#readRows(view, { targets, entries, relied }));
    if ('lock' in rows) return this.#held(rows.lock);
    for (const path of [...relied, ...standingParents(targets)])
      if (looked.has(path)) this.#lookAgain(path, looked.get(path));
    for (const path of listings.keys()) if (!vacated.includes(path)) this.#listAgain(tree, path);
    const number = { owner: this.#owner, counter: request.counter };
    const volumes = new Map<StorePath, Volume>();
    const staged = context.stagingArea.stage(transactionId(number), targets, {
      volume: (target) => volumeFor(context, target, { looked, known: volumes }),
      checksum: (path, stat) => knownChecksum(rows.found.get(path), stat),
      neverInline: request.neverInline === true,
      inlineLimitBytes: request.inlineLimitBytes,
    });
    // After the before-images were taken: what still is as it was read is what they hold.
    const required = requiredRevisions.flatMap(({ path }) => asRead(rows.found.get(path)));
    try {
      const reads = [...request.reads, ...required];
      const lock = refuseReads(context, reads, { forced, deferred: this.#deferred, owner: this.#owner });
      if (lock !== undefined) {
        context.stagingArea.discard(staged);
        return { kind: 'locked', lock };
      }
    } catch (error) {
      context.stagingArea.discard(staged);
      throw error;
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
        brought: broughtFiles(targets, entries, (path) =>
          context.log.view((view) => rowsBelow(view, path, context.folding).length),
        ),
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

  #takeDeferred(request: CommitRequest, places: readonly Place[]): void {
    for (const { path } of places) this.#takenDeferred.add(path);
    for (const path of askedPaths(request)) this.#askedDeferred.add(path);
    this.#inGroup += 1;
  }

  #overlapsOrdinary(paths: readonly StorePath[]): boolean {
    if (this.#taken.size === 0) return false;
    return paths.some(
      (path) =>
        this.#taken.has(path) || ancestors(path).some((ancestor) => this.#takenDirectories.has(ancestor)),
    );
  }

  #deferredAt(paths: readonly StorePath[]): DeferredRecord[] {
    if (this.#deferred.transactions === 0) return [];
    const { folding } = this.#context;
    return [...new Set(paths.flatMap((path) => this.#deferred.at(pathName(path, folding)) ?? []))];
  }

  #deferredOf({ transaction }: LockRow): DeferredRecord | undefined {
    return transaction.owner === this.#owner ? this.#deferred.get(transaction) : undefined;
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

  /** Of a directory that stays. One that goes is listed when it has gone. */
  #listAgain({ base }: WorkingTree, path: StorePath): void {
    const now = directoryDigest(baseTree(this.#context), path);
    if (now !== directoryDigest(base, path)) throw new PlanOutdated(path);
  }

  #overlaps(targets: readonly PlannedTarget[], relied: readonly StorePath[]): boolean {
    if (this.#taken.size + this.#takenDeferred.size === 0) return false;
    for (const path of relied) {
      if (this.#someTaken((taken) => taken === path || isBelow(taken, path) || isBelow(path, taken)))
        return true;
    }
    for (const target of targets) {
      for (const path of pathsOf(target)) {
        if (this.#taken.has(path) || this.#takenDeferred.has(path)) return true;
        for (const ancestor of ancestors(path)) {
          if (this.#takenDirectories.has(ancestor)) return true;
        }
        if (!isDirectoryTarget(target)) continue;
        if (this.#someTaken((taken) => isBelow(taken, path))) return true;
      }
    }
    return false;
  }

  #someTaken(matches: (taken: StorePath) => boolean): boolean {
    for (const group of [this.#taken, this.#takenDeferred])
      for (const taken of group) if (matches(taken)) return true;
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

function isEntryOperation(operation: Operation): operation is EntryOperation {
  return operation.type === 'put' || operation.type === 'delete';
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

/** Directories that were there when the paths were resolved, before any row was read, and are to stay. */
function standingParents(targets: readonly PlannedTarget[]): Set<StorePath> {
  const parents = new Set<StorePath>();
  for (const { path } of targets) parents.add(parentPath(path)!);
  for (const target of targets) if (isDirectoryTarget(target)) parents.delete(target.path);
  return parents;
}

function isDirectoryTarget(target: PlannedTarget): boolean {
  return target.action !== 'write' && target.action !== 'move' && target.action !== 'remove';
}

function pathsOf(target: PlannedTarget): StorePath[] {
  const paths = new Set([target.path]);
  for (const path of [
    target.from,
    target.basePath,
    target.inodePath,
    target.displaced?.basePath,
    target.file?.copyOf,
  ]) {
    if (path !== undefined) paths.add(path);
  }
  return [...paths];
}
