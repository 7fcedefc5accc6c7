/** `forewrit tasks output`: what a task has printed. */

import type { CommandContext, CommandResult } from '../../command.js';
import { exitCodes } from '../../exit-code.js';
import { follow } from './follow.js';
import { withTasks } from './with-tasks.js';

export interface OutputOptions {
  readonly json: boolean;
  readonly follow?: boolean;
  readonly offset?: number;
  readonly tail?: number;
  readonly stream?: 'stdout' | 'stderr';
}

export async function output(
  context: CommandContext,
  options: OutputOptions,
  id: string,
): Promise<CommandResult> {
  const { offset, tail, stream } = options;
  const filter = stream === undefined ? {} : { stream };
  const from = {
    ...(offset === undefined ? {} : { offset }),
    ...(tail === undefined ? {} : { tailLines: tail }),
  };
  if (options.follow === true) {
    await withTasks(context, { starts: true }, (engine) =>
      follow(context, engine, id, { ...from, ...filter }),
    );
    return { exitCode: exitCodes.clean, json: null, text: () => '' };
  }
  return await withTasks(context, {}, async (engine) => {
    if (options.json) {
      const page = await engine.read(id, { ...from, ...filter, encoding: 'utf8' });
      return { exitCode: exitCodes.clean, json: { ...page }, text: () => '' };
    }
    // Page by page, so that it does not matter how much it is.
    let next: typeof from = from;
    for (;;) {
      const page = await engine.read(id, { ...next, ...filter });
      context.terminal.write(page.data);
      if (page.complete || page.nextOffset === page.offset) break;
      next = { offset: page.nextOffset };
    }
    return { exitCode: exitCodes.clean, json: null, text: () => '' };
  });
}
