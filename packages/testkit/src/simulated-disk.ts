/**
 * A disk that can lose what was not flushed. Programs see its live side through `mount`; a power cut at any moment
 * gives new disks that hold what is durable and any allowed choice of what is pending. See `crash-point.ts` for the
 * models, `pending-journal.ts` for what a sync makes durable, and `pending-effect.ts` for what may be lost by itself.
 */
import type { CrashChoice, PendingEffect } from './crash-choice.js';
import { fingerprintOf } from './crash-fingerprint.js';
import type { CrashImage } from './crash-image.js';
import {
  type BootOptions,
  CrashPoint,
  type CrashPointOptions,
  type PersistenceModel,
} from './crash-point.js';
import { DiskState, type DiskTraits } from './disk-state.js';
import { PendingJournal } from './pending-journal.js';
import { SimulatedClock } from './simulated-clock.js';
import { type MountOptions, SimulatedFileSystem } from './simulated-file-system.js';
import { Inode, type InodeId, type InodeTable } from './simulated-inode.js';
import { follow } from './simulated-path.js';
import { SimulatedVolume, type VolumeOptions } from './simulated-volume.js';

export interface SimulatedDiskOptions {
  readonly clock?: SimulatedClock;
  /** Time stamps are multiples of this; 1 by default. */
  readonly mtimeGrainNs?: bigint;
  /**
   * Whether directories have times of modification; by default they have. Without them, the disks that a power cut may
   * leave are fewer, and whoever asks one of these for such a time gets an error: for programs that do not.
   */
  readonly directoryTimes?: boolean;
  /** Content tears at its multiples; 512 by default. A small one makes small files tear. */
  readonly sectorBytes?: number;
  /** Whether the fsync of a file makes its new ancestors reachable, as the design assumes; by default it does. */
  readonly syncReachesAncestors?: boolean;
  /** Applies to the volume at `/`. */
  readonly root?: Omit<VolumeOptions, 'mountPoint'>;
  /** Further volumes, outer ones before those inside them. */
  readonly volumes?: readonly VolumeOptions[];
  readonly bootId?: string;
}

export interface RemountOptions {
  /** The device number that it has from now on. */
  readonly device?: bigint;
}

interface Boot {
  readonly state: DiskState;
  readonly number: number;
  readonly id: string;
}

export class SimulatedDisk {
  /** Changes with every power cut. */
  readonly bootId: string;
  readonly #bootNumber: number;
  readonly #state: DiskState;

  constructor(options: SimulatedDiskOptions = {}, boot: Boot = firstBoot(options)) {
    this.#state = boot.state;
    this.#bootNumber = boot.number;
    this.bootId = boot.id;
  }

  get clock(): SimulatedClock {
    return this.#state.traits.clock;
  }

