/**
 * What may be deferred: whole small files, in directories that are there. Whatever else is asked for (or would be refused)
 * goes the ordinary way.
 */

import { assert } from '../assert.js';
import { newestRevisionBelow } from '../commit/file-row.js';
import { type DeferredRecord, pathName, type SaveTarget } from '../commit/deferred.js';
import { PlanOutdated } from '../commit/plan-outdated.js';
import type { PlanRead, Vacancy } from '../commit/proposal.js';
import type { FileStat } from '../files/file-system.js';
import type { LogView } from '../log/log.js';
import { absolutePath, ancestors, parentPath, type StorePath } from '../path/path.js';
import { hash64 } from '../record/checksum.js';
import { type Image, fingerprintInLog, imageOf } from '../record/image.js';
import { type Folding, pathKey } from '../record/key.js';
import type { Target } from '../record/record.js';
import { type FileRow, fileRow } from '../record/rows.js';
import { defaults } from '../store/options.js';
import type { StoreContext } from '../store/store-context.js';
import type { Operation, WriteOptions } from './operation.js';
import type { PlannedTarget } from './plan.js';
import type { CommitRequest } from './request.js';

/** One file of a deferred save, where it really is. */
export interface Place {
  readonly path: StorePath;
  /** `pathName` of it. */
  readonly name: string;
  readonly content: Uint8Array;
  readonly options: Pick<WriteOptions, 'mode' | 'ifRevision' | 'force'>;
  /** What was there when the path was resolved: before any row was read. */
  readonly stat: FileStat | undefined;
}

/** Paths that a deferred transaction may come to have by and by. */
const targetsMax = 512;

/** `undefined` if it cannot be deferred. */
export function deferredPlaces(context: StoreContext, request: CommitRequest): Place[] | undefined {
  const { resolver, folding } = context;
  if (request.neverInline === true || request.operations.length === 0) return undefined;
  if (request.operations.length > targetsMax || !request.operations.every(isSmallWrite)) return undefined;
  const places: Place[] = [];
  const names = new Set<string>();
  for (const { path: asked, content, options } of request.operations) {
    const { path, stat } = resolver.resolve(asked, { followLast: true, op: 'write' });
    const parent = parentPath(path);
    const isFile = stat === undefined || stat.type === 'file';
    if (parent === undefined || resolver.directory(parent) === undefined || !isFile) return undefined;
    const name = pathName(path, folding);
    names.add(name);
    places.push({ path, name, content: content.bytes, options, stat });
  }
  if (names.size < places.length || sizeOfPlaces(places) > limitOf(context, request)) return undefined;
  return places;
}

type SmallWrite = Extract<Operation, { type: 'write' }> & {
  readonly content: { readonly kind: 'bytes'; readonly bytes: Uint8Array };
};

function isSmallWrite(operation: Operation): operation is SmallWrite {
  if (operation.type !== 'write' || operation.content.kind !== 'bytes') return false;
  return operation.options.backup === undefined && operation.options.ifAbsent !== true;
}

function limitOf({ options }: StoreContext, request: CommitRequest): number {
  return request.inlineLimitBytes ?? options.inlineLimitBytes ?? defaults.inlineLimitBytes;
}

function sizeOfPlaces(places: readonly Place[]): number {
  return places.reduce((sum, { content }) => sum + content.byteLength, 0);
}

/**
 * Whether the files of older saves come first: with history, which has each version by what the next one replaces; where
 * the save and all that it would absorb are more than one transaction takes; or where a path has another spelling.
 */
export function mustFollow(
  context: StoreContext,
  request: CommitRequest,
  { places, older }: { readonly places: readonly Place[]; readonly older: ReadonlySet<DeferredRecord> },
): boolean {
  if (older.size > 0 && context.options.history !== undefined) return true;
  const own = new Set(places.map(({ name }) => name));
  let bytes = sizeOfPlaces(places);
  let targets = places.length;
  for (const record of older) {
    for (const [name, { target }] of record.targets) {
      if (own.has(name)) {
        if (!places.some(({ path }) => path === target.path)) return true;
        continue;
      }
      bytes += target.content?.byteLength ?? 0;
      targets += 1;
    }
  }
  return older.size > 0 && (bytes > limitOf(context, request) || targets > targetsMax);
}

export interface DeferredRows {
  readonly found: ReadonlyMap<StorePath, FileRow>;
  readonly values: ReadonlyMap<StorePath, PlanRead>;
  readonly vacancies: readonly Vacancy[];
}

/** Rows that the plan stands on (of these paths, and all above them), and those of `others`, which it does not. */
export function readRows(
  view: LogView,
  {
    paths,
    others,
    folding,
  }: {
    readonly paths: readonly StorePath[];
    readonly others: readonly StorePath[];
    readonly folding: Folding;
  },
): DeferredRows {
  const found = new Map<StorePath, FileRow>();
  const values = new Map<StorePath, PlanRead>();
  const read = (path: StorePath): PlanRead => {
    const key = pathKey(path, folding);
    const value = view.get('files', key);
    if (value !== undefined) found.set(path, fileRow.decode(key, value));
    return { key, value };
  };
  for (const path of others) read(path);
  for (const path of paths.flatMap((each) => [each, ...ancestors(each)])) {
    if (!values.has(path)) values.set(path, read(path));
  }
  const vacancies = paths.map((path) => ({ path, newestBelow: newestRevisionBelow(view, path, folding) }));
  return { found, values, vacancies };
}

/** After the rows were read: what they say is older than what is seen. `parents`: directories that were seen since, too. */
export function lookAt(
  { fileSystem, roots }: StoreContext,
  { path }: Place,
  parents: Set<StorePath>,
): FileStat | undefined {
  const parent = parentPath(path);
  assert(parent !== undefined, 'what is saved is no root');
  if (!parents.has(parent)) {
    // It was there when the path was resolved, before its row was read.
    if (fileSystem.lstat(absolutePath(parent, roots))?.type !== 'directory') throw new PlanOutdated(path);
    parents.add(parent);
  }
  const stat = fileSystem.lstat(absolutePath(path, roots));
  if (stat !== undefined && stat.type !== 'file') throw new PlanOutdated(path);
  return stat;
}

export function plannedSave({ path, content }: Place, stat: FileStat | undefined): PlannedTarget {
  const file = { type: 'file', parts: [{ kind: 'bytes', bytes: content }] } as const;
  return { action: 'write', path, file, ...(stat === undefined ? {} : { basePath: path, stat }) };
}

export function saveTarget(
  { umask, clock }: StoreContext,
  { name, path, content, options }: Place,
  seen: {
    readonly stat: FileStat | undefined;
    readonly volume: StorePath;
    readonly checksum: bigint | undefined;
    readonly wasDeferred: boolean;
  },
): SaveTarget {
  const mode = options.mode === undefined ? (seen.stat?.mode ?? 0o666 & ~umask) : options.mode & ~umask;
  const after: Image = {
    type: 'file',
    fingerprint: fingerprintInLog(content.byteLength, clock.nowMs()),
    mode,
    checksum: hash64(content),
  };
  const { volume, wasDeferred } = seen;
  const before = imageOf(seen.stat, seen.checksum);
  const target: Target = { index: 0, action: 'write', path, volume, before, after, content };
  return { name, target, inheritsMode: options.mode === undefined, wasDeferred };
}

export function sizeOf(targets: readonly Target[]): number {
  return targets.reduce((sum, { content }) => sum + (content?.byteLength ?? 0), 0);
}
