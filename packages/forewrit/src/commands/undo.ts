/** `forewrit undo`: puts back what a transaction has replaced, as a transaction of its own. */

import { type HistoryEntry, type Store, StoreError } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import type { Command } from 'commander';
import type { CommandContext, CommandResult, Verb } from '../command.js';
import { requireConfirmation } from '../confirm.js';
import { exitCodes } from '../exit-code.js';
import { counted } from '../format.js';
import { entryAsText } from './history.js';

export interface UndoOptions {
  readonly yes: boolean;
}

/** The undo comes into history itself; how long all of it stays is for the programs that use the store. */
const keepsAll = { maxAgeMs: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER };

export const undoVerb: Verb<UndoOptions> = (context, { yes }, command) =>
  undo(context, { yes, transaction: command.args[0]! }, command);

export async function undo(
  context: CommandContext,
  { yes, transaction }: UndoOptions & { readonly transaction: string },
  command: Command,
): Promise<CommandResult> {
  const { root, terminal } = context;
  const store = await openStore(root, { create: false, committer: 'inline', history: keepsAll });
  try {
    if (!yes) terminal.writeError(entryAsText(await find(store, transaction), terminal.colors));
    await requireConfirmation(context, { yes, question: 'Undo it?', command });
    const commit = await store.undo(transaction);
    return {
      exitCode: exitCodes.clean,
      json: {
        transaction,
        by: commit.transaction,
        revision: commit.revision,
        paths: [...commit.paths],
      },
      text: () =>
        `${commit.paths.length === 0 ? 'its entries are' : counted(commit.paths.length, 'path')} as before; to take that back: forewrit undo ${commit.transaction}\n`,
    };
  } finally {
    await store.close();
  }
}

async function find(store: Store, transaction: string): Promise<HistoryEntry> {
  for await (const entry of store.history()) if (entry.transaction === transaction) return entry;
  throw new StoreError('ERR_NOT_FOUND', `History has no transaction ${transaction}`, {
    op: 'undo',
    transaction,
    hint: '`forewrit history` lists what there is.',
  });
}
