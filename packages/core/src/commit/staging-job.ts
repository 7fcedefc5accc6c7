/** The staging of one target: what it is to be, what was made of it so far, and how that is taken back. */

import type { RunningChecksum } from '../record/checksum.js';
import { eachPiece, writeFully } from '../files/content.js';
import type { Descriptor, FileSystem } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import { absolutePath, type Roots, type StorePath } from '../path/path.js';
import type { PlannedTarget } from '../plan/plan.js';
import type { Target, TransactionId } from '../record/record.js';
import { attempt } from './attempt.js';
import { outdatedBy } from './plan-outdated.js';
import type { SpareFiles } from './spare-files.js';

export interface StagingOptions {
  readonly fileSystem: FileSystem;
  readonly roots: Roots;
  readonly inlineLimitBytes: number;
  readonly umask: number;
  /** Whether owner and group of a replaced file can be given to the new one. */
  readonly privileged: boolean;
  readonly spares?: SpareFiles | undefined;
  /** Files that one transaction keeps open until its checkpoint; further ones are fsynced at once. */
  readonly descriptorsMax: number;
}

type Found = 'content' | 'staged' | 'applyName' | 'beforeName' | 'beforeCopied';
type Draft = { -readonly [K in Found]-?: Target[K] | undefined };

export class StagingJob {
  readonly volume: Volume;
  mustSyncDirectory = false;
  readonly options: StagingOptions;
  readonly fileSystem: FileSystem;
  readonly planned: PlannedTarget;
  readonly inline: boolean;
  /** Of what it makes in the staging areas. */
  readonly name: string;
  /** How to remove what was made. */
  readonly made: (() => void)[] = [];
  readonly index: number;
  /** What staging has found out about the target. */
  readonly draft: Draft = {
    content: undefined,
    staged: undefined,
    applyName: undefined,
    beforeName: undefined,
    beforeCopied: undefined,
  };

  constructor(
    options: StagingOptions,
    id: TransactionId,
    index: number,
    planned: PlannedTarget,
    volume: Volume,
    inline: boolean,
  ) {
    this.options = options;
    this.fileSystem = options.fileSystem;
    this.planned = planned;
    this.volume = volume;
    this.inline = inline;
    this.index = index;
    this.name = `${id}-${index.toString(36)}`;
  }

  /** Returns what could not be done. */
  undo(): (() => void)[] {
    return this.made.toReversed().filter((remove) => !attempt(remove));
  }

  absolute(path: StorePath): string {
    return absolutePath(path, this.options.roots);
  }

  create(path: string, mode: number): Descriptor {
    const descriptor = this.fileSystem.create(path, mode);
    this.made.push(() => this.fileSystem.unlink(path));
    return descriptor;
  }

  copyFrom(path: StorePath, to: Descriptor, checksum: RunningChecksum, position: number): number {
    return this.copyAbsolute(this.absolute(path), to, checksum, position);
  }

  copyAbsolute(from: string, to: Descriptor, checksum: RunningChecksum, position: number): number {
    try {
      const source = this.fileSystem.openRead(from);
      try {
        return eachPiece(this.fileSystem, source, (piece, at) => {
          checksum.update(piece);
          writeFully(this.fileSystem, to, piece, position + at);
        });
      } finally {
        this.fileSystem.close(source);
      }
    } catch (error) {
      throw outdatedBy(error, this.planned.path);
    }
  }
}
