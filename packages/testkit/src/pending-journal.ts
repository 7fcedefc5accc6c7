/**
 * The durable side of a simulated disk: the table as it is on the medium for sure, and, in the order of the calls,
 * the effects that may or may not be there yet. A sync moves effects from the one to the other.
 *
 * What a sync promises here is as little as the design assumes (docs/assumptions.md): of a file its content, size,
 * mode, owner and time, and that its new ancestors can be reached; of a directory its entries.
 */
import { applyOutcome } from './file-content.js';
import {
  applyWhole,
  type Effect,
  isTreeEffect,
  type Slot,
  slotsOf,
  touchesDirectory,
  touchesSlot,
  type TreeEffect,
} from './pending-effect.js';
import { absent, type Inode, type InodeId, type InodeTable, inodeAt, ownInode } from './simulated-inode.js';

export interface JournalOptions {
  /** The roots of the volumes: always reachable. */
  readonly roots: readonly InodeId[];
  readonly sectorBytes: number;
  readonly syncReachesAncestors: boolean;
  /** Whether any volume gives inode numbers out again. */
  readonly reusesNumbers: boolean;
}

/** A change of entries, as far as it matters to what must come before it. */
export interface Structure {
  /** What is named now; `absent` when something is only removed. */
  readonly child: InodeId;
  /** The directory that goes: removed, or replaced by another. */
  readonly dropped?: InodeId | undefined;
  /** Of the new place of a directory that moves. */
  readonly ancestors?: readonly InodeId[];
}

/** What a power cut at some moment works on. Neither part is changed by what comes later. */
export interface JournalSnapshot {
  readonly table: InodeTable;
  readonly effects: readonly Effect[];
  /** Where operations are durable in order, all up to this sequence number are. */
  readonly barrier: number;
}

export class PendingJournal {
  readonly #options: JournalOptions;
  readonly #durable: InodeTable;
  readonly #effects: Set<Effect>;
  /** Files whose durable content is not what programs see although nothing of it is pending: a flush failed. */
  readonly #diverged: Set<InodeId>;
  #owner: object = {};
  #barrier: number;
  #mayHoldGarbage = false;

  constructor(
    options: JournalOptions,
    durable: InodeTable,
    from?: { readonly effects: Set<Effect>; readonly diverged: Set<InodeId>; readonly barrier: number },
  ) {
    this.#options = options;
    this.#durable = durable;
    this.#effects = from?.effects ?? new Set();
    this.#diverged = from?.diverged ?? new Set();
    this.#barrier = from?.barrier ?? 0;
  }

  get size(): number {
    return this.#effects.size;
  }

