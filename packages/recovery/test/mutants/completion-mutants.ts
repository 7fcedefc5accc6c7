/** Recovery: how it ends, what it keeps and what it sweeps. */

import type { Mutant } from './mutant.js';

export const completionMutants: readonly Mutant[] = [
  {
    name: 'aside-believed',
    breaks:
      'recovery lets go of what a dead process has put aside, though its name there need not be durable',
    package: 'recovery',
    edits: [{ snippet: 'this.#flushAside(); this.#complete();', replacement: 'this.#complete();' }],
    killer: {
      file: 'recovery/crash-order',
      test: 'what is put aside of a file by a process that dies before that is durable is not lost',
    },
  },
  {
    name: 'edited-before-image-swept',
    breaks: 'recovery drops a before-image that somebody has written to',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (!blocked) this.#saveEdited(transaction);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'what an editor writes into a before-image through its open descriptor survives recovery',
    },
  },
  {
    name: 'torn-before-image-kept',
    breaks: 'a before-image that a power cut has torn passes for an edit',
    package: 'recovery',
    edits: [
      {
        snippet: "return stat?.type === 'file' && stat.mtimeNs <= before.fingerprint.mtimeNs;",
        replacement: 'return false;',
      },
    ],
    killer: { file: 'recovery/redo', test: "a before-image that a power cut has torn is nobody's edit" },
  },
  {
    name: 'needed-by-blocked-trimmed',
    breaks: 'records go that a blocked newer transaction may have to go back to',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (needed.length === 0) trimRecords(',
        replacement: 'if (true) trimRecords(',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'what a blocked transaction may have to go back to is kept with it',
    },
  },
  {
    name: 'all-kept-for-blocked',
    breaks: 'what was completed beside a blocked transaction is decided again a week later',
    package: 'recovery',
    edits: [
      {
        snippet: 'encodeCommitBatch({ number, begin, targets, revision: commit.revision, entries: [] })',
        replacement:
          'encodeCommitBatch({ number, begin, targets: transaction.targets, revision: commit.revision, entries: [] })',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'what the user has changed while a blocked transaction kept an older one in the log stays changed',
    },
  },
  {
    name: 'blocked-not-marked',
    breaks: 'readers and writers of a blocked path are not told',
    package: 'recovery',
    edits: [
      {
        snippet: 'for (const { key, lock } of unmarkedLocks(batch, completion, folding)) {',
        replacement: 'for (const { key, lock } of []) {',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'a transaction whose staged content is missing is blocked, and none of its paths is touched',
    },
  },
  {
    name: 'foreign-lock-removed',
    breaks: 'the completion of an older transaction lets go of the lock of a newer one',
    package: 'recovery',
    edits: [
      {
        snippet:
          "if (value !== undefined && isOf(lockRow.decode(key, value), transaction)) batch.delete('locks', key);",
        replacement: "if (value !== undefined) batch.delete('locks', key);",
      },
    ],
    killer: { file: 'recovery/guards', test: 'recovering an older transaction leaves a newer one its lock' },
  },
  {
    name: 'entry-locks-kept',
    breaks: 'entries that a dead transaction had locked stay locked',
    package: 'recovery',
    edits: [
      {
        snippet: 'unlock(batch, entryLockKey(collection, key), transaction);',
        replacement: '',
      },
    ],
    killer: { file: 'recovery/recovery', test: 'entries that a dead transaction had locked are let go of' },
  },
  {
    name: 'living-swept',
    breaks: 'what a living owner has staged is swept',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (living.has(owner)) return false;',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/undo',
      test: 'what a live owner has staged is not swept together with what a dead one has left',
    },
  },
  {
    name: 'recorded-swept',
    breaks: 'names that a record still needs are swept',
    package: 'recovery',
    edits: [
      {
        snippet: 'return !recorded.has(nameKey(volume.path, place, name));',
        replacement: 'return true;',
      },
    ],
    killer: { file: 'recovery/redo', test: 'a blocked transaction is carried out once its content is back' },
  },
  {
    name: 'filled-directory-swept',
    breaks: 'a directory that was never put in its place is swept with what others have put there',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (!isMade || fileSystem.list(path).length === 0) return',
        replacement: 'if (true) return',
      },
    ],
    killer: {
      file: 'recovery/undo',
      test: 'a directory that was never put in its place is kept if somebody has filled it',
    },
  },
  {
    name: 'conflict-entry-unsynced',
    breaks: 'the name of what recovery keeps aside is not durable when it writes over it',
    package: 'recovery',
    edits: [
      {
        snippet: 'fileSystem.syncDirectory(volume.conflicts); return { path: target.path, savedAs };',
        replacement: 'return { path: target.path, savedAs };',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'what is kept aside is durable before anything is written over it',
    },
  },
  {
    name: 'repair-back-by-rename',
    breaks:
      'a repair moves a before-image back, of which a power cut may keep just that it is gone from where it was',
    package: 'recovery',
    edits: [{ snippet: "stat === undefined || stat.type === 'directory'", replacement: 'true' }],
    killer: {
      file: 'recovery/repair.slow',
      test: 'a repair that a power cut has interrupted is repeated: blocked, and repaired back',
    },
  },
  {
    name: 'repair-moves-unflushed',
    breaks: 'a repair moves a directory back before what it holds is durable',
    package: 'recovery',
    edits: [
      {
        snippet: "if (subject.target.action === 'move-directory') this.#flushBelow(subject.target.path);",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/repair.slow',
      test: 'a repair that a power cut has interrupted is repeated: blocked with a directory that has moved, and repaired back',
    },
  },
  {
    name: 'begun-refused',
    breaks: 'what an operation has logged before a commit that never came passes for damage',
    package: 'core',
    edits: [
      {
        snippet: '[action, path, before, after].every((each) => each === undefined)',
        replacement: 'false',
      },
    ],
    killer: {
      file: 'core/codec',
      test: 'what was begun and staged, and never committed, is a transaction without targets; anything more is refused',
    },
  },
  {
    name: 'backlog-of-another-boot',
    breaks: 'recovery answers before what a power cut has undone is durable',
    package: 'recovery',
    edits: [
      {
        snippet: "each.targets.every((target) => bootOf(context, each, target) === 'same')",
        replacement: 'true',
      },
    ],
    killer: { file: 'recovery/backlog', test: 'what ran on another boot is durable before the answer' },
  },
  {
    name: 'backlog-never-flushed',
    breaks: 'what recovery has put in its place is let go of unflushed',
    package: 'recovery',
    edits: [
      {
        snippet: "history: new PathHistory(folding, winners) }, 'now');",
        replacement: "history: new PathHistory(folding, winners) }, 'later');",
      },
    ],
    killer: { file: 'recovery/backlog', test: 'all of it is durable in the end, and nothing is left' },
  },
  {
    name: 'staged-not-flushed',
    breaks: 'what recovery puts in its place as it was staged is let go of unflushed',
    package: 'recovery',
    edits: [
      {
        snippet: 'else if (this.#neverFlushed.has(target.index)) seen = this.#makeDurable(path);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/backlog',
      test: 'little is durable before the answer, in the very file that was staged',
    },
  },
  {
    name: 'backlog-keeps-locks',
    breaks: 'what recovery has put in its place stays locked until it is durable',
    package: 'recovery',
    edits: [
      {
        snippet: 'letGo(batch, completion, folding); batch.put(',
        replacement: 'batch.put(',
      },
    ],
    killer: {
      file: 'recovery/backlog',
      test: 'everything is in its place and unlocked, and nothing is flushed',
    },
  },
];
