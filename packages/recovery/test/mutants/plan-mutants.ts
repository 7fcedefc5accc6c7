/** What a plan has seen, and what it has not. */

import type { Mutant } from './mutant.js';

export const planMutants: readonly Mutant[] = [
  {
    name: 'made-again-with-what-it-held',
    breaks: 'a directory that is removed and made again has what it held',
    package: 'core',
    edits: [
      { snippet: 'if (stat !== undefined) addRemoval(context, child, { basePath, stat });', replacement: '' },
    ],
    killer: {
      file: 'core/store-tree',
      test: 'the net effect is right where a directory is removed and made again with other files',
    },
  },
  {
    name: 'replaced-before-it-is-left',
    breaks: 'a directory goes before another one has left it, and that goes as well',
    package: 'core',
    edits: [
      {
        snippet: 'const isIn = displaced !== undefined && isBelow(from, displaced.basePath);',
        replacement: 'const isIn = false;',
      },
    ],
    killer: {
      file: 'core/store-tree',
      test: 'the net effect is right where a directory takes the place of another one',
    },
  },
  {
    name: 'taken-apart-over-what-is-new',
    breaks: 'a directory that moves file by file has what the transaction has replaced in it',
    package: 'core',
    edits: [{ snippet: 'if (isReplaced) continue;', replacement: '' }],
    killer: {
      file: 'core/store-tree',
      test: 'the net effect is right where directories change places',
    },
  },
  {
    name: 'replaced-directory-stays',
    breaks: 'a checkpoint leaves a directory behind whose place another one has taken',
    package: 'core',
    edits: [
      {
        snippet: "if (target.before.type === 'directory') removeTree(",
        replacement: "if (target.action === 'remove-directory') removeTree(",
      },
    ],
    killer: {
      file: 'core/store-tree',
      test: 'the net effect is right where a directory takes the place of another one',
    },
  },
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
