/**
 * Reads pages of a task's output (`shim/output-files.ts`), while it is written and while its oldest parts are dropped:
 * a page may then begin later than asked, but never has a byte that is not of its offset. Pages end at gaps. Only the
 * bytes of the page are read and held, from its end backwards for lines.
 */

import { hasCode, NodeAsyncFileSystem, NodeFileSystem } from '@forewrit/core';
import {
  parseNames,
  segmentName,
  type StreamRange,
  streamRanges,
  switchesName,
} from '../shim/output-files.js';
import type { OutputBytes, OutputRequest } from './supervisor.js';

export const pageBytesDefault = 1024 * 1024;
const tailBlockBytes = 64 * 1024;
const newline = 0x0a;
/** How often a page may lose its beginning to the writer before it is given up as empty. */
const attemptsMax = 100;

interface Segment {
  readonly first: number;
  readonly size: number;
}

interface Layout {
  readonly segments: readonly Segment[];
  readonly end: number;
}

/** A segment was dropped meanwhile. */
class Dropped extends Error {}

export async function readOutputPage(directory: string, request: OutputRequest): Promise<OutputBytes> {
  for (let attempt = 1; ; attempt += 1) {
    const layout = lookAt(directory);
    try {
      return await new PageReader(directory, layout, request).read();
    } catch (error) {
      if (!(error instanceof Dropped)) throw error;
      if (attempt < attemptsMax) continue;
      const { end } = layout;
      return { data: new Uint8Array(0), offset: end, nextOffset: end, droppedBytes: end, outputBytes: end };
    }
  }
}

function lookAt(directory: string): Layout {
  const fileSystem = new NodeFileSystem();
  let names: readonly string[] = [];
  try {
    names = fileSystem.list(directory);
  } catch (error) {
    if (!hasCode(error, new Set(['ENOENT', 'ENOTDIR']))) throw error;
  }
  const { segments, gapEnd } = parseNames(names);
  const found: Segment[] = [];
  for (const first of segments) {
    const stat = fileSystem.lstat(`${directory}/${segmentName(first)}`);
    if (stat !== undefined) found.push({ first, size: stat.size });
  }
  const last = found.at(-1);
  return { segments: found, end: Math.max(gapEnd, last === undefined ? 0 : last.first + last.size) };
}

class PageReader {
  readonly #directory: string;
  readonly #layout: Layout;
  readonly #request: OutputRequest;
  readonly #bytesMax: number;
  readonly #files = new NodeAsyncFileSystem();

  constructor(directory: string, layout: Layout, request: OutputRequest) {
    this.#directory = directory;
    this.#layout = layout;
    this.#request = request;
    this.#bytesMax = request.maxBytes ?? pageBytesDefault;
  }

