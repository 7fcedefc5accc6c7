/**
 * What can be on a disk after a power cut, from its journal. Whatever was written before the last flush is there. Of the
 * writes since, each may be there, or not, or in part: the disk has a cache, and may write it in any order. A sector is
 * written whole or not at all.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Random } from '@forewrit/testkit/random';
import type { DeviceEntry, DeviceWrite } from './device-journal.js';

const sectorBytes = 512;

export interface CrashImageOptions {
  /** The image from before the first entry of the journal. It is brought forward in place. */
  readonly base: string;
  readonly entries: readonly DeviceEntry[];
  /** What the disk writes in one piece though it is several sectors. */
  readonly superblock: ByteRange;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface CrashImage {
  /** Writes that no flush had made safe, and how many of them the image has in whole and in part. */
  readonly pending: number;
  readonly kept: number;
  readonly torn: number;
}

/**
 * How likely a write is there, and if it is not, how likely a part of it is. Nothing and everything are what a simple disk
 * would leave.
 */
const mixtures = [
  { keeps: 0, tears: 0 },
  { keeps: 1, tears: 0 },
  { keeps: 0.2, tears: 0.2 },
  { keeps: 0.5, tears: 0.4 },
  { keeps: 0.5, tears: 1 },
  { keeps: 0.9, tears: 0.5 },
] as const;

export class CrashImages {
  readonly #options: CrashImageOptions;
  readonly #base: number;
  /** Up to here everything is in the base. */
  #flushed = 0;

  constructor(options: CrashImageOptions) {
    this.#options = options;
    this.#base = openSync(options.base, 'r+');
  }

  close(): void {
    closeSync(this.#base);
  }

  /** Makes the image of a cut that came after so many entries. Cuts come in order: none before an earlier one. */
  make(path: string, { position, random }: { position: number; random: Random }): CrashImage {
    const { base, entries, superblock } = this.#options;
    const lastFlush = entries.findLastIndex((entry, index) => entry.type === 'flush' && index < position);
    for (; this.#flushed <= lastFlush; this.#flushed += 1) {
      const entry = entries[this.#flushed]!;
      if (entry.type === 'write') writeWhole(this.#base, entry);
    }
    copySparse(base, path);
    const image = openSync(path, 'r+');
    try {
      const pending = entries.slice(this.#flushed, position).filter((entry) => entry.type === 'write');
      return { pending: pending.length, ...writeSome(image, pending, { random, superblock }) };
    } finally {
      closeSync(image);
    }
  }
}

/** Takes no longer than what is in the file does. */
export function copySparse(from: string, to: string): void {
  const { status, stderr } = spawnSync('cp', ['--sparse=always', from, to], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cp failed: ${stderr}`);
}

function writeSome(
  image: number,
  pending: readonly DeviceWrite[],
  { random, superblock }: { random: Random; superblock: ByteRange },
): { kept: number; torn: number } {
  const { keeps, tears } = random.pick(mixtures);
  let [kept, torn] = [0, 0];
  for (const write of pending) {
    if (random.chance(keeps)) {
      writeWhole(image, write);
      kept += 1;
    } else if (random.chance(tears) && write.bytes.length > sectorBytes) {
      writeTorn(image, write, { random, superblock });
      torn += 1;
    }
  }
  return { kept, torn };
}

function writeWhole(descriptor: number, { bytes, offset }: DeviceWrite): void {
  if (writeSync(descriptor, bytes, 0, bytes.length, offset) !== bytes.length) {
    throw new Error('the place for images is full');
  }
}

/** A beginning of it, or sectors anywhere in it. */
function writeTorn(
  descriptor: number,
  { bytes, offset, atMs }: DeviceWrite,
  { random, superblock }: { random: Random; superblock: ByteRange },
): void {
  const sectors = Math.ceil(bytes.length / sectorBytes);
  const beginning = random.chance(0.5) ? 1 + random.below(sectors - 1) : undefined;
  let isThere = false;
  for (let sector = 0; sector < sectors; sector += 1) {
    const start = sector * sectorBytes;
    const inSuperblock = offset + start - superblock.offset;
    const goesWithLast = inSuperblock > 0 && inSuperblock < superblock.length;
    if (!goesWithLast) isThere = beginning === undefined ? random.chance(0.5) : sector < beginning;
    if (!isThere) continue;
    const part = bytes.subarray(start, start + sectorBytes);
    writeWhole(descriptor, { type: 'write', atMs, offset: offset + start, bytes: part });
  }
}
