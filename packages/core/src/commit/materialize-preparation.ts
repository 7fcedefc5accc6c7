/**
 * What the paths of a deferred transaction hold now. Those that are as its saves have found them are staged; where somebody
 * has put something else, that stays, and ours goes into `conflicts/`.
 */

import { isStoreError } from '../errors.js';
import { checksumOfFile } from '../files/content.js';
import type { FileStat } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import { absolutePath, type StorePath } from '../path/path.js';
import type { PlannedTarget } from '../plan/plan.js';
import { type Image, sameFingerprint, showsImage } from '../record/image.js';
import type { Target } from '../record/record.js';
import type { StoreContext } from '../store/store-context.js';
import { unlinkIfThere } from './removal.js';
import type { DeferredRecord, DeferredTarget } from './deferred.js';
import { keepOurs } from './keep-ours.js';
import { PlanOutdated } from './plan-outdated.js';
import { unsteady } from './refusal.js';
import { beforePath, type StagedTransaction, stagedPath } from './staged-target.js';

/** How often a transaction is looked at anew because somebody changes its files meanwhile. */
export const looksMax = 10;
/** Longer than a file system's clock stands still. */
const clockGrainNs = 50_000_000n;

export interface GivenWay {
  readonly path: StorePath;
  readonly savedAs: string;
}

export interface Ready {
  readonly record: DeferredRecord;
  /** Of the paths that still are as they were found. */
  readonly staged: StagedTransaction;
  readonly stays: ReadonlyMap<string, DeferredTarget>;
  /** Paths where something else is by now. */
  readonly given: readonly DeferredTarget[];
}

export class MaterializePreparation {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** Content that gives way is durable in `conflicts/` on return. Throws what is worth another try. */
  prepare(
    record: DeferredRecord,
    { isRetry, conflicts }: { readonly isRetry: boolean; readonly conflicts: GivenWay[] },
  ): Ready {
    if (isRetry) this.#removeLeftovers(record);
    for (let look = 0; look < looksMax; look += 1) {
      this.#context.resolver.forget();
      const stays = new Map<string, DeferredTarget>();
      const given: DeferredTarget[] = [];
      for (const [name, each] of record.targets) {
        if (this.#isAsFound(each.target, record)) stays.set(name, each);
        else given.push(each);
      }
      const staged = this.#stage(record, [...stays.values()]);
      if (staged === undefined) continue;
      try {
        for (const { target } of given) conflicts.push(this.#keepOurs(record, target));
      } catch (error) {
        this.#context.stagingArea.discard(staged);
        throw error;
      }
      return { record, staged, stays, given };
    }
    throw unsteady([...record.targets.values()][0]!.target.path);
  }

  /** What a roll-back before could not remove. */
  #removeLeftovers({ id, targets }: DeferredRecord): void {
    const { fileSystem } = this.#context;
    for (const { target } of targets.values()) {
      const name = `${id}-${target.index.toString(36)}`;
      const volume = this.#volumeOf(target);
      unlinkIfThere(fileSystem, stagedPath(volume, `${name}.apply`));
      unlinkIfThere(fileSystem, beforePath(volume, name));
    }
  }

  /** Whether the path holds what the save has found there, and is below the same directories. */
  #isAsFound({ path, before }: Target, { begin }: DeferredRecord): boolean {
    const { fileSystem, roots, resolver } = this.#context;
    try {
      resolver.verifyParent(path, 'materialize');
    } catch (error) {
      if (isStoreError(error) && wayLost.has(error.code)) return false;
      throw error;
    }
    const absolute = absolutePath(path, roots);
    if (!showsImage(fileSystem.lstat(absolute), before)) return false;
    if (before.type !== 'file' || before.checksum === undefined) return true;
    // Changed so shortly before it was found that another change may have left the same times: its content decides.
    const foundNs = BigInt(Math.floor(begin.startedAtMs)) * 1_000_000n;
    if (before.fingerprint.mtimeNs < foundNs - clockGrainNs) return true;
    return checksumOfFile(fileSystem, absolute) === before.checksum;
  }

  /** `undefined` if a path has changed since it was looked at. */
  #stage({ id }: DeferredRecord, stays: readonly DeferredTarget[]): StagedTransaction | undefined {
    const { stagingArea, fileSystem, roots } = this.#context;
    const targets = stays.map(({ target }) => target);
    const byPath = new Map(targets.map((target) => [target.path, target]));
    let staged: StagedTransaction;
    try {
      const planned = targets.map((target) =>
        plannedOf(target, fileSystem.lstat(absolutePath(target.path, roots))),
      );
      staged = stagingArea.stage(id, planned, {
        volume: ({ path }) => this.#volumeOf(byPath.get(path)!),
        checksum: (path, stat) => knownChecksum(byPath.get(path)!.before, stat),
        inlineLimitBytes: Number.POSITIVE_INFINITY,
      });
    } catch (error) {
      if (error instanceof PlanOutdated) return undefined;
      throw error;
    }
    if (staged.targets.every(({ target }, index) => isSame(target.before, targets[index]!.before)))
      return staged;
    stagingArea.discard(staged);
    return undefined;
  }

  #volumeOf({ volume }: Target): Volume {
    const { volumes } = this.#context;
    return volumes.get(volume) ?? volumes.add(volume);
  }

  #keepOurs({ id }: DeferredRecord, target: Target): GivenWay {
    const { fileSystem, logger } = this.#context;
    const conflict = {
      path: target.path,
      savedAs: keepOurs(fileSystem, { target, volume: this.#volumeOf(target) }, id),
    };
    logger.warn(conflict, 'another program has changed the file of a deferred save: ours is kept beside it');
    return conflict;
  }
}

/** The way to the path is not what it was: somebody has removed a directory, or put something else in its place. */
const wayLost: ReadonlySet<string> = new Set([
  'ERR_PATH_ESCAPE',
  'ERR_NOT_FOUND',
  'ERR_NOT_DIRECTORY',
  'ERR_PATH_RESERVED',
]);

function plannedOf({ path, content, after }: Target, stat: FileStat | undefined): PlannedTarget {
  const mode = after.type === 'file' ? after.mode : 0o600;
  const parts = [{ kind: 'bytes', bytes: content! } as const];
  if (stat === undefined) {
    return { action: 'write', path, mustBeAbsent: true, file: { type: 'file', parts, mode } };
  }
  const like = { ...stat, mode };
  return { action: 'write', path, basePath: path, stat, file: { type: 'file', parts, like } };
}

function knownChecksum(before: Image, stat: FileStat): bigint | undefined {
  return before.type === 'file' && showsImage(stat, before) ? before.checksum : undefined;
}

function isSame(one: Image, other: Image): boolean {
  if (one.type !== 'file' || other.type !== 'file') return one.type === other.type;
  return sameFingerprint(one.fingerprint, other.fingerprint);
}
