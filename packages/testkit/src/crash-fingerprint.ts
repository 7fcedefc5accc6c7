/**
 * The fingerprint of an image without the image: the sum of the digests of the inodes that can be reached, where what an
 * inode looks like depends on the effects on it alone. So it is worked out once for each combination of these, and a
 * choice of survivors costs a few look-ups. What is worked out is made by the code that builds images: the two agree.
 */
import { type ImageBase, survive } from './crash-image.js';
import { type Effect, outcomeCount } from './pending-effect.js';
import { type Inode, type InodeId, inodeAt } from './simulated-inode.js';

/** 64 bits: the same for equal disks, and hardly ever for others. */
export interface Fingerprint {
  readonly high: number;
  readonly low: number;
}

/** Of a disk that consists of these inodes. */
export function fingerprintOf(inodes: readonly (Inode | undefined)[]): Fingerprint {
  let high = 0;
  let low = 0;
  for (const inode of inodes) {
    if (inode === undefined) continue;
    high = (high + inode.digestHigh) | 0;
    low = (low + inode.digestLow) | 0;
  }
  return { high: high >>> 0, low: low >>> 0 };
}

/** What there is to know of an inode in an image. */
interface Look {
  readonly high: number;
  readonly low: number;
  readonly children: readonly InodeId[];
}

/** An inode on which something is pending. */
interface Changing {
  readonly id: InodeId;
  /** Where its effects are, in their order. */
  readonly effects: readonly number[];
  /** By the outcomes of its effects, taken as the digits of one number. */
  readonly looks: Map<number, Look>;
}

/** More looks of one inode than that are not kept. */
const looksMax = 1 << 16;

export class ImageFingerprints {
  readonly #base: ImageBase;
  readonly #radixes: readonly number[];
  readonly #changing: readonly Changing[];
  /** By inode: its place in `#changing`, or -1. */
  readonly #places: readonly number[];
  readonly #still: (Look | undefined)[] = [];
  /** By inode: the number of the last image in which it was met. */
  readonly #met: number[];
  readonly #pending: InodeId[] = [];
  /** Whether combinations can be told apart by a number. */
  readonly #countable: boolean;
  #image = 0;

  constructor(base: ImageBase) {
    this.#base = base;
    this.#radixes = base.effects.map(outcomeCount);
    const byInode = new Map<InodeId, number[]>();
    for (const [index, effect] of base.effects.entries()) {
      for (const id of inodesOf(effect)) {
        const known = byInode.get(id);
        if (known === undefined) byInode.set(id, [index]);
        else known.push(index);
      }
    }
    this.#changing = [...byInode].map(([id, effects]) => ({ id, effects, looks: new Map() }));
    this.#countable = this.#changing.every(({ effects }) => {
      const combinations = effects.reduce((product, index) => product * (this.#radixes[index] as number), 1);
      return combinations <= Number.MAX_SAFE_INTEGER;
    });
    const places: number[] = base.table.map(() => -1);
    for (const [place, { id }] of this.#changing.entries()) places[id] = place;
    this.#places = places;
    this.#met = base.table.map(() => 0);
  }

  /** By the outcome of each effect; `undefined` where there are scattered writes, or too many combinations. */
  of(outcomes: readonly number[]): Fingerprint | undefined {
    if (!this.#countable) return undefined;
    for (let index = 0; index < this.#radixes.length; index += 1) {
      if ((outcomes[index] as number) >= (this.#radixes[index] as number)) return undefined;
    }
    this.#image += 1;
    let high = 0;
    let low = 0;
    const pending = this.#pending;
    for (const root of this.#base.roots) {
      this.#met[root] = this.#image;
      pending.push(root);
    }
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      const place = this.#places[id] as number;
      const look =
        place < 0 ? this.#lookOfStill(id) : this.#lookOf(this.#changing[place] as Changing, outcomes);
      high = (high + look.high) | 0;
      low = (low + look.low) | 0;
      for (const child of look.children) {
        if (this.#met[child] === this.#image) continue;
        this.#met[child] = this.#image;
        pending.push(child);
      }
    }
    return { high: high >>> 0, low: low >>> 0 };
  }

  #lookOfStill(id: InodeId): Look {
    return (this.#still[id] ??= lookAt(inodeAt(this.#base.table, id)));
  }

  #lookOf({ id, effects, looks }: Changing, outcomes: readonly number[]): Look {
    let combination = 0;
    for (const index of effects) {
      combination = combination * (this.#radixes[index] as number) + (outcomes[index] as number);
    }
    const known = looks.get(combination);
    if (known !== undefined) return known;
    const look = this.#workOut(id, effects, outcomes);
    if (looks.size >= looksMax) looks.clear();
    looks.set(combination, look);
    return look;
  }

  /** What a move does to another directory is done, too, and not looked at. */
  #workOut(id: InodeId, effects: readonly number[], outcomes: readonly number[]): Look {
    const { table, sectorBytes } = this.#base;
    const scratch = table.slice();
    const owner = {};
    for (const index of effects) {
      survive(scratch, this.#base.effects[index] as Effect, {
        owner,
        outcome: outcomes[index] as number,
        sectorBytes,
      });
    }
    return lookAt(inodeAt(scratch, id));
  }
}

function lookAt({ digestHigh, digestLow, entries }: Inode): Look {
  return { high: digestHigh, low: digestLow, children: [...entries.values()] };
}

function inodesOf(effect: Effect): InodeId[] {
  switch (effect.kind) {
    case 'entry':
      return [effect.directory];
    case 'move':
      return effect.from.directory === effect.to.directory
        ? [effect.from.directory]
        : [effect.from.directory, effect.to.directory];
    default:
      return [effect.id];
  }
}
