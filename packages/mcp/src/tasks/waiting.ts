/** Waiting for a task on behalf of a request: with progress, within a time, until the client gives up. */

import type { TaskEngine, TaskRecord } from '@forewrit/tasks';
import type { ToolContext } from '../tool.js';

const tellEveryMs = 1000;

export async function waitFor(
  engine: TaskEngine,
  id: string,
  { timeoutMs, context }: { readonly timeoutMs: number; readonly context: ToolContext },
): Promise<TaskRecord> {
  const { signal, progress, services } = context;
  let seconds = 0;
  const tell = async (): Promise<void> => {
    const { state, outputBytes } = await engine.get(id);
    seconds += tellEveryMs / 1000;
    progress({ progress: seconds, message: `${state}, ${outputBytes} bytes of output` });
  };
  const timer = setInterval(() => {
    tell().catch((cause: unknown) => services.logger.debug({ cause, id }, 'no progress could be told'));
  }, tellEveryMs);
  try {
    return await engine.wait(id, { timeoutMs, signal });
  } finally {
    clearInterval(timer);
  }
}
