/**
 * When the files of deferred transactions follow: within `materializeWithinMs` of the first save that is in no file yet,
 * or at once where much has gathered or another owner waits. In portions, so that commits come in between.
 */

import type { Engine } from '../commit/engine.js';
import type { MaterializeReport } from '../commit/materialize.js';
import { isStoreError } from '../errors.js';
import type { CommitterEvent } from './committer.js';

/** Transactions of one batch. */
const portionMax = 64;
/** Each commit costs more the more pages of the log are in use. */
const bytesMany = 4 * 1024 * 1024;
const targetsMany = 4096;
/** How often an owner that has time looks whether another one waits for what it has deferred. */
const lookMs = 50;
/** How often what somebody keeps editing is tried at once. */
const passesMax = 20;

export interface MaterializeDriveOptions {
  readonly engine: Engine;
  readonly withinMs: number;
  readonly nowMs: () => number;
  readonly othersWait: () => boolean;
  readonly onEvent: (event: CommitterEvent) => void;
  readonly afterRun: () => void;
}

export class MaterializeDrive {
  readonly #options: MaterializeDriveOptions;
  #timer: NodeJS.Timeout | undefined;
  #next: NodeJS.Immediate | undefined;
  /** Those committed before are about to follow. */
  #untilMs: number | undefined;

  constructor(options: MaterializeDriveOptions) {
    this.#options = options;
  }

  /** To be called whenever something may have been committed. */
  plan(): void {
    const { engine, withinMs, nowMs } = this.#options;
    const { bytes, targets } = engine.deferred;
    const dueMs = engine.nextMaterializeMs(withinMs);
    if (dueMs === undefined || this.#next !== undefined) return;
    const isMuch = bytes > bytesMany || targets > targetsMany;
    // What has failed a moment ago is much all the same, and waits.
    if (isMuch && engine.nextMaterializeMs(0)! <= nowMs()) this.#begin();
    if (this.#next !== undefined || this.#timer !== undefined) return;
    const delayMs = Math.max(dueMs - nowMs(), 0);
    this.#timer = setTimeout(() => this.#look(), Math.min(delayMs, lookMs)).unref();
  }

  #look(): void {
    this.#timer = undefined;
    const { engine, withinMs, nowMs, othersWait } = this.#options;
    const dueMs = engine.nextMaterializeMs(withinMs);
    if (dueMs === undefined) return;
    if (dueMs <= nowMs() || othersWait()) this.#begin();
    else this.plan();
  }

  #begin(): void {
    this.#untilMs = this.#options.nowMs();
    this.#portion();
  }

  #portion(): void {
    this.#next = undefined;
    this.#run({ transactionsMax: portionMax });
    const nextMs = this.#options.engine.nextMaterializeMs(0);
    if (nextMs !== undefined && nextMs <= this.#untilMs!) this.#next = setImmediate(() => this.#portion());
    this.#options.afterRun();
  }

  #run(what: { readonly all?: boolean; readonly transactionsMax?: number }): MaterializeReport {
    const report = this.#options.engine.materialize(what);
    const { transactions, conflicts, failures } = report;
    if (transactions + conflicts.length + failures.length > 0)
      this.#options.onEvent({ type: 'materialize', transactions, conflicts, failed: failures.length });
    return report;
  }

  /** All that there is, now; returns why something of it is still in the log alone. */
  all(): Error | undefined {
    const { engine } = this.#options;
    for (let pass = 1; ; pass += 1) {
      const [failure, ...others] = this.#run({ all: true }).failures;
      if (failure === undefined || engine.poison !== undefined) return failure?.error;
      const lasting = [failure, ...others].find(({ error }) => !isAboutToPass(error));
      if (lasting !== undefined || pass === passesMax) return (lasting ?? failure).error;
    }
  }

  end(): void {
    clearTimeout(this.#timer);
    if (this.#next !== undefined) clearImmediate(this.#next);
    this.#timer = undefined;
    this.#next = undefined;
  }
}

/** An edit that was met while a file was put in its place is seen, and kept, at the next look. */
function isAboutToPass(error: Error): boolean {
  return isStoreError(error, 'ERR_EXTERNAL_EDIT');
}
