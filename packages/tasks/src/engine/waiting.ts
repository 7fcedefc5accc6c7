/** Waiting for news of a task: woken by announcements, ended by a time limit, a signal, or the end of the engine. */

import { InvalidArgumentError, StoreError } from '@forewrit/core';
import type { StoredTask } from '../task/stored-task.js';
import type { EngineContext } from './engine-context.js';

export interface Until {
  readonly op: string;
  readonly look: () => Promise<StoredTask>;
  readonly isDone: (task: StoredTask) => boolean;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Longest interval that a timer takes. */
const keptAliveMs = 2 ** 31 - 1;

export class Waiting {
  readonly #context: EngineContext;

  constructor(context: EngineContext) {
    this.#context = context;
  }

  /** The task when it is done, or at the time limit. */
  async until(id: string, { op, look, isDone, timeoutMs, signal }: Until): Promise<StoredTask> {
    using news = this.listen(id, { op, timeoutMs, signal });
    for (;;) {
      const task = await look();
      this.#context.announcer.tell(task);
      if (isDone(task) || news.isOver) return task;
      await news.next();
    }
  }

  /** News from now on. What comes between two calls of `next` is not missed. Keeps the process alive. */
  listen(
    id: string,
    options: {
      readonly op: string;
      readonly timeoutMs?: number | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): News {
    return new News(this.#context, id, options);
  }
}

export class News implements Disposable {
  readonly #context: EngineContext;
  readonly #op: string;
  readonly #signal: AbortSignal | undefined;
  readonly #unlisten: () => void;
  readonly #cancelTimer: (() => void) | undefined;
  readonly #alive: NodeJS.Timeout;
  readonly #onNews = (): void => {
    this.#pending = true;
    this.#wake?.();
  };
  #pending = false;
  #wake: (() => void) | undefined;
  #over = false;

  constructor(
    context: EngineContext,
    id: string,
    options: {
      readonly op: string;
      readonly timeoutMs?: number | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ) {
    this.#context = context;
    this.#op = options.op;
    this.#signal = options.signal;
    this.#unlisten = context.announcer.listen(id, this.#onNews);
    this.#signal?.addEventListener('abort', this.#onNews, { once: true });
    if (options.timeoutMs === 0) this.#over = true;
    else if (options.timeoutMs !== undefined) {
      this.#cancelTimer = context.timers.after(options.timeoutMs, () => {
        this.#over = true;
        this.#onNews();
      });
    }
    this.#alive = setInterval(() => {}, keptAliveMs);
  }

  /** The time is up. */
  get isOver(): boolean {
    return this.#over;
  }

  /** @throws StoreError ERR_ABORTED, ERR_STORE_CLOSED */
  async next(): Promise<void> {
    this.#check();
    if (!this.#pending) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#wake = undefined;
    this.#pending = false;
    this.#check();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#alive);
    this.#cancelTimer?.();
    this.#unlisten();
    this.#signal?.removeEventListener('abort', this.#onNews);
  }

  #check(): void {
    if (this.#signal?.aborted === true) {
      throw new StoreError('ERR_ABORTED', 'The operation was aborted', {
        op: this.#op,
        cause: this.#signal.reason,
      });
    }
    if (!this.#context.isShut()) return;
    throw new StoreError('ERR_STORE_CLOSED', 'The task engine was closed', {
      op: this.#op,
      hint: 'The task goes on: open the engine again and wait once more.',
    });
  }
}

export function checkSignal(op: string, signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new InvalidArgumentError(op, 'signal must be an AbortSignal');
}
