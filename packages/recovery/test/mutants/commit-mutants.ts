/** Staging and the commit batch. */

import type { Mutant } from './mutant.js';

export const commitMutants: readonly Mutant[] = [
  {
    name: 'staged-content-unsynced',
    breaks: 'large content is committed before it is durable under its staged name (invariant 2)',
    package: 'core',
    edits: [
      {
        snippet: 'job.fileSystem.sync(descriptor); const image =',
        replacement: 'const image =',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'large content that was applied in this boot is left alone, and made durable',
    },
  },
  {
    name: 'adopted-content-unsynced',
    breaks:
      'content that the caller has staged gets its mode and is not fsynced again (invariant 3: no checkpoint flushes it)',
    package: 'core',
    edits: [
      {
        snippet: 'job.fileSystem.sync(descriptor); return checkedImage(job, stat, part.size',
        replacement: 'return checkedImage(job, stat, part.size',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'content that its caller has staged keeps the mode of the file through a checkpoint and a power cut',
    },
  },
  {
    name: 'moved-file-unsynced',
    breaks: 'a moved file is committed before its content is durable (invariant 2)',
    package: 'core',
    edits: [
      {
        snippet: "if (stat.type === 'file') syncFile(job.fileSystem, staged);",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'a file that is moved before it was durable is whole at its new place',
    },
  },
  {
    name: 'staged-directory-unsynced',
    breaks: 'staged names are not durable when the commit is (invariant 2)',
    package: 'core',
    edits: [
      {
        snippet: 'for (const directory of syncStaged) this.#fileSystem.syncDirectory(directory);',
        replacement: '',
      },
    ],
    killer: { file: 'recovery/schedules', test: 'an older transaction is not redone over a newer one' },
  },
  {
    name: 'before-image-unlinked',
    breaks: 'what is replaced is not linked into before/: a roll-back has nothing to put back',
    package: 'core',
    edits: [
      {
        snippet: 'job.fileSystem.link(from, to);',
        replacement: 'job.fileSystem.close(job.fileSystem.create(to, 0o600));',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'everything is as before, and the edit stays, where something appears where a directory is to be moved',
    },
  },
  {
    name: 'apply-before-commit',
    breaks: 'targets change before the commit is flushed (invariant 1)',
    package: 'core',
    edits: [
      {
        snippet: 'this.#groupCommit.run(live);',
        replacement:
          'for (const { prepared } of live) if (prepared.staged.targets.length > 0) applyTransaction(this.#applyContext, prepared.staged); this.#groupCommit.run(live);',
      },
      {
        snippet: 'applyTransaction(this.#applyContext, staged);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'small content of a commit that was not applied is put in place, on the same boot',
    },
  },
  {
    name: 'owner-not-fenced',
    breaks: 'an owner that was declared dead commits',
    package: 'core',
    edits: [
      {
        snippet: 'assertRegistered(batch, owner.number); assertFormat(batch, context.format);',
        replacement: 'assertFormat(batch, context.format);',
      },
    ],
    killer: { file: 'core/engine', test: 'an owner that was declared dead writes nothing any more' },
  },
  {
    name: 'format-not-guarded',
    breaks: 'a store that another version has taken over is written to',
    package: 'core',
    edits: [
      {
        snippet: 'assertFormat(batch, context.format);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/guards',
      test: 'a store that another version has taken over is not written to',
    },
  },
  {
    name: 'listing-of-the-disk',
    breaks: 'a directory is listed as the disk has it while a save is half in it',
    package: 'core',
    edits: [
      { snippet: 'isLast ? new Map() : await typesOnTheirWay(access, target)', replacement: 'new Map()' },
    ],
    killer: { file: 'core/listing', test: 'what is committed and not carried out is listed as it will be' },
  },
  {
    name: 'listing-of-another-moment',
    breaks: 'what a snapshot lists is of a later moment than what it has read',
    package: 'core',
    edits: [
      {
        snippet: 'if (newest > this.#since) this.#since = await',
        replacement: 'if (false) this.#since = await',
      },
    ],
    killer: {
      file: 'core/listing',
      test: 'a listing of a snapshot belongs to its moment, or the snapshot runs again',
    },
  },
  {
    name: 'read-after-listing',
    breaks: 'what a snapshot reads is of a later moment than what it has listed',
    package: 'core',
    edits: [{ snippet: 'if (!this.#listingsStand()) throw', replacement: 'if (false) throw' }],
    killer: {
      file: 'core/listing',
      test: 'a listing of a snapshot belongs to its moment, or the snapshot runs again',
    },
  },
  {
    name: 'listed-while-on-its-way',
    breaks:
      'who has listed a directory commits beside a commit of which the listing has nothing yet, and other reads have',
    package: 'core',
    edits: [
      {
        snippet: "read.kind === 'directory' ? onItsWay(view, read, folding) : undefined",
        replacement: 'undefined',
      },
    ],
    killer: {
      file: 'recovery/guards',
      test: 'who has listed a directory waits for what is committed there and not carried out: a file that comes',
    },
  },
  {
    name: 'locks-not-guarded',
    breaks: 'the commit batch does not look at locks that others took since the plan',
    package: 'core',
    edits: [
      {
        snippet: 'const refusal = lockedBy(batch, proposal, folding) ??',
        replacement: 'const refusal =',
      },
    ],
    killer: {
      file: 'recovery/guards',
      test: 'an entry that somebody has locked since the plan is waited for',
    },
  },
  {
    name: 'ancestor-locks-ignored',
    breaks: 'a lock on a directory above does not stand in the way',
    package: 'core',
    edits: [
      {
        snippet: 'for (const at of [path, ...ancestors(path)]) { const lock = look(at);',
        replacement: 'for (const at of [path]) { const lock = look(at);',
      },
    ],
    killer: {
      file: 'recovery/guards',
      test: 'nothing is put into a directory that somebody is about to remove',
    },
  },
  {
    name: 'descendant-locks-ignored',
    breaks: 'a directory is moved or removed although something below it is locked',
    package: 'core',
    edits: [
      {
        snippet: "view.range('locks', subtreeRange(path, folding))",
        replacement: '[]',
      },
    ],
    killer: {
      file: 'recovery/guards',
      test: 'a directory with a blocked file in it stays, and who wants it gone is told',
    },
  },
  {
    name: 'reads-not-guarded',
    breaks: 'what a transaction has read may have changed when it commits',
    package: 'core',
    edits: [
      {
        snippet: 'if (!readStands(view, read, folding)) {',
        replacement: 'if (false) {',
      },
    ],
    killer: { file: 'core/transaction', test: 'transactions that commit together see each other' },
  },
  {
    name: 'revisions-not-guarded',
    breaks: '`ifRevision` is not looked at',
    package: 'core',
    edits: [
      {
        snippet: 'if (found === revision) continue;',
        replacement: 'if (found === revision || true) continue;',
      },
    ],
    killer: {
      file: 'recovery/guards',
      test: 'a revision that is asked for is looked at in the commit itself',
    },
  },
  {
    name: 'plan-rows-not-guarded',
    breaks: 'a plan is committed although the rows it stood on have changed',
    package: 'core',
    edits: [
      {
        snippet: "if (!sameBytes(view.get('files', key), value)) return { kind: 'outdated' };",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/guards',
      test: 'a transaction whose files somebody has saved since the plan is planned again',
    },
  },
  {
    name: 'relied-on-locked',
    breaks:
      'what a plan stands on without changing it may be committed and not in its place yet: a copy takes the old content',
    package: 'core',
    edits: [
      {
        snippet:
          "const stoodOn = [...targets, ...relied.map((path) => ({ action: 'make-directory', path }))];",
        replacement: 'const stoodOn = targets;',
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'a copy of a file that is committed and not in its place yet waits for it',
    },
  },
  {
    name: 'vacancy-not-guarded',
    breaks:
      'where a plan has found nothing another transaction may make a directory, as the parent of its file',
    package: 'core',
    edits: [
      {
        snippet: 'if (newestRevisionBelow(view, path, folding) !== newestBelow)',
        replacement: 'if (path === undefined)',
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'a directory that another transaction has made as a parent cannot be made, and nothing is rolled back',
    },
  },
  {
    name: 'empty-parent-without-row',
    breaks: 'a parent that its own transaction leaves empty has no row, so nothing tells who decides there',
    package: 'core',
    edits: [
      {
        snippet: 'const isParent = node.implicit === true && holders.has(path);',
        replacement: 'const isParent = node.implicit === true;',
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'a parent that is left with nothing in it is nobody else’s after a power cut',
    },
  },
  {
    name: 'answered-before-flush',
    breaks: 'a commit is acknowledged as soon as its guards hold, before it is flushed',
    package: 'core',
    edits: [
      {
        snippet: 'each.job.accepted(each.verdict.revision);',
        replacement:
          'each.job.accepted(each.verdict.revision); each.job.resolve({ transaction: each.prepared.staged.id, revision: each.verdict.revision, paths: [], bytes: 0 });',
      },
    ],
    killer: { file: 'recovery/model/model.slow', test: 'deaths and power cuts' },
  },
  {
    name: 'entries-read-not-guarded',
    breaks:
      'an entry that a transaction has read may change before it commits: of two that count one is lost',
    package: 'core',
    edits: [
      {
        snippet:
          'return (value === undefined ? undefined : entryRow.decode(key, value).revision) === read.revision;',
        replacement: 'return value !== null;',
      },
    ],
    killer: { file: 'recovery/model/model.slow', test: 'deaths and power cuts' },
  },
  {
    name: 'untrimmed-not-guarded',
    breaks: 'a directory leaves although something below it is not trimmed yet',
    package: 'core',
    edits: [
      {
        snippet: 'untrimmed(batch, proposal, folding);',
        replacement: 'undefined;',
      },
    ],
    killer: { file: 'recovery/campaign.slow', test: 'one process after another, with directories' },
  },
  {
    name: 'locks-not-taken',
    breaks: 'a commit locks nothing: two transactions that are not applied may write one path',
    package: 'core',
    edits: [
      {
        snippet:
          "this.#batch.put('locks', key, lockRow.encode(key, { what, transaction: this.#transaction, blocked: false }));",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/guards',
      test: 'nothing is put into a directory that somebody is about to remove',
    },
  },
  {
    name: 'lock-released-early',
    breaks: 'locks are let go of before the transaction is applied',
    package: 'core',
    edits: [
      {
        snippet: 'records.forget(); const { gone, made } = saves.take();',
        replacement:
          "records.forget(); log.commit((batch) => { for (const { verdict } of live) for (const key of verdict?.lockKeys ?? []) batch.delete('locks', key); }, { essential: true }); const { gone, made } = saves.take();",
      },
    ],
    killer: { file: 'core/engine-log', test: 'a set that is being applied is read as it was committed' },
  },
  {
    name: 'expired-commits',
    breaks: 'a request that timed out commits after all',
    package: 'core',
    edits: [
      {
        snippet: 'return isCancelled(job) || nowMs > job.deadlineMs;',
        replacement: 'return false;',
      },
    ],
    killer: {
      file: 'recovery/guards',
      test: 'a request that its caller has given up on does not commit later',
    },
  },
  {
    name: 'unknown-outcome-undone',
    breaks: 'after a failed flush of the log the staged files are deleted, although the commit may stand',
    package: 'core',
    edits: [
      {
        snippet: 'if (error instanceof FlushError || !isStoreError(error)) {',
        replacement: 'if (false) {',
      },
    ],
    killer: {
      file: 'recovery/faults.slow',
      test: 'a flush that fails, having written: poisoned, nothing deleted, reopening decides',
    },
  },
  {
    name: 'rows-not-moved',
    breaks: 'rows below a directory do not move with it',
    package: 'core',
    edits: [
      {
        snippet: 'putFileRow(batch, { path, revision, transaction: number, image: row.image }, folding);',
        replacement: '',
      },
    ],
    killer: {
      file: 'core/engine',
      test: 'everything is as before, and the edit stays, where something appears where a directory is to be moved',
    },
  },
  {
    name: 'half-done-not-awaited',
    breaks:
      'a transaction is refused what it reads, as its writes stand on what a dead process has left half done',
    package: 'core',
    edits: [
      {
        snippet:
          'if (lock === undefined || attempt === lookAgainMax || !(await reader.awaitLock(lock))) throw error;',
        replacement: 'throw error;',
      },
    ],
    killer: {
      file: 'recovery/transaction-meanwhile',
      test: 'one that removes a file that is to come reads other files, and commits',
    },
  },
  {
    name: 'snapshot-of-what-has-no-row',
    breaks:
      'a snapshot shows a path without a row as it is, though something has been committed since its moment',
    package: 'core',
    edits: [{ snippet: 'if (since <= moment) return true;', replacement: 'return true;' }],
    killer: {
      file: 'core/listing',
      test: 'a snapshot is of one moment, also where what has gone since has no row any more',
    },
  },
  {
    name: 'snapshot-of-what-came-along',
    breaks: 'a snapshot shows a file that has come with a directory since its moment',
    package: 'core',
    edits: [
      {
        snippet: 'return !log.view((view) => comeOrGoneSince(view, ancestors(path), moment, folding));',
        replacement: 'return true;',
      },
    ],
    killer: { file: 'core/listing', test: 'a file that came with a directory since is not of the moment' },
  },
  {
    name: 'planned-on-what-has-gone',
    breaks: 'a save into a directory that was removed while it was planned is committed, and rolled back',
    package: 'core',
    edits: [
      {
        snippet: 'for (const path of [...relied, ...standingParents(targets)])',
        replacement: 'for (const path of relied)',
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'a save into a directory that another process removes while it is planned makes it again: immediate',
    },
  },
];
