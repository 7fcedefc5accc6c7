import type { InodeId, InodeTable } from './simulated-inode.js';

export interface VolumeOptions {
  /** Absolute; its parents are made on the volume that holds them. The first volume is at `/`. */
  readonly mountPoint: string;
  /** `st_dev`. */
  readonly device?: bigint;
  /** Bytes for the content of files and directories, in whole blocks. Unlimited by default. */
  readonly capacityBytes?: number;
  readonly blockBytes?: number;
  /** `f_type` of statfs(2); that of ext4 by default. */
  readonly type?: number;
  /** Gives the lowest free inode number to the next inode, as ext4 soon does. By default none is given twice. */
  readonly reusesInodeNumbers?: boolean;
}

const firstInodeNumber = 11;
const rootInodeNumber = 2;
const typeOfExt4 = 0xef53;

/** One mounted file system of a simulated disk: its identity, its numbering and its room. */
export class SimulatedVolume {
  readonly index: number;
  readonly mountPoint: string;
  readonly root: InodeId;
  readonly capacityBytes: number;
  readonly blockBytes: number;
  readonly type: number;
  readonly reusesInodeNumbers: boolean;
  readonly rootNumber = rootInodeNumber;
  device: bigint;
  /** Counts the mounts; what `mountId` says depends on it. */
  mountSerial = 1;
  #nextNumber = firstInodeNumber;

  constructor(options: VolumeOptions, { index, root }: { readonly index: number; readonly root: InodeId }) {
    this.index = index;
    this.root = root;
    this.mountPoint = options.mountPoint;
    this.device = options.device ?? BigInt(0x801 + index);
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.blockBytes = options.blockBytes ?? 4096;
    this.type = options.type ?? typeOfExt4;
    this.reusesInodeNumbers = options.reusesInodeNumbers ?? false;
  }

  copy(): SimulatedVolume {
    const copy = new SimulatedVolume(this, this);
    copy.mountSerial = this.mountSerial;
    copy.#nextNumber = this.#nextNumber;
    return copy;
  }

  takeNumber(live: InodeTable): number {
    if (!this.reusesInodeNumbers) return this.#nextNumber++;
    const taken = new Set<number>();
    for (const inode of live) if (inode?.volume === this.index) taken.add(inode.number);
    let number = firstInodeNumber;
    while (taken.has(number)) number += 1;
    return number;
  }

  /** Every file is charged its size, holes included, and every directory one block. */
  usedBytes(live: InodeTable): number {
    let blocks = 0;
    for (const inode of live) {
      if (inode?.volume !== this.index) continue;
      if (inode.kind === 'file') blocks += Math.ceil(inode.size / this.blockBytes);
      else if (inode.kind === 'directory') blocks += 1;
    }
    return blocks * this.blockBytes;
  }

  availableBytes(live: InodeTable): number {
    return Math.max(0, this.capacityBytes - this.usedBytes(live));
  }
}
