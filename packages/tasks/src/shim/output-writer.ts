/**
 * Writes output into segments (output-files.ts) within its limits. Straight synchronous calls: while it writes nothing
 * more is read from the command, so however much that prints, what is held in memory is one chunk.
 *
 * What the disk does not take is dropped and counted, and the command goes on; a while later it is tried again. The limit
 * is one of bytes in files, so it counts the switches of stream, too.
 */

import * as fs from 'node:fs';
import type { OutputLimits } from '../supervision/supervisor.js';
import {
  encodeSwitch,
  gapName,
  segmentName,
  type StreamName,
  switchBytes,
  switchesName,
} from './output-files.js';

/** The tail that is kept is never shorter than three quarters of the limit. */
const segmentsMin = 4;
const segmentsMax = 1024;
/** Positions are 31 bits in the switches. */
const segmentBytesMax = 2 ** 30;
const segmentBytesMin = 2 * switchBytes;
/** After the disk has refused. */
const retryMs = 1000;
/** A gap that grows is renamed this often. */
const gapRenameMs = 50;

const fileMode = 0o600;
const appendFlags =
  fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_APPEND;

export interface OutputWriterOptions {
  readonly limits: OutputLimits;
  /** Called once, when there was more than may be kept, with `overflow: 'kill'`. */
  readonly onOverflow?: () => void;
  /** So that a full disk can be played. */
  readonly system?: Pick<typeof fs, 'openSync' | 'writeSync'>;
}

interface Segment {
  readonly first: number;
  dataBytes: number;
  switchesBytes: number;
}

interface ActiveSegment extends Segment {
  readonly descriptor: number;
  switches: number | undefined;
  stream: StreamName;
}

export class OutputWriter {
  readonly #directory: string;
  readonly #limits: OutputLimits;
  readonly #segmentBytes: number;
  readonly #onOverflow: (() => void) | undefined;
  readonly #system: Pick<typeof fs, 'openSync' | 'writeSync'>;
  /** Oldest first; the active one is the last. */
  readonly #segments: Segment[] = [];
  #active: ActiveSegment | undefined;
  #outputBytes = 0;
  #keptBytes = 0;
  #retryAtMs = -Infinity;
  #gapEnd: number | undefined;
  #gapRenamedAtMs = -Infinity;
  /** From then on all is dropped, so that what is kept has no holes. */
  #overflowed = false;

  constructor(directory: string, { limits, onOverflow, system = fs }: OutputWriterOptions) {
    this.#directory = directory;
    this.#limits = limits;
    this.#segmentBytes = segmentBytesOf(limits);
    this.#onOverflow = onOverflow;
    this.#system = system;
  }

  /** All that there was, kept or not. */
  get outputBytes(): number {
    return this.#outputBytes;
  }

  get droppedBytes(): number {
    return this.#outputBytes - this.#keptBytes;
  }

