/** An act that cannot be done, as an earlier step has failed: nothing was changed. */
export class Impossible extends Error {
  override readonly name = 'Impossible';
}
