/** Deferred saves: one record for each path, and files that follow. */

import type { Mutant } from './mutant.js';

export const deferredMutants: readonly Mutant[] = [
  {
    name: 'absorbed-record-stays',
    breaks: 'the record of a deferred save that a newer one has taken in stays in the log',
    package: 'core',
    edits: [
      {
        snippet: "assertStill(batch, record); batch.delete('log', record.row[0]);",
        replacement: 'assertStill(batch, record);',
      },
    ],
    killer: {
      file: 'core/deferred',
      test: 'a newer one takes older ones in, and what they alone have written stays theirs',
    },
  },
  {
    name: 'absorbed-lock-stays',
    breaks: 'the locks of a deferred save that was taken in stay those of a transaction that is gone',
    package: 'core',
    edits: [
      {
        snippet:
          "batch.put('locks', key, lockRow.encode(key, { what: path, transaction: number, blocked: false }));",
        replacement:
          "if (holder === undefined) batch.put('locks', key, lockRow.encode(key, { what: path, transaction: number, blocked: false }));",
      },
    ],
    killer: {
      file: 'core/deferred',
      test: 'a newer one takes older ones in, and what they alone have written stays theirs',
    },
  },
  {
    name: 'fenced-owner-absorbs',
    breaks: 'a deferred save that another process has carried out is taken in by a newer one',
    package: 'core',
    edits: [
      {
        snippet: "assertStill(batch, record); batch.delete('log', record.row[0]);",
        replacement: "batch.delete('log', record.row[0]);",
      },
    ],
    killer: {
      file: 'core/deferred',
      test: 'who was declared dead can neither take in what others have carried out, nor put it into the files',
    },
  },
  {
    name: 'deferred-plan-stands',
    breaks: 'a save that was planned on a deferred one commits although that has come into its files',
    package: 'core',
    edits: [
      {
        snippet: 'wasDeferred && had.get(name) === undefined',
        replacement: 'wasDeferred && false',
      },
    ],
    killer: {
      file: 'core/deferred',
      test: 'a save that was planned on one which comes into its files meanwhile is planned again',
    },
  },
  {
    name: 'deferred-at-close',
    breaks: 'closing leaves in the log what was deferred',
    package: 'core',
    edits: [
      {
        snippet: 'the next open tries again. this.#files.all();',
        replacement: 'the next open tries again.',
      },
    ],
    killer: { file: 'core/deferred', test: 'closing puts everything into the files' },
  },
  {
    name: 'deferred-edit-overwritten',
    breaks: 'files follow a deferred save without a look at what has been put there meanwhile',
    package: 'core',
    edits: [
      {
        snippet: 'if (!showsImage(fileSystem.lstat(absolute), before)) return false;',
        replacement: 'return true;',
      },
      {
        snippet: 'isSame(target.before, targets[index].before)',
        replacement: 'true',
      },
    ],
    killer: {
      file: 'core/deferred',
      test: 'a file that another program has replaced meanwhile stays so, and ours goes into conflicts/',
    },
  },
  {
    name: 'deferred-grain',
    breaks: 'an edit that has left the same times is not told by its content before files follow',
    package: 'core',
    edits: [
      {
        snippet: 'if (before.fingerprint.mtimeNs < foundNs - clockGrainNs) return true;',
        replacement: 'return true;',
      },
    ],
    killer: {
      file: 'recovery/deferred',
      test: 'an edit that left the same times, within the grain of the clock, is told by its content',
    },
  },
  {
    name: 'deferred-content-dropped',
    breaks: "a deferred save gives way to somebody's edit and its own content is kept nowhere",
    package: 'core',
    edits: [{ snippet: 'conflicts.push(this.#keepOurs(record, target));', replacement: ';' }],
    killer: {
      file: 'core/deferred',
      test: 'a file that another program has replaced meanwhile stays so, and ours goes into conflicts/',
    },
  },
  {
    name: 'deferred-conflict-locked',
    breaks: 'a path where a deferred save has given way stays locked',
    package: 'core',
    edits: [
      {
        snippet: "for (const { target } of given) batch.delete('locks', pathKey(target.path, folding));",
        replacement: ';',
      },
    ],
    killer: {
      file: 'core/deferred',
      test: 'a file that another program has replaced meanwhile stays so, and ours goes into conflicts/',
    },
  },
  {
    name: 'materialized-anew',
    breaks: 'files that follow a deferred save have a new revision',
    package: 'core',
    edits: [
      {
        snippet: 'revision: each.revision, transaction: number, image: after',
        replacement: 'revision: each.revision + 1, transaction: number, image: after',
      },
    ],
    killer: {
      file: 'core/deferred',
      test: 'is read through the store at once, and comes into the files later, at the same revision',
    },
  },
  {
    name: 'materialized-forgotten',
    breaks: 'when its files cannot be put in place a deferred save is not tried again',
    package: 'core',
    edits: [{ snippet: 'deferred.add(again);', replacement: ';' }],
    killer: {
      file: 'core/deferred',
      test: 'an apply that fails puts the files back, and the log alone has the content again',
    },
  },
  {
    name: 'rewritten-over-deferred',
    breaks: 'content whose flush has failed is written again over a newer save that is deferred',
    package: 'core',
    edits: [
      {
        snippet: 'if (this.#deferred.at(pathName(path, this.#context.folding)) !== undefined) return;',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/deferred',
      test: 'content whose flush has failed is not written again over what is deferred',
    },
  },
  {
    name: 'deferred-timeless',
    breaks: 'a deferred save has no time: whatever comes back in a power cut passes for newer',
    package: 'core',
    edits: [
      {
        snippet: 'mtimeNs: BigInt(Math.floor(savedAtMs) + 1) * 1000000n',
        replacement: 'mtimeNs: 0n',
      },
    ],
    killer: {
      file: 'recovery/deferred',
      test: 'after a power cut an older file that nobody knows any more gives way, and is kept aside',
    },
  },
  {
    name: 'missing-name-proves',
    breaks: 'recovery takes a target that never had an apply name for applied',
    package: 'recovery',
    edits: [
      {
        snippet: 'return applyName !== undefined && fileSystem.lstat(',
        replacement: 'return applyName === undefined || fileSystem.lstat(',
      },
    ],
    killer: {
      file: 'recovery/deferred',
      test: 'whoever comes next puts them into the files, at the revisions of their saves',
    },
  },
  {
    name: 'deferred-name-unmade',
    breaks: 'recovery records apply names for a deferred transaction that it has not made',
    package: 'recovery',
    edits: [{ snippet: 'makeEmpty(context, target, applyName);', replacement: ';' }],
    killer: {
      file: 'recovery/deferred',
      test: 'whoever comes next puts them into the files, at the revisions of their saves',
    },
  },
  {
    name: 'deferred-unnamed',
    breaks: 'recovery applies a deferred transaction without apply names: nothing proves it',
    package: 'recovery',
    edits: [
      {
        snippet: 'isToBeNamed(context, transaction) ? withNames(context, transaction) : transaction',
        replacement: 'transaction',
      },
      {
        snippet: "assert(target.applyName !== undefined, 'what is put in place has an apply name');",
        replacement: 'if (target.applyName === undefined) return this.#stageFresh();',
      },
    ],
    killer: {
      file: 'recovery/deferred',
      test: 'a recovery that dies after it has put a file in its place leaves the proof: a user who takes it back is heard',
    },
  },
  {
    name: 'older-row-not-renewed',
    breaks: 'rows of saves that were taken in keep an image that is of no file after recovery',
    package: 'recovery',
    edits: [
      {
        snippet: 'row.revision <= revisionOf(transaction)',
        replacement: 'row.revision === revisionOf(transaction)',
      },
    ],
    killer: {
      file: 'recovery/deferred',
      test: 'whoever comes next puts them into the files, at the revisions of their saves',
    },
  },
  {
    name: 'deferred-into-what-has-gone',
    breaks: 'a deferred save into a directory that was removed while it was planned goes to conflicts',
    package: 'core',
    edits: [
      {
        snippet:
          "if (fileSystem.lstat(absolutePath(parent, roots))?.type !== 'directory') throw new PlanOutdated(path);",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'a save into a directory that another process removes while it is planned makes it again: deferred',
    },
  },
];
