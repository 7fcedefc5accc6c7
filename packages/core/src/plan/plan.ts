/**
 * Reduces a transaction's operations to its net effect: for each path one after-image, in the order in which they can
 * be applied. Pure, like the working tree it stands on.
 *
 * Order: directories first (made and moved, each after what it stands on), then files, then removals, deepest first. A
 * directory that goes does so in one piece: nothing below it is a target of its own. One that moves as well, unless it would have
 * to move before itself.
 */

import { PlanOutdated } from '../commit/plan-outdated.js';
import { StoreError } from '../errors.js';
import type { FileStat } from '../files/file-system.js';
import { externalEdit } from '../commit/apply.js';
import { fingerprintOf, sameFingerprint } from '../record/image.js';
import { ancestors, isBelow, joinPath, parentPath, type StorePath } from '../path/path.js';
import type { Action, Listed } from '../record/record.js';
import { orderDirectories } from './directory-order.js';
import type { KeptLink, StagedTree } from './operation.js';
import { directoryMoves, leaves, type MovedTree, preimage, type Preimage } from './preimage.js';
import { takeApart } from './take-apart.js';
import { type DirectoryNode, type FileNode, type WorkingNode, type WorkingTree } from './working-tree.js';

export interface PlanLimits {
  /** Targets of one transaction, and files below a directory that is moved or removed. */
  readonly maxTargets: number;
}

export interface PlannedTarget {
  readonly action: Action;
  readonly path: StorePath;
  readonly from?: StorePath | undefined;
  /** Where the base tree holds the before-image; it may be elsewhere than `path` when a directory moves. */
  readonly basePath?: StorePath | undefined;
  /** What is there, when planned; of a directory that moves, where it comes from. */
  readonly stat?: FileStat | undefined;
  readonly file?: FileNode | undefined;
  /** Where the base tree has the inode that a move brings. */
  readonly inodePath?: StorePath | undefined;
  readonly inode?: bigint | undefined;
  /** What a move brings from history. */
  readonly kept?: KeptLink | undefined;
  readonly mode?: number | undefined;
  readonly exact?: true | undefined;
  readonly listing?: readonly Listed[] | undefined;
  /** What a move brings that comes from a staging area; its listing is that. */
  readonly tree?: StagedTree | undefined;
  readonly movedAway?: boolean | undefined;
  /** What a directory that moves takes the place of: a file, a symbolic link, or a directory with all that `listing` has. */
  readonly displaced?: Preimage | undefined;
  /** There is nothing at `path` now, and must be nothing when it is staged. */
  readonly mustBeAbsent?: boolean | undefined;
}

export interface NetEffect {
  readonly targets: readonly PlannedTarget[];
  /** Directories of the base tree that go away or elsewhere, and where they go: nothing below may be untrimmed. */
  readonly vacated: readonly StorePath[];
}

export function netEffect(asked: WorkingTree, limits: PlanLimits): NetEffect {
  for (let tree = asked; ; ) {
    const planned = planTree(tree, limits);
    if (!('circle' in planned)) return planned;
    tree = takeApart(tree, planned.circle, limits.maxTargets);
  }
}

/** `circle`: a directory that cannot move in one piece, for another one waits for it, and it for that one. */
function planTree(tree: WorkingTree, limits: PlanLimits): NetEffect | { readonly circle: StorePath } {
  const movedFrom = directoryMoves(tree);
  const movedInodes = new Set<StorePath>();
  for (const [path, node] of tree.changed) {
    if (node.type === 'absent' || node.type === 'directory' || node.inode === undefined) continue;
    if (leaves(tree, node.inode, path)) movedInodes.add(node.inode);
  }
  const vacated = [...movedFrom].flat();
  const draft: Draft = { directories: [], files: [], removals: [], vacated };
  const context: Context = { tree, limits, movedFrom, movedInodes, holders: holdersIn(tree), draft };
  for (const path of [...tree.changed.keys()].sort()) addTarget(context, path, tree.changed.get(path)!);
  const order = draft.circle === undefined ? orderDirectories(draft.directories) : { circle: draft.circle };
  if ('circle' in order) return order;
  const planned = [...order.ordered, ...draft.files, ...draft.removals.sort(byDepthDescending)];
  // Where directories move, what is at a path now is not what will be there.
  const still = !planned.some((target) => target.action === 'move-directory');
  const targets = planned.map((target) => shaped(target, still));
  if (targets.length > limits.maxTargets) {
    throw new StoreError('ERR_TOO_MANY', `The transaction changes more than ${limits.maxTargets} paths`, {
      op: 'commit',
      hint: 'Split it into several transactions.',
    });
  }
  return { targets, vacated };
}

