/** Output as it comes, on the standard output, byte by byte as the task has printed it. */

import type { FollowOptions, TaskEngine } from '@forewrit/tasks';
import type { CommandContext } from '../../command.js';

export async function follow(
  { terminal, signal }: CommandContext,
  engine: TaskEngine,
  id: string,
  options: Omit<FollowOptions, 'encoding' | 'signal'>,
): Promise<void> {
  for await (const { data } of engine.follow(id, { ...options, signal })) terminal.write(data);
}
