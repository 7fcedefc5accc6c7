/** Calls that are carried out one after another, in the order in which they came. */

import { StoreError } from '@forewrit/core';

export class Turns {
  readonly #countMax: number;
  #count = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** `countMax`: calls under way or waiting; more are refused. */
  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /**
   * Settles as `call` does, which begins when all earlier ones have settled. One that fails is no obstacle to
   * the next.
   *
   * @throws StoreError ERR_TOO_MANY
   */
  async take<T>(op: string, call: () => Promise<T>): Promise<T> {
    if (this.#count >= this.#countMax) {
      throw new StoreError('ERR_TOO_MANY', `${this.#countMax} calls are waiting for their turn already`, {
        op,
        hint: 'Await each call before the next.',
      });
    }
    this.#count += 1;
    const turn = this.#last.then(call);
    this.#last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#count -= 1;
    }
  }
}
