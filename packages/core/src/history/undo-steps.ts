/**
 * How a transaction is undone, as operations of an ordinary one, in their order: removed directories come back, what was
 * moved goes back to where it was, files get what they had, or go, and directories last, in the reverse of their order. Where
 * one had taken the place of something, there is room again for that once it has gone back.
 *
 * Moves are undone as moves, and a symbolic link comes back as the one that it was: nobody can write into it. What was
 * replaced or removed comes back as a copy of what is kept: another link of it would be in the tree, where every program
 * that writes in place would change the one copy that history has; and it would come back with its old time, which tells
 * nobody that the file has changed.
 */

import type { HistoryRow, HistoryTarget } from '../record/history-row.js';
import { ancestors, baseName, isBelow, joinPath, rebase, type StorePath } from '../path/path.js';

export type UndoStep =
  | { readonly do: 'rename'; readonly from: StorePath; readonly path: StorePath }
  | { readonly do: 'remove'; readonly path: StorePath }
  /** Of a directory that an undo had brought back, with all that it brought. */
  | { readonly do: 'remove-brought'; readonly path: StorePath; readonly target: HistoryTarget }
  | { readonly do: 'make-directory'; readonly path: StorePath; readonly mode: number | undefined }
  | { readonly do: 'restore'; readonly path: StorePath; readonly target: HistoryTarget }
  | { readonly do: 'restore-directory'; readonly path: StorePath; readonly target: HistoryTarget };

/** `names`: what a directory holds now. `spare`: a path beside this one that nothing has. */
export function undoSteps(
  row: HistoryRow,
  names: (directory: StorePath) => readonly string[],
  spare: (path: StorePath, index: number) => StorePath,
): UndoStep[] {
  const { targets } = row;
  const moves = movesIn(targets);
  const { aside, back, home } = movesBack(moves, spare);
  const backwards = targets.toReversed();
  return [
    ...backwards.flatMap((target) => (target.action === 'remove-directory' ? directoryAgain(target) : [])),
    ...aside,
    ...back,
    ...backwards.flatMap(filesBack),
    ...directoriesBack(targets, { names, home }),
  ];
}

interface Place extends Pick<HistoryTarget, 'action' | 'path' | 'before'> {
  readonly from?: StorePath | undefined;
}

export interface FileMove {
  readonly path: StorePath;
  readonly from: StorePath;
  /** The directory move that has taken its place, or that of the directory in which it was. */
  readonly displacedBy?: Place;
}

/** Of files, from the places that directories have left them at. */
export function movesIn(targets: readonly Place[]): FileMove[] {
  const directories = targets.filter(({ action }) => action === 'move-directory');
  return targets.flatMap(({ action, path, from }) =>
    action === 'move' && from !== undefined ? [{ path, ...whereItIs(from, directories) }] : [],
  );
}

/** Directories have moved first: a path of the time before is elsewhere after that. */
function whereItIs(path: StorePath, directories: readonly Place[]): Omit<FileMove, 'path'> {
  let at = path;
  for (const each of directories) {
    const { from, path: to, before } = each;
    if (from === undefined) continue;
    if (before.type !== 'absent' && (at === to || isBelow(at, to))) return { from: at, displacedBy: each };
    if (at === from || isBelow(at, from)) at = rebase(at, from, to);
  }
  return { from: at };
}

/** What files have moved out of the directory that a target takes away: where they were. */
export function movedOut(moves: readonly FileMove[], target: Place): Set<StorePath> {
  const by = target.action === 'move-directory' ? target : undefined;
  return new Set(moves.filter(({ displacedBy }) => displacedBy === by).map(({ from }) => from));
}

/** A directory that has gone, with all that is kept of it: in one piece, however much that is. */
function directoryAgain(target: HistoryTarget): UndoStep[] {
  const { path, before, below = [], kept } = target;
  if (kept === undefined || before.type !== 'directory') return [];
  if (below.length > 0) return [{ do: 'restore-directory', path, target }];
  return [{ do: 'make-directory', path, mode: before.mode }];
}

/**
 * Where one of them goes back to what another, or a directory, is still to leave, all step aside first. `home`: to be done when
 * a directory has gone back that had taken the place.
 */
function movesBack(
  moves: readonly FileMove[],
  spare: (path: StorePath, index: number) => StorePath,
): { readonly aside: UndoStep[]; readonly back: UndoStep[]; readonly home: ReadonlyMap<Place, UndoStep[]> } {
  const sources = new Set(moves.map(({ from }) => from));
  const waits = moves.some(({ path, displacedBy }) => displacedBy !== undefined || sources.has(path));
  const aside: UndoStep[] = [];
  const back: UndoStep[] = [];
  const home = new Map<Place, UndoStep[]>();
  for (const [index, { path, from, displacedBy }] of moves.entries()) {
    const place = waits ? spare(path, index) : path;
    if (waits) aside.push({ do: 'rename', from: path, path: place });
    const steps = displacedBy === undefined ? back : (home.get(displacedBy) ?? []);
    steps.push({ do: 'rename', from: place, path: from });
    if (displacedBy !== undefined) home.set(displacedBy, steps);
  }
  return { aside, back, home };
}

function filesBack(target: HistoryTarget): UndoStep[] {
  const { action, path, from, before, kept } = target;
  if (action !== 'write' && action !== 'move' && action !== 'remove') return [];
  if (kept !== undefined) return [{ do: 'restore', path, target }];
  // What was moved here has gone back; what had been here, and was moved elsewhere, has come back.
  const isMade = action === 'write' || (action === 'move' && from === undefined);
  return isMade && before.type === 'absent' ? [{ do: 'remove', path }] : [];
}

/** A parent that was made goes if it would be empty: others may have come to rely on it. */
function directoriesBack(
  targets: readonly HistoryTarget[],
  {
    names,
    home,
  }: {
    readonly names: (directory: StorePath) => readonly string[];
    readonly home: ReadonlyMap<Place, readonly UndoStep[]>;
  },
): UndoStep[] {
  const gone = goneBy(targets);
  return targets.toReversed().flatMap((target): UndoStep[] => {
    const { action, path, from, brought } = target;
    if (brought !== undefined) return [{ do: 'remove-brought', path, target }];
    if (action === 'move-directory' && from !== undefined)
      return [{ do: 'rename', from: path, path: from }, ...placeBack(target), ...(home.get(target) ?? [])];
    if (action === 'make-directory') return [{ do: 'remove', path }];
    if (action !== 'make-parent' || names(path).some((name) => !gone.has(joinPath(path, name)))) return [];
    gone.add(path);
    return [{ do: 'remove', path }];
  });
}

/** What a directory had taken the place of, once it has gone back. */
function placeBack(target: HistoryTarget): UndoStep[] {
  const { path, before, kept } = target;
  if (before.type === 'directory') return directoryAgain(target);
  return kept === undefined ? [] : [{ do: 'restore', path, target }];
}

/** Paths at which there is nothing any more once files are back. */
export function goneBy(targets: readonly HistoryTarget[]): Set<StorePath> {
  const gone = targets.filter(
    ({ action, before }) =>
      action === 'make-directory' ||
      ((action === 'write' || action === 'move' || action === 'move-directory') && before.type === 'absent'),
  );
  return new Set(gone.map(({ path }) => path));
}

/** A path that no transaction but this one names, where no directory that moves takes it along. */
export function sparePath(transaction: string, path: StorePath, index: number): StorePath {
  return joinPath(
    ancestors(path).at(-1) ?? '',
    `.undo-${transaction}-${index.toString(36)}-${baseName(path).slice(0, 8)}`,
  );
}
