/**
 * What recovery leaves to history. The record says whether its owner kept history, so that it does not matter who recovers:
 * the command at boot keeps it as well. What a power cut has taken or torn is lost, and history says so.
 */

import {
  changesInLog,
  encodeHistory,
  type FileSystem,
  keepTransaction,
  type Log,
  type Logger,
  type StoreContext,
  type Target,
  unflushedPaths,
  valueBytesMax,
} from '@forewrit/core';
import { bootOf } from './analysis.js';
import type { Completion, EncodedHistory } from './completion.js';
import type { RecoveryContext } from './recovery-context.js';

export class RecoveredHistory {
  readonly #context: RecoveryContext;
  readonly #fileSystem: FileSystem;
  readonly #log: Log;
  readonly #logger: Logger;
  readonly #directories = new Set<string>();

  constructor(context: RecoveryContext, { log, logger }: Pick<StoreContext, 'log' | 'logger'>) {
    this.#context = context;
    this.#fileSystem = context.fileSystem;
    this.#log = log;
    this.#logger = logger;
  }

  /** On return what is kept of it is durable but for its names: `flush` makes them so. */
  keep({ transaction, images }: Pick<Completion, 'transaction' | 'images'>): EncodedHistory | undefined {
    const { number, begin, commit, abort } = transaction;
    if (begin?.keeps !== true || commit === undefined || abort !== undefined) return undefined;
    const targets = transaction.targets.map((target) => ({
      target: withImage(target, images),
      volume: this.#context.volume(target.volume),
    }));
    const { revision } = commit;
    const entries = this.#log.view((view) => changesInLog(view, commit.entries, revision));
    const unflushed = this.#log.view(unflushedPaths);
    const doubtful = transaction.targets.some((each) => bootOf(this.#context, transaction, each) === 'other');
    const committedAtMs = begin.startedAtMs;
    const steps = keepTransaction(this.#fileSystem, {
      number,
      revision,
      committedAtMs,
      targets,
      entries,
      doubtful,
      isUnflushed: ({ path }) => unflushed.has(path),
    });
    for (;;) {
      const step = steps.next();
      if (step.done !== true) continue;
      const row = step.value;
      const keeps = new Set<number>();
      for (const [at, { kept }] of row.targets.entries()) {
        if (kept === undefined) continue;
        keeps.add(targets[at]!.target.index);
        this.#directories.add(targets[at]!.volume!.before);
      }
      const encoded = encodeHistory(row);
      if (encoded[1].byteLength <= valueBytesMax) return { row, encoded, keeps };
      this.#logger.warn({ transaction: transaction.id }, 'there is no room to keep what it replaced');
      return undefined;
    }
  }

  flush(): void {
    for (const directory of this.#directories) this.#fileSystem.syncDirectory(directory);
  }
}

function withImage(target: Target, images: Completion['images']): Target {
  const image = images.get(target.index);
  return image === undefined ? target : { ...target, after: image };
}
