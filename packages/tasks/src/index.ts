/** Shell commands that outlive the program that started them. */

export { openTasks } from './engine/open-tasks.js';
export { DetachedSupervisor, type DetachedSupervisorOptions } from './supervision/detached-supervisor.js';
export {
  type CloseOptions,
  TaskEngine,
  type WaitOptions,
} from './engine/task-engine.js';
export type { OutputEvent, TaskEvents } from './engine/announcer.js';
export type { StopTaskOptions } from './engine/control.js';
export type { FollowOptions, OutputChunk } from './engine/follow.js';
export type { GroupStatus } from './engine/groups.js';
export type { ImportReport } from './engine/import-tasks.js';
export type { ListOptions, TaskPage } from './engine/listing.js';
export type { Processes, RetentionPolicy, TaskEngineOptions } from './engine/options.js';
export type { OutputPage, ReadOutputOptions } from './engine/output.js';
export type { PruneReport } from './engine/retention.js';
export type { TaskRecovery } from './engine/sweep.js';
export type { GroupSettings } from './engine/task-table.js';
export type { Timers } from './engine/timers.js';
export {
  isSettled,
  type LiveState,
  liveStates,
  type RetryPolicy,
  type SettledState,
  settledStates,
  type TaskCause,
  type TaskRecord,
  type TaskSpec,
  type TaskState,
} from './task/task.js';
