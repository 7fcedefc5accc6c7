/** run_shell. */

import { isSettled, type TaskEngine } from '@forewrit/tasks';
import { defineTool, type ToolContext } from '../tool.js';
import { shellInput, shellSpec } from './shell-spec.js';
import { lineOf, ranAs, ranOutput, viewOf } from './task-view.js';
import { waitFor } from './waiting.js';

export const runShell = defineTool({
  name: 'run_shell',
  title: 'Run a shell command',
  description:
    'Runs a shell command. In the foreground it answers when the command has ended, with its exit code and the end of its ' +
    'output, or after wait_ms with what there is. With `background` it answers at once. Either way the command is a task ' +
    'that outlives this server: after a restart task_list and task_output find it, with all of its output.',
  input: shellInput,
  output: ranOutput,
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  needsShell: true,
  mayBeTask: true,
  async run(args, context) {
    const { services, signal } = context;
    const engine = services.tasks!;
    const spec = await shellSpec(services.store, args);
    signal.throwIfAborted();
    const { id } = await engine.start(spec);
    if (args.background) {
      const record = await engine.get(id);
      const view = viewOf(record);
      const page = { output: '', offset: 0, next_offset: 0, complete: false };
      return {
        structured: { ...view, ...page },
        text: [`${lineOf(view)}; task_output shows what it prints, task_wait waits for its end`],
      };
    }
    return await ranAs(engine, await untilEnd(engine, id, { timeoutMs: args.wait_ms, context }));
  },
});

async function untilEnd(
  engine: TaskEngine,
  id: string,
  options: { readonly timeoutMs: number; readonly context: ToolContext },
) {
  try {
    return await waitFor(engine, id, options);
  } catch (error) {
    const record = await engine.get(id);
    if (options.context.isCancelled() && !isSettled(record.state)) await engine.stop(id);
    throw error;
  }
}
