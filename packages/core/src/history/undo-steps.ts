/**
 * How a transaction is undone, as operations of an ordinary one, in their order: removed directories come back, what was
 * moved goes back to where it was, files get what they had, or go, and directories last, in the reverse of their order.
 * Then there is room again for files that a directory has taken the place of.
 *
 * Moves are undone as moves, and a symbolic link comes back as the one that it was: nobody can write into it. What was
 * replaced or removed comes back as a copy of what is kept: another link of it would be in the tree, where every program
 * that writes in place would change the one copy that history has; and it would come back with its old time, which tells
 * nobody that the file has changed.
 */

import type { KeptBelow, HistoryRow, HistoryTarget } from '../record/history-row.js';
import { baseName, isBelow, joinPath, parentPath, rebase, type StorePath } from '../path/path.js';

export type UndoStep =
  | { readonly do: 'rename'; readonly from: StorePath; readonly path: StorePath }
  | { readonly do: 'remove'; readonly path: StorePath }
  | { readonly do: 'make-directory'; readonly path: StorePath; readonly mode: number | undefined }
  | {
      readonly do: 'restore';
      readonly path: StorePath;
      readonly target: HistoryTarget;
      /** Of a removed directory. */
      readonly below?: KeptBelow;
    };

/** `names`: what a directory holds now. `spare`: a path beside this one that nothing has. */
export function undoSteps(
  row: HistoryRow,
  names: (directory: StorePath) => readonly string[],
  spare: (path: StorePath, index: number) => StorePath,
): UndoStep[] {
  const { targets } = row;
  const moves = movesIn(targets);
  const sources = new Set(moves.map(({ from }) => from));
  const { aside, back, last } = movesBack(moves, { sources, taken: takenPlaces(targets), spare });
  return [
    ...removedDirectories(targets),
    ...aside,
    ...back,
    ...targets.toReversed().flatMap((target) => filesBack(target, sources)),
    ...directoriesBack(targets, names),
    ...last,
    ...targets.flatMap((target): UndoStep[] =>
      target.action === 'move-directory' && target.kept !== undefined
        ? [{ do: 'restore', path: target.path, target }]
        : [],
    ),
  ];
}

/** Where there is a directory now that has come to the place of a file. */
function takenPlaces(targets: readonly HistoryTarget[]): Set<StorePath> {
  const taken = targets.filter(
    ({ action, before }) => action === 'move-directory' && before.type !== 'absent',
  );
  return new Set(taken.map(({ path }) => path));
}

interface Place extends Pick<HistoryTarget, 'action' | 'path'> {
  readonly from?: StorePath | undefined;
}

/** Of files, from the places that directories have left them at. */
export function movesIn(targets: readonly Place[]): { readonly path: StorePath; readonly from: StorePath }[] {
  return targets.flatMap(({ action, path, from }) =>
    action === 'move' && from !== undefined ? [{ path, from: whereItIs(from, targets) }] : [],
  );
}

/** Directories have moved first: a path of the time before is elsewhere after that. */
function whereItIs(path: StorePath, targets: readonly Place[]): StorePath {
  let at = path;
  for (const { action, from, path: to } of targets) {
    if (action === 'move-directory' && from !== undefined && (at === from || isBelow(at, from)))
      at = rebase(at, from, to);
  }
  return at;
}

function removedDirectories(targets: readonly HistoryTarget[]): UndoStep[] {
  return targets.toReversed().flatMap((target): UndoStep[] => {
    const { action, path, before, below = [] } = target;
    if (action !== 'remove-directory' || before.type !== 'directory') return [];
    const inner = below.filter(({ type }) => type === 'directory');
    return [
      { do: 'make-directory', path, mode: before.mode },
      ...inner
        .map(({ name, mode }) => ({ do: 'make-directory', path: `${path}/${name}`, mode }) as const)
        .sort((a, b) => (a.path < b.path ? -1 : 1)),
    ];
  });
}

/** Where one of them goes back to what another, or a directory, is still to leave, all step aside first. */
function movesBack(
  moves: readonly { readonly path: StorePath; readonly from: StorePath }[],
  {
    sources,
    taken,
    spare,
  }: {
    readonly sources: ReadonlySet<StorePath>;
    readonly taken: ReadonlySet<StorePath>;
    readonly spare: (path: StorePath, index: number) => StorePath;
  },
): Record<'aside' | 'back' | 'last', UndoStep[]> {
  const waits = moves.some(({ path, from }) => sources.has(path) || taken.has(from));
  const places = moves.map(({ path }, index) => (waits ? spare(path, index) : path));
  const steps: Record<'aside' | 'back' | 'last', UndoStep[]> = { aside: [], back: [], last: [] };
  for (const [index, { path, from }] of moves.entries()) {
    const place = places[index]!;
    if (waits) steps.aside.push({ do: 'rename', from: path, path: place });
    steps[taken.has(from) ? 'last' : 'back'].push({ do: 'rename', from: place, path: from });
  }
  return steps;
}

function filesBack(target: HistoryTarget, sources: ReadonlySet<StorePath>): UndoStep[] {
  const { action, path, from, before, kept, below = [] } = target;
  if (action === 'remove-directory') {
    return below
      .filter(({ name, type }) => type !== 'directory' && !sources.has(`${path}/${name}`))
      .map((each) => ({ do: 'restore', path: `${path}/${each.name}`, target, below: each }));
  }
  if (action !== 'write' && action !== 'move' && action !== 'remove') return [];
  if (kept !== undefined) return [{ do: 'restore', path, target }];
  // What was moved here has gone back; what had been here, and was moved elsewhere, has come back.
  const isMade = action === 'write' || (action === 'move' && from === undefined);
  return isMade && before.type === 'absent' ? [{ do: 'remove', path }] : [];
}

/** A parent that was made goes if it would be empty: others may have come to rely on it. */
function directoriesBack(
  targets: readonly HistoryTarget[],
  names: (directory: StorePath) => readonly string[],
): UndoStep[] {
  const gone = goneBy(targets);
  const steps: UndoStep[] = [];
  for (const { action, path, from } of targets.toReversed()) {
    if (action === 'move-directory' && from !== undefined) {
      steps.push({ do: 'rename', from: path, path: from });
    } else if (action === 'make-directory') steps.push({ do: 'remove', path });
    else if (action === 'make-parent' && names(path).every((name) => gone.has(joinPath(path, name)))) {
      steps.push({ do: 'remove', path });
      gone.add(path);
    }
  }
  return steps;
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

/** A path in the same directory that no transaction but this one names. */
export function sparePath(transaction: string, path: StorePath, index: number): StorePath {
  return joinPath(
    parentPath(path) ?? '',
    `.undo-${transaction}-${index.toString(36)}-${baseName(path).slice(0, 8)}`,
  );
}
