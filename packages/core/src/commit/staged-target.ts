/** What staging leaves behind: targets with everything that their apply needs, and the names that it has made. */

import type { Descriptor, FileSystem } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import { isReservedPath } from '../path/path.js';
import type { Target, TransactionId } from '../record/record.js';

/** Ends the names of directories that undos stage: whoever meets one that no record has removes it with all that it holds. */
export const treeSuffix = '.tree';

/** Of a directory that moves: whether an undo brings it, out of a staging area. */
export function isBrought({ from }: Pick<Target, 'from'>): boolean {
  return from !== undefined && isReservedPath(from);
}

/** A target with what this process holds of it. */
export interface StagedTarget {
  readonly target: Target;
  readonly volume: Volume;
  /** Absolute paths. */
  readonly absolute: string;
  readonly parent: string;
  /** Open on the staged file of inline content; closed by the checkpoint, or once a newer transaction has replaced it. */
  descriptor: Descriptor | undefined;
  /** A before-image link or copy was made by staging. */
  readonly beforeLinked: boolean;
  /** The staged name is the caller's: it outlives a plan that has to be made again. */
  readonly adopted: boolean;
}

export interface StagedTransaction {
  readonly id: TransactionId;
  readonly targets: readonly StagedTarget[];
  readonly contentBytes: number;
}

export function stagedPath(volume: Volume, name: string): string {
  return `${volume.staged}/${name}`;
}

export function beforePath(volume: Volume, name: string): string {
  return `${volume.before}/${name}`;
}

/** What removes the names that were made for it, in an order in which each may fail. */
export function removalsOf(fileSystem: FileSystem, staged: StagedTarget): (() => void)[] {
  const { target, volume } = staged;
  const removals: (() => void)[] = [];
  if (target.applyName !== undefined) {
    const path = stagedPath(volume, target.applyName);
    const makes = target.action === 'make-directory' || target.action === 'make-parent';
    removals.push(() => (makes ? fileSystem.removeDirectory(path) : fileSystem.unlink(path)));
  }
  if (target.staged !== undefined && !staged.adopted) {
    removals.push(() => fileSystem.unlink(stagedPath(volume, target.staged!)));
  }
  if (staged.beforeLinked && target.beforeName !== undefined) {
    removals.push(() => fileSystem.unlink(beforePath(volume, target.beforeName!)));
  }
  return removals;
}
