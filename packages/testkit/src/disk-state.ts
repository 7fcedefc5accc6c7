/**
 * The live side of a simulated disk: what programs see now. Every change is made here, and handed to the journal as
 * a pending effect. Paths and permissions to do so are the business of `simulated-file-system.ts`.
 */
import type { FileStat } from '@forewrit/core';
import { outcomesOf, resize, writeBytes } from './file-content.js';
import type { Effect } from './pending-effect.js';
import type { JournalOptions, PendingJournal } from './pending-journal.js';
import type { SimulatedClock } from './simulated-clock.js';
import {
  absent,
  Inode,
  type InodeId,
  type InodeOrigin,
  type InodeTable,
  inodeAt,
  ownInode,
} from './simulated-inode.js';
import type { SimulatedVolume } from './simulated-volume.js';

/** What all states of one disk share. */
export interface DiskTraits extends JournalOptions {
  readonly clock: SimulatedClock;
  readonly mtimeGrainNs: bigint;
  /** `frozen`: a directory has the time of its birth. `refused`: asking for one is an error. */
  readonly directoryTimes: 'kept' | 'frozen' | 'refused';
  /** From a directory that something is mounted on to the root of what is mounted there. */
  readonly mounts: ReadonlyMap<InodeId, InodeId>;
}

/** The entry that a path names: in which directory, and what it holds now. */
export interface Place {
  readonly directory: InodeId;
  readonly name: string;
  readonly child: InodeId;
  /** The directories on the way, the root first, `directory` last. */
  readonly ancestors: readonly InodeId[];
}

export interface NewInode extends Omit<InodeOrigin, 'number' | 'volume' | 'timeNs'> {
  /** For people. */
  readonly path: string;
}

export interface DiskParts {
  readonly live: InodeTable;
  /** Of each inode, by id. A directory has two, and one for each directory in it. */
  readonly linkCounts: number[];
  readonly volumes: readonly SimulatedVolume[];
  readonly journal: PendingJournal;
}

export class DiskState {
  readonly traits: DiskTraits;
  readonly live: InodeTable;
  readonly volumes: readonly SimulatedVolume[];
  readonly journal: PendingJournal;
  readonly #linkCounts: number[];
  readonly #openCounts = new Map<InodeId, number>();
  /** Of files that are open. */
  readonly #failedFlushes = new Map<InodeId, number>();
  #owner: object = {};
  #sequence = 0;

  constructor(traits: DiskTraits, parts: DiskParts) {
    this.traits = traits;
    this.live = parts.live;
    this.volumes = parts.volumes;
    this.journal = parts.journal;
    this.#linkCounts = parts.linkCounts;
  }

