/** What one checkpoint keeps for history: made durable first, then written with the batches that trim the records. */

import type { AppliedTransaction } from '../commit/checkpoint.js';
import { saveEditedBefore, type Saved } from '../commit/edited-before.js';
import type { StagedTarget } from '../commit/staged-target.js';
import { isStoreError } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import type { LogBatch, Row } from '../log/log.js';
import type { HistoryRow } from '../record/history-row.js';
import { transactionKey } from '../record/key.js';
import { sequences, type Target } from '../record/record.js';
import { encodeHistory, putHistory } from './history-table.js';
import { keepTransaction } from './keep.js';

interface Entry {
  readonly row: HistoryRow;
  readonly encoded: Row;
  /** Whose before-images stay. */
  readonly targets: ReadonlySet<StagedTarget>;
}

export class Keeping {
  readonly #fileSystem: FileSystem;
  readonly #isUnflushed: (target: Target) => boolean;
  readonly #kept = new Map<AppliedTransaction, Entry>();

  constructor(fileSystem: FileSystem, isUnflushed: (target: Target) => boolean) {
    this.#fileSystem = fileSystem;
    this.#isUnflushed = isUnflushed;
  }

  /** On return every before-image that will be named by a row is durable. */
  *run(set: readonly AppliedTransaction[]): Generator<void, Saved[]> {
    const saved: Saved[] = [];
    const directories = new Set<string>();
    for (const applied of set) {
      const { number, revision, history, staged } = applied;
      if (history === undefined) continue;
      for (const each of staged.targets) saved.push(...saveEditedBefore(this.#fileSystem, each, staged.id));
      const row = yield* keepTransaction(this.#fileSystem, {
        number,
        revision,
        ...history,
        targets: staged.targets,
        isUnflushed: this.#isUnflushed,
      });
      const targets = new Set(staged.targets.filter((_, at) => row.targets[at]?.kept !== undefined));
      this.#kept.set(applied, { row, encoded: encodeHistory(row), targets });
      for (const { volume } of targets) directories.add(volume.before);
    }
    for (const directory of directories) this.#fileSystem.syncDirectory(directory);
    return saved;
  }

  keeps(applied: AppliedTransaction, staged: StagedTarget): boolean {
    return this.#kept.get(applied)?.targets.has(staged) === true;
  }

  rowBytes(applied: AppliedTransaction): number {
    return this.#kept.get(applied)?.encoded[1].byteLength ?? 0;
  }

  /** With the batch that trims them. What has no record any more was trimmed by an earlier one of this checkpoint. */
  write(batch: LogBatch, set: readonly AppliedTransaction[]): void {
    for (const applied of set) {
      const kept = this.#kept.get(applied);
      if (kept === undefined) continue;
      const { owner, counter } = applied.number;
      const record = batch.get('log', transactionKey(owner, counter, sequences.commitBatch));
      if (record !== undefined) putHistory(batch, kept.row, kept.encoded);
    }
  }

  /** Their before-images go, as they would without history. */
  giveUp(set: readonly AppliedTransaction[]): void {
    for (const applied of set) this.#kept.delete(applied);
  }
}

/** The log has no room: what history would take is needed for saves. */
export function isNoRoom(error: unknown): boolean {
  return isStoreError(error) && ['ERR_LOG_FULL', 'ERR_NO_SPACE', 'ERR_TOO_LARGE'].includes(error.code);
}
