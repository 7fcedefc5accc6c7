/** Recovery: what it finds, and what it decides. */

import type { Mutant } from './mutant.js';

export const decisionMutants: readonly Mutant[] = [
  {
    name: 'back-where-it-was-put',
    breaks:
      'a directory that a newer transaction has moved back, and that is not in the log any more, is moved again after a power cut',
    package: 'recovery',
    edits: [
      {
        snippet: 'this.directory !== undefined && !this.#wasPutThere(this.directory)',
        replacement: 'this.directory !== undefined',
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'a directory that was moved once, and by another process to where it was, stays there after a power cut',
    },
  },
  {
    name: 'removed-taken-for-displaced',
    breaks:
      'a directory that is to take the place of a file goes there on the same boot, though somebody has removed that',
    package: 'recovery',
    edits: [
      {
        snippet:
          'return this.#parts.context.fileSystem.lstat(beforePath(this.volume, beforeName)) !== undefined;',
        replacement: 'return true;',
      },
    ],
    killer: {
      file: 'recovery/displaced',
      test: 'a file that somebody has removed is not what has made room',
    },
  },
  {
    name: 'displaced-not-compared',
    breaks: 'a directory is moved by recovery to where somebody has edited the file, and that goes',
    package: 'recovery',
    edits: [
      { snippet: 'return this.#showsReplaced; if (this.boot', replacement: 'return true; if (this.boot' },
    ],
    killer: {
      file: 'recovery/displaced',
      test: 'a file that is edited stays, and so does the directory',
    },
  },
  {
    name: 'living-recovered',
    breaks: 'transactions of living owners are recovered under their hands',
    package: 'recovery',
    edits: [
      {
        snippet: 'const ours = transactions.filter(({ number }) => !living.has(number.owner));',
        replacement: 'const ours = transactions;',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'an older winner is trimmed only when a live owner can be recovered without it',
    },
  },
  {
    name: 'winners-unordered',
    breaks: 'winners of several owners are not taken in revision order',
    package: 'recovery',
    edits: [
      {
        snippet: '.sort(byRevision)',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'winners of several owners are redone in the order of their commits',
    },
  },
  {
    name: 'superseded-redone',
    breaks: 'an older transaction decides where a newer one has committed (invariant 4; row 4 never holds)',
    package: 'recovery',
    edits: [
      {
        snippet: 'const newer = deciders(view, target, folding).find((row) => row.revision > revision);',
        replacement: 'const newer = undefined;',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'a directory made, then moved, is where the last transaction left it',
    },
  },
  {
    name: 'superseded-by-itself',
    breaks: 'a transaction counts as superseded by its own rows',
    package: 'recovery',
    edits: [
      {
        snippet: 'const newer = deciders(view, target, folding).find((row) => row.revision > revision);',
        replacement: 'const newer = deciders(view, target, folding).find((row) => row.revision >= revision);',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'small content of a commit that was not applied is put in place, on the same boot',
    },
  },
  {
    name: 'applied-of-another-boot',
    breaks: 'that something was applied counts although a power cut may have undone it',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (transaction.applied?.bootId !== context.bootId) return false; return bootOf(',
        replacement: 'if (transaction.applied === undefined) return false; return true || bootOf(',
      },
      {
        snippet: 'when: (observed) => same(observed) && observed.applied,',
        replacement: 'when: (observed) => observed.applied,',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'a deletion on another file system is not undone on the same boot, unless that was mounted again',
    },
  },
  {
    name: 'remount-ignored',
    breaks: 'a file system that was mounted again counts as the same boot',
    package: 'recovery',
    edits: [
      {
        snippet: "return mount !== '' && mount === context.mountOf(target.volume) ? 'same' : 'other';",
        replacement: "return 'same';",
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'a deletion on another file system is not undone on the same boot, unless that was mounted again',
    },
  },
  {
    name: 'paths-not-claimed',
    breaks: 'recovery writes paths that are not locked by their transaction',
    package: 'recovery',
    edits: [
      {
        snippet: 'for (const { key, lock } of missingLocks(batch, transaction, superseded)) {',
        replacement: 'for (const { key, lock } of []) {',
      },
    ],
    killer: {
      file: 'recovery/recovery',
      test: 'a path that was applied on another boot is locked again before it is written',
    },
  },
  {
    name: 'recovery-lock-ignored',
    breaks: 'two recoveries run at once',
    package: 'recovery',
    edits: [
      {
        snippet: 'return registeredOwners(view).find((owner) => owner.number === number);',
        replacement: 'return undefined;',
      },
    ],
    killer: {
      file: 'recovery/recovery',
      test: 'a recovery that a live owner runs is waited for, and not for ever',
    },
  },
  {
    name: 'row-5-dropped',
    breaks: 'row 5: what was applied in this boot is decided again',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: (observed) => same(observed) && observed.applied,',
        replacement: 'when: () => false,',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'small content that was applied in this boot is left alone, and made durable',
    },
  },
  {
    name: 'row-6-dropped',
    breaks: 'row 6: the after-image is not recognised',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: ({ showsAfter }) => showsAfter,',
        replacement: 'when: () => false,',
      },
    ],
    killer: { file: 'recovery/redo', test: 'small content that was put in place, and not recorded, is kept' },
  },
  {
    name: 'row-7-dropped',
    breaks: 'row 7: a missing apply name proves nothing',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: (observed) => same(observed) && observed.provenApplied,',
        replacement: 'when: () => false,',
      },
    ],
    killer: { file: 'recovery/redo', test: 'what was applied and changed since stays, and is reported' },
  },
  {
    name: 'row-7-on-any-boot',
    breaks: 'row 7: a missing apply name proves something after a power cut, too',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: (observed) => same(observed) && observed.provenApplied,',
        replacement: 'when: (observed) => observed.provenApplied,',
      },
    ],
    killer: { file: 'recovery/redo', test: 'a torn file is kept aside and put in place anew' },
  },
  {
    name: 'row-8-dropped',
    breaks: 'row 8: the before-image is not recognised',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: (observed) => observed.showsBefore && !(same(observed) && observed.parentGone),',
        replacement: 'when: () => false,',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'small content of a commit that was not applied is put in place, on the same boot',
    },
  },
  {
    name: 'row-8-without-parent',
    breaks: 'row 8: a parent that somebody has removed is made again on the same boot',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: (observed) => observed.showsBefore && !(same(observed) && observed.parentGone),',
        replacement: 'when: (observed) => observed.showsBefore,',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'a parent that somebody has removed stays removed on the same boot',
    },
  },
  {
    name: 'row-8-moves-nowhere',
    breaks:
      'row 8: a file is taken to be as it was, whatever is in it, for a move that a newer transaction has superseded',
    package: 'recovery',
    edits: [
      {
        snippet: "action === 'move' && !subject.superseded.has(index)",
        replacement: "action === 'move' && index >= 0",
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'what is written into a file that a power cut has brought back is not lost if nothing of its move is left to be done',
    },
  },
  {
    name: 'row-9-dropped',
    breaks: 'row 9: an edit of our own durable file is not recognised',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: ({ sharesStagedInode }) => sharesStagedInode,',
        replacement: 'when: () => false,',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'large content under its staged name tells an edit of our file from a torn one',
    },
  },
  {
    name: 'row-10-dropped',
    breaks: 'row 10: an older state that a power cut brought back is not recognised',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: (observed) => !same(observed) && observed.showsOlder,',
        replacement: 'when: () => false,',
      },
    ],
    killer: { file: 'recovery/redo', test: 'an older state that came back is replaced on another boot' },
  },
  {
    name: 'row-10-on-same-boot',
    breaks: 'row 10: an older state that somebody has put back is written over',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: (observed) => !same(observed) && observed.showsOlder,',
        replacement: 'when: (observed) => observed.showsOlder,',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'an older state that somebody has put back stays on the same boot',
    },
  },
  {
    name: 'row-11-dropped',
    breaks: 'row 11: what is not ours is taken for torn after a power cut',
    package: 'recovery',
    edits: [
      {
        snippet: 'when: ({ foreign }) => foreign,',
        replacement: 'when: () => false,',
      },
    ],
    killer: { file: 'recovery/redo', test: 'small content goes into conflicts/ where somebody was faster' },
  },
  {
    name: 'row-12-redone',
    breaks: 'row 12: an edit on the same boot is taken for torn',
    package: 'recovery',
    edits: [
      {
        snippet: 'row: 12, when: same,',
        replacement: 'row: 12, when: () => false,',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'a file that was removed before a commit reached it stays removed, and ours goes into conflicts/',
    },
  },
  {
    name: 'row-13-kept',
    breaks: 'row 13: what is torn after a power cut is kept',
    package: 'recovery',
    edits: [
      {
        snippet: "row: 13, when: () => true, verdict: 'redo',",
        replacement: "row: 13, when: () => true, verdict: 'keep',",
      },
    ],
    killer: { file: 'recovery/redo', test: 'a file that is missing after a power cut is put in place' },
  },
  {
    name: 'row-13-without-copy',
    breaks: 'row 13: what is written over is not kept aside',
    package: 'recovery',
    edits: [
      {
        snippet: "save: 'theirs',",
        replacement: '',
      },
    ],
    killer: { file: 'recovery/redo', test: 'a torn file is kept aside and put in place anew' },
  },
  {
    name: 'row-14-redone',
    breaks: 'row 14: damaged content is put in place',
    package: 'recovery',
    edits: [
      {
        snippet: "(observed.escapes || observed.source !== 'sound')",
        replacement: 'false',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'a transaction whose staged content is damaged is blocked, and none of its paths is touched',
    },
  },
  {
    name: 'row-14-escapes',
    breaks: 'row 14: recovery writes through a symbolic link that leads out of the store',
    package: 'recovery',
    edits: [
      {
        snippet: "(observed.escapes || observed.source !== 'sound')",
        replacement: "(observed.source !== 'sound')",
      },
    ],
    killer: {
      file: 'recovery/decision',
      test: 'blocks instead of writing where there is nothing sound to write, or no way to the path',
    },
  },
  {
    name: 'blocked-half-done',
    breaks: 'where one path is blocked, the others of its transaction are touched',
    package: 'recovery',
    edits: [
      {
        snippet: "blocked: paths.some(({ decision }) => decision.verdict === 'block'),",
        replacement: 'blocked: false,',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'a transaction whose staged content is missing is blocked, and none of its paths is touched',
    },
  },
  {
    name: 'mode-not-restored',
    breaks: 'a file that lost its mode in a power cut keeps what it has',
    package: 'recovery',
    edits: [
      {
        snippet: 'return toDecision(row, row.row === 6 && !(same(observed) && observed.provenApplied));',
        replacement: 'return toDecision(row, false);',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'the mode is restored on another boot, and left alone on the same one',
    },
  },
  {
    name: 'unreadable-taken-for-edited',
    breaks: 'a file that is to be replaced, and may not be read, passes for edited',
    package: 'recovery',
    edits: [
      {
        snippet: 'return checksum === undefined || checksum === before.checksum;',
        replacement: 'return checksum === before.checksum;',
      },
    ],
    killer: {
      file: 'recovery/failed-flush',
      test: 'a file that may not be read is known by its fingerprint before it is replaced, too',
    },
  },
  {
    name: 'unreadable-taken-for-whole',
    breaks: 'content that a power cut may have torn, and that may not be read, passes for whole',
    package: 'recovery',
    edits: [
      {
        snippet: "const isDurable = this.boot === 'same' || this.sharesStagedInode;",
        replacement: 'const isDurable = true;',
      },
    ],
    killer: {
      file: 'recovery/failed-flush',
      test: 'after a power cut the fingerprint of a file that may not be read says nothing of its content',
    },
  },
  {
    name: 'restored-copy-unknown',
    breaks:
      'a copy that an unfinished roll-back has put back passes for an edit, and the set is of two versions',
    package: 'recovery',
    edits: [{ snippet: 'if (this.#isRestoredCopy) return true;', replacement: '' }],
    killer: {
      file: 'recovery/crash/enumeration-ordered.slow',
      test: 'every crash of: roll-back of an apply that fails, without hard links',
    },
  },
  {
    name: 'moved-directory-left-behind',
    breaks:
      'a directory that a power cut has brought back stays in a place that it had left, and what came there since goes on with it',
    package: 'recovery',
    edits: [
      {
        snippet:
          "if (action === 'remove-directory' || action === 'move-directory') return this.directory !== undefined && !this.#wasPutThere(this.directory);",
        replacement: "if (action === 'remove-directory') return this.directory !== undefined;",
      },
    ],
    killer: {
      file: 'recovery/vacated-places',
      test: 'a directory moves on, and another one is where it was first: both are whole after any power cut',
    },
  },
];
