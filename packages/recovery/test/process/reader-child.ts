/** A process that reads one set in a loop, without pause, until it is told to stop. */
import { openStore } from '@forewrit/recovery';
import { monotonicMs, onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { labelOf } from './labelled-content.js';

export interface ReaderRequest {
  readonly root: string;
  readonly paths: readonly string[];
}

export type ReaderMessage =
  | { readonly type: 'open' }
  | {
      readonly type: 'report';
      readonly reads: number;
      readonly durationMs: number;
      /** From the end of one read to the end of the next. */
      readonly longestMs: number;
      /** Different sets that it has seen. */
      readonly sets: number;
      readonly mixed: readonly string[];
    };

export interface ReaderCommand {
  readonly type: 'read' | 'stop';
}

const { root, paths } = requestOf<ReaderRequest>();
const store = await openStore(root);
let reading = true;
onCommand<ReaderCommand>(({ type }) => {
  if (type === 'read') void read();
  else reading = false;
});
say({ type: 'open' });

async function read(): Promise<void> {
  const startedMs = monotonicMs();
  const seen = new Set<string>();
  const mixed: string[] = [];
  let reads = 0;
  let longestMs = 0;
  let lastMs = startedMs;
  while (reading) {
    const files = await store.readFiles(paths);
    const labels = [...files].map(([path, content]) => labelOf(content, path));
    if (new Set(labels).size > 1) mixed.push(labels.join(', '));
    seen.add(labels[0]!);
    reads += 1;
    const nowMs = monotonicMs();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    // Lets commands in: small sets are read without leaving the thread.
    if (reads % 8 === 0) await new Promise(setImmediate);
  }
  say({ type: 'report', reads, durationMs: monotonicMs() - startedMs, longestMs, sets: seen.size, mixed });
  await store.close();
  process.exit(0);
}
