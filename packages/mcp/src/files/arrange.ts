/** move_file, delete_file and list_directory. */

import { isStoreError, type Snapshot, StoreError } from '@forewrit/core';
import { z } from 'zod';
import { defineTool, reads, writes } from '../tool.js';
import {
  committed,
  committedOutput,
  ifRevisionInput,
  pathInput,
  revisionOf,
  revisionOutput,
} from './fields.js';

const entriesDefault = 500;
const entriesMax = 5000;

export const moveFile = defineTool({
  name: 'move_file',
  title: 'Move or rename',
  description:
    'Moves a file or a directory. Missing directories of the new place are made. Refused with ERR_EXISTS if there is ' +
    'something at the new place, unless overwrite is given (files only).',
  input: z.strictObject({
    from: pathInput,
    to: pathInput,
    overwrite: z.boolean().default(false).describe('Replace a file that is at `to`.'),
  }),
  output: committedOutput,
  annotations: { ...writes, idempotentHint: false },
  async run({ from, to, overwrite }, { services, signal }) {
    const commit = await services.store.transact(
      async (tx) => {
        if (!overwrite && (await tx.exists(to))) {
          throw new StoreError('ERR_EXISTS', `There is something at '${to}' already`, {
            op: 'move_file',
            path: to,
            hint: 'Choose another place, or give overwrite.',
          });
        }
        tx.rename(from, to);
        return await tx.commit();
      },
      { signal },
    );
    return { structured: committed(commit) };
  },
});

export const deleteFile = defineTool({
  name: 'delete_file',
  title: 'Delete',
  description:
    'Deletes a file or, with recursive, a directory and everything in it. `undo` brings it back while history has it. With ' +
    '`if_revision` only if nobody has written the file since it was read.',
  input: z.strictObject({
    path: pathInput,
    recursive: z.boolean().default(false).describe('Delete a directory with its content.'),
    if_revision: ifRevisionInput,
  }),
  output: committedOutput,
  annotations: writes,
  async run({ path, recursive, if_revision }, { services, signal }) {
    const commit = await services.store.transact(
      async (tx) => {
        if (if_revision !== undefined && (await tx.stat(path)).revision !== if_revision) {
          throw new StoreError('ERR_CONFLICT', `'${path}' has another revision than ${if_revision}`, {
            op: 'delete_file',
            path,
            hint: 'Read it again, and decide whether it is still to be deleted.',
          });
        }
        tx.rm(path, { recursive });
        return await tx.commit();
      },
      { signal, ...(if_revision === undefined ? {} : { retries: 0 }) },
    );
    return { structured: committed(commit) };
  },
});

const entryOutput = z.object({
  name: z.string().describe('Relative to the directory that was listed.'),
  type: z.string().describe('file, directory, symlink or other.'),
  size: z.number(),
  revision: revisionOutput,
  problem: z.string().optional().describe('The code of why it cannot be looked at.'),
});

export const listDirectory = defineTool({
  name: 'list_directory',
  title: 'List a directory',
  description: 'Lists a directory in the order of the names, with types, sizes and revisions.',
  input: z.strictObject({
    path: z.string().min(1).default('.').describe('The directory, relative to the root of the store.'),
    recursive: z.boolean().default(false).describe('With everything below it.'),
    cursor: z.string().optional().describe('`next_cursor` of an earlier page, to go on after it.'),
    limit: z.number().int().min(1).max(entriesMax).default(entriesDefault).describe('Entries a page.'),
  }),
  output: z.object({
    path: z.string(),
    entries: z.array(entryOutput),
    next_cursor: z.string().nullable(),
  }),
  annotations: reads,
  async run({ path, recursive, cursor, limit }, { services }) {
    const structured = await services.store.snapshot(async (view) => {
      const all = await view.readdir(path, { recursive });
      const rest = cursor === undefined ? all : all.filter((name) => name > cursor);
      const page = rest.slice(0, limit);
      const looked = await Promise.all(page.map((name) => entryOf(view, path, name)));
      return {
        path,
        entries: looked.filter((entry) => entry !== undefined),
        next_cursor: rest.length > limit ? (page.at(-1) ?? null) : null,
      };
    });
    return { structured };
  },
});

async function entryOf(
  view: Snapshot,
  directory: string,
  name: string,
): Promise<z.output<typeof entryOutput> | undefined> {
  try {
    const stat = await view.stat(`${directory}/${name}`);
    const { type, size } = stat;
    return { name, type, size: type === 'file' ? size : 0, revision: revisionOf(stat) };
  } catch (error) {
    if (!isStoreError(error)) throw error;
    // It went while the directory was read.
    if (error.code === 'ERR_NOT_FOUND') return undefined;
    return { name, type: 'other', size: 0, revision: null, problem: error.code };
  }
}
