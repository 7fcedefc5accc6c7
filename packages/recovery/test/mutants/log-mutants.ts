/** What the log holds, and who is alive. */

import type { Mutant } from './mutant.js';

export const logMutants: readonly Mutant[] = [
  {
    name: 'older-commit-trusted',
    breaks: 'with a damaged meta page, an older commit of the log passes for the newest',
    package: 'core',
    edits: [{ snippet: "if (options.previous === 'whole') checkPrevious(file, metas);", replacement: '' }],
    killer: {
      file: 'core/lmdb-walk.slow',
      test: 'damage of every kind is named, and refused when the log is opened',
    },
  },
  {
    name: 'frame-checksum-ignored',
    breaks: 'a damaged frame is taken for content',
    package: 'core',
    edits: [
      {
        snippet:
          "if (hash64(bytes.subarray(start, end), seed) !== hash) throw corrupt(what, 'its checksum does not match');",
        replacement: '',
      },
    ],
    killer: { file: 'core/codec', test: 'every single flipped bit is refused, and never taken for content' },
  },
  {
    name: 'frame-place-ignored',
    breaks: 'a frame that turns up under another key is taken for one of this key',
    package: 'core',
    edits: [
      {
        snippet: 'return hash64(key, BigInt(table.charCodeAt(0)));',
        replacement: 'return 0n;',
      },
    ],
    killer: { file: 'core/codec', test: 'a batch under the key of another transaction is refused' },
  },
  {
    name: 'batch-chain-ignored',
    breaks: 'frames of a commit batch may be missing, or be of another one',
    package: 'core',
    edits: [
      {
        snippet: 'if (counted !== count || chain !== chainOf(hashes)) throw corrupt',
        replacement: 'if (false) throw corrupt',
      },
    ],
    killer: {
      file: 'core/codec',
      test: 'frames of two versions of a batch, each whole and in its place, are refused together',
    },
  },
  {
    name: 'cut-batch-accepted',
    breaks: 'a commit batch that ends between two frames passes for a transaction that never committed',
    package: 'core',
    edits: [
      {
        snippet: 'if (ended !== haveAnEnd.has(parseTransactionKey(key).sequence))',
        replacement: 'if (false)',
      },
    ],
    killer: { file: 'core/codec', test: 'every truncation of the batch is refused' },
  },
  {
    name: 'format-version-ignored',
    breaks: 'a record of another version is read as if it were of this one',
    package: 'core',
    edits: [
      {
        snippet: 'if (version !== formatVersion) {',
        replacement: 'if (false) {',
      },
    ],
    killer: { file: 'core/codec', test: 'a version that is not ours is unsupported, not corrupt' },
  },
  {
    name: 'witness-not-believed',
    breaks: 'an owner whose witness accepts may be declared dead',
    package: 'core',
    edits: [
      {
        snippet: "if (witness === 'accepted') return { alive: true, why: 'witness' };",
        replacement: '',
      },
    ],
    killer: { file: 'core/owner', test: 'an owner is dead for exactly the reasons that the protocol names' },
  },
  {
    name: 'silent-witness-dead',
    breaks: 'a witness that proves nothing is taken for a proof of death',
    package: 'core',
    edits: [
      {
        snippet: "if (witness === 'refused') return { alive: false, why: 'witness-refused' };",
        replacement: "if (witness !== 'accepted') return { alive: false, why: 'witness-refused' };",
      },
    ],
    killer: { file: 'core/owner', test: 'an owner is dead for exactly the reasons that the protocol names' },
  },
  {
    name: 'refusing-witness-alive',
    breaks: 'a witness that refuses proves nothing',
    package: 'core',
    edits: [
      {
        snippet: "if (witness === 'refused') return { alive: false, why: 'witness-refused' };",
        replacement: '',
      },
    ],
    killer: { file: 'core/owner', test: 'an owner is dead for exactly the reasons that the protocol names' },
  },
  {
    name: 'other-boot-alive',
    breaks: 'an owner of another boot may pass for alive',
    package: 'core',
    edits: [
      {
        snippet: "if (differ(theirs.bootId, identity.bootId)) return { alive: false, why: 'boot' };",
        replacement: '',
      },
    ],
    killer: { file: 'core/owner', test: 'an owner is dead for exactly the reasons that the protocol names' },
  },
  {
    name: 'taken-pid-alive',
    breaks: 'another process with the pid of the owner passes for it',
    package: 'core',
    edits: [
      {
        snippet: "if (differ(theirs.startTime, startTime)) return { alive: false, why: 'start-time' };",
        replacement: '',
      },
    ],
    killer: { file: 'core/owner', test: 'an owner is dead for exactly the reasons that the protocol names' },
  },
  {
    name: 'unprovable-dead',
    breaks: 'an owner whose process cannot be looked at is taken for dead',
    package: 'core',
    edits: [
      {
        snippet: "if (!sameNamespace || process === undefined) return { alive: true, why: 'unprovable' };",
        replacement:
          "if (!sameNamespace || process === undefined) return { alive: false, why: 'no-process' };",
      },
    ],
    killer: { file: 'core/owner', test: 'an owner is dead for exactly the reasons that the protocol names' },
  },
];
