/** What `forewrit recover` does only when it is told to: what it replaces or forgets is kept aside, and a person has said yes. */

import { discardStaged, resetLog } from '@forewrit/recovery';
import type { Command } from 'commander';
import type { CommandContext, CommandResult } from '../command.js';
import { requireConfirmation } from '../confirm.js';
import { exitCodes } from '../exit-code.js';
import { counted } from '../format.js';
import { printable } from '../terminal.js';

export async function reset(
  context: CommandContext,
  { yes }: { readonly yes: boolean },
  command: Command,
): Promise<CommandResult> {
  const question =
    'Set the log aside and begin a new one with the files as they are? Entries of collections that cannot be read are lost to it.';
  await requireConfirmation(context, { yes, question, command });
  context.terminal.progress('resetting the log');
  const { setAside, entries, contents } = await resetLog(context.root);
  return {
    exitCode: contents.length === 0 ? exitCodes.clean : exitCodes.findings,
    json: {
      setAside: setAside ?? null,
      entries,
      conflicts: contents.map(({ path, savedAs }) => ({ path, savedAs })),
    },
    text: () => {
      if (setAside === undefined) return 'the log is whole; nothing was changed\n';
      const kept = contents.map(
        ({ path, savedAs }) => `kept aside: what was to be ${path} is now ${savedAs}`,
      );
      const lines = [
        ...kept,
        `the old log is in ${setAside}`,
        `${counted(entries, 'entry', 'entries')} taken over into a new log`,
      ];
      return `${lines.map(printable).join('\n')}\n`;
    },
  };
}

export async function discard(
  context: CommandContext,
  id: string,
  { yes }: { readonly yes: boolean },
  command: Command,
): Promise<CommandResult> {
  const question = `Forget what is staged as '${id}'? What is left of it is kept in .forewrit/conflicts.`;
  await requireConfirmation(context, { yes, question, command });
  const { savedAs } = await discardStaged(context.root, id);
  return {
    exitCode: exitCodes.clean,
    json: { discarded: id, savedAs: savedAs ?? null },
    text: () =>
      printable(
        `'${id}' is forgotten${savedAs === undefined ? '' : `; what was left of it is now ${savedAs}`}`,
      ) + '\n',
  };
}
