/**
 * Fairness between processes. Locks are let go of in the batch that takes the next ones, so a busy owner would never be
 * seen without them. An owner that waits therefore leaves a row in `meta`; whoever finds a row of another registered
 * owner lets go of its locks at once and waits a moment before it takes new ones.
 */

import { u32Key } from '../record/key.js';
import type { Log, LogView } from '../log/log.js';
import { metaKeys, numberRow } from '../record/rows.js';

/** How long a busy owner stands aside: enough for a waiter to notice and to commit. */
export const standAsideMs = 10;

/** Telling is a courtesy: it waits for nobody for long. */
const turnTimeoutMs = 200;

export class TurnTaking {
  readonly #log: Log;
  readonly #owner: number;
  #announced = false;

  constructor(log: Log, owner: number) {
    this.#log = log;
    this.#owner = owner;
  }

  /** Tells the others that this owner waits. */
  announce(): void {
    if (this.#announced) return;
    const key = metaKeys.waiting(this.#owner);
    this.#log.commit((batch) => batch.put('meta', key, numberRow.encode(key, this.#owner)), {
      timeoutMs: turnTimeoutMs,
    });
    this.#announced = true;
  }

  /** Nothing waits any more. */
  withdraw(): void {
    if (!this.#announced) return;
    this.#announced = false;
    this.#log.commit((batch) => batch.delete('meta', metaKeys.waiting(this.#owner)), {
      essential: true,
      timeoutMs: turnTimeoutMs,
    });
  }

  othersWait(): boolean {
    return this.#log.view((view) => waitingOwners(view).some((owner) => owner !== this.#owner));
  }
}

/** Rows of owners that are gone mean nothing. */
function waitingOwners(view: LogView): number[] {
  return view
    .range('meta', metaKeys.waitings)
    .map(([key, value]) => numberRow.decode(key, value))
    .filter((owner) => view.get('owners', u32Key(owner)) !== undefined);
}
