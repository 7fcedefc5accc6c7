/** store_status. */

import { z } from 'zod';
import { defineTool, reads } from '../tool.js';

export const storeStatus = defineTool({
  name: 'store_status',
  title: 'Look at the store',
  description:
    'How the store is: whether it takes writes, what was recovered when this server started, free space, and counts since then.',
  input: z.strictObject({}),
  output: z.object({
    root: z.string(),
    status: z.enum(['open', 'poisoned', 'closed']),
    health: z.enum(['healthy', 'degraded', 'unhealthy']),
    problems: z.array(z.string()),
    recovery: z.object({
      redone: z.number().describe('Committed writes that were finished.'),
      undone: z.number(),
      kept: z.number(),
      blocked: z.number().describe('Transactions that need a person: see `forewrit status`.'),
      conflicts: z.number().describe('Contents that were kept aside in .forewrit/conflicts.'),
      swept_files: z.number(),
    }),
    space: z.object({ available_bytes: z.number(), total_bytes: z.number(), reserve_bytes: z.number() }),
    commits: z.number(),
    conflicts: z.number(),
    bytes_written: z.number(),
    uploads: z.number().describe('That can be continued.'),
    tasks: z
      .object({ adopted: z.number(), finished: z.number(), orphaned: z.number(), lost: z.number() })
      .nullable()
      .describe('What became of commands of an earlier server; null without shell tools.'),
  }),
  annotations: reads,
  async run(_args, { services }) {
    const { store, staging, tasks } = services;
    const { redone, undone, kept, blocked, conflicts, sweptFiles } = store.recovery;
    const { status: health, problems, space } = await staging.health();
    const stats = store.stats();
    return {
      structured: {
        root: store.root,
        status: store.status,
        health,
        problems: [...problems],
        recovery: {
          redone: redone.length,
          undone: undone.length,
          kept: kept.length,
          blocked: blocked.length,
          conflicts: conflicts.length,
          swept_files: sweptFiles,
        },
        space: {
          available_bytes: space.availableBytes,
          total_bytes: space.totalBytes,
          reserve_bytes: space.reserveBytes,
        },
        commits: stats.commits,
        conflicts: stats.conflicts,
        bytes_written: stats.bytesWritten,
        uploads: (await staging.stats()).resumable,
        tasks:
          tasks === undefined
            ? null
            : {
                adopted: tasks.recovery.adopted.length,
                finished: tasks.recovery.finished.length,
                orphaned: tasks.recovery.orphaned.length,
                lost: tasks.recovery.lost.length,
              },
      },
    };
  },
});
