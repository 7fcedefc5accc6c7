/** Shell commands that outlive the program that started them. */

export type { RetryPolicy, TaskCause, TaskRecord, TaskSpec, TaskState } from './task/task.js';
export { DetachedSupervisor, type DetachedSupervisorOptions } from './supervision/detached-supervisor.js';
