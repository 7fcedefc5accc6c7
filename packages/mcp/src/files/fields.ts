/** Arguments and results that several file tools share. */

import { type Commit, StoreError, type StoreStat } from '@forewrit/core';
import { z } from 'zod';

export const pathInput = z
  .string()
  .min(1)
  .describe('Path of a file, relative to the root of the store. Nothing outside of the root can be reached.');

export const ifRevisionInput = z
  .number()
  .int()
  .nonnegative()
  .optional()
  .describe(
    'Write only if the file still has this revision, as read_file gave it; else ERR_CONFLICT and nothing changes.',
  );

export const ifAbsentInput = z
  .boolean()
  .optional()
  .describe('Write only if there is nothing at the path; else ERR_EXISTS and nothing changes.');

export const revisionOutput = z
  .number()
  .nullable()
  .describe('For if_revision; null if the file was not written through the store, or was edited since.');

export const committedOutput = z.object({
  paths: z.array(z.string()).describe('What changed.'),
  revision: z.number().describe('Of everything that this call wrote: the next if_revision.'),
  transaction: z.string(),
  bytes: z.number().describe('Content written.'),
});

export function committed({ paths, revision, transaction, bytes }: Commit): z.output<typeof committedOutput> {
  return { paths: [...paths], revision, transaction, bytes };
}

export function guards({ if_revision, if_absent }: { if_revision?: number; if_absent?: boolean }): {
  ifRevision?: number;
  ifAbsent?: boolean;
} {
  return {
    ...(if_revision === undefined ? {} : { ifRevision: if_revision }),
    ...(if_absent === undefined ? {} : { ifAbsent: if_absent }),
  };
}

export function revisionOf(stat: Pick<StoreStat, 'revision'>): number | null {
  return stat.revision ?? null;
}

/** A file is read as a whole, whatever part of it is wanted: a huge one would take the server's memory. */
export function requireBelow(
  limitBytes: number,
  { op, path, size }: { readonly op: string; readonly path: string; readonly size: number },
): void {
  if (size <= limitBytes) return;
  throw new StoreError('ERR_TOO_LARGE', `'${path}' has ${size} bytes; at most ${limitBytes} are read here`, {
    op,
    path,
    hint: 'Use another program for it, for instance a command that reads a part of it.',
  });
}
