/**
 * The output of a task, both streams in the order of their arrival, as bytes that are counted from 0:
 *
 *     output.<first>    the bytes from offset <first> on, appended to and never changed; its end is its size
 *     streams.<first>   the switches of stream in that segment, u32 little-endian each: position × 2, + 1 for stderr. It
 *                       begins with stdout. No file: all of it is stdout
 *     gap.<next>        empty: what there was between the end of the last segment and offset <next> was dropped. Its
 *                       name moves on while that lasts
 *
 * A switch is written before the bytes that follow it: so whoever reads the size first and the switches then knows the
 * stream of every byte. A segment's name is used once only, so a reader may hold it open while it is dropped, and read
 * on. Between two segments there may be a gap as well: bytes that the disk did not take.
 */

export type StreamName = 'stdout' | 'stderr';

export const switchBytes = 4;

const segmentPattern = /^output\.(\d+)$/;
const gapPattern = /^gap\.(\d+)$/;

export function segmentName(first: number): string {
  return `output.${first}`;
}

export function switchesName(first: number): string {
  return `streams.${first}`;
}

export function gapName(next: number): string {
  return `gap.${next}`;
}

export interface OutputNames {
  /** First offsets, ascending. */
  readonly segments: readonly number[];
  /** Everything up to here was written or dropped. */
  readonly gapEnd: number;
}

export function parseNames(names: readonly string[]): OutputNames {
  const numbers = (pattern: RegExp): number[] =>
    names
      .map((name) => pattern.exec(name)?.[1])
      .filter((text) => text !== undefined)
      .map(Number);
  return {
    segments: numbers(segmentPattern).sort((one, other) => one - other),
    gapEnd: Math.max(0, ...numbers(gapPattern)),
  };
}

export function encodeSwitch(position: number, stream: StreamName): Uint8Array {
  const bytes = Buffer.alloc(switchBytes);
  bytes.writeUInt32LE(position * 2 + (stream === 'stderr' ? 1 : 0));
  return bytes;
}

export interface StreamRange {
  /** Positions in the segment. */
  readonly start: number;
  readonly end: number;
  readonly stream: StreamName;
}

/** The ranges of a segment of this size. The last switch may be torn, or be ahead of the bytes. */
export function streamRanges(switches: Buffer, size: number): StreamRange[] {
  const ranges: StreamRange[] = [];
  let start = 0;
  let stream: StreamName = 'stdout';
  const upTo = (end: number): void => {
    if (end > start) ranges.push({ start, end, stream });
    start = end;
  };
  for (let at = 0; at + switchBytes <= switches.length; at += switchBytes) {
    const value = switches.readUInt32LE(at);
    upTo(Math.min(Math.floor(value / 2), size));
    stream = value % 2 === 1 ? 'stderr' : 'stdout';
  }
  upTo(size);
  return ranges;
}