/** With all its fields, in one order: of objects of many shapes each look at a field is slow. */
function shaped(target: PlannedTarget, still: boolean): PlannedTarget {
  return {
    action: target.action,
    path: target.path,
    from: target.from,
    basePath: target.basePath,
    stat: target.stat,
    file: target.file,
    inodePath: target.inodePath,
    inode: target.inode,
    kept: target.kept,
    mode: target.mode,
    exact: target.exact,
    listing: target.listing,
    tree: target.tree,
    movedAway: target.movedAway,
    displaced: target.displaced,
    mustBeAbsent: still && target.stat === undefined ? target.action !== 'make-parent' : undefined,
  };
}

/** Directories below which there is to be something that somebody has asked for. */
function holdersIn({ changed }: WorkingTree): Set<StorePath> {
  const holders = new Set<StorePath>();
  for (const [path, node] of changed) {
    if (node.type === 'absent' || (node.type === 'directory' && node.implicit === true)) continue;
    for (const above of ancestors(path)) {
      if (holders.has(above)) break;
      holders.add(above);
    }
  }
  return holders;
}

interface Draft {
  readonly directories: PlannedTarget[];
  readonly files: PlannedTarget[];
  readonly removals: PlannedTarget[];
  readonly vacated: StorePath[];
  /** A directory that is to come to where one stands that it is in. */
  circle?: StorePath;
}

interface Context extends MovedTree {
  readonly limits: PlanLimits;
  readonly movedInodes: ReadonlySet<StorePath>;
  readonly holders: ReadonlySet<StorePath>;
  readonly draft: Draft;
}

function addTarget(context: Context, path: StorePath, node: WorkingNode): void {
  const { draft } = context;
  const before = preimage(context, path);
  switch (node.type) {
    case 'absent':
      if (before !== undefined) addRemoval(context, path, before, node.expected);
      break;
    case 'directory':
      addDirectory(context, path, node, before);
      break;
    case 'file':
      if (before?.stat.type === 'directory') throw typeChange(path, 'ERR_IS_DIRECTORY');
      if (node.inode !== undefined && node.parts.length === 0) addMove(context, path, node.inode, before);
      else draft.files.push({ action: 'write', path, file: node, ...replaced(context, before) });
      break;
    case 'symlink':
    case 'other':
      if (before?.stat.type === 'directory') throw typeChange(path, 'ERR_IS_DIRECTORY');
      if (node.inode === undefined)
        draft.files.push({ action: 'move', path, kept: node.kept, ...replaced(context, before) });
      else addMove(context, path, node.inode, before);
      break;
  }
}

function replaced({ movedInodes }: Context, before: Preimage | undefined): Partial<PlannedTarget> {
  return {
    ...before,
    ...(before !== undefined && movedInodes.has(before.basePath) ? { movedAway: true } : {}),
  };
}

function addMove(
  context: Context,
  path: StorePath,
  inodePath: StorePath,
  before: Preimage | undefined,
): void {
  if (before?.basePath === inodePath) return;
  const moved = context.tree.base.stat(inodePath);
  if (moved === undefined) throw new PlanOutdated(inodePath);
  context.draft.files.push({
    action: 'move',
    path,
    from: inodePath,
    inodePath,
    inode: moved.ino,
    ...replaced(context, before),
  });
}

function addDirectory(
  context: Context,
  path: StorePath,
  node: DirectoryNode,
  before: Preimage | undefined,
): void {
  const { draft, tree, movedFrom, holders } = context;
  if (node.origin !== undefined) {
    if (!leaves(tree, node.origin, path)) return;
    // Its place is empty once the move is the turn; or what `before` shows is the directory itself, come from its origin.
    const displaced = before?.basePath === node.origin ? undefined : before;
    if (displaced !== undefined && isBelow(node.origin, displaced.basePath)) {
      draft.circle = path;
      return;
    }
    const stat = tree.base.stat(node.origin);
    if (stat === undefined) throw new PlanOutdated(node.origin);
    refuseMounted(tree, node.origin, stat);
    if (deviceAt(tree, path) !== stat.dev) throw otherFileSystem(path);
    draft.directories.push({
      action: 'move-directory',
      path,
      from: node.origin,
      basePath: node.origin,
      stat,
      ...(node.tree === undefined ? {} : { tree: node.tree, listing: node.tree.listing }),
      ...(displaced === undefined ? {} : { displaced, ...displacing(context, displaced) }),
    });
    return;
  }
  if (before === undefined) {
    // One that is left with nothing in it has no row below that could tell who decides here, so it needs its own.
    const isParent = node.implicit === true && holders.has(path);
    draft.directories.push({
      action: isParent ? 'make-parent' : 'make-directory',
      path,
      ...(node.mode === undefined ? {} : { mode: node.mode }),
      ...(node.exact === true ? { exact: true } : {}),
    });
    return;
  }
  if (before.stat.type !== 'directory') throw typeChange(path, 'ERR_NOT_DIRECTORY');
  // Removed and made again: the directory stays, what it held goes.
  for (const name of tree.base.children(before.basePath)) {
    const child = joinPath(path, name);
    if (tree.changed.has(child)) continue;
    const basePath = joinPath(before.basePath, name);
    if (movedFrom.has(basePath)) continue;
    const stat = tree.base.stat(basePath);
    if (stat !== undefined) addRemoval(context, child, { basePath, stat });
  }
}

