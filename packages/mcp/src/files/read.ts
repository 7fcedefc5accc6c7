/** read_file and read_files. */

import { InvalidArgumentError, type Snapshot, type Store, type StoreStat, StoreError } from '@forewrit/core';
import { z } from 'zod';
import { contentOf, cutCharacterBytes, type Encoding, textOf } from '../content.js';
import { defineTool, reads } from '../tool.js';
import { pathInput, requireBelow, revisionOf, revisionOutput } from './fields.js';

const pageBytesDefault = 256 * 1024;
const pageBytesMax = 4 * 1024 * 1024;
const fileBytesMax = 256 * 1024 * 1024;
const filesMax = 500;
const setBytesMax = 8 * 1024 * 1024;

const encodingWanted = z
  .enum(['utf8', 'base64'])
  .optional()
  .describe('Default: text if the file is valid UTF-8, else base64; the answer says which.');

const fileOutput = z.object({
  path: z.string(),
  content: z.string(),
  encoding: z.enum(['utf8', 'base64']),
  size: z.number().describe('Of the whole file, in bytes.'),
  revision: revisionOutput,
  checksum: z.string().nullable().describe('xxh64 of the whole file; null where revision is.'),
});

interface Read {
  readonly bytes: Buffer;
  readonly stat: StoreStat;
}

async function readWithStat(view: Snapshot, path: string): Promise<Read> {
  const { size } = await view.stat(path);
  requireBelow(fileBytesMax, { op: 'read_file', path, size });
  const bytes = await view.readFile(path);
  return { bytes, stat: await view.stat(path) };
}

function about(
  path: string,
  { bytes, stat }: Read,
): Omit<z.output<typeof fileOutput>, 'content' | 'encoding'> {
  return { path, size: bytes.byteLength, revision: revisionOf(stat), checksum: stat.checksum ?? null };
}

export const readFile = defineTool({
  name: 'read_file',
  title: 'Read a file',
  description:
    'Reads a file as the newest committed write left it, with the revision that edit_file and write_file take as ' +
    '`if_revision`. Long files come in pages: go on at `next_offset`.',
  input: z.strictObject({
    path: pathInput,
    encoding: encodingWanted,
    offset: z.number().int().nonnegative().default(0).describe('First byte to read: a `next_offset`.'),
    max_bytes: z
      .number()
      .int()
      .min(4)
      .max(pageBytesMax)
      .default(pageBytesDefault)
      .describe('Longest page, in bytes.'),
  }),
  output: fileOutput.extend({
    offset: z.number(),
    next_offset: z.number().nullable().describe('Where to go on; null at the end of the file.'),
  }),
  annotations: reads,
  async run({ path, encoding, offset, max_bytes }, { services }) {
    const read = await services.store.snapshot((view) => readWithStat(view, path));
    const page = pageOf(read.bytes, { offset, maxBytes: max_bytes, encoding });
    const { content, encoding: used } = contentOf(page, encoding);
    const end = offset + page.byteLength;
    const next_offset = end < read.bytes.byteLength ? end : null;
    const rest = { ...about(path, read), encoding: used, offset, next_offset };
    return { structured: { ...rest, content }, text: [content, JSON.stringify(rest)] };
  },
});

function pageOf(
  bytes: Uint8Array,
  {
    offset,
    maxBytes,
    encoding,
  }: { readonly offset: number; readonly maxBytes: number; readonly encoding: Encoding | undefined },
): Uint8Array {
  if (offset > bytes.byteLength) {
    throw new InvalidArgumentError('read_file', `offset ${offset} is beyond the ${bytes.byteLength} bytes`);
  }
  const page = bytes.subarray(offset, offset + maxBytes);
  const isLast = offset + page.byteLength >= bytes.byteLength;
  if (encoding === 'base64' || isLast) return requireText(page, encoding);
  const whole = page.subarray(0, page.byteLength - cutCharacterBytes(page));
  return requireText(textOf(whole) === undefined ? page : whole, encoding);
}

function requireText(page: Uint8Array, encoding: Encoding | undefined): Uint8Array {
  if (encoding !== 'utf8' || textOf(page) !== undefined) return page;
  throw new InvalidArgumentError('read_file', 'these bytes are no valid UTF-8 text; ask for base64');
}

export const readFiles = defineTool({
  name: 'read_files',
  title: 'Read several files of one moment',
  description:
    'Reads several whole files as one consistent set: a save of several files that happens meanwhile is seen either ' +
    'completely or not at all. Fails as a whole if one of them cannot be read.',
  input: z.strictObject({
    paths: z.array(pathInput).min(1).max(filesMax).describe('The files, each once.'),
    encoding: encodingWanted,
  }),
  output: z.object({ files: z.array(fileOutput) }),
  annotations: reads,
  async run({ paths, encoding }, { services }) {
    const set = await readSet(services.store, paths);
    const files = paths.map((path, index) => {
      const read = set[index]!;
      if (encoding === 'utf8') requireText(read.bytes, encoding);
      return { ...about(path, read), ...contentOf(read.bytes, encoding) };
    });
    const text = files.flatMap(({ content, ...rest }) => [JSON.stringify(rest), content]);
    return { structured: { files }, text };
  },
});

async function readSet(store: Store, paths: readonly string[]): Promise<Read[]> {
  return await store.snapshot(async (view) => {
    const stats = await Promise.all(paths.map((path) => view.stat(path)));
    const sizeBytes = stats.reduce((sum, { size }) => sum + size, 0);
    if (sizeBytes > setBytesMax) {
      throw new StoreError(
        'ERR_TOO_LARGE',
        `The set has ${sizeBytes} bytes; at most ${setBytesMax} are read`,
        {
          op: 'read_files',
          hint: 'Read fewer at once, or large ones with read_file in pages.',
        },
      );
    }
    // One call, one moment; the stats that follow are of the same one.
    await view.readFiles(paths);
    return await Promise.all(paths.map((path) => readWithStat(view, path)));
  });
}
