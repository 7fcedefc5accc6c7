/** The end of an engine: the outcome of a write is unknown, and only a reopened store can tell what is on the disk. */

import { StoreError } from '../errors.js';
import type { Logger } from '../store/options.js';

export class Poison {
  readonly #logger: Logger;
  #cause: unknown;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get cause(): unknown {
    return this.#cause;
  }

  /** From now on every request is refused. What is on the disk is left exactly as it is. */
  take(cause: unknown): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#logger.error({ cause }, 'the store is poisoned');
  }

  error(): StoreError {
    return new StoreError('ERR_STORE_POISONED', 'The store is poisoned: the outcome of a write is unknown', {
      op: 'commit',
      hint: 'Close the store and open it again: recovery decides what was committed.',
      cause: this.#cause,
    });
  }
}