  write(stream: StreamName, bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      const room = performance.now() < this.#retryAtMs ? 0 : this.#roomFor(stream, rest.length);
      const written = room === 0 ? 0 : this.#append(stream, rest.subarray(0, room));
      this.#outputBytes += written;
      this.#keptBytes += written;
      if (written === 0 || written < room) {
        this.#drop(rest.length - written);
        return;
      }
      rest = rest.subarray(written);
    }
  }

  /** On return what is kept is durable, as far as the disk takes it. */
  finish(): void {
    this.#close();
    this.#renameGap();
    for (const { first, switchesBytes } of this.#segments) {
      syncFile(`${this.#directory}/${segmentName(first)}`);
      if (switchesBytes > 0) syncFile(`${this.#directory}/${switchesName(first)}`);
    }
  }

  /** How many of the bytes go into the active segment, or a new one, after what must go has been dropped; 0: none. */
  #roomFor(stream: StreamName, wanted: number): number {
    if (this.#overflowed) return 0;
    for (;;) {
      const active = this.#active;
      const costOfSwitch = stream === (active?.stream ?? 'stdout') ? 0 : switchBytes;
      const used = active === undefined ? 0 : active.dataBytes + active.switchesBytes;
      const inSegment = this.#segmentBytes - used - costOfSwitch;
      if (inSegment < 1) {
        if (active === undefined) return this.#overflow(0);
        this.#close();
        continue;
      }
      const piece = Math.min(wanted, inSegment);
      const free = this.#limits.maxBytes - this.#usedBytes() - costOfSwitch;
      const full = active === undefined && this.#segments.length >= segmentsMax;
      if (piece <= free && !full) return piece;
      if (this.#limits.overflow === 'drop-oldest' && this.#segments.length > 0) this.#dropOldest();
      else return this.#overflow(full ? 0 : Math.max(0, free));
    }
  }

  #usedBytes(): number {
    return this.#segments.reduce((sum, { dataBytes, switchesBytes }) => sum + dataBytes + switchesBytes, 0);
  }

  #overflow(room: number): number {
    if (this.#limits.overflow === 'drop-oldest') return 0;
    this.#overflowed = true;
    if (this.#limits.overflow === 'kill') this.#onOverflow?.();
    return room;
  }

  #dropOldest(): void {
    if (this.#segments.length === 1) this.#close();
    const oldest = this.#segments.shift();
    if (oldest === undefined) return;
    this.#keptBytes -= oldest.dataBytes;
    this.#unlink(segmentName(oldest.first));
    if (oldest.switchesBytes > 0) this.#unlink(switchesName(oldest.first));
    // Nothing is left that would tell how much there was.
    if (this.#segments.length === 0) this.#noteGap();
  }

  #append(stream: StreamName, bytes: Uint8Array): number {
    try {
      const active = (this.#active ??= this.#open());
      if (active.stream !== stream) this.#switchTo(stream, active);
      let done = 0;
      try {
        while (done < bytes.length) {
          done += this.#system.writeSync(active.descriptor, bytes, done, bytes.length - done);
        }
      } catch {
        this.#refused();
      }
      active.dataBytes += done;
      return done;
    } catch {
      this.#refused();
      return 0;
    }
  }

  #open(): ActiveSegment {
    const first = this.#outputBytes;
    const path = `${this.#directory}/${segmentName(first)}`;
    // One that the disk refused from its first byte on has the same name.
    fs.rmSync(path, { force: true });
    fs.rmSync(`${this.#directory}/${switchesName(first)}`, { force: true });
    const descriptor = this.#system.openSync(path, appendFlags, fileMode);
    const segment: ActiveSegment = {
      first,
      dataBytes: 0,
      switchesBytes: 0,
      descriptor,
      switches: undefined,
      stream: 'stdout',
    };
    this.#segments.push(segment);
    this.#forgetGap();
    return segment;
  }

  #switchTo(stream: StreamName, active: ActiveSegment): void {
    const path = `${this.#directory}/${switchesName(active.first)}`;
    active.switches ??= this.#system.openSync(path, appendFlags, fileMode);
    const bytes = encodeSwitch(active.dataBytes, stream);
    for (let done = 0; done < bytes.length; ) {
      done += this.#system.writeSync(active.switches, bytes, done, bytes.length - done);
    }
    active.switchesBytes += bytes.length;
    active.stream = stream;
  }

  #refused(): void {
    this.#retryAtMs = performance.now() + retryMs;
    this.#close();
  }

  #close(): void {
    const active = this.#active;
    if (active === undefined) return;
    this.#active = undefined;
    fs.closeSync(active.descriptor);
    if (active.switches !== undefined) fs.closeSync(active.switches);
    if (active.dataBytes > 0) return;
    // Refused from its first byte on.
    this.#segments.pop();
    this.#unlink(segmentName(active.first));
    this.#unlink(switchesName(active.first));
  }

  #drop(bytes: number): void {
    this.#close();
    this.#outputBytes += bytes;
    this.#noteGap();
  }

  #noteGap(): void {
    if (performance.now() - this.#gapRenamedAtMs >= gapRenameMs) this.#renameGap();
  }

  #renameGap(): void {
    const end = this.#outputBytes;
    const newest = this.#segments.at(-1);
    const written = newest === undefined ? 0 : newest.first + newest.dataBytes;
    if (written === end || this.#gapEnd === end) return;
    this.#gapRenamedAtMs = performance.now();
    try {
      if (this.#gapEnd === undefined) {
        fs.closeSync(fs.openSync(`${this.#directory}/${gapName(end)}`, 'w', fileMode));
      } else {
        fs.renameSync(`${this.#directory}/${gapName(this.#gapEnd)}`, `${this.#directory}/${gapName(end)}`);
      }
      this.#gapEnd = end;
    } catch {
      // Then readers hear of it with the next segment, or at the end.
    }
  }

  #forgetGap(): void {
    if (this.#gapEnd === undefined) return;
    this.#unlink(gapName(this.#gapEnd));
    this.#gapEnd = undefined;
    this.#gapRenamedAtMs = -Infinity;
  }

  #unlink(name: string): void {
    try {
      fs.unlinkSync(`${this.#directory}/${name}`);
    } catch {
      // A file too much does no harm but to the disk.
    }
  }
}

/** As asked for, but for limits that would make a bad tail, too many files, or positions that have no place. */
export function segmentBytesOf({ maxBytes, segmentBytes }: OutputLimits): number {
  const most = Math.min(Math.floor(maxBytes / segmentsMin), segmentBytesMax);
  const least = Math.max(Math.ceil(maxBytes / segmentsMax) * 2, segmentBytesMin);
  return Math.min(Math.max(Math.min(segmentBytes, most), least), maxBytes, segmentBytesMax);
}

function syncFile(path: string): void {
  try {
    const descriptor = fs.openSync(path, 'r');
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  } catch {
    // Then a power cut may take it; the end is recorded all the same.
  }
}
