/** What the manager keeps with staged content, so that anybody can go on with it who knows its id. */

import type { StagedOperation } from '@forewrit/core';

export interface About {
  readonly path: string;
  readonly totalBytes?: number;
  /** The caller's. */
  readonly metadata?: unknown;
}

const mark = 'forewrit.staging';

export function packAbout(about: About): object {
  return { by: mark, ...about };
}

/** `undefined` for what others have staged. */
export function readAbout({ metadata: kept }: Pick<StagedOperation, 'metadata'>): About | undefined {
  if (typeof kept !== 'object' || kept === null || !('by' in kept) || kept.by !== mark) return undefined;
  if (!('path' in kept) || typeof kept.path !== 'string') return undefined;
  const totalBytes =
    'totalBytes' in kept && typeof kept.totalBytes === 'number' ? kept.totalBytes : undefined;
  const metadata: unknown = 'metadata' in kept ? kept.metadata : undefined;
  return {
    path: kept.path,
    ...(totalBytes === undefined ? {} : { totalBytes }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}
