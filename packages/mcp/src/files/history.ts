/** file_history and undo. */

import type { HistoryEntry } from '@forewrit/core';
import { z } from 'zod';
import { defineTool, reads, writes } from '../tool.js';
import { committed, committedOutput } from './fields.js';

const limitDefault = 20;
const limitMax = 200;

const pathOutput = z.object({
  path: z.string(),
  did: z.enum([
    'created',
    'written',
    'moved',
    'removed',
    'directory-made',
    'directory-moved',
    'directory-removed',
  ]),
  from: z.string().optional().describe('Where it was moved from.'),
  size: z.number().optional().describe('Bytes of the file as it was left.'),
  size_before: z.number().optional().describe('Bytes of what was replaced or removed.'),
});

const transactionOutput = z.object({
  transaction: z.string().describe('For undo.'),
  revision: z.number(),
  committed_at_ms: z.number().describe('Milliseconds since 1970.'),
  paths: z.array(pathOutput),
  undoable: z.boolean().describe('Whether undo would work as things are now.'),
  obstacle: z
    .object({ code: z.string(), path: z.string(), message: z.string() })
    .optional()
    .describe('Why not.'),
});

export const fileHistory = defineTool({
  name: 'file_history',
  title: 'List what can be undone',
  description:
    'Lists the writes, moves and deletions that history has, the newest first, with what each did and whether it can be ' +
    'undone now: all, or those of a path and what is below it. Changes by programs that do not use the store are not in it.',
  input: z.strictObject({
    path: z.string().min(1).optional().describe('A file or directory, relative to the root of the store.'),
    limit: z.number().int().min(1).max(limitMax).default(limitDefault),
  }),
  output: z.object({
    transactions: z.array(transactionOutput),
    more: z.boolean().describe('There are older ones.'),
  }),
  annotations: reads,
  async run({ path, limit }, { services }) {
    const transactions: z.output<typeof transactionOutput>[] = [];
    for await (const entry of services.store.history(path)) {
      // Of entries that other programs keep beside the files no client knows.
      if (entry.paths.length === 0) continue;
      if (transactions.length === limit) return { structured: { transactions, more: true } };
      transactions.push(shown(entry));
    }
    return { structured: { transactions, more: false } };
  },
});

function shown(entry: HistoryEntry): z.output<typeof transactionOutput> {
  const { transaction, revision, committedAtMs, paths, undoable, obstacle } = entry;
  return {
    transaction,
    revision,
    committed_at_ms: committedAtMs,
    paths: paths.map(({ path, did, from, sizeBytes, sizeBytesBefore }) => ({
      path,
      did,
      ...(from === undefined ? {} : { from }),
      ...(sizeBytes === undefined ? {} : { size: sizeBytes }),
      ...(sizeBytesBefore === undefined ? {} : { size_before: sizeBytesBefore }),
    })),
    undoable,
    ...(obstacle === undefined
      ? {}
      : { obstacle: { code: obstacle.code, path: obstacle.path, message: obstacle.message } }),
  };
}

export const undo = defineTool({
  name: 'undo',
  title: 'Undo a write, move or deletion',
  description:
    'Puts back all that a transaction has replaced, moved or removed, and takes away what it has made: all or nothing. Refused with ' +
    'ERR_CONFLICT if any of it has changed since: undo the newer ones first. An undo is a transaction, and can be undone.',
  input: z.strictObject({
    transaction: z.string().min(1).describe('As file_history, or the answer of the write, gave it.'),
  }),
  output: committedOutput,
  annotations: { ...writes, idempotentHint: false },
  async run({ transaction }, { services, signal }) {
    return { structured: committed(await services.store.undo(transaction, { signal })) };
  },
});
