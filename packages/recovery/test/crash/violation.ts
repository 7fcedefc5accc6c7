/** A crash state from which recovery does not lead where it should. */

import type { Crash } from './schedule.js';

export class Violation extends Error {
  override readonly name = 'Violation';
  readonly crashes: readonly Crash[];

  constructor(message: string, { crashes, cause }: { readonly crashes: readonly Crash[]; cause?: unknown }) {
    super(message, { cause });
    this.crashes = crashes;
  }
}
