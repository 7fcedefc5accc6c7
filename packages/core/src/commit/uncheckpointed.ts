/** What is applied and not yet checkpointed: its transactions, its bytes, and the files that are open until then. */

import type { Counters } from '../committer/committer.js';
import type { FileSystem } from '../files/file-system.js';
import type { StorePath } from '../path/path.js';
import { attempt } from './attempt.js';
import type { AppliedTransaction } from './checkpoint.js';
import type { StagedTarget } from './staged-target.js';

/** What one checkpoint is over. */
export interface CheckpointSet {
  readonly transactions: readonly AppliedTransaction[];
  readonly bytes: number;
  readonly loggedBytes: number;
  readonly rowBytes: number;
}

export class Uncheckpointed {
  readonly #fileSystem: FileSystem;
  readonly #counters: Counters;
  #applied: AppliedTransaction[] = [];
  /** Newest applied target of each path, by whose descriptor it will be fsynced. */
  readonly #newest = new Map<StorePath, { readonly revision: number; readonly staged: StagedTarget }>();
  #openDescriptors = 0;
  #bytes = 0;
  #loggedBytes = 0;
  #rowBytes = 0;

  constructor(fileSystem: FileSystem, counters: Counters) {
    this.#fileSystem = fileSystem;
    this.#counters = counters;
  }

  get transactions(): number {
    return this.#applied.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Of these bytes, those that are in the log until then. */
  get loggedBytes(): number {
    return this.#loggedBytes;
  }

  /** Of rows that commits have written into history: retention is due. */
  get rowBytes(): number {
    return this.#rowBytes;
  }

  addRow(bytes: number): void {
    this.#rowBytes += bytes;
  }

  get descriptors(): number {
    return this.#openDescriptors;
  }

  /** Returns those that a newer transaction answers for now: their content needs no fsync. */
  keep(applied: AppliedTransaction): readonly StagedTarget[] {
    const { staged, revision } = applied;
    const replaced: StagedTarget[] = [];
    this.#applied.push(applied);
    this.#bytes += staged.contentBytes;
    for (const target of staged.targets) {
      const older = this.#newest.get(target.target.path);
      if (older !== undefined) replaced.push(older.staged);
      this.#newest.set(target.target.path, { revision, staged: target });
      if (target.descriptor !== undefined) this.#openDescriptors += 1;
      this.#loggedBytes += target.target.content?.byteLength ?? 0;
    }
    this.count();
    return replaced;
  }

  count(): void {
    this.#counters.set('uncheckpointedTransactions', this.transactions);
    this.#counters.set('uncheckpointedBytes', this.bytes);
    this.#counters.set('openDescriptors', this.descriptors);
  }

  /** All that is here goes to one checkpoint; its files stay open until they are released. */
  take(): CheckpointSet {
    const set = {
      transactions: this.#applied,
      bytes: this.#bytes,
      loggedBytes: this.#loggedBytes,
      rowBytes: this.#rowBytes,
    };
    this.#applied = [];
    this.#bytes = 0;
    this.#loggedBytes = 0;
    this.#rowBytes = 0;
    return set;
  }

  /** The checkpoint has failed and forgotten nothing: the next one does it all again. */
  putBack({ transactions, bytes, loggedBytes, rowBytes }: CheckpointSet): void {
    this.#applied = [...transactions, ...this.#applied];
    this.#bytes += bytes;
    this.#loggedBytes += loggedBytes;
    this.#rowBytes += rowBytes;
  }

  release(target: StagedTarget): void {
    if (this.#newest.get(target.target.path)?.staged === target) this.#newest.delete(target.target.path);
    if (target.descriptor === undefined) return;
    this.#openDescriptors -= 1;
    closeDescriptor(this.#fileSystem, target);
  }
}

/** A descriptor is gone whatever closing it answers; what it held is durable, or needed no more. */
export function closeDescriptor(fileSystem: FileSystem, target: StagedTarget): void {
  const { descriptor } = target;
  if (descriptor === undefined) return;
  target.descriptor = undefined;
  attempt(() => fileSystem.close(descriptor));
}
