/** Requests about resumable content: those that come in together are one batch of the log, and one flush. */

import type { ResumableRecords, StagingRequest } from '../commit/resumable-records.js';

interface Waiting {
  readonly request: StagingRequest;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const batchMax = 256;

export class StagingQueue {
  readonly #records: ResumableRecords;
  readonly #afterRun: () => void;
  #waiting: Waiting[] = [];

  constructor(records: ResumableRecords, afterRun: () => void) {
    this.#records = records;
    this.#afterRun = afterRun;
  }

  add(request: StagingRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.run());
      this.#waiting.push({ request, resolve, reject });
    });
  }

  run(): void {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, batchMax);
      const answers = this.#answers(batch);
      for (const [index, { resolve, reject }] of batch.entries()) {
        const refusal = answers[index];
        if (refusal === undefined) resolve();
        else reject(refusal);
      }
      this.#afterRun();
    }
  }

  #answers(batch: readonly Waiting[]): readonly unknown[] {
    try {
      return this.#records.run(batch.map(({ request }) => request));
    } catch (error) {
      return batch.map(() => error);
    }
  }
}
