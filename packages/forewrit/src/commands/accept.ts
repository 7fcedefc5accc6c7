/** `forewrit accept`: records files as they are now. */

import { accept as acceptFiles } from '@forewrit/recovery';
import type { Command } from 'commander';
import type { CommandContext, CommandResult } from '../command.js';
import { requireConfirmation } from '../confirm.js';
import { exitCodes } from '../exit-code.js';
import { printable } from '../terminal.js';

export async function accept(
  context: CommandContext,
  { yes }: { readonly yes: boolean },
  command: Command,
): Promise<CommandResult> {
  const paths = command.args;
  await requireConfirmation(context, { yes, command, question: `Record ${paths.join(', ')} as it is now?` });
  const { revision, paths: accepted } = await acceptFiles(context.root, paths);
  return {
    exitCode: exitCodes.clean,
    json: {
      revision,
      paths: accepted.map(({ path, is, checksum }) => ({ path, is, checksum: checksum ?? null })),
    },
    text: () =>
      accepted
        .map(
          ({ path, is, checksum }) =>
            `${printable(path)} is recorded as ${[is, checksum].filter(Boolean).join(' ')}\n`,
        )
        .join(''),
  };
}
