/** Preloaded (`--import`) into every process of a killer: puts the mutant of its environment into the code. */

import { register } from 'node:module';

// In every thread: hooks of the main one do not hold for its workers in all versions of Node.
const changes = process.env['FOREWRIT_MUTANT'];
if (changes !== undefined) {
  register('./mutant-hooks.js', import.meta.url, { data: JSON.parse(changes) as object });
}