function displacing(context: Context, displaced: Preimage): Pick<PlannedTarget, 'listing' | 'movedAway'> {
  if (displaced.stat.type !== 'directory') return { movedAway: context.movedInodes.has(displaced.basePath) };
  return { listing: listRemoved(context, displaced) };
}

function addRemoval(context: Context, path: StorePath, before: Preimage, expected?: readonly Listed[]): void {
  const { draft } = context;
  if (before.stat.type !== 'directory') {
    draft.removals.push({ action: 'remove', path, ...replaced(context, before) });
    return;
  }
  const listing = listRemoved(context, before);
  if (expected !== undefined) refuseUnexpected(path, listing, expected);
  draft.removals.push({ action: 'remove-directory', path, ...before, listing });
}

function refuseUnexpected(path: StorePath, listing: readonly Listed[], expected: readonly Listed[]): void {
  const known = new Map(expected.map((each) => [each.name, each]));
  const surprise = listing.find(({ name, type, fingerprint }) => {
    const listed = known.get(name);
    if (listed?.type !== type) return true;
    return type !== 'directory' && !sameFingerprint(listed.fingerprint, fingerprint);
  });
  if (surprise !== undefined) throw externalEdit(joinPath(path, surprise.name), 'has changed meanwhile');
  if (listing.length < expected.length) throw externalEdit(path, 'has changed meanwhile');
}

/** What a directory holds that goes as a whole. */
function listRemoved({ draft, tree, limits, movedFrom }: Context, { basePath, stat }: Preimage): Listed[] {
  refuseMounted(tree, basePath, stat);
  draft.vacated.push(basePath);
  const walk = { limit: limits.maxTargets, op: 'rm', left: (each: StorePath) => movedFrom.has(each) };
  return tree.walkBase(basePath, walk).map((found) => {
    // Of files it says nothing: on an overlay of several file systems they have that of their layer.
    const isMounted = found.stat.type === 'directory' && found.stat.dev !== stat.dev;
    if (isMounted) throw otherFileSystem(found.path);
    return {
      name: found.path.slice(basePath.length + 1),
      type: found.stat.type,
      fingerprint: fingerprintOf(found.stat),
    };
  });
}

/** A directory in which another file system is mounted cannot be renamed, nor can what is mounted there. */
function refuseMounted(tree: WorkingTree, path: StorePath, stat: FileStat): void {
  const parent = parentPath(path);
  const above = parent === undefined ? undefined : tree.base.stat(parent);
  if (above !== undefined && above.dev !== stat.dev) throw otherFileSystem(path);
}

/** Of the file system that holds the nearest directory above `path`, as the transaction leaves it. */
function deviceAt(tree: WorkingTree, path: StorePath): bigint | undefined {
  for (const above of ancestors(path)) {
    const { node, stat } = tree.look(above);
    if (stat !== undefined) return stat.dev;
    if (node?.type === 'directory' && node.origin !== undefined) return tree.base.stat(node.origin)?.dev;
  }
  return undefined;
}

function byDepthDescending(a: PlannedTarget, b: PlannedTarget): number {
  return b.path.split('/').length - a.path.split('/').length || (a.path < b.path ? -1 : 1);
}

function typeChange(path: StorePath, code: 'ERR_IS_DIRECTORY' | 'ERR_NOT_DIRECTORY'): StoreError {
  return new StoreError(code, `'${path}' cannot be removed and become something else in one transaction`, {
    op: 'commit',
    path,
    hint: 'Remove it in a transaction of its own first.',
  });
}

export function otherFileSystem(path: StorePath): StoreError {
  return new StoreError(
    'ERR_INVALID_PATH',
    `A directory cannot be moved or removed across file systems: '${path}'`,
    {
      op: 'commit',
      path,
      hint: 'Move or remove the files one by one.',
    },
  );
}
