/** What a plan has seen, and what it has not. */

import type { Mutant } from './mutant.js';

export const planMutants: readonly Mutant[] = [
  {
    name: 'plan-sees-twice',
    breaks:
      'what another one has put into a directory since one operation found none there is taken for what the transaction removes',
    package: 'core',
    edits: [
      {
        snippet:
          'if (!looked.has(path)) looked.set(path, stat); else if (!isSameFile(looked.get(path), stat)) throw new PlanOutdated(path);',
        replacement: 'looked.set(path, stat);',
      },
    ],
    killer: {
      file: 'recovery/plan-meanwhile',
      test: 'two files in a directory that is not there yet: what another process puts there meanwhile stays',
    },
  },
  {
    name: 'plan-lists-twice',
    breaks: 'what has come into a directory since it was found empty goes with it',
    package: 'core',
    edits: [
      {
        snippet: 'if (known !== undefined) return known; const names = fileSystem',
        replacement: 'const names = fileSystem',
      },
    ],
    killer: {
      file: 'recovery/plan-meanwhile',
      test: 'an empty directory that is removed: what another program puts there meanwhile stays',
    },
  },
  {
    name: 'listing-of-the-plan-not-guarded',
    breaks: 'a directory is emptied and kept, and holds what was committed since it was listed',
    package: 'core',
    edits: [
      {
        snippet: 'if (!vacated.includes(path)) this.#listAgain(tree, path);',
        replacement: ';',
      },
    ],
    killer: {
      file: 'recovery/plan-meanwhile',
      test: 'an empty directory that is removed, and a file that needs it: what another process puts there meanwhile stays',
    },
  },
  {
    name: 'other-file-replaced',
    breaks: 'a file that has taken the place of a moved one since is replaced as if it were that one',
    package: 'core',
    edits: [
      {
        snippet: 'refuseOther(job, { basePath: path, stat: job.planned.stat }, now);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/plan-meanwhile',
      test: 'files that trade places: what another program saves meanwhile is one of them, or comes after',
    },
  },
];
