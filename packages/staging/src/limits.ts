/** So many at once, the others in the order in which they came. */

import { StoreError } from '@forewrit/core';

interface Waiting {
  readonly grant: () => void;
  readonly refuse: (reason: Error) => void;
}

export class FairQueue {
  readonly #atOnceMax: number;
  readonly #waitingMax: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor({ atOnceMax, waitingMax }: { readonly atOnceMax: number; readonly waitingMax: number }) {
    this.#atOnceMax = atOnceMax;
    this.#waitingMax = waitingMax;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves with what gives the place back, once. Leaving the queue is `signal`'s. */
  async enter(signal?: AbortSignal): Promise<() => void> {
    if (this.#running < this.#atOnceMax) {
      this.#running += 1;
      return this.#leaver();
    }
    if (this.#waiting.length >= this.#waitingMax) {
      throw new StoreError('ERR_TOO_MANY', `${this.#waitingMax} operations are waiting already`, {
        op: 'open',
        hint: 'Wait for some to end, or raise maxConcurrentOperations.',
      });
    }
    await new Promise<void>((grant, refuse) => {
      const waiting: Waiting = { grant: () => done(grant), refuse: (reason) => done(() => refuse(reason)) };
      const leave = (): void => {
        const at = this.#waiting.indexOf(waiting);
        if (at === -1) return;
        this.#waiting.splice(at, 1);
        waiting.refuse(aborted(signal?.reason));
      };
      const done = (answer: () => void): void => {
        signal?.removeEventListener('abort', leave);
        answer();
      };
      this.#waiting.push(waiting);
      if (signal?.aborted === true) leave();
      else signal?.addEventListener('abort', leave, { once: true });
    });
    return this.#leaver();
  }

  close(reason: Error): void {
    for (const waiting of this.#waiting.splice(0)) waiting.refuse(reason);
  }

  /** The place goes to whoever waits longest, without being free in between. */
  #leaver(): () => void {
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next.grant();
    };
  }
}

function aborted(reason: unknown): StoreError {
  return new StoreError('ERR_ABORTED', 'the operation was given up while it waited', {
    op: 'open',
    cause: reason,
  });
}
