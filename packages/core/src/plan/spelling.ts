/** Names that are the same file, on a file system that folds case or normalizes. */

import { StoreError } from '../errors.js';
import type { StorePath } from '../path/path.js';
import { type Folding, pathKey } from '../record/key.js';
import type { FileOperation } from './resolution.js';

/** A transaction names each file that it changes in one way: who uses two takes them for two files. */
export class Spellings {
  readonly #folding: Folding;
  readonly #given = new Map<string, StorePath>();

  constructor(folding: Folding) {
    this.#folding = folding;
  }

  add(given: FileOperation, resolved: FileOperation): void {
    this.#note(given.path, resolved.path);
    if (given.type === 'rename' && resolved.type === 'rename') this.#note(given.from, resolved.from);
  }

  #note(given: StorePath, resolved: StorePath): void {
    const { caseInsensitive, normalizing } = this.#folding;
    const folds = caseInsensitive || normalizing;
    const file = folds ? Buffer.from(pathKey(resolved, this.#folding)).toString('latin1') : resolved;
    const other = this.#given.get(file) ?? given;
    this.#given.set(file, given);
    if (other === given) return;
    throw new StoreError('ERR_PATH_ALIAS', `'${given}' and '${other}' are the same file`, {
      op: 'commit',
      path: given,
      hint: 'Use one spelling of a file in one transaction. Nothing was changed.',
    });
  }
}
