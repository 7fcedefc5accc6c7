/** `forewrit repair`: ends a blocked transaction the way a person says. */

import { repair as repairTransaction, type RepairDirection, type RepairReport } from '@forewrit/recovery';
import type { CommandContext, CommandResult } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { printable } from '../terminal.js';

export type Direction = RepairDirection;

export async function repair(
  { root, terminal }: CommandContext,
  { transaction, direction }: { readonly transaction: string; readonly direction: Direction },
): Promise<CommandResult> {
  terminal.progress(`repairing ${transaction}`);
  const report = await repairTransaction(root, transaction, direction);
  return {
    exitCode: exitCodes.clean,
    json: {
      transaction: report.transaction,
      direction: report.direction,
      paths: report.paths.map(({ path, did }) => ({ path, did })),
      conflicts: report.conflicts.map(({ path, savedAs }) => ({ path, savedAs })),
    },
    text: () => asText(report),
  };
}

function asText({ transaction, paths, conflicts }: RepairReport): string {
  const lines = paths.map(({ path, did }) => `${did}: ${path}`);
  for (const { path, savedAs } of conflicts) lines.push(`kept aside: ${path} is now ${savedAs}`);
  return `${[...lines, `transaction ${transaction} is settled`].map(printable).join('\n')}\n`;
}
