/** Before a step that nobody takes by mistake: a person is asked, a script says --yes. */

import { StoreError } from '@forewrit/core';
import type { Command } from 'commander';
import type { CommandContext } from './command.js';

export interface Confirmation {
  readonly yes: boolean;
  /** A sentence without its end, before the question; whoever cannot be asked is told, too. */
  readonly because?: string;
  readonly question: string;
  readonly command: Command;
}

export async function requireConfirmation(
  { terminal, signal }: CommandContext,
  { yes, because, question, command }: Confirmation,
): Promise<void> {
  if (yes) return;
  const said = (end: string): string => (because === undefined ? '' : because + end);
  const answer = await terminal.confirm(said('. ') + question, signal);
  if (answer === undefined) command.error(`error: ${said('; ')}nobody can be asked here; say --yes`);
  if (answer === true) return;
  throw new StoreError('ERR_ABORTED', 'Nothing was changed', { op: command.name() });
}
