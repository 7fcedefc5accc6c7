/** What a caller hands to the committer: plain data, so that it can cross to another thread. */

import type { Operation, TrackedRead } from './operation.js';

export interface CommitRequest {
  /** Number of the transaction among those of its owner. */
  readonly counter: number;
  readonly operations: readonly Operation[];
  readonly reads: readonly TrackedRead[];
  /** Report back when the guards hold and the revision is known, before the flush. */
  readonly relaxed: boolean;
  /** Report back when it is flushed in the log; the files follow later, if it only writes small files. */
  readonly deferred?: boolean;
  /** Content up to this total travels in the log; by default as the store was opened. */
  readonly inlineLimitBytes?: number;
  /** Nothing of it is kept for history. */
  readonly history?: false;
  /** Fsync even small content instead of letting it travel in the log. */
  readonly neverInline?: boolean;
  /** Shared memory; not zero once the caller has given up. Looked at inside the log transaction. */
  readonly cancel?: Int32Array;
}
