/**
 * A simulated log that fails where it is told to: before a batch is built, while it is, or at its flush, with the batch
 * durable or not.
 */

import {
  type CommitOptions,
  type LogBatch,
  type LogView,
  MemoryLog,
  type MemoryLogOptions,
  type MemoryLogState,
} from '@forewrit/core';

export type LogMethod = 'commit' | 'view';

export type LogFault =
  | { readonly error: Error; readonly when: 'before' | 'building' }
  | { readonly flush: 'lost' | 'kept' };

export interface FaultyLogOptions extends MemoryLogOptions {
  /** Before each commit and view: how it fails, if it does. */
  readonly onFault: (method: LogMethod) => LogFault | undefined;
}

export class FaultyLog extends MemoryLog {
  readonly #onFault: FaultyLogOptions['onFault'];
  /** Of the commit that runs. */
  readonly #current: { fault: LogFault | undefined };

  constructor(state: MemoryLogState, options: FaultyLogOptions) {
    const current: { fault: LogFault | undefined } = { fault: undefined };
    const failFlush = (kind: 'lost' | 'kept'): void => {
      const { fault } = current;
      if (fault !== undefined && 'flush' in fault && fault.flush === kind) throw flushFailure();
    };
    super(state, {
      ...options,
      onReserve: (commit) => {
        options.onReserve?.(commit);
        const { fault } = current;
        if (fault !== undefined && 'error' in fault && fault.when === 'before') throw fault.error;
      },
      onFlush: () => {
        options.onFlush?.();
        failFlush('lost');
      },
      onFlushed: () => {
        options.onFlushed?.();
        failFlush('kept');
      },
    });
    this.#onFault = options.onFault;
    this.#current = current;
  }

  override commit<T>(build: (batch: LogBatch) => T, options: CommitOptions = {}): T {
    const fault = this.#onFault('commit');
    this.#current.fault = fault;
    try {
      return super.commit((batch) => {
        const result = build(batch);
        if (fault !== undefined && 'error' in fault && fault.when === 'building') throw fault.error;
        return result;
      }, options);
    } finally {
      this.#current.fault = undefined;
    }
  }

  override view<T>(read: (view: LogView) => T): T {
    const fault = this.#onFault('view');
    if (fault !== undefined && 'error' in fault) throw fault.error;
    return super.view(read);
  }
}

function flushFailure(): Error {
  return Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO', syscall: 'fdatasync' });
}
