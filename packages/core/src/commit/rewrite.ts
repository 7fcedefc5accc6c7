/**
 * An fsync failed, so nobody knows what is on the disk: that is noted, and the content is written anew, from memory, and
 * committed. First of all it is noted: the next fsync of the same file would succeed and mean nothing, and if this process
 * dies before it has written the content, whoever recovers on this boot has to know.
 */

import type { LogBatch } from '../log/log.js';
import type { StorePath } from '../path/path.js';
import { type Image, showsImage } from '../record/image.js';
import type { TransactionNumber } from '../record/record.js';
import { metaKeys, textRow } from '../record/rows.js';
import type { StoreContext } from '../store/store-context.js';
import { attempt } from './attempt.js';
import { type Deferred, pathName } from './deferred.js';
import type { AppliedTransaction } from './checkpoint.js';
import type { GroupResult, Job } from './job.js';
import { toError } from '../errors.js';
import type { OwnRecords } from './own-records.js';
import type { Poison } from './poison.js';
import type { StagedTarget } from './staged-target.js';

export class Rewrite {
  readonly #context: StoreContext;
  readonly #poison: Poison;
  readonly #records: OwnRecords;
  readonly #deferred: Deferred;
  readonly #runGroup: (jobs: readonly Job[]) => GroupResult;
  /** Far above those of the user's transactions. */
  #counter = 0xc000_0000;
  /** Inodes of content whose flush has failed. */
  readonly #unflushed = new Set<bigint>();

  constructor(parts: {
    readonly context: StoreContext;
    readonly poison: Poison;
    readonly records: OwnRecords;
    readonly deferred: Deferred;
    readonly runGroup: (jobs: readonly Job[]) => GroupResult;
  }) {
    this.#context = parts.context;
    this.#poison = parts.poison;
    this.#records = parts.records;
    this.#deferred = parts.deferred;
    this.#runGroup = parts.runGroup;
  }

  /** Of a before-image: history must not believe another flush. */
  isUnflushed(image: Image): boolean {
    return image.type === 'file' && this.#unflushed.has(image.fingerprint.ino);
  }

  run({ number }: AppliedTransaction, target: StagedTarget, cause: unknown): void {
    const {
      target: { path, content, after },
      absolute,
    } = target;
    if (after.type === 'file') this.#unflushed.add(after.fingerprint.ino);
    this.#noteUnflushed(number, target);
    try {
      // What somebody has put there or written there since is not ours to make durable.
      if (!showsImage(this.#context.fileSystem.lstat(absolute), after)) return;
      this.#context.logger.warn({ path, cause }, 'fsync failed; writing the content again');
      // Newer content is about to follow, in a file of its own: ours must not come over it, and is needed no more.
      if (this.#deferred.at(pathName(path, this.#context.folding)) !== undefined) return;
      if (content === undefined) throw cause;
      this.#writeAgain(path, content, cause);
    } catch (error) {
      this.#poison.take(error);
      throw error;
    }
  }

  /** The pages are marked clean: on the same boot recovery could not tell that another flush would do nothing. */
  #noteUnflushed(number: TransactionNumber, { target }: StagedTarget): void {
    const key = metaKeys.unflushed(number, target.index);
    const note = (batch: LogBatch): void => batch.put('meta', key, textRow.encode(key, target.path));
    attempt(() => this.#context.log.commit(note, this.#records.essential()));
  }

  #writeAgain(path: StorePath, content: Uint8Array, cause: unknown): void {
    const outcome: { failure?: unknown } = {};
    const job: Job = {
      request: {
        counter: this.#counter++,
        operations: [{ type: 'write', path, content: { kind: 'bytes', bytes: content }, options: {} }],
        reads: [],
        relaxed: false,
        neverInline: true,
      },
      deadlineMs: Number.POSITIVE_INFINITY,
      attempts: 0,
      forcedAttempts: 0,
      nextProbeMs: 0,
      accepted: () => undefined,
      resolve: () => undefined,
      reject: (error) => {
        outcome.failure = error;
      },
    };
    for (let again = true; again && outcome.failure === undefined; ) {
      const { deferred, waiting } = this.#runGroup([job]);
      if (waiting.length > 0) throw toError(cause);
      again = deferred.length > 0;
    }
    if (outcome.failure !== undefined) throw toError(outcome.failure);
  }
}