  /** The same disk with no process on it. What is pending stays pending. */
  fork(): DiskState {
    this.disown();
    const copy = new DiskState(this.traits, {
      live: this.live.slice(),
      linkCounts: this.#linkCounts.slice(),
      volumes: this.volumes.map((volume) => volume.copy()),
      journal: this.journal.fork(),
    });
    copy.#sequence = this.#sequence;
    for (const id of this.#openCounts.keys()) copy.#freeIfUnused(id);
    return copy;
  }

  /** From now on every inode is shared with somebody. */
  disown(): void {
    this.#owner = {};
  }

  volumeOf(id: InodeId): SimulatedVolume {
    return this.volumes[inodeAt(this.live, id).volume] as SimulatedVolume;
  }

  nowNs(): bigint {
    const now = this.traits.clock.nowNs();
    const grain = this.traits.mtimeGrainNs;
    return grain > 1n ? now - (now % grain) : now;
  }

  statOf(id: InodeId): FileStat {
    const inode = inodeAt(this.live, id);
    const { kind, mode, uid, gid, mtimeNs, birthtimeNs } = inode;
    const stat = {
      type: kind,
      ino: BigInt(inode.number),
      dev: this.volumeOf(id).device,
      size: kind === 'symlink' ? Buffer.byteLength(inode.target) : inode.size,
      mtimeNs,
      birthtimeNs,
      mode,
      uid,
      gid,
      nlink: this.isNamed(id) ? (this.#linkCounts[id] ?? 0) : 0,
    };
    return kind === 'directory' && this.traits.directoryTimes === 'refused' ? withoutTime(stat) : stat;
  }

  /** Whether it can be found by a path, and not only through a descriptor. */
  isNamed(id: InodeId): boolean {
    return (this.#linkCounts[id] ?? 0) > unnamedLinks(inodeAt(this.live, id));
  }

  /** A descriptor keeps its inode alive when the last name goes. */
  retain(id: InodeId): void {
    this.#openCounts.set(id, (this.#openCounts.get(id) ?? 0) + 1);
  }

  release(id: InodeId): void {
    const count = this.#openCounts.get(id) ?? 0;
    if (count > 1) {
      this.#openCounts.set(id, count - 1);
      return;
    }
    this.#openCounts.delete(id);
    this.#failedFlushes.delete(id);
    this.#freeIfUnused(id);
  }

  failedFlushes(id: InodeId): number {
    return this.#failedFlushes.get(id) ?? 0;
  }

  failFlush(id: InodeId): void {
    this.journal.failSync(id);
    this.#failedFlushes.set(id, this.failedFlushes(id) + 1);
  }

  get openCount(): number {
    let sum = 0;
    for (const count of this.#openCounts.values()) sum += count;
    return sum;
  }

  create(place: Place, { path, ...origin }: NewInode): InodeId {
    const id = this.live.length;
    const volume = this.volumeOf(place.directory);
    const timeNs = this.nowNs();
    const inode = Inode.create({
      ...origin,
      number: volume.takeNumber(this.live),
      volume: volume.index,
      timeNs,
    });
    this.live.push(inode);
    this.journal.addInode(id, inode);
    this.#linkCounts[id] = origin.kind === 'directory' ? 1 : 0;
    this.#changeEntry(place, {
      child: id,
      path,
      timeNs: this.#entryTimeNs(timeNs),
      sequence: this.#nextSequence(),
    });
    return id;
  }

  link(place: Place, child: InodeId, path: string): void {
    this.#changeEntry(place, { child, path, timeNs: this.#entryTimeNs(), sequence: this.#nextSequence() });
  }

  /** Removes the entry of a file, or of a directory that is empty. */
  remove(place: Place, path: string): void {
    this.#changeEntry(place, {
      child: absent,
      path,
      timeNs: this.#entryTimeNs(),
      sequence: this.#nextSequence(),
    });
  }

  rename(from: Place, to: Place, paths: { readonly from: string; readonly to: string }): void {
    const timeNs = this.#entryTimeNs();
    const sequence = this.#nextSequence();
    const child = from.child;
    if (inodeAt(this.live, child).kind !== 'directory') {
      this.#changeEntry(to, { child, path: paths.to, timeNs, sequence });
      this.#changeEntry(from, { child: absent, path: paths.from, timeNs, sequence });
      return;
    }
    this.journal.add({
      kind: 'move',
      sequence,
      path: `${paths.from} -> ${paths.to}`,
      child,
      timeNs,
      from: { directory: from.directory, name: from.name },
      to: { directory: to.directory, name: to.name },
      replaces: to.child,
      requires: this.journal.requirementsOf([from, to], {
        child,
        dropped: to.child === absent ? undefined : to.child,
        ancestors: to.ancestors,
      }),
    });
    // Held on to, so that it does not look unused between its two names.
    this.retain(child);
    this.#setEntry(from, absent, timeNs);
    this.#setEntry(to, child, timeNs);
    this.release(child);
  }

