/** The command's standard input, as far as it has a pipe there. */

import type { Writable } from 'node:stream';
import type { ControlAnswer, WriteFailure } from './wire.js';

export class CommandInput {
  readonly #pipe: Writable | undefined;
  #ended = false;

  constructor(pipe: Writable | undefined) {
    this.#pipe = pipe;
    // The command has closed it, or ended.
    pipe?.on('error', () => {
      this.#ended = true;
    });
    pipe?.on('close', () => {
      this.#ended = true;
    });
  }

  /** Resolves when the pipe has taken it. */
  async write(
    id: number,
    { bytes, end }: { readonly bytes: Uint8Array; readonly end: boolean },
  ): Promise<ControlAnswer> {
    const failure = await this.#write(bytes, end);
    return { type: 'wrote', id, ...(failure === undefined ? {} : { failure }) };
  }

  async #write(bytes: Uint8Array, end: boolean): Promise<WriteFailure | undefined> {
    const pipe = this.#pipe;
    if (pipe === undefined) return 'no-pipe';
    if (this.#ended) return 'ended';
    if (bytes.length > 0) {
      const error = await new Promise((resolve) => pipe.write(bytes, resolve));
      if (error !== undefined && error !== null) return 'ended';
    }
    if (end) {
      this.#ended = true;
      pipe.end();
    }
    return undefined;
  }
}
