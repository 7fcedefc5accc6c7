/** The transactions of the log whenever it changes, for those who watch. Reads only; what comes and goes between two looks is missed. */

import {
  type LoggedTransaction,
  type LogView,
  openReadOnlyParts,
  openRoot,
  readFormat,
  refuseForeignLog,
  type StoreOptions,
} from '@forewrit/core';
import { readTransactions, revisionOf } from './analysis.js';

/** The slow way, where watching does not work. */
const lookEveryMs = 200;

export interface FollowOptions extends Pick<StoreOptions, 'roots' | 'allowSharedFileSystem'> {
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** What the log holds now, and then each time that it has changed, until `signal` is aborted. */
export async function* followLog(
  root: string | URL,
  { signal, ...options }: FollowOptions,
): AsyncGenerator<readonly LoggedTransaction[], void, undefined> {
  const readOnly = { ...options, readOnly: true };
  const opened = openRoot(root, readOnly, 'inspect');
  const parts = await openReadOnlyParts(opened, readOnly, {
    umask: 0o22,
    privileged: false,
    checkRowsAtOpen: false,
  });
  const { log } = parts;
  const changes = new Changes();
  const unwatch = log.watch(() => changes.note());
  const onAbort = (): void => changes.note();
  signal.addEventListener('abort', onAbort);
  try {
    const format = log.view(readFormat);
    if (format !== undefined) refuseForeignLog(parts, format);
    while (!signal.aborted) {
      yield log.view(readAll);
      await changes.next();
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    unwatch();
    log.close();
  }
}

function readAll(view: LogView): LoggedTransaction[] {
  return readTransactions(view).sort((a, b) => revisionOf(a) - revisionOf(b));
}

class Changes {
  #noted = false;
  #wake: (() => void) | undefined;

  note(): void {
    this.#noted = true;
    this.#wake?.();
  }

  /** Also after a while: there are changes that no event tells of. */
  async next(): Promise<void> {
    if (!this.#noted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, lookEveryMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#noted = false;
    this.#wake = undefined;
  }
}
