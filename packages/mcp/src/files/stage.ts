/**
 * stage_begin, stage_append, stage_commit, stage_cancel and stage_list: a large file over many calls. Between two calls
 * nothing is held open, and what a call has answered is durable: so any server on the store can take the next call.
 */

import { randomUUID } from 'node:crypto';
import { isStoreError } from '@forewrit/core';
import type { Operation, StagingManager } from '@forewrit/staging';
import { z } from 'zod';
import { bytesOf, encodingInput } from '../content.js';
import { defineTool, reads, writes } from '../tool.js';
import { ToolError } from '../tool-error.js';
import { guards, ifAbsentInput, ifRevisionInput, pathInput } from './fields.js';

const idInput = z
  .string()
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/, "1 to 128 letters, digits, '.', '_' and '-'")
  .describe('Of the upload, as stage_begin gave it.');

const uploadOutput = z.object({
  id: z.string(),
  path: z.string(),
  next_offset: z.number().describe('So many bytes are durable; the next stage_append goes on there.'),
  total_bytes: z.number().nullable(),
});

export const stageBegin = defineTool({
  name: 'stage_begin',
  title: 'Begin a large write',
  description:
    'Begins to write a large file over many calls: stage_append adds to it, stage_commit puts it in place at once. Nothing is ' +
    'in the tree before that. What was appended survives crashes and restarts for 24 hours: stage_list finds it again. At most ' +
    '100 MB.',
  input: z.strictObject({
    path: pathInput,
    id: idInput.optional().describe('A name of your own for the upload. Default: one is made up.'),
    total_bytes: z
      .number()
      .int()
      .nonnegative()
      .optional()
      .describe('Its size, if known: room is asked for, and another size is not committed.'),
  }),
  output: uploadOutput,
  annotations: { ...writes, destructiveHint: false, idempotentHint: false },
  async run({ path, id = `upload-${randomUUID()}`, total_bytes }, { services, signal }) {
    // The commit would refuse a path that leads outside; here it is refused before anything is sent.
    await services.store.exists(path);
    const writer = await services.staging.open(path, {
      id,
      signal,
      ...(total_bytes === undefined ? {} : { totalBytes: total_bytes }),
    });
    await writer.close();
    return { structured: { id, path, next_offset: writer.durableOffset, total_bytes: total_bytes ?? null } };
  },
});

export const stageAppend = defineTool({
  name: 'stage_append',
  title: 'Add to a large write',
  description:
    'Adds bytes to an upload; durable when it answers. `offset` must be the `next_offset` of the last answer: so a call that is ' +
    'repeated because its answer was lost adds nothing twice; it is refused with ERR_OFFSET, which tells where to go on.',
  input: z.strictObject({
    id: idInput,
    offset: z
      .number()
      .int()
      .nonnegative()
      .describe('Where these bytes go: the `next_offset` of the last answer.'),
    content: z.string(),
    encoding: encodingInput,
  }),
  output: uploadOutput,
  annotations: { ...writes, destructiveHint: false },
  async run({ id, offset, content, encoding }, { services, signal, progress }) {
    const bytes = bytesOf(content, encoding);
    const writer = await services.staging.resume(id, {
      signal,
      onProgress: ({ bytes: done }) =>
        progress({ progress: Math.max(0, done - offset), total: bytes.byteLength }),
    });
    try {
      if (writer.offset !== offset) {
        throw new ToolError('ERR_OFFSET', `'${id}' goes on at ${writer.offset}, not at ${offset}`, {
          path: writer.path,
          current: { next_offset: writer.offset },
          hint: 'Append what follows from next_offset on; what lies before it is there already.',
        });
      }
      await writer.write(bytes);
    } finally {
      // Makes it durable.
      await writer.close();
    }
    const known = await services.staging.get(id);
    return {
      structured: {
        id,
        path: writer.path,
        next_offset: writer.durableOffset,
        total_bytes: known?.totalBytes ?? null,
      },
    };
  },
});

export const stageCommit = defineTool({
  name: 'stage_commit',
  title: 'Finish a large write',
  description:
    'Puts an upload in its place, as one atomic, durable write. May be repeated: if it was done already, it answers with what ' +
    'was done.',
  input: z.strictObject({
    id: idInput,
    if_revision: ifRevisionInput,
    if_absent: ifAbsentInput,
    sha256: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/)
      .optional()
      .describe('Of the whole content: anything else is refused with ERR_INTEGRITY.'),
  }),
  output: z.object({
    id: z.string(),
    path: z.string(),
    bytes: z.number(),
    transaction: z.string(),
    checksum: z.string(),
    algorithm: z.string(),
  }),
  annotations: writes,
  async run({ id, if_revision, if_absent, sha256 }, { services, signal }) {
    const { staging } = services;
    const writer = await staging
      .resume(id, {
        signal,
        ...guards({
          ...(if_revision === undefined ? {} : { if_revision }),
          ...(if_absent === undefined ? {} : { if_absent }),
        }),
        ...(sha256 === undefined ? {} : { checksum: 'sha256', expectedChecksum: sha256.toLowerCase() }),
      })
      .catch(async (error: unknown) => await doneBefore(staging, id, error));
    if ('state' in writer) return { structured: doneAs(writer) };
    try {
      const { transaction, bytes, checksum, algorithm } = await writer.commit();
      return { structured: { id, path: writer.path, transaction, bytes, checksum, algorithm } };
    } finally {
      await writer.close();
    }
  },
});

type Completed = Operation & { readonly state: 'completed' };

async function doneBefore(staging: StagingManager, id: string, error: unknown): Promise<Completed> {
  const known = isStoreError(error, 'ERR_NOT_FOUND') ? await staging.get(id) : undefined;
  if (known?.state === 'completed') return known;
  throw error;
}

function doneAs({ id, path, transaction, bytes, checksum, algorithm }: Completed) {
  return { id, path, transaction, bytes, checksum, algorithm };
}

export const stageCancel = defineTool({
  name: 'stage_cancel',
  title: 'Give up a large write',
  description: 'Forgets an upload and removes what was staged. The file at its path stays as it is.',
  input: z.strictObject({ id: idInput }),
  output: z.object({ id: z.string(), cancelled: z.boolean().describe('False if there was no such upload.') }),
  annotations: writes,
  async run({ id }, { services }) {
    return { structured: { id, cancelled: await services.staging.cancel(id) } };
  },
});

export const stageList = defineTool({
  name: 'stage_list',
  title: 'List large writes',
  description: 'Lists uploads that can be continued or were completed within the last 24 hours.',
  input: z.strictObject({}),
  output: z.object({
    uploads: z.array(
      uploadOutput.extend({
        state: z.string().describe('in_progress: it can be continued.'),
        held_by: z
          .string()
          .nullable()
          .describe('nobody, or who writes it at this moment: here or elsewhere.'),
        started_at_ms: z.number(),
      }),
    ),
  }),
  annotations: reads,
  async run(_args, { services }) {
    const uploads = (await services.staging.list()).map((each) => ({
      id: each.id,
      path: each.path,
      state: each.state,
      next_offset: 'durableBytes' in each ? each.durableBytes : 'bytes' in each ? each.bytes : 0,
      total_bytes: each.totalBytes ?? null,
      held_by: 'heldBy' in each ? each.heldBy : null,
      started_at_ms: each.startedAtMs,
    }));
    return { structured: { uploads } };
  },
});
