/** edit_file: exact replacements in a text, as one transaction over what it has read. */

import { StoreError, type Transaction } from '@forewrit/core';
import { z } from 'zod';
import { textOf } from '../content.js';
import { defineTool, writes } from '../tool.js';
import { ToolError } from '../tool-error.js';
import { committedOutput, ifRevisionInput, pathInput, requireBelow } from './fields.js';

const editsMax = 100;
const textBytesMax = 64 * 1024 * 1024;

const editInput = z.strictObject({
  old_text: z
    .string()
    .min(1)
    .describe(
      'Text that is there now, exactly, with its white space. It must occur once, unless replace_all is given.',
    ),
  new_text: z.string().describe('What takes its place; may be empty.'),
  replace_all: z.boolean().default(false).describe('Replace every occurrence.'),
});

type Edit = z.output<typeof editInput>;

export const editFile = defineTool({
  name: 'edit_file',
  title: 'Change parts of a text file',
  description:
    'Replaces exact pieces of a text file, one after the other, all or none of them. The rest of the file stays byte for ' +
    'byte. With `if_revision` (from read_file) an edit of a file that somebody has changed since is refused with ' +
    'ERR_CONFLICT; read it again then, and repeat. Without it the edit is made on what is there, if the pieces match.',
  input: z.strictObject({
    path: pathInput,
    edits: z.array(editInput).min(1).max(editsMax),
    if_revision: ifRevisionInput,
  }),
  output: committedOutput.extend({
    replacements: z.number().describe('Pieces that were replaced, over all edits.'),
  }),
  annotations: { ...writes, idempotentHint: false },
  async run({ path, edits, if_revision }, { services, signal }) {
    const { store } = services;
    const attempts = if_revision === undefined ? {} : { retries: 0 };
    const edited = await store.transact(
      async (tx) => {
        const { text, replacements } = await apply(tx, { path, edits, ifRevision: if_revision });
        await tx.writeFile(path, text, if_revision === undefined ? {} : { ifRevision: if_revision });
        return { commit: await tx.commit(), replacements };
      },
      { ...attempts, signal },
    );
    const { paths, revision, transaction, bytes } = edited.commit;
    return {
      structured: { paths: [...paths], revision, transaction, bytes, replacements: edited.replacements },
    };
  },
});

async function apply(
  tx: Transaction,
  {
    path,
    edits,
    ifRevision,
  }: { readonly path: string; readonly edits: readonly Edit[]; readonly ifRevision: number | undefined },
): Promise<{ text: string; replacements: number }> {
  const { revision, checksum = null, size } = await tx.stat(path);
  requireBelow(textBytesMax, { op: 'edit_file', path, size });
  const bytes = await tx.readFile(path);
  // Before anything is compared: of an old text nobody can expect that it matches.
  if (ifRevision !== undefined && revision !== ifRevision) {
    throw new StoreError('ERR_CONFLICT', `'${path}' has another revision than ${ifRevision}`, {
      op: 'edit_file',
      path,
      hint: 'Read it again, and repeat the edit on what is there now.',
    });
  }
  let text = textOf(bytes);
  if (text === undefined) {
    throw new ToolError('ERR_NOT_TEXT', `'${path}' is not a UTF-8 text`, {
      path,
      hint: 'Read it with read_file (base64) and replace it as a whole with write_file.',
    });
  }
  const current = { exists: true, size: bytes.byteLength, revision: revision ?? null, checksum };
  let replacements = 0;
  for (const [index, edit] of edits.entries()) {
    const count = occurrences(text, edit.old_text);
    if (count === 0) throw noMatch({ path, index, current });
    if (count > 1 && !edit.replace_all) throw ambiguous({ path, index, count, current });
    // Not by a pattern: `$&` in the new text would mean something.
    text = text.split(edit.old_text).join(edit.new_text);
    replacements += count;
  }
  return { text, replacements };
}

function occurrences(text: string, piece: string): number {
  let count = 0;
  for (let at = text.indexOf(piece); at !== -1; at = text.indexOf(piece, at + piece.length)) count += 1;
  return count;
}

function noMatch({ path, index, current }: { path: string; index: number; current: object }): ToolError {
  return new ToolError('ERR_NO_MATCH', `old_text of edit ${index + 1} does not occur in '${path}'`, {
    path,
    current,
    hint: 'Read the file again and copy the text exactly, white space included. Nothing was changed.',
  });
}

function ambiguous(found: { path: string; index: number; count: number; current: object }): ToolError {
  const { path, index, count, current } = found;
  return new ToolError(
    'ERR_AMBIGUOUS_MATCH',
    `old_text of edit ${index + 1} occurs ${count} times in '${path}'`,
    { path, current, hint: 'Give more of the text around it, or replace_all. Nothing was changed.' },
  );
}