  /** `bytes` must never change afterwards. */
  write(id: InodeId, { position, bytes, path }: { position: number; bytes: Uint8Array; path: string }): void {
    const inode = ownInode(this.live, id, this.#owner);
    const timeNs = this.nowNs();
    const write = { position, bytes, timeNs };
    const outcomes = outcomesOf(write, inode.size, this.traits.sectorBytes);
    this.#add({ kind: 'write', sequence: this.#nextSequence(), path, id, ...write, outcomes, doomed: false });
    writeBytes(inode, position, bytes);
    inode.mtimeNs = timeNs;
  }

  truncate(id: InodeId, size: number, path: string): void {
    const inode = ownInode(this.live, id, this.#owner);
    const timeNs = this.nowNs();
    this.#add({ kind: 'truncate', sequence: this.#nextSequence(), path, id, size, timeNs });
    resize(inode, size);
    inode.mtimeNs = timeNs;
  }

  setMode(id: InodeId, mode: number, path: string): void {
    this.#add({ kind: 'mode', sequence: this.#nextSequence(), path, id, mode });
    ownInode(this.live, id, this.#owner).mode = mode;
  }

  setOwner(id: InodeId, { uid, gid }: { readonly uid: number; readonly gid: number }, path: string): void {
    this.#add({ kind: 'owner', sequence: this.#nextSequence(), path, id, uid, gid });
    const inode = ownInode(this.live, id, this.#owner);
    inode.uid = uid;
    inode.gid = gid;
  }

  sync(id: InodeId): void {
    if (inodeAt(this.live, id).kind === 'directory') this.journal.syncDirectory(id, this.live);
    else this.journal.syncFile(id, this.live);
  }

  /** The time that a directory has from a change of its entries. */
  #entryTimeNs(nowNs = this.nowNs()): bigint {
    return this.traits.directoryTimes === 'kept' ? nowNs : timeUnchanged;
  }

  #add(effect: Effect): void {
    this.journal.add(effect);
  }

  #nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  #changeEntry(
    place: Place,
    change: {
      readonly child: InodeId;
      readonly path: string;
      readonly timeNs: bigint;
      readonly sequence: number;
    },
  ): void {
    const { directory, name, child: replaces } = place;
    const dropsDirectory = replaces !== absent && inodeAt(this.live, replaces).kind === 'directory';
    const requires = this.journal.requirementsOf([place], {
      child: change.child,
      dropped: dropsDirectory ? replaces : undefined,
    });
    this.#add({ kind: 'entry', directory, name, replaces, dropsDirectory, requires, ...change });
    this.#setEntry(place, change.child, change.timeNs);
  }

  #setEntry({ directory, name }: Place, child: InodeId, timeNs: bigint): void {
    const inode = ownInode(this.live, directory, this.#owner);
    const before = inode.entries.get(name) ?? absent;
    if (child === absent) inode.entries.delete(name);
    else inode.entries.set(name, child);
    if (timeNs !== timeUnchanged) inode.mtimeNs = timeNs;
    if (child !== absent) this.#countLink(directory, child, 1);
    if (before !== absent) {
      this.#countLink(directory, before, -1);
      this.#freeIfUnused(before);
    }
  }

  #countLink(directory: InodeId, child: InodeId, change: 1 | -1): void {
    this.#addLinks(child, change);
    if (inodeAt(this.live, child).kind === 'directory') this.#addLinks(directory, change);
  }

  #addLinks(id: InodeId, change: 1 | -1): void {
    this.#linkCounts[id] = (this.#linkCounts[id] ?? 0) + change;
  }

  #freeIfUnused(id: InodeId): void {
    const inode = this.live[id];
    if (inode === undefined || this.#openCounts.has(id)) return;
    if (this.isNamed(id)) return;
    this.live[id] = undefined;
    this.journal.freed();
  }
}

/** Earlier than all times. */
const timeUnchanged = 0n;

/** Written out, as it is made very often. */
function withoutTime({ type, ino, dev, size, birthtimeNs, mode, uid, gid, nlink }: FileStat): FileStat {
  return {
    type,
    ino,
    dev,
    size,
    get mtimeNs(): bigint {
      throw new Error('Simulated disk: directories have no times here');
    },
    birthtimeNs,
    mode,
    uid,
    gid,
    nlink,
  };
}

/** A directory without a name still has its own link to itself. */
function unnamedLinks({ kind }: Inode): number {
  return kind === 'directory' ? 1 : 0;
}
