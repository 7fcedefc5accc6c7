/** From a writer that pushes to a reader that pulls, one piece at a time: `push` resolves once the piece was consumed. */

interface Offer {
  readonly piece: Uint8Array;
  readonly taken: () => void;
  readonly refused: (reason: unknown) => void;
}

export class Handoff implements AsyncIterable<Uint8Array> {
  #offer: Offer | undefined;
  #wake: (() => void) | undefined;
  #end: { readonly failure?: unknown } | undefined;
  #refusal: { readonly reason: unknown } | undefined;

  push(piece: Uint8Array): Promise<void> {
    if (this.#refusal !== undefined) return Promise.reject(asError(this.#refusal.reason));
    return new Promise((taken, refused) => {
      this.#offer = { piece, taken, refused };
      this.#wake?.();
    });
  }

  /** Nothing follows. */
  end(): void {
    this.#end ??= {};
    this.#wake?.();
  }

  /** The reader gets this error. */
  fail(failure: unknown): void {
    this.#end = { failure };
    this.#wake?.();
  }

  /** The reader takes nothing more. */
  refuse(reason: unknown): void {
    this.#refusal ??= { reason };
    this.#offer?.refused(reason);
    this.#offer = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (this.#offer === undefined && this.#end === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#end !== undefined && 'failure' in this.#end) throw this.#end.failure;
      const offer = this.#offer;
      if (offer === undefined) return;
      yield offer.piece;
      if (this.#offer === offer) this.#offer = undefined;
      offer.taken();
    }
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
