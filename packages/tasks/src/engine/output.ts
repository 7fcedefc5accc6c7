/**
 * Reading what a task has printed: bytes by offset, or text. Reading never consumes. Text is decoded here, at the edge: a
 * character that the end of a page would cut belongs to the next page.
 */

import { InvalidArgumentError } from '@forewrit/core';
import type { OutputRequest } from '../supervision/supervisor.js';
import { isSettledPhase, type StoredTask } from '../task/stored-task.js';
import type { TaskState } from '../task/task.js';
import { type EngineContext, launchDirectory } from './engine-context.js';
import { unfinishedBytes } from './utf8.js';

export interface ReadOutputOptions {
  /** Of the whole output of the attempt, both streams in the order of their arrival. Default: the oldest kept byte. */
  readonly offset?: number;
  /** In place of `offset`: so many lines before the end. */
  readonly tailLines?: number;
  /** Default: 1 MiB. */
  readonly maxBytes?: number;
  /** Leaves the other one out; offsets count both. */
  readonly stream?: 'stdout' | 'stderr';
  /** With it `data` is text; without it, bytes. */
  readonly encoding?: BufferEncoding;
}

export interface OutputPage {
  readonly data: string | Uint8Array;
  /** Of the first byte; later than asked for where the rest was dropped. */
  readonly offset: number;
  /** Where to go on. */
  readonly nextOffset: number;
  /** Lost before `offset`, counted from the beginning. */
  readonly droppedBytes: number;
  /** Nothing comes after `nextOffset`, now or later. */
  readonly complete: boolean;
  readonly state: TaskState;
}

const pageBytesDefault = 1024 * 1024;
const pageBytesMax = 16 * 1024 * 1024;
/** The longest character in UTF-8: a page smaller than that could never show it. */
const characterBytesMax = 4;

export function checkReadOptions(op: string, options: ReadOutputOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError(op, 'options must be an object');
  }
  const { offset, tailLines, maxBytes, stream, encoding } = options;
  for (const [name, value, min] of [
    ['offset', offset, 0],
    ['tailLines', tailLines, 0],
    ['maxBytes', maxBytes, 1],
  ] as const) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= min)) continue;
    throw new InvalidArgumentError(op, `${name} must be a whole number from ${min}`);
  }
  if (offset !== undefined && tailLines !== undefined) {
    throw new InvalidArgumentError(op, 'give offset or tailLines, not both');
  }
  if (stream !== undefined && stream !== 'stdout' && stream !== 'stderr') {
    throw new InvalidArgumentError(op, "stream must be 'stdout' or 'stderr'");
  }
  if (encoding !== undefined && !Buffer.isEncoding(encoding)) {
    throw new InvalidArgumentError(op, `there is no encoding '${String(encoding)}'`);
  }
}

interface Bytes {
  readonly data: Uint8Array;
  readonly offset: number;
  readonly nextOffset: number;
  readonly droppedBytes: number;
  readonly outputBytes: number;
}

export async function readPage(
  context: EngineContext,
  task: StoredTask,
  { encoding, ...options }: ReadOutputOptions,
): Promise<OutputPage> {
  const isText = encoding !== undefined;
  const wanted = Math.min(options.maxBytes ?? pageBytesDefault, pageBytesMax);
  const maxBytes = isText ? Math.max(wanted, characterBytesMax) : wanted;
  const settled = isSettledPhase(task.phase);
  const read = await readBytes(context, task, { ...options, maxBytes });
  const bytes = isUtf8(encoding) ? await wholeCharacters(context, task, { read, options, settled }) : read;
  const { data, offset, nextOffset, droppedBytes, outputBytes } = bytes;
  return {
    data: isText ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString(encoding) : data,
    offset,
    nextOffset,
    droppedBytes,
    complete: settled && nextOffset >= outputBytes,
    state: task.phase.state,
  };
}

export async function readBytes(
  context: EngineContext,
  task: StoredTask,
  request: OutputRequest,
): Promise<Bytes> {
  if (task.launches === 0) {
    if (task.imported === true) return ofImported(await context.table.output(task.id), request);
    return { data: new Uint8Array(), offset: 0, nextOffset: 0, droppedBytes: 0, outputBytes: 0 };
  }
  const directory = launchDirectory(context, task.id, task.launches);
  return await context.supervisor.readOutput(directory, request);
}

/** Without a character that is cut at the end, if the rest of it is there or may come. */
async function wholeCharacters(
  context: EngineContext,
  task: StoredTask,
  {
    read,
    options,
    settled,
  }: { readonly read: Bytes; readonly options: ReadOutputOptions; readonly settled: boolean },
): Promise<Bytes> {
  const cut = unfinishedBytes(read.data);
  if (cut === 0 || (settled && read.nextOffset >= read.outputBytes)) return read;
  if (options.stream === undefined) {
    const data = read.data.subarray(0, read.data.length - cut);
    return { ...read, data, nextOffset: read.nextOffset - cut };
  }
  // Bytes of the other stream lie between, and only the reader knows how many.
  const maxBytes = read.data.length - cut;
  if (maxBytes === 0) return { ...read, data: new Uint8Array(), nextOffset: read.offset };
  return await readBytes(context, task, { stream: options.stream, offset: read.offset, maxBytes });
}

function isUtf8(encoding: BufferEncoding | undefined): boolean {
  return encoding !== undefined && /^utf-?8$/i.test(encoding);
}

/** Nothing is dropped from it, and streams are not told apart. */
function ofImported(output: Uint8Array, request: OutputRequest): Bytes {
  const outputBytes = output.byteLength;
  const offset = Math.min(
    request.tailLines === undefined ? (request.offset ?? 0) : tailOffset(output, request.tailLines),
    outputBytes,
  );
  const data = output.subarray(offset, offset + (request.maxBytes ?? outputBytes));
  return { data, offset, nextOffset: offset + data.byteLength, droppedBytes: 0, outputBytes };
}

function tailOffset(output: Uint8Array, lines: number): number {
  if (lines === 0) return output.byteLength;
  // The newline that ends the last line begins none.
  let at = output.byteLength - 1;
  for (let line = 0; line < lines; line += 1) {
    at = at <= 0 ? -1 : output.lastIndexOf(10, at - 1);
    if (at === -1) return 0;
  }
  return at + 1;
}