  async read(): Promise<OutputBytes> {
    const { tailLines, offset: asked } = this.#request;
    const { segments, end } = this.#layout;
    const oldest = segments[0]?.first ?? end;
    const from = tailLines === undefined ? (asked ?? oldest) : await this.#tailStart(tailLines);
    // Into a gap: on to its end.
    const segment = segments.find(({ first, size }) => from < first + size);
    const offset = segment === undefined ? Math.max(end, Math.min(from, end)) : Math.max(from, segment.first);
    const { data, nextOffset } = await this.#forward(offset);
    return { data, offset, nextOffset, droppedBytes: this.#droppedBefore(offset), outputBytes: end };
  }

  #droppedBefore(offset: number): number {
    const kept = this.#layout.segments.reduce(
      (sum, { first, size }) => sum + Math.min(Math.max(offset - first, 0), size),
      0,
    );
    return offset - kept;
  }

  async #forward(offset: number): Promise<{ data: Uint8Array; nextOffset: number }> {
    const pieces: Uint8Array[] = [];
    let room = this.#bytesMax;
    let at = offset;
    for (const segment of this.#layout.segments) {
      if (segment.first + segment.size <= at) continue;
      if (segment.first > at || room === 0) break;
      try {
        for (const { start, end, wanted } of await this.#ranges(segment, at - segment.first)) {
          const length = wanted ? Math.min(end - start, room) : end - start;
          if (wanted) pieces.push(await this.#bytes(segment, start, length));
          if (wanted) room -= length;
          at = segment.first + start + length;
          if (length < end - start) break;
        }
      } catch (error) {
        if (!(error instanceof Dropped) || at === offset) throw error;
        break;
      }
    }
    return { data: Buffer.concat(pieces), nextOffset: at };
  }

  /** Where the last lines begin; no earlier than `maxBytes` of them. */
  async #tailStart(lines: number): Promise<number> {
    const { segments, end } = this.#layout;
    let room = this.#bytesMax;
    let newlinesLeft = lines;
    let start = end;
    let last = true;
    let next: Segment | undefined;
    for (const segment of segments.toReversed()) {
      // Behind a gap a page would not come to its end.
      if (next !== undefined && segment.first + segment.size < next.first) break;
      next = segment;
      for (const range of (await this.#ranges(segment, 0)).toReversed()) {
        if (!range.wanted) continue;
        for (let blockEnd = range.end; blockEnd > range.start; ) {
          if (room === 0 || lines <= 0) return start;
          const length = Math.min(blockEnd - range.start, tailBlockBytes, room);
          const block = await this.#bytes(segment, blockEnd - length, length);
          // The newline that ends the last line begins no other.
          let index = last && block.at(-1) === newline ? block.length - 1 : block.length;
          last = false;
          for (;;) {
            index = index === 0 ? -1 : block.lastIndexOf(newline, index - 1);
            if (index === -1) break;
            newlinesLeft -= 1;
            if (newlinesLeft === 0) return segment.first + blockEnd - length + index + 1;
          }
          room -= length;
          blockEnd -= length;
          start = segment.first + blockEnd;
        }
      }
    }
    return start;
  }

  async #ranges(segment: Segment, from: number): Promise<(StreamRange & { readonly wanted: boolean })[]> {
    const { stream } = this.#request;
    const { size } = segment;
    if (stream === undefined) {
      return [{ start: from, end: size, stream: 'stdout' as const, wanted: true }].filter(
        ({ start, end }) => start < end,
      );
    }
    const switches = await this.#switches(segment);
    return streamRanges(switches, size)
      .filter(({ end }) => end > from)
      .map((range) => ({ ...range, start: Math.max(range.start, from), wanted: range.stream === stream }));
  }

  async #switches({ first }: Segment): Promise<Buffer> {
    const descriptor = await this.#open(switchesName(first));
    if (descriptor === undefined) {
      // There are none, or the segment was dropped: its bytes go before them.
      if (new NodeFileSystem().lstat(`${this.#directory}/${segmentName(first)}`) === undefined) {
        throw new Dropped();
      }
      return Buffer.alloc(0);
    }
    try {
      const { size } = await this.#files.stat(descriptor);
      return await this.#fill(descriptor, 0, size);
    } finally {
      await this.#files.close(descriptor);
    }
  }

  async #bytes({ first }: Segment, start: number, length: number): Promise<Buffer> {
    const descriptor = await this.#open(segmentName(first));
    if (descriptor === undefined) throw new Dropped();
    try {
      return await this.#fill(descriptor, start, length);
    } finally {
      await this.#files.close(descriptor);
    }
  }

  async #open(name: string): Promise<number | undefined> {
    try {
      return await this.#files.openRead(`${this.#directory}/${name}`);
    } catch (error) {
      if (hasCode(error, new Set(['ENOENT', 'ENOTDIR']))) return undefined;
      throw error;
    }
  }

  async #fill(descriptor: number, position: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const read = await this.#files.read(descriptor, bytes.subarray(done), position + done);
      if (read === 0) return bytes.subarray(0, done);
      done += read;
    }
    return bytes;
  }
}
