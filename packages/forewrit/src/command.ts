/** What every verb of the command is: from options to a result, which is printed as text or as JSON. */

import type { Command } from 'commander';
import type { ExitCode } from './exit-code.js';
import type { Terminal } from './terminal.js';

export interface CommandContext {
  /** The directory of the store, as the user gave it. */
  readonly root: string;
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** What JSON can hold. Keys are part of the public surface; a BigInt becomes decimal text before it gets here. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Adds its own options to the ones that every verb has. */
export type Verb<Options> = (
  context: CommandContext,
  options: Options,
  command: Command,
) => Promise<CommandResult>;

export interface CommandResult {
  readonly exitCode: ExitCode;
  /** Absent where everything was printed as it came. */
  readonly json?: Json;
  /** Called only if text is wanted. */
  readonly text: () => string;
}
