/** Checkpoint: what is made durable, and when it is forgotten how. */

import type { Mutant } from './mutant.js';

export const checkpointMutants: readonly Mutant[] = [
  {
    name: 'checkpoint-files-unsynced',
    breaks: 'records are trimmed before the files are durable (invariant 3)',
    package: 'core',
    edits: [
      {
        snippet: 'fileSystem.sync(staged.descriptor); syncedFiles += 1;',
        replacement: 'syncedFiles += 1;',
      },
    ],
    killer: { file: 'recovery/campaign.slow', test: 'one process after another, files alone' },
  },
  {
    name: 'checkpoint-directories-unsynced',
    breaks: 'records are trimmed before the names are durable (invariant 3)',
    package: 'core',
    edits: [
      {
        snippet: 'if (syncDirectoryIfThere(fileSystem, directory)) syncedDirectories += 1;',
        replacement: '',
      },
    ],
    killer: { file: 'recovery/campaign.slow', test: 'one process after another, files alone' },
  },
  {
    name: 'checkpoint-parents-unsynced',
    breaks:
      'directories above the changed one are not flushed: another owner may have made them, and not be durable yet',
    package: 'core',
    edits: [
      {
        snippet: 'const above = paths.flatMap((each) => ancestors(each)); // A new',
        replacement: 'const above = paths.flatMap((each) => ancestors(each).slice(0, 1)); // A new',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a checkpoint makes durable what is in directories that another owner has made, however deep',
    },
  },
  {
    name: 'checkpoint-mode-unsynced',
    breaks: 'a new directory itself is not flushed: its mode may be lost',
    package: 'core',
    edits: [
      {
        snippet: "if (action === 'make-directory') above.push(path);",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a new directory keeps its mode through a checkpoint and a power cut',
    },
  },
  {
    name: 'checkpoint-by-path',
    breaks: 'a checkpoint fsyncs what stands at the path instead of what was written',
    package: 'core',
    edits: [
      {
        snippet: 'fileSystem.sync(staged.descriptor);',
        replacement: 'syncFile(fileSystem, staged.absolute);',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'a checkpoint makes durable what was written, whatever stands at its path by now',
    },
  },
  {
    name: 'trim-before-sync',
    breaks: 'records are trimmed first, and files and directories flushed afterwards (invariant 3)',
    package: 'core',
    edits: [
      {
        snippet: 'let syncedFiles = 0; const directories = new Set();',
        replacement:
          'let syncedFiles = 0; const directories = new Set(); log.commit((batch) => { context.writeMarks(batch); for (const { number } of set) trimRecords(batch, number); }, context.commitOptions());',
      },
    ],
    killer: { file: 'recovery/campaign.slow', test: 'one process after another, files alone' },
  },
  {
    name: 'unlink-before-trim',
    breaks: 'staged names and before-images go before the records that need them',
    package: 'core',
    edits: [
      {
        snippet: "conflicts.push(...saveEdited(context, set, keeping)); context.onStep?.('trim');",
        replacement:
          "conflicts.push(...saveEdited(context, set, keeping)); for (const applied of set) for (const staged of applied.staged.targets) sweep(context, staged, false); context.onStep?.('trim');",
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a file that the user puts back after its removal stays, whatever a checkpoint had done by then',
    },
  },
  {
    name: 'superseded-by-unapplied',
    breaks: 'a checkpoint counts on a newer transaction that is committed and not applied',
    package: 'core',
    edits: [
      {
        snippet: "return view.get('locks', pathKey(staged.target.path, folding)) === undefined;",
        replacement: 'return true;',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a checkpoint does not count on a newer transaction that is not applied',
    },
  },
  {
    name: 'failed-sync-believed',
    breaks: 'a failed fsync is passed over',
    package: 'core',
    edits: [
      {
        snippet: 'context.rewrite(applied, staged, error);',
        replacement: '',
      },
    ],
    killer: { file: 'core/engine', test: 'after a failed fsync the content is written into a new file' },
  },
  {
    name: 'failed-sync-not-noted',
    breaks: 'nobody is told of content that could not be made durable',
    package: 'core',
    edits: [
      {
        snippet: 'this.#noteUnflushed(number, target);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'a flush that has failed is not believed the second time, by whoever tries it',
    },
  },
  {
    name: 'failed-sync-noted-late',
    breaks:
      'that a flush has failed is noted only if the content cannot be written anew: a death in between leaves no word',
    package: 'core',
    edits: [
      { snippet: 'this.#noteUnflushed(number, target); try {', replacement: 'try {' },
      {
        snippet: 'catch (error) { this.#poison.take(error); throw error; } } /** The pages',
        replacement:
          'catch (error) { this.#noteUnflushed(number, target); this.#poison.take(error); throw error; } } /** The pages',
      },
    ],
    killer: {
      file: 'recovery/failed-flush',
      test: 'a process that dies while it writes the content anew has said before that its flush had failed',
    },
  },
  {
    name: 'failed-sync-not-poisoned',
    breaks: 'a store goes on where content could be neither flushed nor written anew',
    package: 'core',
    edits: [
      {
        snippet: '(this.#poison.cause === undefined && isWorthAnotherTry(error))',
        replacement: '(true)',
      },
      {
        snippet: 'catch (error) { this.#poison.take(error); throw error; } } /** The pages',
        replacement: 'catch (error) { throw error; } } /** The pages',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'a flush that has failed is not believed the second time, by whoever tries it',
    },
  },
  {
    name: 'roll-back-flush-retried',
    breaks: 'a roll-back flushes once more what could not be flushed before, and believes it',
    package: 'core',
    edits: [{ snippet: 'if (unflushed.has(staged.target.path)) throw', replacement: 'if (false) throw' }],
    killer: {
      file: 'recovery/failed-flush',
      test: 'where the content cannot be put in place anew, its roll-back does not believe another flush',
    },
  },
  {
    name: 'edited-before-image-dropped',
    breaks: 'a checkpoint drops a before-image that somebody has written to',
    package: 'core',
    edits: [
      {
        snippet: 'conflicts.push(...saveEdited(context, set, keeping));',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'what an editor writes into a before-image through its open descriptor survives a checkpoint',
    },
  },
  {
    name: 'conflict-content-unsynced',
    breaks: 'an edited before-image is not durable when the records go',
    package: 'core',
    edits: [
      {
        snippet: 'syncFile(fileSystem, path); fileSystem.link(path, to);',
        replacement: 'fileSystem.link(path, to);',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'what an editor has written into a before-image is durable when a checkpoint lets go of it',
    },
  },
  {
    name: 'conflict-name-unsynced',
    breaks: 'the name of an edited before-image is not durable when the records go',
    package: 'core',
    edits: [
      {
        snippet: 'if (saved.length > 0) fileSystem.syncDirectory(volume.conflicts);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'what an editor has written into a before-image is durable when a checkpoint lets go of it',
    },
  },
  {
    name: 'conflict-below-unsynced',
    breaks: 'a file that was put into a removed directory is not durable when the records go',
    package: 'core',
    edits: [
      {
        snippet:
          "if (fileSystem.lstat(`${path}/${relative}`)?.type === 'file') syncFile(fileSystem, `${path}/${relative}`);",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'what was put into a removed directory is durable when a checkpoint lets go of that',
    },
  },
  {
    name: 'tombstone-buried-early',
    breaks: 'the row of a deleted path goes although an older transaction may be recovered',
    package: 'core',
    edits: [
      {
        snippet: 'if (tombstoneRevision(key) >= oldest) return;',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'what was deleted does not come back with an older transaction of another owner',
    },
  },
  {
    name: 'tombstone-of-others-forgotten',
    breaks: 'the oldest transaction of other owners is not looked at before a tombstone goes',
    package: 'core',
    edits: [
      {
        snippet:
          'return isEmpty({ start: first, end: start }) && isEmpty({ start: end }) ? own.oldestRevision : 0;',
        replacement: 'return own.oldestRevision;',
      },
    ],
    killer: { file: 'recovery/campaign.slow', test: 'two processes at once, with directories' },
  },
];
