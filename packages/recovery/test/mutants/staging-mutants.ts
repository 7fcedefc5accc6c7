/** Content that is staged over time. */

import type { Mutant } from './mutant.js';

export const stagingMutants: readonly Mutant[] = [
  {
    name: 'staged-bytes-unsynced',
    breaks: 'the log says of staged bytes that they are durable before they are',
    package: 'core',
    edits: [
      {
        snippet: 'try { await fileSystem.sync(descriptor); } catch (error) { // Never tried again',
        replacement: 'try { } catch (error) { // Never tried again',
      },
    ],
    killer: { file: 'recovery/staging', test: 'it survives a power cut, as far as it was synced' },
  },
  {
    name: 'staged-record-first',
    breaks: 'the log says of staged bytes that they are durable, and then they are made so',
    package: 'core',
    edits: [
      {
        snippet: 'try { await fileSystem.sync(descriptor); } catch (error) { // Never tried again',
        replacement:
          "await record({ kind: 'advance', id, number, offset, checksum: checksum.digest() }); try { await fileSystem.sync(descriptor); } catch (error) { // Never tried again",
      },
    ],
    killer: {
      file: 'recovery/staging',
      test: 'a power cut between the flush of staged bytes and their record loses nothing that was recorded',
    },
  },
  {
    name: 'staged-name-of-resumable-unsynced',
    breaks: 'the log names a staged file whose name is not durable',
    package: 'core',
    edits: [
      {
        snippet: "await system('stage', () => fileSystem.syncDirectory(directory));",
        replacement: '',
      },
    ],
    killer: { file: 'recovery/staging', test: 'it survives a power cut, as far as it was synced' },
  },
  {
    name: 'staged-content-unchecked',
    breaks: 'staged content is continued without a look at what it is',
    package: 'core',
    edits: [{ snippet: 'if (checksum.digest() !== resumable.checksum)', replacement: 'if (false)' }],
    killer: {
      file: 'core/store-stage',
      test: 'content with other bytes is not continued, and is kept until it is discarded',
    },
  },
  {
    name: 'staged-content-of-the-living-taken',
    breaks: 'what a living owner stages is taken over',
    package: 'core',
    edits: [
      {
        snippet: 'return number.owner === this.#owner.number || !isRegistered(batch, number);',
        replacement: 'return true;',
      },
      { snippet: 'if (!first.isTaken)', replacement: 'if (true)' },
    ],
    killer: {
      file: 'recovery/staging',
      test: 'content that a living owner stages is not to be had, and is once that is dead',
    },
  },
  {
    name: 'staged-content-cut-before-it-is-taken',
    breaks: 'what lies beyond the recorded offset is cut off by somebody who does not have the record',
    package: 'core',
    edits: [
      {
        snippet: 'const number = await this.#madeOurs(committer, found);',
        replacement:
          "await system('stage', () => fileSystem.truncate(descriptor, offset)); const number = await this.#madeOurs(committer, found);",
      },
    ],
    killer: {
      file: 'recovery/staging',
      test: 'who comes too late to take content up leaves the bytes of the one that has it',
    },
  },
  {
    name: 'adopted-unguarded',
    breaks: 'staged content is adopted whatever its record says, and whoever has it',
    package: 'core',
    edits: [{ snippet: 'adoptable(batch, proposal) ??', replacement: '' }],
    killer: {
      file: 'recovery/staging',
      test: 'content that was not recorded as it is adopted is refused, and nothing is changed',
    },
  },
  {
    name: 'adopted-still-resumable',
    breaks: 'what a commit has adopted can be continued all the same, under the hands of its file',
    package: 'core',
    edits: [{ snippet: 'const adopted = adopt(batch, proposal);', replacement: 'const adopted = [];' }],
    killer: {
      file: 'recovery/staging',
      test: 'killed at log.after while it is adopted, content is in its file or can be continued',
    },
  },
  {
    name: 'roll-back-forgets-staged',
    breaks: 'a roll-back gives staged content back to nobody',
    package: 'core',
    edits: [
      {
        snippet: 'for (const each of givenBack) putResumable(batch, each);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/staging',
      test: 'a commit that was rolled back gives the content back, to be continued',
    },
  },
  {
    name: 'staged-content-shared-with-an-edit',
    breaks:
      'what somebody has written into the file of a commit that is rolled back can be continued, and cut off',
    package: 'core',
    edits: [
      {
        snippet: 'verdict.adopted.filter((each) => isGivenBack(fileSystem, each, staged, report))',
        replacement: 'verdict.adopted',
      },
    ],
    killer: {
      file: 'recovery/staging',
      test: 'what somebody has written into the file of a commit that is rolled back stays theirs',
    },
  },
  {
    name: 'resumable-swept',
    breaks: 'recovery sweeps content that may be continued',
    package: 'recovery',
    edits: [
      {
        snippet:
          "if (resumable !== undefined) return [{ volume: resumable.volume, place: 'staged', name: resumable.staged }];",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/staging',
      test: 'content of a dead owner is kept, and continued by the next one',
    },
  },
  {
    name: 'resumable-undone',
    breaks: 'row 2: an operation that may be continued is swept with its owner',
    package: 'recovery',
    edits: [{ snippet: 'resumable: !isOverdue(resumable, nowMs)', replacement: 'resumable: false' }],
    killer: {
      file: 'recovery/staging',
      test: 'content of a dead owner is kept, and continued by the next one',
    },
  },
  {
    name: 'resumable-for-ever',
    breaks: 'row 2: an operation that nobody continues is kept past its age limit',
    package: 'recovery',
    edits: [{ snippet: 'resumable: !isOverdue(resumable, nowMs)', replacement: 'resumable: true' }],
    killer: {
      file: 'recovery/staging',
      test: 'content is kept until its age limit, counted from its last advance, and swept after it',
    },
  },
  {
    name: 'discarded-file-first',
    breaks: 'the file of staged content goes before its record does',
    package: 'core',
    edits: [
      {
        snippet:
          "await record({ kind: 'discard', id, number }); // What cannot be removed is swept by the next open.",
        replacement: "await fileSystem.unlink(path); await record({ kind: 'discard', id, number });",
      },
    ],
    killer: {
      file: 'recovery/staging',
      test: 'a discard that dies half-way leaves what can be continued, or nothing',
    },
  },
  {
    name: 'staged-in-the-store-only',
    breaks: 'content for a file on another file system is staged in the store, and copied by the commit',
    package: 'core',
    edits: [{ snippet: 'const volume = this.#guess(path);', replacement: "const volume = '';" }],
    killer: {
      file: 'recovery/staging',
      test: 'content for a file on another file system is staged there, and is put in its place without a copy',
    },
  },
  {
    name: 'staged-content-dropped-by-repair',
    breaks: 'a repair that goes back drops content that took days to arrive',
    package: 'recovery',
    edits: [{ snippet: 'keepAdopted(this.#context, subject, effects);', replacement: '' }],
    killer: {
      file: 'recovery/repair.slow',
      test: 'back keeps aside content that was staged over time, whether or not it was applied',
    },
  },
];
