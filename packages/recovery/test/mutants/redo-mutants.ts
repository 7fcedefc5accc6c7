/** Recovery: how it is carried out, and made durable. */

import type { Mutant } from './mutant.js';

export const redoMutants: readonly Mutant[] = [
  {
    name: 'parent-of-the-other',
    breaks:
      'a parent is made anew, although a newer transaction has the one that stood there, with what is in it',
    package: 'recovery',
    edits: [{ snippet: 'this.#filledSince() ?? ', replacement: '' }],
    killer: {
      file: 'recovery/model-schedules',
      test: 'of two that make the same parent, the one that stood there comes back, with what others have flushed in it',
    },
  },
  {
    name: 'displaced-dropped',
    breaks: 'recovery drops the file whose place a directory takes, and history has nothing of it',
    package: 'recovery',
    edits: [
      {
        snippet: 'const look = this.#displace();',
        replacement: 'const look = this.#subject.lookAgain;',
      },
    ],
    killer: {
      file: 'recovery/history',
      test: 'of what a directory takes the place of, what recovery puts aside is kept',
    },
  },
  {
    name: 'displaced-directory-set-aside',
    breaks: 'recovery puts a directory whose place another one takes among the conflicts',
    package: 'recovery',
    edits: [
      {
        snippet: "if (there.type === 'directory' && there.ino !== inodeOf(before)) return lookAgain;",
        replacement: "if (there.type === 'directory') return lookAgain;",
      },
    ],
    killer: {
      file: 'recovery/history',
      test: 'of what a directory takes the place of, what recovery puts aside is kept',
    },
  },
  {
    name: 'back-to-where-it-is-back',
    breaks:
      'a repair that is repeated takes a directory for what had been put in its place, and sets it aside',
    package: 'recovery',
    edits: [{ snippet: "return isBack ? 'kept' : goBack(", replacement: 'return goBack(' }],
    killer: {
      file: 'recovery/repair.slow',
      test: 'back may be repeated where a directory is back in its place already',
    },
  },
  {
    name: 'back-beside-a-parent',
    breaks: 'a repair leaves a directory elsewhere, as there is a parent in its place that nobody needs',
    package: 'recovery',
    edits: [
      {
        snippet: "target.action === 'make-parent' && !subject.inPlace",
        replacement: "target.action === 'make-parent'",
      },
    ],
    killer: {
      file: 'recovery/repair.slow',
      test: 'back takes a parent away that was made where a directory was',
    },
  },
  {
    name: 'leaving-directory-unsynced-by-recovery',
    breaks: 'a directory has left another one that recovery moves: a power cut takes it elsewhere',
    package: 'recovery',
    edits: [{ snippet: 'leaving.before(path.target);', replacement: '' }],
    killer: {
      file: 'recovery/crash-order',
      test: 'so it is before recovery moves that one, whoever has moved the other',
    },
  },
  {
    name: 'redo-unsynced',
    breaks: 'content that a redo has made is put in place before it is durable',
    package: 'recovery',
    edits: [
      {
        snippet: 'fileSystem.chmod(descriptor, file.mode); fileSystem.sync(descriptor);',
        replacement: 'fileSystem.chmod(descriptor, file.mode);',
      },
    ],
    killer: { file: 'recovery/redo', test: 'a failed flush is followed by writing the content anew' },
  },
  {
    name: 'redo-without-proof',
    breaks:
      'on the same boot a redo leaves the apply name: whoever recovers next cannot tell that it was applied',
    package: 'recovery',
    edits: [
      {
        snippet: "if (this.#subject.boot === 'other') return { path: this.#stageFresh()",
        replacement: 'if (true) return { path: this.#stageFresh()',
      },
    ],
    killer: {
      file: 'recovery/crash-order',
      test: 'what the user reverts after a recovery that died is not redone by the next one',
    },
  },
  {
    name: 'redo-without-second-look',
    breaks: 'a redo does not look whether its target still is as it was when that was decided',
    package: 'recovery',
    edits: [
      {
        snippet: 'this.#lookAgain(path);',
        replacement: '',
      },
      {
        snippet: 'lookAgain: () => this.#lookAgain(path),',
        replacement: 'lookAgain: () => this.#lstat(path.target.path),',
      },
    ],
    killer: { file: 'recovery/redo', test: 'a file that changes while it is decided is decided anew' },
  },
  {
    name: 'redo-without-parents',
    breaks: 'parents that a power cut has taken are not made again',
    package: 'recovery',
    edits: [
      {
        snippet: 'missing.push(absolute);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'a parent that another program had made, and that the power cut took, is made again',
    },
  },
  {
    name: 'kept-unsynced',
    breaks: 'an after-image that was found in place is not made durable before its records go',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (restored || !observed.sharesStagedInode) this.#makeDurable(path);',
        replacement: '',
      },
    ],
    killer: { file: 'recovery/redo', test: 'small content that was put in place, and not recorded, is kept' },
  },
  {
    name: 'applied-unsynced',
    breaks: 'what was applied in this boot is not made durable before its records go',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (this.#isOurInline(target)) this.#makeDurable(path);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'small content that was applied in this boot is left alone, and made durable',
    },
  },
  {
    name: 'edited-file-unsynced',
    breaks: 'of a file that somebody has added to records go, and what is ours in it is not durable',
    package: 'recovery',
    edits: [
      {
        snippet: "decision.verdict === 'leave' || isTheirs(decision)",
        replacement: "decision.verdict === 'leave'",
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'what somebody has added to a file that was applied and not recorded does not cost what is ours in it',
    },
  },
  {
    name: 'ancestors-unsynced',
    breaks: 'directories above a recovered path are not flushed: a living owner may have made them',
    package: 'recovery',
    edits: [
      {
        snippet: 'for (const above of ancestors(each)) this.#hooks.touched(this.#absolute(above));',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'what is recovered in a directory that a live owner has made lasts',
    },
  },
  {
    name: 'touched-unsynced',
    breaks: 'records go before the directories that recovery has changed are durable',
    package: 'recovery',
    edits: [
      {
        snippet: 'for (const directory of this.#touched) syncDirectoryIfThere(this.#fileSystem, directory);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'small content that was applied in this boot is left alone, and made durable',
    },
  },
  {
    name: 'complete-before-sync',
    breaks: 'records go first, and directories are flushed afterwards',
    package: 'recovery',
    edits: [
      {
        snippet: 'this.#flushDirectories(); for',
        replacement: 'this.#complete(); this.#flushDirectories(); for',
      },
    ],
    killer: { file: 'recovery/campaign.slow', test: 'one process after another, files alone' },
  },
  {
    name: 'retried-sync-believed',
    breaks: 'a flush that has failed is tried again, and believed',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (this.#plan.unflushed.has(path)) return',
        replacement: 'if (false) return',
      },
    ],
    killer: {
      file: 'recovery/schedules',
      test: 'a flush that fails in recovery is not believed by the next one',
    },
  },
  {
    name: 'failed-recovery-sync-not-noted',
    breaks: 'a recovery that meets a failed flush, and dies, leaves no word of it',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (!this.#plan.unflushed.has(target.path)) this.#hooks.unflushed(target);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/failed-flush',
      test: 'a recovery that dies while it writes the content anew has said before that its flush had failed',
    },
  },
  {
    name: 'failed-sync-of-others-believed',
    breaks:
      'a failed flush counts for the transaction that met it alone, and not for a newer one over the same file',
    package: 'recovery',
    edits: [
      {
        snippet: 'heldByLiving: setOf(held), unflushed,',
        replacement:
          "heldByLiving: setOf(held), unflushed: new Set(view.range('meta', metaKeys.unflushedOf(transaction.number)).map(([key, value]) => textRow.decode(key, value))),",
      },
    ],
    killer: {
      file: 'recovery/failed-flush',
      test: 'a process that dies while it writes the content anew has said before that its flush had failed',
    },
  },
  {
    name: 'recovery-error-raw',
    breaks: 'what the system answers in recovery reaches the user without a code of the store',
    package: 'recovery',
    edits: [
      {
        snippet: "throw withStoreCode(error, { op: 'recover', path: context.roots.root });",
        replacement: 'throw error;',
      },
    ],
    killer: {
      file: 'recovery/failed-flush',
      test: 'an error of the file system in recovery has a code of the store',
    },
  },
  {
    name: 'failed-recovery-sync-believed',
    breaks: 'a flush that fails in recovery is passed over',
    package: 'recovery',
    edits: [
      {
        snippet: 'const failure = this.#flush(target);',
        replacement: 'this.#flush(target); const failure = undefined;',
      },
    ],
    killer: { file: 'recovery/redo', test: 'a failed flush is followed by writing the content anew' },
  },
  {
    name: 'rewritten-as-link',
    breaks: 'after a failed flush the content becomes a link of the inode that cannot be trusted',
    package: 'recovery',
    edits: [
      {
        snippet: 'this.#writeAnew(fresh, true);',
        replacement: 'this.#writeAnew(fresh, false);',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'a failed flush of large content is followed by a file of its own, not by another link',
    },
  },
  {
    name: 'new-inode-not-noted',
    breaks: 'the row of a redone file does not name its new inode: readers take it for an edit',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (image !== undefined) renewRow(',
        replacement: 'if (false) renewRow(',
      },
    ],
    killer: {
      file: 'recovery/redo',
      test: 'small content of a commit that was not applied is put in place, on another boot',
    },
  },
  {
    name: 'redo-looks-too-early',
    breaks: 'recovery writes over what somebody has put at a path while the new content was being staged',
    package: 'recovery',
    edits: [
      {
        snippet: "this.#clear('file', this.#subject.lookAgain())",
        replacement: "this.#clear('file', this.#context.fileSystem.lstat(this.#absolute))",
      },
    ],
    killer: {
      file: 'recovery/interference.slow',
      test: 'small files are recovered, interfered with at any call, on another boot',
    },
  },
  {
    name: 'staged-directory-name-reused',
    breaks:
      'a directory of an earlier attempt, whose name a power cut brings back, is put in its place though a newer transaction has moved the other one',
    package: 'core',
    edits: [{ snippet: '`${job.directoryName}.apply`', replacement: '`${job.name}.apply`' }],
    killer: {
      file: 'recovery/model-schedules',
      test: 'a directory that was staged twice is not the one that a newer transaction has moved',
    },
  },
  {
    name: 'repair-keeps-what-was-there',
    breaks: 'a repair back writes over what somebody has put at a path since it has kept what was there',
    package: 'recovery',
    edits: [
      { snippet: 'if (stat.ino === kept) return stat;', replacement: 'if (kept !== undefined) return stat;' },
    ],
    killer: {
      file: 'recovery/repair.slow',
      test: 'what somebody puts at a path while it is repaired is not lost: back',
    },
  },
  {
    name: 'displaced-taken-for-new',
    breaks:
      'after a power cut that has lost a new directory, the one whose place it has taken passes for it, with all that was in there',
    package: 'recovery',
    edits: [
      {
        snippet: "stat?.type === 'directory' && stat.ino !== inodeOf(this.target.before)",
        replacement: "stat?.type === 'directory'",
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'a new directory that takes the place of another one does so after a power cut, too, though it was lost',
    },
  },
  {
    name: 'checksum-of-what-was-moved',
    breaks: 'the row of a moved file into which somebody has written has the checksum of what it held before',
    package: 'recovery',
    edits: [
      {
        snippet: 'this.#images.set(index, isOther ? imageOf(stat) : image);',
        replacement: 'this.#images.set(index, image);',
      },
    ],
    killer: {
      file: 'recovery/model-schedules',
      test: 'what was written into a moved file before a power cut is not taken for what the record says',
    },
  },
];