  fork(): PendingJournal {
    this.#owner = {};
    return new PendingJournal(this.#options, this.#durable.slice(), {
      effects: new Set(this.#effects),
      diverged: new Set(this.#diverged),
      barrier: this.#barrier,
    });
  }

  snapshot(): JournalSnapshot {
    // Whoever builds on the snapshot shares the inodes.
    this.#owner = {};
    const reached = this.#reachableInSomeImage();
    const effects = [...this.#effects].filter((effect) =>
      isTreeEffect(effect) ? effect.kind === 'move' || reached.has(effect.directory) : reached.has(effect.id),
    );
    return { table: this.#durable.slice(), effects, barrier: this.#barrier };
  }

  /** An inode came to be. It is empty, and on the medium only when an entry that names it is. */
  addInode(id: InodeId, inode: Inode): void {
    inode.owner = undefined;
    this.#durable[id] = inode;
  }

  /** An inode has neither name nor descriptor any more; its number may be given out again. */
  freed(): void {
    this.#mayHoldGarbage = true;
  }

  add(effect: Effect): void {
    this.#effects.add(effect);
  }

  /**
   * The earlier effects that must be on the medium before a new one is. Without them a directory could be lost or be
   * in two places: moves through the same slots; where a directory goes, whatever took a directory out of it; and
   * where one moves, whatever put its new ancestors where they are. Or two inodes could bear one number: where it was
   * given out again, whatever took a name from its first bearer.
   */
  requirementsOf(
    slots: readonly Slot[],
    { child, dropped, ancestors = nothing }: Structure,
  ): readonly Effect[] {
    const number = this.#options.reusesNumbers ? this.#numberOf(child) : undefined;
    const requirements: Effect[] = [];
    for (const effect of this.#effects) {
      if (!isTreeEffect(effect)) continue;
      const required =
        (effect.kind === 'move' && slots.some((slot) => touchesSlot(effect, slot))) ||
        (dropped !== undefined && leavesDirectory(effect, dropped)) ||
        ancestors.includes(effect.child) ||
        (number !== undefined && effect.replaces !== child && this.#numberOf(effect.replaces) === number);
      if (required) requirements.push(effect);
    }
    return requirements.length === 0 ? nothing : requirements;
  }

  /** Volume and number in one; `undefined` for no inode. */
  #numberOf(id: InodeId): number | undefined {
    const inode = this.#durable[id];
    return inode === undefined ? undefined : inode.volume * 2 ** 32 + inode.number;
  }

  syncFile(id: InodeId, live: InodeTable): void {
    if (this.#options.syncReachesAncestors) this.#reachFile(id, live);
    const own: Effect[] = [];
    let diverged = this.#diverged.has(id);
    for (const effect of this.#effects) {
      if (isTreeEffect(effect)) {
        // The file's own names stay pending, but what is durable in order is so up to them.
        if (effect.child === id) this.#raiseBarrier(effect);
      } else if (effect.id === id) {
        own.push(effect);
        diverged ||= effect.kind === 'write' && effect.doomed;
      }
    }
    if (diverged) {
      for (const effect of own) this.#commitDiverged(effect);
      this.#diverged.add(id);
    } else {
      const inode = inodeAt(live, id);
      inode.owner = undefined;
      this.#durable[id] = inode;
    }
    for (const effect of own) this.#remove(effect);
  }

  /** A flush of this file failed: the kernel has marked its pages clean, and will not try again. */
  failSync(id: InodeId): void {
    const effects = [...this.#effects];
    this.#effects.clear();
    for (const effect of effects) {
      const doomed = effect.kind === 'write' && effect.id === id;
      this.#effects.add(doomed ? { ...effect, doomed } : effect);
    }
  }

  syncDirectory(id: InodeId, live: InodeTable): void {
    for (const effect of this.#effects) {
      if (!isTreeEffect(effect)) {
        if (effect.id === id) this.#commitAlone(effect);
      } else if (touchesDirectory(effect, id)) {
        this.#commit(effect);
      } else if (effect.child === id) {
        this.#raiseBarrier(effect);
      }
    }
    if (this.#mayHoldGarbage) this.#collectGarbage(live);
  }

  /** Everything that programs see becomes durable. */
  settle(live: InodeTable): void {
    for (const effect of this.#effects) this.#raiseBarrier(effect);
    this.#effects.clear();
    this.#diverged.clear();
    this.#durable.length = 0;
    for (const [id, inode] of live.entries()) {
      if (inode !== undefined) inode.owner = undefined;
      this.#durable[id] = inode;
    }
  }

  #commitDiverged(effect: Effect): void {
    if (effect.kind !== 'write' || !effect.doomed) {
      applyWhole(this.#durable, effect, this.#owner);
      return;
    }
    const inode = ownInode(this.#durable, effect.id, this.#owner);
    applyOutcome(inode, effect, { outcome: 'size-only', sectorBytes: this.#options.sectorBytes });
  }

  /** Commits an effect after all that it requires and all that happened to its slots before. */
  #commit(effect: TreeEffect): void {
    if (!this.#effects.has(effect)) return;
    for (const required of effect.requires) {
      if (isTreeEffect(required)) this.#commit(required);
    }
    const slots = slotsOf(effect);
    for (const earlier of this.#effects) {
      if (earlier === effect) break;
      if (isTreeEffect(earlier) && slots.some((slot) => touchesSlot(earlier, slot))) this.#commit(earlier);
    }
    this.#commitAlone(effect);
  }

  #commitAlone(effect: Effect): void {
    applyWhole(this.#durable, effect, this.#owner);
    this.#remove(effect);
  }

  #remove(effect: Effect): void {
    this.#effects.delete(effect);
    this.#raiseBarrier(effect);
  }

  #raiseBarrier(effect: Effect): void {
    if (effect.sequence > this.#barrier) this.#barrier = effect.sequence;
  }

  #reachFile(id: InodeId, live: InodeTable): void {
    const anyNewDirectory = [...this.#effects].some(
      (effect) => isTreeEffect(effect) && live[effect.child]?.kind === 'directory',
    );
    if (!anyNewDirectory) return;
    for (const [parent, inode] of live.entries()) {
      if (inode?.kind !== 'directory') continue;
      for (const child of inode.entries.values()) {
        if (child === id) this.#reachDirectory(parent);
      }
    }
  }

  /** Makes durable what it takes to find a directory from its root, under whichever name comes first. */
  #reachDirectory(id: InodeId): void {
    let current = id;
    while (!this.#options.roots.includes(current)) {
      let parent = this.#durableParentOf(current);
      if (parent === undefined) {
        const effect = this.#firstNaming(current);
        // Removed while its file was still open: nobody will look for it.
        if (effect === undefined) return;
        this.#commit(effect);
        parent = effect.kind === 'entry' ? effect.directory : effect.to.directory;
      }
      current = parent;
    }
  }

  #durableParentOf(id: InodeId): InodeId | undefined {
    for (const [parent, inode] of this.#durable.entries()) {
      if (inode?.kind !== 'directory') continue;
      for (const child of inode.entries.values()) if (child === id) return parent;
    }
    return undefined;
  }

  #firstNaming(id: InodeId): TreeEffect | undefined {
    for (const effect of this.#effects) if (isTreeEffect(effect) && effect.child === id) return effect;
    return undefined;
  }

  /** What some choice of survivors could make reachable. */
  #reachableInSomeImage(): Set<InodeId> {
    const added = new Map<InodeId, InodeId[]>();
    for (const effect of this.#effects) {
      if (!isTreeEffect(effect) || effect.child === absent) continue;
      const directory = effect.kind === 'entry' ? effect.directory : effect.to.directory;
      const children = added.get(directory);
      if (children === undefined) added.set(directory, [effect.child]);
      else children.push(effect.child);
    }
    const reached = new Set<InodeId>(this.#options.roots);
    // A set may grow while it is walked: the new ones are walked too.
    for (const id of reached) {
      const inode = this.#durable[id];
      if (inode?.kind !== 'directory') continue;
      for (const child of inode.entries.values()) reached.add(child);
      for (const child of added.get(id) ?? nothing) reached.add(child);
    }
    return reached;
  }

  /** Forgets inodes that are gone for programs and can be in no image of a power cut. */
  #collectGarbage(live: InodeTable): void {
    this.#mayHoldGarbage = false;
    const reached = this.#reachableInSomeImage();
    for (const [id, inode] of this.#durable.entries()) {
      if (inode === undefined || live[id] !== undefined) continue;
      if (reached.has(id)) this.#mayHoldGarbage = true;
      else this.#durable[id] = undefined;
    }
    for (const effect of this.#effects) {
      if (effect.kind === 'move') continue;
      const id = effect.kind === 'entry' ? effect.directory : effect.id;
      if (this.#durable[id] === undefined) this.#effects.delete(effect);
    }
  }
}

const nothing: readonly never[] = [];

/** Whether the effect took a directory out of this one, to another place or for good. */
function leavesDirectory(effect: TreeEffect, directory: InodeId): boolean {
  return effect.kind === 'entry'
    ? effect.dropsDirectory && effect.directory === directory
    : effect.from.directory === directory;
}
