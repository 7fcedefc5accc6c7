/** Apply, and taking it back. */

import type { Mutant } from './mutant.js';

export const applyMutants: readonly Mutant[] = [
  {
    name: 'edit-overwritten',
    breaks: 'a write does not look whether its target still is the before-image',
    package: 'core',
    edits: [
      {
        snippet: 'if (!showsImage(now, target.before)) throw externalEdit(target.path); const from =',
        replacement: 'const from =',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'everything is as before, and the edit stays, where a file that is to be replaced is edited',
    },
  },
  {
    name: 'edit-removed',
    breaks: 'a removal does not look whether its target still is the before-image',
    package: 'core',
    edits: [
      {
        snippet:
          'if (!showsImage(now, target.before)) throw externalEdit(target.path); makeRoom(context, staged);',
        replacement: 'makeRoom(context, staged);',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'everything is as before, and the edit stays, where a file that is to be removed is edited',
    },
  },
  {
    name: 'surprise-removed',
    breaks: 'a removed directory takes along what was put into it since the plan',
    package: 'core',
    edits: [
      {
        snippet: 'if (surprise !== undefined) throw externalEdit(`${target.path}/${surprise}`);',
        replacement: '',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'everything is as before, and the edit stays, where a file is added to a directory that is to be removed',
    },
  },
  {
    name: 'displaced-unseen',
    breaks: 'a directory takes the place of a file that somebody has edited',
    package: 'core',
    edits: [
      {
        snippet:
          "if (!showsImage(now, target.before)) throw externalEdit(target.path, 'has changed meanwhile');",
        replacement: '',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'everything is as before, and the edit stays, where a file is edited whose place a directory is to take',
    },
  },
  {
    name: 'displaced-not-reverted',
    breaks: 'a roll-back takes a directory away, and leaves nothing where a file was before it',
    package: 'core',
    edits: [
      {
        snippet: 'return revertRemoved(context, staged, isBack ? now : undefined);',
        replacement: 'return true;',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a file whose place a directory has taken, or was about to, is back after a roll-back',
    },
  },
  {
    name: 'displaced-row-forgotten',
    breaks: 'after a roll-back the log does not know the file whose place a directory had taken',
    package: 'core',
    edits: [{ snippet: "if (move.before.type !== 'absent')", replacement: 'if (false)' }],
    killer: {
      file: 'recovery/crash-order',
      test: 'a file whose place a directory has taken, or was about to, is back after a roll-back',
    },
  },
  {
    name: 'displaced-directory-rows-forgotten',
    breaks:
      'after a roll-back the log does not know the files of a directory whose place another one had taken',
    package: 'core',
    edits: [{ snippet: 'buried.push({ index: target.index, row });', replacement: '' }],
    killer: {
      file: 'recovery/crash-order',
      test: 'a directory whose place another one has taken, or was about to, is back after a roll-back',
    },
  },
  {
    name: 'displaced-directory-rows-moved',
    breaks:
      'after a roll-back the log has the files of a directory where the one was that had taken its place',
    package: 'core',
    edits: [
      {
        snippet: 'restored.set(origin(row.path, index), row.image);',
        replacement: 'restored.set(origin(row.path), row.image);',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a directory whose place another one has taken, or was about to, is back after a roll-back',
    },
  },
  {
    name: 'leaving-directory-unsynced-when-replaced',
    breaks: 'a directory leaves another one whose place is taken then: a power cut loses both',
    package: 'core',
    edits: [
      {
        snippet: "...(before.type === 'directory' ? [path] : [])",
        replacement: "...(action === 'remove-directory' ? [path] : [])",
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a directory that leaves another one is durable before that one is replaced',
    },
  },
  {
    name: 'leaving-directory-unsynced',
    breaks: 'a directory leaves another one that goes then: a power cut takes both',
    package: 'core',
    edits: [{ snippet: 'leaving.before(staged.target);', replacement: '' }],
    killer: {
      file: 'recovery/crash-order',
      test: 'a directory that leaves another one is durable before that one is removed',
    },
  },
  {
    name: 'target-unlinked-first',
    breaks: 'a target is removed before its rename: a crash in between leaves nothing there',
    package: 'core',
    edits: [
      {
        snippet: 'fileSystem.unlink(from); else fileSystem.rename(from, absolute); break;',
        replacement:
          'fileSystem.unlink(from); else { if (now !== undefined) fileSystem.unlink(absolute); fileSystem.rename(from, absolute); } break;',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a process that dies at any call leaves all or nothing, where files are replaced',
    },
  },
  {
    name: 'same-inode-renamed',
    breaks: 'a rename between two links of one inode is taken for an apply: the apply name stays',
    package: 'core',
    edits: [
      {
        snippet:
          'if (now !== undefined && now.ino === inodeOf(target.after)) fileSystem.unlink(from); else fileSystem.rename(from, absolute);',
        replacement: 'fileSystem.rename(from, absolute);',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a file that is moved over another link of itself leaves no name behind',
    },
  },
  {
    name: 'removed-without-trace',
    breaks: 'a removal leaves no name in before/ that proves it',
    package: 'core',
    edits: [
      {
        snippet: 'fileSystem.rename(absolute, to); if (target.before.type',
        replacement:
          "if (target.before.type !== 'directory') { fileSystem.unlink(absolute); return; } fileSystem.rename(absolute, to); if (target.before.type",
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'everything is as before, and the edit stays, where a file is edited in a directory that is to be removed',
    },
  },
  {
    name: 'durable-copy-consumed',
    breaks:
      'the apply takes the staged name along: large content has no second copy until its checkpoint (invariant 2)',
    package: 'core',
    edits: [
      {
        snippet: 'fileSystem.unlink(from); else fileSystem.rename(from, absolute); break;',
        replacement:
          'fileSystem.unlink(from); else fileSystem.rename(from, absolute); if (target.staged !== undefined) fileSystem.unlink(stagedPath(volume, target.staged)); break;',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'large content is there although the rename has consumed its apply name, and was lost itself',
    },
  },
  {
    name: 'applied-before-apply',
    breaks: 'a transaction is recorded as applied, and unlocked, before it is',
    package: 'core',
    edits: [
      {
        snippet: 'this.context.resolver.forget(); applyTransaction(',
        replacement:
          'this.#records.mark({ number, lockKeys: verdict.lockKeys }); this.flushMarks(); this.context.resolver.forget(); applyTransaction(',
      },
      {
        snippet:
          "this.context.failpoints.hit('apply.after'); this.#records.mark({ number, lockKeys: verdict.lockKeys });",
        replacement: "this.context.failpoints.hit('apply.after');",
      },
    ],
    killer: { file: 'recovery/campaign.slow', test: 'deaths without power cuts, files alone' },
  },
  {
    name: 'applied-without-unlock',
    breaks: 'the locks of an applied transaction stay',
    package: 'core',
    edits: [
      {
        snippet: "for (const lock of mark.lockKeys) batch.delete('locks', lock); } }",
        replacement: '} }',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'locks end with the apply: whoever comes next need not wait',
    },
  },
  {
    name: 'roll-back-files-unsynced',
    breaks: 'a roll-back is recorded before the files that it put back are durable',
    package: 'core',
    edits: [
      {
        snippet: 'syncFile(context.fileSystem, path); }',
        replacement: '}',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'a roll-back makes durable what it has put back, though a checkpoint had not come to it',
    },
  },
  {
    name: 'roll-back-directories-unsynced',
    breaks: 'a roll-back is recorded before its renames are durable',
    package: 'core',
    edits: [
      {
        snippet: 'for (const directory of directories) context.fileSystem.syncDirectory(directory);',
        replacement: '',
      },
    ],
    killer: { file: 'recovery/schedules', test: 'a roll-back that is recorded stays rolled back' },
  },
  {
    name: 'roll-back-without-apply-name',
    breaks: 'a roll-back does not put the apply name back: recovery takes the target for applied and edited',
    package: 'core',
    edits: [
      {
        snippet: 'linkOrCopy(fileSystem, absolute, apply);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'a roll-back that is not recorded goes forward, for its commit is flushed',
    },
  },
  {
    name: 'roll-back-over-edit',
    breaks: 'a roll-back puts the before-image over what somebody has written since the apply',
    package: 'core',
    edits: [
      {
        snippet: 'if (!isOurs) return showsImage(now, target.before);',
        replacement: '',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'what was changed after it was applied stays when the others are taken back, and what it replaced is kept',
    },
  },
  {
    name: 'roll-back-revision-reused',
    breaks: 'a roll-back gives its paths no new revision: who has read the set does not notice',
    package: 'core',
    edits: [
      {
        snippet: 'const revision = nextRevision(batch); const transaction = mark.number;',
        replacement: 'const revision = nextRevision(batch) - 1; const transaction = mark.number;',
      },
    ],
    killer: { file: 'recovery/crash-order', test: 'what a roll-back has put back has a new revision' },
  },
  {
    name: 'roll-back-not-recorded',
    breaks: 'no abort is recorded: recovery carries out what was taken back',
    package: 'core',
    edits: [
      {
        snippet:
          "const [key, value] = encodeMark(mark.number, { kind: 'abort', revision }); batch.put('log', key, value);",
        replacement: '',
      },
    ],
    killer: { file: 'recovery/history', test: 'nor does recovery find anything in one to keep' },
  },
  {
    name: 'roll-back-discards-first',
    breaks: 'staged files go before the abort is flushed, and until then recovery goes forward',
    package: 'core',
    edits: [
      {
        snippet: "failpoints.hit('roll-back.before-abort');",
        replacement: "stagingArea.discard(staged); failpoints.hit('roll-back.before-abort');",
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'a roll-back that is not recorded goes forward, for its commit is flushed',
    },
  },
  {
    name: 'roll-back-unasked',
    breaks:
      'a roll-back does not look whether somebody has declared this owner dead, or recovered the transaction',
    package: 'core',
    edits: [
      {
        snippet:
          'assertRegistered(view, this.#owner.number); assertNotApplied(view, mark.number); return unflushedPaths(view);',
        replacement: 'return unflushedPaths(view);',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'an owner that is declared dead between its commit and a failure takes nothing back',
    },
  },
  {
    name: 'roll-back-drops-before',
    breaks: 'what a roll-back cannot put back is dropped',
    package: 'core',
    edits: [
      {
        snippet:
          'const saved = left.flatMap((staged) => keepBefore(context.fileSystem, staged, transaction.id));',
        replacement: 'const saved = [];',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'what was changed after it was applied stays when the others are taken back, and what it replaced is kept',
    },
  },
  {
    name: 'roll-back-conflict-unsynced',
    breaks: 'what a roll-back could not put back is not durable in conflicts/ when its staged name goes',
    package: 'core',
    edits: [
      {
        snippet: "if (stat.type === 'file') syncFile(fileSystem, from); fileSystem.rename(from, to);",
        replacement: 'fileSystem.rename(from, to);',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'what a roll-back could not put back is durable among the conflicts',
    },
  },
  {
    name: 'roll-back-conflict-name-unsynced',
    breaks: 'the name of what a roll-back could not put back is not durable in conflicts/',
    package: 'core',
    edits: [
      {
        snippet: 'fileSystem.rename(from, to); fileSystem.syncDirectory(volume.conflicts); return [{',
        replacement: 'fileSystem.rename(from, to); return [{',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'what a roll-back could not put back is durable among the conflicts',
    },
  },
  {
    name: 'roll-back-keeps-entries',
    breaks: 'a roll-back leaves entries at their new values',
    package: 'core',
    edits: [
      {
        snippet:
          "if (entry.old === undefined) batch.delete('entries', key); else batch.put('entries', key, entry.old);",
        replacement: '',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'everything is as before, and the edit stays, where a file that is to be replaced is edited',
    },
  },
];
