/**
 * Tells whoever listens and waits what has become of tasks. A change may reach it twice, from the engine that made it and
 * from the one that found it, in any order: each version of a record is told once, and never an older one.
 */

import { recordOf } from '../task/task-record.js';
import { isSettledPhase, type StoredTask } from '../task/stored-task.js';
import type { TaskRecord } from '../task/task.js';

export interface OutputEvent {
  readonly id: string;
  readonly attempt: number;
}

export interface TaskEvents {
  state: (record: TaskRecord) => void;
  output: (event: OutputEvent) => void;
  settled: (record: TaskRecord) => void;
}

type Waiter = () => void;

/** Versions of settled tasks that are remembered, so that nothing is told twice. */
const rememberedMax = 4096;

export class Announcer {
  readonly #listeners: { readonly [E in keyof TaskEvents]: Set<TaskEvents[E]> } = {
    state: new Set(),
    output: new Set(),
    settled: new Set(),
  };
  /** The newest version that was told, by id; those of settled tasks only for a while. */
  readonly #told = new Map<string, number>();
  readonly #settled = new Set<string>();
  /** What was told of and has not settled, those first that were not looked at for the longest time. */
  readonly #live = new Set<string>();
  readonly #waiters = new Map<string, Set<Waiter>>();

  on<E extends keyof TaskEvents>(event: E, listener: TaskEvents[E]): void {
    this.#listeners[event].add(listener);
  }

  off<E extends keyof TaskEvents>(event: E, listener: TaskEvents[E]): void {
    this.#listeners[event].delete(listener);
  }

  /** `false` if it was told before. */
  tell(task: StoredTask): boolean {
    if ((this.#told.get(task.id) ?? 0) >= task.version) return false;
    this.#told.set(task.id, task.version);
    const settled = isSettledPhase(task.phase);
    if (settled) this.#remember(task.id);
    else {
      this.#settled.delete(task.id);
      this.#live.add(task.id);
    }
    const record = recordOf(task);
    this.#emit('state', record);
    if (settled) this.#emit('settled', record);
    this.wake(task.id);
    return true;
  }

  output(event: OutputEvent): void {
    this.#emit('output', event);
    this.wake(event.id);
  }

  /** Everybody who waits for something of this task looks again. */
  wake(id: string): void {
    for (const waiter of this.#waiters.get(id) ?? []) waiter();
  }

  wakeAll(): void {
    for (const id of this.#waiters.keys()) this.wake(id);
  }

  /** Ids of the tasks that somebody waits for. */
  get awaited(): readonly string[] {
    return [...this.#waiters.keys()];
  }

  /** Some of the tasks that were told of and whose end was not, in turn. */
  someLive(limit: number): string[] {
    const some: string[] = [];
    for (const id of this.#live) {
      if (some.length === limit) break;
      some.push(id);
    }
    for (const id of some) {
      this.#live.delete(id);
      this.#live.add(id);
    }
    return some;
  }

  /** There is no such task any more. */
  forget(id: string): void {
    this.#live.delete(id);
    this.#settled.delete(id);
    this.#told.delete(id);
    this.wake(id);
  }

  /** Calls `waiter` whenever there may be news of the task. Returns what ends it. */
  listen(id: string, waiter: Waiter): () => void {
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters.add(waiter));
    return () => {
      waiters.delete(waiter);
      if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id);
    };
  }

  #remember(id: string): void {
    this.#live.delete(id);
    this.#settled.delete(id);
    this.#settled.add(id);
    if (this.#settled.size <= rememberedMax) return;
    const [oldest] = this.#settled;
    this.#settled.delete(oldest!);
    this.#told.delete(oldest!);
  }

  #emit<E extends keyof TaskEvents>(event: E, value: Parameters<TaskEvents[E]>[0]): void {
    for (const listener of this.#listeners[event]) {
      try {
        (listener as (value: unknown) => void)(value);
      } catch (error) {
        // A mistake of the listener: it must be seen, and must not stop the engine.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
