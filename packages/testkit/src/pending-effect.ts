/**
 * What a file system call did that is not durable yet, in the grains in which a power cut may keep or lose it.
 *
 * A file's rename has two effects of one sequence number: the entry at the destination changes from old to new, and
 * the entry at the source goes; either may survive alone. A directory's rename is one effect, because a directory has
 * no second copy. That an inode exists, with the mode, owner and target it was created with, survives with the first
 * entry that names it.
 */
import { applyOutcome, type PendingBytes, resize, type WriteOutcome, writeBytes } from './file-content.js';
import { absent, type InodeId, type InodeTable, inodeAt, ownInode } from './simulated-inode.js';

interface EffectBase {
  /** Place in the order of all calls. The two effects of one rename share it. */
  readonly sequence: number;
  /** The path as the caller gave it, for people. */
  readonly path: string;
}

export interface WriteEffect extends EffectBase, PendingBytes {
  readonly kind: 'write';
  readonly id: InodeId;
  readonly outcomes: readonly WriteOutcome[];
  /** A flush failed: the page is marked clean, and no later flush will write it. */
  readonly doomed: boolean;
}

export interface TruncateEffect extends EffectBase {
  readonly kind: 'truncate';
  readonly id: InodeId;
  readonly size: number;
  readonly timeNs: bigint;
}

export interface ModeEffect extends EffectBase {
  readonly kind: 'mode';
  readonly id: InodeId;
  readonly mode: number;
}

export interface OwnerEffect extends EffectBase {
  readonly kind: 'owner';
  readonly id: InodeId;
  readonly uid: number;
  readonly gid: number;
}

interface StructuralEffect extends EffectBase {
  readonly child: InodeId;
  /** What the changed entry named before; of a move, what was at its destination. */
  readonly replaces: InodeId;
  readonly timeNs: bigint;
  /** Earlier effects without which this one cannot be on the medium; see `requirementsOf`. */
  readonly requires: readonly Effect[];
}

export interface EntryEffect extends StructuralEffect {
  readonly kind: 'entry';
  readonly directory: InodeId;
  readonly name: string;
  /** What it replaces was a directory. */
  readonly dropsDirectory: boolean;
}

export interface MoveEffect extends StructuralEffect {
  readonly kind: 'move';
  readonly from: Slot;
  readonly to: Slot;
}

export interface Slot {
  readonly directory: InodeId;
  readonly name: string;
}

export type InodeEffect = WriteEffect | TruncateEffect | ModeEffect | OwnerEffect;
export type TreeEffect = EntryEffect | MoveEffect;
export type Effect = InodeEffect | TreeEffect;

export function isTreeEffect(effect: Effect): effect is TreeEffect {
  return effect.kind === 'entry' || effect.kind === 'move';
}

export function touchesDirectory(effect: TreeEffect, directory: InodeId): boolean {
  return effect.kind === 'entry'
    ? effect.directory === directory
    : effect.from.directory === directory || effect.to.directory === directory;
}

export function touchesSlot(effect: TreeEffect, slot: Slot): boolean {
  return effect.kind === 'entry'
    ? isSlot(effect, slot)
    : isSlot(effect.from, slot) || isSlot(effect.to, slot);
}

function isSlot(one: Slot, other: Slot): boolean {
  return one.directory === other.directory && one.name === other.name;
}

export function slotsOf(effect: TreeEffect): readonly Slot[] {
  return effect.kind === 'entry' ? [effect] : [effect.from, effect.to];
}

/** How many ways a power cut may treat this effect; 0 is lost, 1 is whole. */
export function outcomeCount(effect: Effect): number {
  return effect.kind === 'write' ? effect.outcomes.length : 2;
}

/** Puts the effect on a table whose changed inodes `owner` may own. */
export function applyWhole(table: InodeTable, effect: Effect, owner: object): void {
  switch (effect.kind) {
    case 'write': {
      const inode = ownInode(table, effect.id, owner);
      inode.mtimeNs = effect.timeNs;
      writeBytes(inode, effect.position, effect.bytes);
      return;
    }
    case 'truncate': {
      const inode = ownInode(table, effect.id, owner);
      inode.mtimeNs = effect.timeNs;
      resize(inode, effect.size);
      return;
    }
    case 'mode':
      ownInode(table, effect.id, owner).mode = effect.mode;
      return;
    case 'owner': {
      const inode = ownInode(table, effect.id, owner);
      inode.uid = effect.uid;
      inode.gid = effect.gid;
      return;
    }
    case 'entry':
      setEntry(table, effect, effect, owner);
      return;
    case 'move': {
      const { from, to, child } = effect;
      if (inodeAt(table, from.directory).entries.get(from.name) === child) {
        setEntry(table, from, { child: absent, timeNs: effect.timeNs }, owner);
      }
      setEntry(table, to, effect, owner);
      return;
    }
    default:
      unreachable(effect);
  }
}

export function applyWriteOutcome(
  table: InodeTable,
  effect: WriteEffect,
  { owner, outcome, sectorBytes }: { owner: object; outcome: WriteOutcome; sectorBytes: number },
): void {
  if (outcome === 'lost') return;
  applyOutcome(ownInode(table, effect.id, owner), effect, { outcome, sectorBytes });
}

function setEntry(
  table: InodeTable,
  { directory, name }: Slot,
  { child, timeNs }: { readonly child: InodeId; readonly timeNs: bigint },
  owner: object,
): void {
  const inode = ownInode(table, directory, owner);
  if (child === absent) inode.entries.delete(name);
  else inode.entries.set(name, child);
  // An effect on another entry may have become durable before this one, though it happened later.
  if (timeNs > inode.mtimeNs) inode.mtimeNs = timeNs;
}

function unreachable(effect: never): never {
  throw new Error(`Simulated disk: unknown effect ${String(effect)}`);
}
