/** Before a step that nobody takes by mistake: a person is asked, a script says --yes. */

import { StoreError } from '@forewrit/core';
import type { Command } from 'commander';
import type { CommandContext } from './command.js';

export interface Confirmation {
  readonly yes: boolean;
  readonly question: string;
  readonly command: Command;
}

export async function requireConfirmation(
  { terminal, signal }: CommandContext,
  { yes, question, command }: Confirmation,
): Promise<void> {
  if (yes) return;
  const answer = await terminal.confirm(question, signal);
  if (answer === undefined) command.error('error: nobody can be asked here; say --yes');
  if (answer === true) return;
  throw new StoreError('ERR_ABORTED', 'Nothing was changed', { op: command.name() });
}
