/** Relaxed commits: answered when they are accepted, finished later. Reads of this store wait for them. */

import type { Commit } from '../commit/job.js';
import type { Committer } from '../committer/committer.js';
import { isStoreError, toError } from '../errors.js';
import type { StorePath } from '../path/path.js';
import { partSize } from '../plan/operation.js';
import type { CommitRequest } from '../plan/request.js';
import type { Logger } from './options.js';
import type { RelaxedTransaction } from './store-access.js';
import { tracePromise } from './trace.js';

export class RelaxedCommits {
  readonly #root: string;
  readonly #logger: Logger;
  readonly #pending = new Set<Promise<unknown>>();

  constructor(root: string, logger: Logger) {
    this.#root = root;
    this.#logger = logger;
  }

  async commit(
    committer: Committer,
    request: CommitRequest,
    { id, failed }: RelaxedTransaction,
  ): Promise<Commit> {
    // The content goes to another thread with the request.
    const bytes = contentBytes(request);
    return await new Promise<Commit>((resolve, reject) => {
      let accepted = false;
      const done = tracePromise('apply', { root: this.#root, transaction: id }, () =>
        committer.commit(request, (revision) => {
          accepted = true;
          const paths = new Set<StorePath>();
          for (const operation of request.operations) if ('path' in operation) paths.add(operation.path);
          resolve({ transaction: id, revision, paths: [...paths], bytes });
        }),
      );
      this.#pending.add(done);
      const settle = async (): Promise<void> => {
        try {
          resolve(await done);
        } catch (error) {
          if (accepted)
            this.#logger.error({ error, transaction: id }, 'a relaxed commit failed after it was accepted');
          if (accepted && !isStoreError(error, 'ERR_STORE_POISONED')) void failed();
          reject(toError(error));
        } finally {
          this.#pending.delete(done);
        }
      };
      void settle();
    });
  }

  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
  }
}

function contentBytes({ operations }: CommitRequest): number {
  return operations.reduce((sum, each) => ('content' in each ? sum + partSize(each.content) : sum), 0);
}
