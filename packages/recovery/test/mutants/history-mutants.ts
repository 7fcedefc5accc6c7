/** History: what is durable before it is named, what goes first, and what an undo stands on. */

import type { Mutant } from './mutant.js';

export const historyMutants: readonly Mutant[] = [
  {
    name: 'kept-file-unsynced',
    breaks: 'a row of history names a before-image that is not durable',
    package: 'core',
    edits: [
      {
        snippet: 'if (!isDurable(() => fileSystem.sync(descriptor))) { unlinkIfThere(fileSystem, path);',
        replacement: 'if (false) { unlinkIfThere(fileSystem, path);',
      },
    ],
    killer: { file: 'recovery/history', test: 'what a checkpoint keeps is durable' },
  },
  {
    name: 'kept-tree-unsynced',
    breaks: 'a row of history names a removed directory whose entries are not durable',
    package: 'core',
    edits: [
      {
        snippet: 'if (!isDurable(() => fileSystem.sync(descriptor))) return undefined;',
        replacement: '',
      },
    ],
    killer: { file: 'recovery/history', test: 'files in a directory that is kept are durable' },
  },
  {
    name: 'kept-names-unsynced',
    breaks: 'a row of history names what is durable under no name',
    package: 'core',
    edits: [
      {
        snippet:
          'for (const directory of directories) this.#fileSystem.syncDirectory(directory); return saved;',
        replacement: 'return saved;',
      },
    ],
    killer: { file: 'recovery/history', test: 'what a checkpoint keeps is durable' },
  },
  {
    name: 'kept-without-row',
    breaks: 'before-images stay, and no row names them',
    package: 'core',
    edits: [{ snippet: 'keeping.write(batch, part);', replacement: '' }],
    killer: { file: 'recovery/history', test: 'what a checkpoint keeps is durable' },
  },
  {
    name: 'row-without-kept',
    breaks: 'a row names before-images that the checkpoint lets go of',
    package: 'core',
    edits: [
      {
        snippet: 'target.beforeName === undefined || keepsBefore',
        replacement: 'target.beforeName === undefined',
      },
    ],
    killer: { file: 'core/history', test: 'a save that is undone gives back what was there' },
  },
  {
    name: 'edited-before-image-kept',
    breaks: 'what somebody has written into a before-image passes for what was there',
    package: 'core',
    edits: [
      {
        snippet: "if (checksum === undefined ? touched : found !== checksum) return { lost: 'edited' };",
        replacement: '',
      },
    ],
    killer: {
      file: 'core/history',
      test: 'what is written into a before-image before its checkpoint goes to conflicts, and is not kept',
    },
  },
  {
    name: 'failed-kept-flush-believed',
    breaks: 'a before-image whose flush has failed is flushed once more, and believed',
    package: 'core',
    edits: [
      {
        snippet: "unlinkIfThere(fileSystem, path); return { lost: 'unreadable' };",
        replacement: "return { lost: 'unreadable' };",
      },
    ],
    killer: {
      file: 'recovery/history',
      test: 'a before-image whose flush has failed is not believed when the checkpoint is tried again',
    },
  },
  {
    name: 'unflushed-content-kept',
    breaks: 'content whose flush has failed in its place is kept, and another flush of it believed',
    package: 'core',
    edits: [{ snippet: 'subject.isUnflushed(each.target) ?', replacement: 'false ?' }],
    killer: {
      file: 'recovery/history',
      test: 'content whose flush has failed in its place is not believed as a before-image',
    },
  },
  {
    name: 'history-before-saves',
    breaks: 'a log without room for history has none for checkpoints either',
    package: 'core',
    edits: [{ snippet: 'if (!isNoRoom(error) ||', replacement: 'if (true ||' }],
    killer: { file: 'recovery/history', test: 'where the log has no room for history, saves go before it' },
  },
  {
    name: 'retention-names-first',
    breaks: 'before-images go before the rows that name them',
    package: 'core',
    edits: [
      {
        snippet: 'const dropped = context.log.commit(',
        replacement: 'for (const row of due) removeKept(context, row); const dropped = context.log.commit(',
      },
    ],
    killer: {
      file: 'recovery/history',
      test: 'what a crash leaves between the rows that go and their names is swept',
    },
  },
  {
    name: 'retention-drops-edits',
    breaks: 'what somebody has written into a kept before-image is dropped with it',
    package: 'core',
    edits: [{ snippet: 'saved.push(...saveEditedOf(context, row));', replacement: ';' }],
    killer: {
      file: 'core/history',
      test: 'what is written into it later goes to conflicts when history lets go of it',
    },
  },
  {
    name: 'retention-forgets-one-half',
    breaks: 'a transaction that history has let go of is still looked for there',
    package: 'core',
    edits: [{ snippet: "batch.delete('meta', metaKeys.kept(row.number));", replacement: '' }],
    killer: {
      file: 'recovery/history',
      test: 'two owners: one lets go of what the other has kept, and each sweeps nothing of the other',
    },
  },
  {
    name: 'retention-uncounted',
    breaks: 'what history lets go of still counts',
    package: 'core',
    edits: [{ snippet: 'add(batch, metaKeys.keptBytes, -row.keptBytes);', replacement: '' }],
    killer: {
      file: 'recovery/history',
      test: 'two owners: one lets go of what the other has kept, and each sweeps nothing of the other',
    },
  },
  {
    name: 'undo-unguarded',
    breaks: 'an undo takes back what has changed while it was under way',
    package: 'core',
    edits: [{ snippet: 'else await tx.exists(path);', replacement: 'else ;' }],
    killer: { file: 'core/history', test: 'what changes while an undo is under way is a conflict' },
  },
  {
    name: 'undo-of-what-has-changed',
    breaks: 'an undo takes back what others have changed since',
    package: 'core',
    edits: [{ snippet: 'if (obstacle !== undefined) throw refusal(row, obstacle);', replacement: '' }],
    killer: {
      file: 'core/history',
      test: 'what has changed since is not undone: by the store, by another program, or by its removal',
    },
  },
  {
    name: 'kept-content-unchecked',
    breaks: 'an undo puts back content that is not what was kept',
    package: 'core',
    edits: [
      {
        snippet: 'if (expected === undefined || checksum.digest() !== expected) throw wrong();',
        replacement: '',
      },
    ],
    killer: { file: 'core/history', test: 'kept content that is not what it was is refused' },
  },
  {
    name: 'history-not-in-the-record',
    breaks: 'the record does not say that before-images are to be kept: whoever recovers lets go of them',
    package: 'core',
    edits: [
      {
        snippet: '...(identity.keeps === true ? { keeps: true } : {}), }, targets,',
        replacement: '}, targets,',
      },
    ],
    killer: {
      file: 'recovery/history',
      test: 'what a process that is killed has applied is kept by whoever recovers, with history or without',
    },
  },
  {
    name: 'recovered-names-unsynced',
    breaks: 'recovery writes rows of history before their names are durable',
    package: 'recovery',
    edits: [{ snippet: '} history.flush(); }', replacement: '} }' }],
    killer: {
      file: 'recovery/history',
      test: 'what a process that is killed has applied is kept by whoever recovers, with history or without',
    },
  },
  {
    name: 'torn-before-image-in-history',
    breaks: 'after a power cut a torn before-image passes for what was there',
    package: 'recovery',
    edits: [{ snippet: 'doubtful, isUnflushed', replacement: 'doubtful: false, isUnflushed' }],
    killer: { file: 'recovery/history', test: 'content that a power cut has torn is not kept' },
  },
  {
    name: 'redone-without-before-image',
    breaks: 'recovery replaces content of which a power cut has taken the link in before/',
    package: 'recovery',
    edits: [{ snippet: 'if (this.#subject.keeps) this.#linkBefore();', replacement: '' }],
    killer: {
      file: 'recovery/history',
      test: 'after a power cut that has kept nothing but the log, what is replaced anew is kept',
    },
  },
  {
    name: 'deferred-without-before-image',
    breaks: 'recovery puts a deferred save into its files, and what these had is gone',
    package: 'recovery',
    edits: [{ snippet: 'begin.keeps === true ? nameBefore', replacement: 'false ? nameBefore' }],
    killer: {
      file: 'recovery/history',
      test: 'of a deferred save that only recovery puts into the files, what it replaces is kept',
    },
  },
  {
    name: 'history-swept',
    breaks: 'recovery sweeps what history names',
    package: 'recovery',
    edits: [{ snippet: 'kept: keptAmong(view, names), })', replacement: 'kept: new Set(), })' }],
    killer: {
      file: 'recovery/log-by-hand',
      test: 'of the before-images of one that is gone those stay that history names, and no others',
    },
  },
  {
    name: 'all-kept-for-history',
    breaks: 'with history nothing in before/ is ever swept',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (isKept(each, kept)) return false;',
        replacement: "if (place === 'before' && kept.size > 0) return false;",
      },
    ],
    killer: {
      file: 'recovery/log-by-hand',
      test: 'of the before-images of one that is gone those stay that history names, and no others',
    },
  },
  {
    name: 'entries-without-row',
    breaks: 'a transaction over entries alone is committed, and its row of history never written',
    package: 'core',
    edits: [{ snippet: 'putHistory(batch, row, encoded);', replacement: '' }],
    killer: {
      file: 'recovery/history',
      test: 'entries and their row of history are of one batch: a crash leaves both or neither',
    },
  },
  {
    name: 'rows-of-entries-never-retained',
    breaks: 'the history of a store that writes nothing but entries grows without end',
    package: 'core',
    edits: [{ snippet: 'return transactions > 0 || rowBytes > 0;', replacement: 'return transactions > 0;' }],
    killer: { file: 'core/history-entries.slow', test: 'close shortens history' },
  },
  {
    name: 'history-before-entries',
    breaks: 'a log without room for history has none for entries either',
    package: 'core',
    edits: [{ snippet: 'if (!this.#isForHistory(error, live)) throw error;', replacement: 'throw error;' }],
    killer: {
      file: 'core/history-entries.slow',
      test: 'where the log has no room for history, entries are committed without (ERR_LOG_FULL)',
    },
  },
  {
    name: 'group-without-history',
    breaks: 'of a group that is too much for one batch nothing comes into history',
    package: 'core',
    edits: [
      {
        snippet: 'live.length === 1 && tooMuchAtOnce.has(error.code)',
        replacement: 'tooMuchAtOnce.has(error.code)',
      },
    ],
    killer: {
      file: 'core/history-entries.slow',
      test: 'of a group that is too much for one batch each keeps its history',
    },
  },
  {
    name: 'left-out-of-history-kept',
    breaks: 'what a program has left out of history is in it',
    package: 'core',
    edits: [{ snippet: '&& request.history !== false', replacement: '' }],
    killer: {
      file: 'core/history-entries.slow',
      test: 'what is left out of history leaves no trace there, and cannot be undone',
    },
  },
  {
    name: 'deferred-superseded-with-history',
    breaks: 'a deferred save that a newer one takes in has no entry',
    package: 'core',
    edits: [
      {
        snippet: 'if (older.size > 0 && context.options.history !== undefined) return true;',
        replacement: '',
      },
      {
        snippet: "assert(absorbed.size === 0 || !keeps, 'what is kept for history takes no older save in');",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/history',
      test: 'of a deferred save that only recovery puts into the files, what it replaces is kept',
    },
  },
  {
    name: 'deferred-superseded-in-its-group',
    breaks: 'of deferred saves of one file that arrive together the last one alone has an entry',
    package: 'core',
    edits: [
      {
        snippet: "if (names.some((name) => this.#takenNames.has(name))) return { kind: 'overlaps' };",
        replacement: '',
      },
      {
        snippet: "assert(absorbed.size === 0 || !keeps, 'what is kept for history takes no older save in');",
        replacement: '',
      },
    ],
    killer: {
      file: 'core/history',
      test: 'each of several deferred saves of a file is in history, and undone one after the other',
    },
  },
  {
    name: 'repaired-without-history',
    breaks: 'a blocked transaction that a repair carries out is not in history',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (history !== undefined) putHistory(batch, history.row, history.encoded);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/repair.slow',
      test: 'what was carried out forward is in history, as its owner kept it, and undone',
    },
  },
  {
    name: 'repaired-names-unsynced',
    breaks: 'a repair writes a row of history before its names are durable',
    package: 'recovery',
    edits: [{ snippet: 'history.flush(); return kept;', replacement: 'return kept;' }],
    killer: {
      file: 'recovery/repair.slow',
      test: 'a repair that a power cut has interrupted is repeated: blocked with history, and repaired forward',
    },
  },
  {
    name: 'repaired-before-images-go',
    breaks: 'a repair lets go of before-images that its row of history names',
    package: 'recovery',
    edits: [{ snippet: 'this.#removeNames(history?.keeps);', replacement: 'this.#removeNames();' }],
    killer: {
      file: 'recovery/repair.slow',
      test: 'what was carried out forward is in history, as its owner kept it, and undone',
    },
  },
  {
    name: 'repair-drops-edits',
    breaks: 'a repair drops what somebody has written into a before-image',
    package: 'recovery',
    edits: [
      {
        snippet: 'for (const conflict of saveEdited(context, transaction)) effects.saved(conflict);',
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/repair.slow',
      test: 'what somebody has written into a before-image is put aside by a repair forward',
    },
  },
  {
    name: 'restored-link-unsynced',
    breaks: 'a symbolic link that an undo brings back has no durable name when its transaction is committed',
    package: 'core',
    edits: [
      {
        snippet: 'job.mustSyncDirectory = true; return imageOf(',
        replacement: 'return imageOf(',
      },
    ],
    killer: {
      file: 'recovery/history',
      test: 'symbolic links that an undo brings back are there after a power cut, once it is answered',
    },
  },
  {
    name: 'undo-of-links-unguarded',
    breaks: 'an undo takes a symbolic link away that was put there while it was under way',
    package: 'core',
    edits: [{ snippet: 'await trackLink(tx, path);', replacement: ';' }],
    killer: {
      file: 'core/history-links',
      test: 'another symbolic link in its place is a change, also while an undo is under way',
    },
  },
  {
    name: 'undo-through-links',
    breaks: 'an undo writes through a symbolic link that stands where a file was',
    package: 'core',
    edits: [
      { snippet: 'real(operation.path, like === undefined)', replacement: 'real(operation.path, true)' },
    ],
    killer: {
      file: 'core/history-links',
      test: 'a file comes back where a symbolic link is that leads out of the store',
    },
  },
  {
    name: 'undo-before-there-is-room',
    breaks: 'an undo moves a file back to where a directory still is',
    package: 'core',
    edits: [
      {
        snippet: 'const steps = displacedBy === undefined ? back : (home.get(displacedBy) ?? []);',
        replacement: 'const steps = back;',
      },
    ],
    killer: {
      file: 'core/history',
      test: 'a directory comes back to where a file or a symbolic link is, and goes again',
    },
  },
  {
    name: 'kept-of-another-directory',
    breaks:
      'history does not keep a file of a directory that was replaced, for the other one had a file of its name that moved',
    package: 'core',
    edits: [
      { snippet: "const by = target.action === 'move-directory' ? target : undefined;", replacement: '' },
      { snippet: 'moves.filter(({ displacedBy }) => displacedBy === by).map(', replacement: 'moves.map(' },
    ],
    killer: {
      file: 'core/history',
      test: 'what was replaced by a directory comes back, and goes again: another one of which files of the same name are elsewhere now',
    },
  },
  {
    name: 'undo-beside-what-moves',
    breaks: 'what an undo puts aside goes along with the directory that it is beside',
    package: 'core',
    edits: [{ snippet: "ancestors(path).at(-1) ?? ''", replacement: "ancestors(path)[0] ?? ''" }],
    killer: {
      file: 'core/history',
      test: 'what was replaced by a directory comes back, and goes again: another one, of which a file is in a directory that has moved',
    },
  },
  {
    name: 'committed-though-undo-too-large',
    breaks: 'a transaction commits whose undo does not fit into one commit',
    package: 'core',
    edits: [
      {
        snippet: 'checkChanges(targets, entries, { undone: keepsHistory(context, { request }) });',
        replacement: 'checkChanges(targets, entries, { undone: false });',
      },
    ],
    killer: {
      file: 'core/store-many.slow',
      test: 'whatever fits into one transaction of a store with history can be undone, and that again',
    },
  },
  {
    name: 'brought-file-unsynced',
    breaks: 'what an undo brings back is committed before its files are durable',
    package: 'core',
    edits: [{ snippet: 'await asyncFileSystem.sync(writing);', replacement: '' }],
    killer: {
      file: 'recovery/brought',
      test: 'wherever a process dies while it comes back, all of it is back or nothing is',
    },
  },
  {
    name: 'brought-directory-unsynced',
    breaks: 'what an undo brings back is committed before its names are durable',
    package: 'core',
    edits: [{ snippet: 'await asyncFileSystem.syncDirectory(directory);', replacement: '' }],
    killer: {
      file: 'recovery/brought',
      test: 'wherever a process dies while it comes back, all of it is back or nothing is',
    },
  },
  {
    name: 'brought-name-unsynced',
    breaks: 'what an undo brings back is durable under no name when it is committed',
    package: 'core',
    edits: [{ snippet: 'await asyncFileSystem.syncDirectory(area);', replacement: '' }],
    killer: {
      file: 'core/history-directories',
      test: 'it is durable with all its names before it moves to its place',
    },
  },
  {
    name: 'brought-though-damaged',
    breaks: 'an undo brings back other content than history has kept',
    package: 'core',
    edits: [
      {
        snippet: 'if (checksum.digest() !== each.checksum) throw source.damaged(each.name);',
        replacement: '',
      },
    ],
    killer: {
      file: 'core/history-directories',
      test: 'kept content that is not what it was, or has gone, is refused, and leaves nothing',
    },
  },
  {
    name: 'brought-rolled-back-with-edits',
    breaks: 'a roll-back drops what somebody has put into a directory that an undo had brought back',
    package: 'core',
    edits: [
      {
        snippet: 'if (isBrought(target) && wasEdited(fileSystem, staged)) return false;',
        replacement: '',
      },
    ],
    killer: {
      file: 'core/history-directories',
      test: 'a roll-back takes it away again; but not if somebody has put something into it',
    },
  },
  {
    name: 'brought-row-of-staging',
    breaks: 'a roll-back leaves a row of what is in a staging area, for ever',
    package: 'core',
    edits: [
      {
        snippet: 'for (const path of restored.keys()) if (isReservedPath(path)) restored.delete(path);',
        replacement: '',
      },
    ],
    killer: {
      file: 'core/history-directories',
      test: 'a roll-back takes it away again; but not if somebody has put something into it',
    },
  },
  {
    name: 'brought-name-unrecorded',
    breaks: 'the record does not say where a directory is staged, and what is blocked is swept',
    package: 'core',
    edits: [{ snippet: 'draft.staged = planned.tree?.name;', replacement: '' }],
    killer: { file: 'recovery/brought', test: 'a repair loses nothing: forward, staged' },
  },
  {
    name: 'brought-files-unknown',
    breaks: 'the store knows nothing of the files that an undo has brought back',
    package: 'core',
    edits: [
      {
        snippet: 'putFileRow(batch, { ...each, revision, transaction: number }, folding);',
        replacement: ';',
      },
    ],
    killer: {
      file: 'core/history-directories',
      test: 'the store knows its files: their revision and their content',
    },
  },
  {
    name: 'brought-swept-aside',
    breaks: 'what an undo had staged is taken for something that somebody has left',
    package: 'recovery',
    edits: [{ snippet: '!name.endsWith(treeSuffix) &&', replacement: '' }],
    killer: { file: 'recovery/brought', test: 'a copy that was not committed is swept, on the same boot' },
  },
  {
    name: 'brought-given-way',
    breaks: 'what an undo was to bring back is dropped where somebody has put something else',
    package: 'recovery',
    edits: [
      {
        snippet: "if (action === 'move-directory') return saveStagedTree({ fileSystem, roots }, subject);",
        replacement: '',
      },
    ],
    killer: {
      file: 'recovery/brought',
      test: 'where somebody has put something it stays, and what was to come is kept aside',
    },
  },
  {
    name: 'brought-repaired-away',
    breaks: 'a repair back drops what somebody has put into a directory that an undo had brought back',
    package: 'recovery',
    edits: [
      {
        snippet:
          'return isBrought(target) ? putAside(context, subject, effects) : moveBack(context, subject, effects);',
        replacement: 'return moveBack(context, subject, effects);',
      },
    ],
    killer: { file: 'recovery/brought', test: 'a repair loses nothing: back, moved' },
  },
  {
    name: 'brought-not-looked-for',
    breaks: 'recovery refuses the way out of a staging area',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (directory !== undefined && !isReservedPath(directory)) resolver',
        replacement: 'if (directory !== undefined) resolver',
      },
    ],
    killer: {
      file: 'recovery/brought',
      test: 'what was committed is carried out, on the same boot: isMoved',
    },
  },
  {
    name: 'brought-way-escapes',
    breaks: 'what comes into a directory that is yet to leave a staging area is said to leave the store',
    package: 'recovery',
    edits: [{ snippet: 'if (isReservedPath(location)) return false;', replacement: '' }],
    killer: {
      file: 'recovery/brought',
      test: 'what was committed is carried out, on the same boot: isMoved',
    },
  },
  {
    name: 'brought-gone-whatever-it-holds',
    breaks: 'an undo takes away what came into a directory while it was planned',
    package: 'core',
    edits: [
      { snippet: 'if (expected !== undefined) refuseUnexpected(path, listing, expected);', replacement: '' },
    ],
    killer: {
      file: 'core/history-directories',
      test: 'nor where that happens while its undo is under way: a file is written',
    },
  },
  {
    name: 'brought-not-compared',
    breaks: 'an undo takes away what was written into a directory since',
    package: 'core',
    edits: [
      {
        snippet:
          'if (listed === undefined || !isAsListed(stat, listed, () => checksumOfFile(fileSystem, absolute))) return undefined;',
        replacement: 'if (listed === undefined) return undefined;',
      },
    ],
    killer: {
      file: 'core/history-directories',
      test: 'it does not go again where something has changed in it: a file is written',
    },
  },
  {
    name: 'brought-not-counted',
    breaks: 'an undo takes a directory away from which something has gone',
    package: 'core',
    edits: [{ snippet: 'return expected.size > 0 ? undefined : found;', replacement: 'return found;' }],
    killer: {
      file: 'core/history-directories',
      test: 'it does not go again where something has changed in it: a file has gone',
    },
  },
  {
    name: 'row-too-large-for-recovery',
    breaks:
      'a store whose recovery would leave a row to history that the log does not take cannot be opened any more',
    package: 'recovery',
    edits: [{ snippet: 'if (encoded[1].byteLength <= valueBytesMax) return', replacement: 'return' }],
    killer: {
      file: 'recovery/history',
      test: 'a row that the log would not take costs the undo, and not the recovery',
    },
  },
  {
    name: 'listed-though-moved-out',
    breaks:
      'a removed directory is said to have held a directory that has moved out of it, and so is not kept',
    package: 'core',
    edits: [{ snippet: "stat.type === 'directory' && left(child)", replacement: 'false' }],
    killer: {
      file: 'core/history',
      test: 'a directory that moved out of one that was removed comes back with it',
    },
  },
  {
    name: 'kept-though-moved-out',
    breaks: 'history keeps, and counts, files of a removed directory that are elsewhere',
    package: 'core',
    edits: [{ snippet: 'if (elsewhere.has(`${removed}/${relative}`)) continue;', replacement: '' }],
    killer: {
      file: 'core/history',
      test: 'of a removed directory history keeps nothing that was moved out of it',
    },
  },
  {
    name: 'undo-not-planned',
    breaks: 'history says of a transaction that it can be undone, whatever has come to where a directory was',
    package: 'core',
    edits: [
      {
        snippet: 'return planObstacle(access, row) ?? findChangedEntry(access, row);',
        replacement: 'return findChangedEntry(access, row);',
      },
    ],
    killer: {
      file: 'core/history',
      test: 'what has come to where a directory was is not mixed with what it held',
    },
  },
  {
    name: 'check-believes-first-look',
    breaks: 'a check tells of content that history has let go of while it looked',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (found.length > 0 && look.log.view((view) => hasHistoryOf(view, row.revision)))',
        replacement: 'if (found.length > 0)',
      },
    ],
    killer: {
      file: 'recovery/check-history.slow',
      test: 'what another process lets go of while it is looked at is not missing',
    },
  },
  {
    name: 'check-of-first-page',
    breaks: 'a check looks at no more of history than the first page of its rows',
    package: 'recovery',
    edits: [{ snippet: 'if (page.length < pageRows) break;', replacement: 'break;' }],
    killer: {
      file: 'recovery/check-history.slow',
      test: 'of many transactions one finding tells how many there are, on however many pages of rows',
    },
  },
  {
    name: 'check-counts-kept-names',
    breaks: 'for a check what history keeps is as it was if something is there',
    package: 'recovery',
    edits: [
      {
        snippet: 'if (sizeBytes !== undefined && stat.size !== sizeBytes)',
        replacement: 'if (false)',
      },
    ],
    killer: {
      file: 'recovery/check-history.slow',
      test: 'a file is cut off: its transaction is named, cannot be undone, and goes with history',
    },
  },
];