  /** A process that uses the disk: it sees what others do at once, and has descriptors of its own. */
  mount(options: MountOptions = {}): SimulatedFileSystem {
    return new SimulatedFileSystem(this.#state, options);
  }

  /** The same disk once more, with nothing lost, and with no process on it: as if all had been killed. */
  fork(): SimulatedDisk {
    return new SimulatedDisk({}, { state: this.#state.fork(), number: this.#bootNumber, id: this.bootId });
  }

  /** Everything becomes durable, as before an orderly shutdown. */
  settle(): void {
    this.#state.disown();
    this.#state.journal.settle(this.#state.live);
  }

  /** Unmounts and mounts a volume again: it is settled, and its mount id is another. Nothing may be open. */
  remount(path: string, { device }: RemountOptions = {}): void {
    if (this.#state.openCount > 0) throw new Error('Simulated disk: remounting while descriptors are open');
    this.settle();
    const id = follow(this.#state, path, { syscall: 'mount', path });
    const volume = this.#state.volumeOf(id);
    volume.mountSerial += 1;
    if (device !== undefined) volume.device = device;
  }

  /** Holds on to this moment, so that several power cuts can be tried on it while the disk goes on. */
  crashPoint(model: PersistenceModel, { tears = true }: CrashPointOptions = {}): CrashPoint<SimulatedDisk> {
    const { traits, journal, volumes } = this.#state;
    const { table, effects, barrier } = journal.snapshot();
    // Programs go on to change the live side; the volumes have their counters.
    const frozen = volumes.map((volume) => volume.copy());
    return new CrashPoint(model, {
      base: {
        table,
        effects,
        roots: traits.roots,
        sectorBytes: traits.sectorBytes,
      },
      barrier,
      tears,
      boot: (image, options) => this.#afterPowerCut(image, frozen, options),
    });
  }

  /** What a power cut now may lose. */
  pendingEffects(model: PersistenceModel, options: CrashPointOptions = {}): readonly PendingEffect[] {
    return this.crashPoint(model, options).effects;
  }

  /** The disk after a power cut now. This one is as it was. */
  crash(
    choice: CrashChoice,
    { model = 'weakest', ...options }: BootOptions & { readonly model?: PersistenceModel } = {},
  ): SimulatedDisk {
    return this.crashPoint(model).image(choice, options);
  }

  /** A hash of 64 bits of all that a new program can see: the same for equal disks, and hardly ever for others. */
  fingerprint(): bigint {
    const { live } = this.#state;
    const { high, low } = fingerprintOf(
      live.filter((_, id) => live[id] !== undefined && this.#state.isNamed(id)),
    );
    return (BigInt(high) << 32n) | BigInt(low);
  }

  /** All that is there, one line each, for the message of a failure and for comparisons. */
  listing(): string[] {
    const { traits, live } = this.#state;
    const lines: string[] = [];
    const visit = (id: InodeId, path: string): void => {
      const inode = live[traits.mounts.get(id) ?? id];
      if (inode === undefined) return;
      if (inode.kind === 'directory') lines.push(`${path}/`);
      else if (inode.kind === 'symlink') lines.push(`${path} -> ${inode.target}`);
      else if (inode.kind === 'other') lines.push(`${path} (other)`);
      else lines.push(`${path} ${JSON.stringify(preview(inode))}`);
      for (const [name, child] of inode.entries) visit(child, `${path}/${name}`);
    };
    visit(traits.roots[0] ?? 0, '');
    return lines.sort();
  }

  #afterPowerCut(
    { table, linkCounts }: CrashImage,
    volumes: readonly SimulatedVolume[],
    { bootId }: BootOptions,
  ): SimulatedDisk {
    const traits = traitsAfterPowerCut(this.#state.traits);
    const state = new DiskState(traits, {
      live: table,
      linkCounts,
      volumes: volumes.map((volume) => volume.copy()),
      journal: new PendingJournal(traits, table.slice()),
    });
    const number = this.#bootNumber + 1;
    return new SimulatedDisk({}, { state, number, id: bootId ?? `boot-${number}` });
  }
}

const refusing = new WeakMap<DiskTraits, DiskTraits>();

function traitsAfterPowerCut(traits: DiskTraits): DiskTraits {
  if (traits.directoryTimes !== 'frozen') return traits;
  let changed = refusing.get(traits);
  if (changed === undefined) {
    changed = { ...traits, directoryTimes: 'refused' };
    refusing.set(traits, changed);
  }
  return changed;
}

const previewBytesMax = 200;

function preview({ bytes, size }: Inode): string {
  const text = Buffer.from(bytes.subarray(0, Math.min(size, previewBytesMax))).toString('latin1');
  return size > previewBytesMax ? `${text}… (${size} bytes)` : text;
}

function firstBoot(options: SimulatedDiskOptions): Boot {
  const {
    clock = new SimulatedClock(),
    mtimeGrainNs = 1n,
    directoryTimes = true,
    sectorBytes = 512,
    syncReachesAncestors = true,
    root = {},
    volumes: further = [],
    bootId = 'boot-1',
  } = options;
  const live: InodeTable = [];
  const linkCounts: number[] = [];
  const volumes: SimulatedVolume[] = [];
  const mounts = new Map<InodeId, InodeId>();
  const roots: InodeId[] = [];
  for (const [index, volumeOptions] of [{ ...root, mountPoint: '/' }, ...further].entries()) {
    const volume = new SimulatedVolume(volumeOptions, { index, root: index });
    volumes.push(volume);
    roots.push(index);
    linkCounts.push(2);
    const timeNs = clock.nowNs();
    live.push(
      Inode.create({
        kind: 'directory',
        number: volume.rootNumber,
        volume: index,
        mode: 0o755,
        uid: 0,
        gid: 0,
        timeNs,
      }),
    );
  }
  const reusesNumbers = volumes.some(({ reusesInodeNumbers }) => reusesInodeNumbers);
  const traits: DiskTraits = {
    clock,
    mtimeGrainNs,
    directoryTimes: directoryTimes ? 'kept' : 'frozen',
    sectorBytes,
    syncReachesAncestors,
    reusesNumbers,
    roots,
    mounts,
  };
  const journal = new PendingJournal(traits, live.slice());
  const state = new DiskState(traits, { live, linkCounts, volumes, journal });
  for (const volume of volumes.slice(1)) mounts.set(makeMountPoint(state, volume), volume.root);
  state.disown();
  journal.settle(live);
  return { state, number: 1, id: bootId };
}

/** Makes the directory that a volume is mounted on, with its parents. */
function makeMountPoint(state: DiskState, { mountPoint }: SimulatedVolume): InodeId {
  const fileSystem = new SimulatedFileSystem(state);
  const names = mountPoint.split('/').filter((name) => name !== '');
  for (const [index] of names.entries()) {
    const path = `/${names.slice(0, index + 1).join('/')}`;
    if (fileSystem.lstat(path) === undefined) fileSystem.makeDirectory(path, 0o755);
  }
  return follow(state, mountPoint, { syscall: 'mount', path: mountPoint });
}
