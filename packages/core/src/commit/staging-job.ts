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
  /** How often its transaction has been staged before, in vain. */
  readonly #attempt: number;
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
    subject: {
      readonly id: TransactionId;
      readonly attempt: number;
      readonly index: number;
      readonly planned: PlannedTarget;
      readonly volume: Volume;
      readonly inline: boolean;
    },
  ) {
    this.options = options;
    this.fileSystem = options.fileSystem;
    this.planned = subject.planned;
    this.volume = subject.volume;
    this.inline = subject.inline;
    this.index = subject.index;
    this.name = `${subject.id}-${subject.index.toString(36)}`;
    this.#attempt = subject.attempt;
  }

  /**
   * A name that no earlier attempt had: of a directory that was removed from it a power cut may bring the name back, and the
   * directory would be taken for the one that was made later.
   */
  get directoryName(): string {
    return this.#attempt === 0 ? this.name : `${this.name}-r${this.#attempt.toString(36)}`;
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
