/** A stored task as users see it. */

import type { TaskRecord } from './task.js';
import { isSettledPhase, type OutputCounts, type StoredTask } from './stored-task.js';

export function recordOf(task: StoredTask, counts?: OutputCounts): TaskRecord {
  const { spec, phase } = task;
  const settled = isSettledPhase(phase) ? phase : undefined;
  const startedAtMs = 'startedAtMs' in phase ? phase.startedAtMs : undefined;
  const notBeforeMs = 'notBeforeMs' in phase ? phase.notBeforeMs : undefined;
  return Object.freeze({
    id: task.id,
    state: phase.state,
    ...defined({
      cause: settled?.cause,
      exitCode: settled?.exitCode,
      signal: settled?.signal,
      startedAtMs,
      endedAtMs: settled?.endedAtMs,
      startAfterMs: notBeforeMs,
      detail: settled?.detail,
      label: spec.label,
      group: spec.group === '' ? undefined : spec.group,
      tags: spec.tags.length === 0 ? undefined : spec.tags,
      dependsOn: spec.dependsOn.length === 0 ? undefined : spec.dependsOn,
    }),
    command: spec.command,
    cwd: spec.cwd,
    envNames: [...Object.keys(spec.env), ...spec.secretNames],
    stdin: typeof spec.stdin === 'string' ? spec.stdin : 'text',
    priority: spec.priority,
    createdAtMs: task.createdAtMs,
    timeoutMs: spec.timeoutMs,
    attempt: task.attempt,
    outputBytes: settled?.outputBytes ?? counts?.outputBytes ?? 0,
    droppedBytes: settled?.droppedBytes ?? counts?.droppedBytes ?? 0,
    complete: settled?.complete ?? false,
    survivors: settled?.survivors ?? [],
  });
}

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

export function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
